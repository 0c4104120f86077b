//! The table of rotations: by key, by where it is, by what sites know, and by what the operator wants.

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn id(name: &str) -> SiteId {
    SiteId::new(name).unwrap()
}

/// A site that is known to know for so many seconds.
fn knows(name: &str, seconds: u64) -> SiteFacts {
    let knows_since = Some(Timestamp(NOW.0 - seconds * 1000));
    SiteFacts { site: id(name), is_live: true, has_other_root: false, knows_since }
}

fn near(name: &str) -> SiteFacts {
    SiteFacts { knows_since: None, ..knows(name, 0) }
}

fn dark(name: &str) -> SiteFacts {
    SiteFacts { is_live: false, ..near(name) }
}

fn facts(key: TrustKey, stage: Stage, sites: &[SiteFacts]) -> Facts {
    let sites = sites.to_vec();
    Facts { key, stage, ended: None, sites, tokens: Vec::new(), policy_signs: false, root_is_away: false }
}

fn step(step: Step, left: &[&str]) -> Result<Decision, Waits> {
    Ok(Decision::Take { step, left: left.iter().map(|name| id(name)).collect() })
}

fn waits_live(key: TrustKey, name: &str) -> Result<Decision, Waits> {
    Err(Waits::Live { key, sites: vec![id(name)] })
}

fn waits_dark(key: TrustKey, step: Step, name: &str) -> Result<Decision, Waits> {
    Err(Waits::Dark { key, sites: vec![id(name)], then: key.then(step) })
}

use Order::{LeaveBehind, Next, Now};
use Stage::{Begun, Steady, Switched};
use TrustKey::{LinkRoot, ManifestKey, MeshRoot};

#[test]
fn each_step_waits_for_every_site_that_would_be_harmed() {
    for key in TrustKey::ALL {
        let all = [knows("a", 60), knows("b", 60)];
        let begins = [near("a"), dark("b")];
        let one_near = [knows("a", 60), near("b")];
        let one_dark = [knows("a", 60), dark("b")];
        let both = [near("a"), dark("b")];
        for (stage, sites, order, expected) in [
            (Steady, &begins, Next, step(Step::Begin, &[])),
            (Steady, &begins, LeaveBehind, step(Step::Begin, &[])),
            (Begun, &all, Next, step(Step::Switch, &[])),
            (Begun, &one_near, Next, waits_live(key, "b")),
            (Begun, &one_near, LeaveBehind, waits_live(key, "b")),
            (Begun, &one_dark, Next, waits_dark(key, Step::Switch, "b")),
            (Begun, &one_dark, LeaveBehind, step(Step::Switch, &["b"])),
            (Begun, &both, Next, waits_live(key, "a")),
            (Begun, &both, LeaveBehind, waits_live(key, "a")),
            (Switched, &all, Next, step(Step::End, &[])),
            (Switched, &one_near, LeaveBehind, waits_live(key, "b")),
            (Switched, &one_dark, Next, waits_dark(key, Step::End, "b")),
            (Switched, &one_dark, LeaveBehind, step(Step::End, &["b"])),
        ] {
            let decided = decide(&facts(key, stage, sites), order, NOW);
            assert_eq!(decided, expected, "{key:?} {stage:?} {order:?} {sites:?}");
        }
    }
}

#[test]
fn an_emergency_waits_for_nobody_and_names_whom_it_leaves_behind() {
    let sites = [knows("a", 60), near("b"), dark("c")];
    for key in [MeshRoot, ManifestKey] {
        for (stage, expected) in [(Steady, Step::Replace), (Begun, Step::Replace), (Switched, Step::End)] {
            assert_eq!(decide(&facts(key, stage, &sites), Now, NOW), step(expected, &["c"]));
        }
    }
    for stage in [Steady, Begun, Switched] {
        assert_eq!(decide(&facts(LinkRoot, stage, &sites), Now, NOW), Err(Waits::NotAtOnce));
    }
}

