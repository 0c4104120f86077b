//! Force-pushes and rollbacks are noticed, and held until confirmed (invariant 6).

use skerry_gitops::guard::{Decision, HeadChange, Reason, classify, decide};

use crate::repository::{MAIN, TestRepo};

#[test]
fn every_move_of_a_head_is_recognized() {
    let repo = TestRepo::new();
    let a = repo.commit(MAIN, &[("a.yaml", "1")]);
    let b = repo.commit(MAIN, &[("a.yaml", "2")]);
    let c = repo.commit(MAIN, &[("a.yaml", "3")]);
    let forced = repo.commit_on(&[a], &[("a.yaml", "4")]);
    let merged = repo.commit_on(&[forced, c], &[("a.yaml", "5")]);
    let orphan = repo.commit_on(&[], &[("a.yaml", "6")]);
    let gone = "0123456789012345678901234567890123456789".parse().unwrap();
    let table = [
        (None, c, HeadChange::First),
        (Some(c), c, HeadChange::Same),
        (Some(a), c, HeadChange::FastForward { commits: 2 }),
        (Some(c), merged, HeadChange::FastForward { commits: 2 }),
        (Some(c), a, HeadChange::RolledBack { commits: 2 }),
        (Some(c), b, HeadChange::RolledBack { commits: 1 }),
        (Some(c), forced, HeadChange::Rewritten { merge_base: Some(a) }),
        (Some(c), orphan, HeadChange::Rewritten { merge_base: None }),
        (Some(gone), c, HeadChange::Rewritten { merge_base: None }),
    ];
    let history = repo.history();
    for (last, new, change) in table {
        assert_eq!(classify(&history, last, new).unwrap(), change, "{last:?} to {new}");
    }
}

#[test]
fn only_continuations_are_applied_unasked() {
    let to = "1111111111111111111111111111111111111111".parse().unwrap();
    let other = "2222222222222222222222222222222222222222".parse().unwrap();
    let rewritten = HeadChange::Rewritten { merge_base: Some(other) };
    let rolled_back = HeadChange::RolledBack { commits: 3 };
    let hold_rewritten = Decision::Hold(Reason::Rewritten { to, merge_base: Some(other) });
    let hold_rolled_back = Decision::Hold(Reason::RolledBack { to, commits: 3 });
    let table = [
        (HeadChange::First, None, Decision::Apply),
        (HeadChange::Same, None, Decision::Apply),
        (HeadChange::FastForward { commits: 1 }, None, Decision::Apply),
        (rewritten, None, hold_rewritten.clone()),
        (rewritten, Some(other), hold_rewritten),
        (rewritten, Some(to), Decision::Apply),
        (rolled_back, None, hold_rolled_back.clone()),
        (rolled_back, Some(other), hold_rolled_back),
        (rolled_back, Some(to), Decision::Apply),
    ];
    for (change, confirmed, decision) in table {
        assert_eq!(decide(change, to, confirmed), decision, "{change:?}, confirmed {confirmed:?}");
    }
}

#[test]
fn reasons_read_well() {
    let to = "1111111111111111111111111111111111111111".parse().unwrap();
    let base = "2222222222222222222222222222222222222222".parse().unwrap();
    let reasons = [
        Reason::Rewritten { to, merge_base: Some(base) },
        Reason::Rewritten { to, merge_base: None },
        Reason::RolledBack { to, commits: 1 },
        Reason::RolledBack { to, commits: 12 },
    ];
    let text: Vec<_> = reasons.iter().map(|reason| format!("{reason}\n  help: {}", reason.help())).collect();
    insta::assert_snapshot!(text.join("\n"));
}