/// The table of steps that are named, or not: by where the rotation is, and by how many hours ago the one before ended. A call that is made once
/// too often changes nothing.
#[test]
fn a_step_that_is_named_is_taken_once() {
    for key in TrustKey::ALL {
        let take = |taken| step(taken, &[]);
        let taken = |taken| Ok(Decision::Taken(taken));
        let late = |named, next| Err(Waits::OutOfTurn { key, named, next });
        let lately = |hours: u64| Err(Waits::EndedLately { key, ago: Duration::from_secs(hours * 3_600) });
        let (begin, switch, end) = (Some(Step::Begin), Some(Step::Switch), Some(Step::End));
        for (stage, ended, named, expected) in [
            (Steady, None, begin, take(Step::Begin)),
            (Steady, None, switch, late(Step::Switch, Step::Begin)),
            (Steady, None, end, late(Step::End, Step::Begin)),
            (Begun, None, begin, taken(Step::Begin)),
            (Begun, None, switch, take(Step::Switch)),
            (Begun, None, end, late(Step::End, Step::Switch)),
            (Switched, None, begin, taken(Step::Begin)),
            (Switched, None, switch, taken(Step::Switch)),
            (Switched, None, end, take(Step::End)),
            // An answer that was lost, and a call too many.
            (Steady, Some(23), end, taken(Step::End)),
            (Steady, Some(23), switch, taken(Step::Switch)),
            (Steady, Some(23), None, lately(23)),
            (Steady, Some(0), None, lately(0)),
            (Steady, Some(0), begin, take(Step::Begin)),
            // That is long over.
            (Steady, Some(24), end, late(Step::End, Step::Begin)),
            (Steady, Some(24), None, take(Step::Begin)),
            // The one before has no part in the next.
            (Begun, Some(1), None, take(Step::Switch)),
            (Begun, Some(1), end, late(Step::End, Step::Switch)),
            (Switched, Some(1), None, take(Step::End)),
        ] {
            let ended = ended.map(|hours: u64| Timestamp(NOW.0 - hours * 3_600_000));
            let facts = Facts { ended, ..facts(key, stage, &[knows("a", 60)]) };
            for order in [Next, LeaveBehind] {
                let decided = decide(&facts, Ask { order, named }, NOW);
                assert_eq!(decided, expected, "{key:?} {stage:?} {ended:?} {named:?} {order:?}");
            }
        }
    }
    let stolen = Facts { ended: Some(NOW), ..facts(MeshRoot, Steady, &[]) };
    assert_eq!(decide(&stolen, Now, NOW), step(Step::Replace, &[]), "in an emergency nobody is asked twice");
}

#[test]
fn a_call_too_many_is_told_what_it_would_have_done() {
    let at = |seconds: u64| Facts {
        ended: Some(Timestamp(NOW.0 - seconds * 1000)),
        ..facts(MeshRoot, Steady, &[])
    };
    for (seconds, words) in [(3, "less than a minute ago"), (3_600, "60 min ago"), (9_000, "2 h ago")] {
        let error = decide(&at(seconds), Next, NOW).unwrap_err().to_string();
        assert!(error.contains(words) && error.ends_with("say so with --step begin"), "{error}");
    }
    let ask = Ask { order: Next, named: Some(Step::End) };
    let error = decide(&facts(LinkRoot, Begun, &[]), ask, NOW).unwrap_err().to_string();
    assert_eq!(error, "step `end` of the link root does not come next, `switch` does: nothing is changed");
}

/// Whatever such a site says that it has: the core that asks it has not made what it believes.
#[test]
fn a_site_with_another_trust_root_counts_for_no_step() {
    let astray = [SiteFacts { has_other_root: true, ..knows("a", 60) }, knows("b", 60)];
    for key in TrustKey::ALL {
        for (stage, next) in [(Steady, Step::Begin), (Begun, Step::Switch), (Switched, Step::End)] {
            let decided = |order| decide(&facts(key, stage, &astray), order, NOW);
            assert_eq!(decided(Next), Err(Waits::Astray { key, sites: vec![id("a")] }), "{key:?} {stage:?}");
            let left: &[&str] = if next == Step::Begin { &[] } else { &["a"] };
            assert_eq!(decided(LeaveBehind), step(next, left), "{key:?} {stage:?}");
        }
    }
    let now = decide(&facts(ManifestKey, Steady, &astray), Now, NOW);
    assert_eq!(now, step(Step::Replace, &["a"]), "it is there, and believes no word of it");
}

/// Proxies take their time: what a new mesh root signs is shown once every proxy of every site knows the root.
#[test]
fn a_mesh_root_has_to_be_known_for_a_while() {
    for (key, seconds, expected) in [
        (MeshRoot, 14, waits_live(MeshRoot, "a")),
        (MeshRoot, 15, step(Step::Switch, &[])),
        (LinkRoot, 0, step(Step::Switch, &[])),
        (ManifestKey, 0, step(Step::Switch, &[])),
    ] {
        assert_eq!(decide(&facts(key, Begun, &[knows("a", seconds)]), Next, NOW), expected, "{key:?}");
    }
    // It went dark a moment after it said so: nobody has to be left behind, a moment is enough.
    let gone = SiteFacts { is_live: false, ..knows("a", 3) };
    assert_eq!(decide(&facts(MeshRoot, Begun, &[gone]), LeaveBehind, NOW), waits_live(MeshRoot, "a"));
}

#[test]
fn join_tokens_hold_up_the_link_root_alone() {
    let with_token = |key, stage| Facts { tokens: vec![id("c")], ..facts(key, stage, &[knows("a", 60)]) };
    let waits = Err(Waits::Tokens { sites: vec![id("c")] });
    assert_eq!(decide(&with_token(LinkRoot, Begun), Next, NOW), waits);
    assert_eq!(decide(&with_token(LinkRoot, Begun), LeaveBehind, NOW), step(Step::Switch, &[]));
    assert_eq!(decide(&with_token(LinkRoot, Switched), Next, NOW), step(Step::End, &[]));
    assert_eq!(decide(&with_token(MeshRoot, Begun), Next, NOW), step(Step::Switch, &[]));
}

/// Only the manifest key is in the trust root, and only steps that make another version of it need policy keys.
#[test]
fn where_policy_keys_sign_the_core_rotates_no_manifest_key() {
    let signed = |key, stage| Facts { policy_signs: true, ..facts(key, stage, &[]) };
    for (key, stage, order, expected) in [
        (ManifestKey, Steady, Next, Err(Waits::PolicySigns)),
        (ManifestKey, Steady, Now, Err(Waits::PolicySigns)),
        (ManifestKey, Begun, Next, step(Step::Switch, &[])),
        (ManifestKey, Switched, Next, Err(Waits::PolicySigns)),
        (MeshRoot, Steady, Next, step(Step::Begin, &[])),
        (LinkRoot, Steady, Next, step(Step::Begin, &[])),
    ] {
        assert_eq!(decide(&signed(key, stage), order, NOW), expected, "{key:?} {stage:?} {order:?}");
    }
}

#[test]
fn a_root_that_is_kept_offline_is_not_rotated_by_the_core() {
    let away = |key, stage| Facts { root_is_away: true, ..facts(key, stage, &[]) };
    for order in [Next, LeaveBehind, Now] {
        assert_eq!(decide(&away(MeshRoot, Steady), order, NOW), Err(Waits::RootIsAway), "{order:?}");
    }
    assert_eq!(decide(&away(ManifestKey, Steady), Next, NOW), step(Step::Begin, &[]));
}

#[test]
fn sites_are_told_of_whatever_they_have_to_know() {
    let silent: Vec<(TrustKey, Step)> = TrustKey::ALL
        .iter()
        .flat_map(|key| [Step::Begin, Step::Switch, Step::End, Step::Replace].map(|step| (*key, step)))
        .filter(|(key, step)| !key.tells(*step))
        .collect();
    assert_eq!(silent, [(ManifestKey, Step::Switch)]);
}

#[test]
fn words_name_a_few_sites_and_count_the_rest() {
    let sites: Vec<SiteFacts> = (0..20).map(|number| dark(&format!("s{number:02}"))).collect();
    let words = decide(&facts(LinkRoot, Begun, &sites), Next, NOW).unwrap_err().to_string();
    assert!(
        words.starts_with("the link root waits for 20 dark sites to have what was told last (s00, s01"),
        "{words}"
    );
    assert!(words.contains("s07 and 12 more)"), "{words}");
    assert!(
        words.contains("--leave-behind; then those that have not heard of the new root do not know"),
        "{words}"
    );
}
