//! What is held, with and without the history that has it: it stays, or it is known to be lost.

use std::collections::BTreeMap;

use skerry_core::id::ObjectKey;
use skerry_gitops::age::Ages;
use skerry_gitops::oid::{BlobId, CommitId};
use skerry_gitops::snapshot::hold::Hold;
use skerry_gitops::snapshot::kept::KeptFiles;
use skerry_gitops::snapshot::{Aging, SourceTree};

use crate::repository::{MAIN, State, TestRepo, UNREADABLE, file, route, route_key, service};

const BLOB: &str = "0123456789012345678901234567890123456789";

fn good(name: &str) -> String {
    route(name, 80, State::Good)
}

/// A repository that has the good version of `cart` in one branch and `bad` in another with another history, and what
/// holds there are at `bad` for who followed from one to the other.
fn held(bad: &[(&str, &str)]) -> (TestRepo, CommitId, SourceTree) {
    let repo = TestRepo::new();
    let first = repo.commit("former", &[("a.yaml", &file(&[good("cart"), good("ads")]))]);
    let second = repo.commit(MAIN, bad);
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&repo.history(), first).unwrap();
    tree.advance(&repo.history(), second).unwrap();
    (repo, second, tree)
}

/// A repository with the history of `main` alone.
fn fetched_anew(repo: &TestRepo, bad: &[(&str, &str)]) -> (TestRepo, CommitId) {
    let anew = TestRepo::new();
    let seconds = repo.repo.find_branch(MAIN, git2::BranchType::Local).unwrap();
    let seconds = seconds.get().peel_to_commit().unwrap().time().seconds();
    let commit = anew.at(seconds).commit(MAIN, bad);
    (anew, commit)
}

#[test]
fn what_is_held_comes_back_from_its_file_when_no_history_has_it() {
    let bad = [("a.yaml", &*file(&[route("cart", 81, State::Refused), route("ads", 81, State::Flawed)]))];
    let (repo, commit, tree) = held(&bad);
    let mut kept = KeptFiles::default();
    assert_eq!(kept.keep(tree.holds().values(), &repo.history()), 0);
    assert_eq!(kept.iter().count(), 1, "both are of one file");
    let stored: Vec<(BlobId, Vec<u8>)> = kept.iter().map(|(blob, bytes)| (blob, bytes.to_vec())).collect();
    let (anew, same) = fetched_anew(&repo, &bad);
    assert_eq!(same, commit);
    let ages = || tree.ages().unwrap().clone();

    let whole = (tree.holds(), &KeptFiles::restore(stored.clone()));
    let (restored, all) = SourceTree::restore(&anew.history(), "", commit, whole, ages()).unwrap();
    assert_eq!((&restored, all.upserts.len()), (&tree, 2));
    assert_eq!(kept.keep(tree.holds().values(), &anew.history()), 0, "what is kept needs no history");

    let altered = stored.into_iter().map(|(blob, bytes)| (blob, [bytes, b"#".to_vec()].concat()));
    let without = (tree.holds(), &KeptFiles::restore(altered));
    let (restored, all) = SourceTree::restore(&anew.history(), "", commit, without, ages()).unwrap();
    assert_eq!(restored.lost(), tree.holds());
    assert_eq!((all.upserts.len(), restored.counts()), (0, tree.counts()), "in force, and not here");
    assert_eq!(
        kept.keep(
            &[Hold { blob: BLOB.parse().unwrap(), ..tree.holds()[&route_key("cart")].clone() }],
            &anew.history()
        ),
        1
    );
}

/// A tree at a commit where the document of `cart` is refused, whose good version is lost, and the next commit: with
/// these files.
fn lost(repo: &TestRepo, a: Option<String>, b: Option<String>) -> (SourceTree, CommitId) {
    let refused = route("cart", 81, State::Refused);
    let bad = repo.commit(MAIN, &[("a.yaml", &refused), ("z.yaml", &service("z", 80))]);
    let mut next = vec![("z.yaml", service("z", 81))];
    next.extend(a.map(|text| ("a.yaml", text)));
    next.extend(b.map(|text| ("b.yaml", text)));
    let next: Vec<_> = next.iter().map(|(path, text)| (*path, &**text)).collect();
    let next = repo.commit(MAIN, &next);
    let (path, waits_for) = ("a.yaml".to_owned(), "a.yaml".to_owned());
    let hold = Hold { blob: BLOB.parse().unwrap(), path, line: 1, commit: BLOB.parse().unwrap(), waits_for };
    let holds: BTreeMap<ObjectKey, Hold> = [(route_key("cart"), hold)].into();
    let known = (&holds, &KeptFiles::default());
    let (tree, _) = SourceTree::restore(&repo.history(), "", bad, known, Ages::new("")).unwrap();
    assert_eq!(tree.lost(), &holds);
    (tree, next)
}

/// Each way in which the next commit may have the document of an object whose version is lost.
#[test]
fn a_lost_version_stands_as_long_as_a_hold_would() {
    let with_other = |document: String| Some(file(&[document, service("other", 80)]));
    let refused = || Some(route("cart", 81, State::Refused));
    let unreadable = || Some(UNREADABLE.to_owned());
    let cases = [
        ("it is good again", with_other(good("cart")), None, Some(true)),
        ("it is refused still", refused(), None, None),
        ("it is flawed now", with_other(route("cart", 82, State::Flawed)), None, None),
        ("it is not there any more", with_other(good("ads")), None, Some(false)),
        ("the file cannot be read", unreadable(), None, None),
        ("the file is gone", None, None, Some(false)),
        ("the file moved and cannot be read", None, unreadable(), None),
        ("it moved and is refused still", None, refused(), None),
        ("it moved and is good", None, Some(good("cart")), Some(true)),
    ];
    for (case, a, b, outcome) in cases {
        let repo = TestRepo::new();
        let (mut tree, next) = lost(&repo, a, b);

        let advance = tree.advance(&repo.history(), next).unwrap();

        let cart = route_key("cart");
        let is_lost = tree.lost().contains_key(&cart);
        let is_there = tree.object(&cart).is_some();
        let is_gone = advance.deletes.contains(&cart);
        let expected = outcome.map_or((true, false, false), |stays| (false, stays, !stays));
        assert_eq!((is_lost, is_there, is_gone), expected, "{case}");
        if is_lost {
            let gone = tree.give_up_lost();
            assert_eq!(tree.object(&cart).is_some(), case.contains("flawed"), "{case}");
            assert_eq!(gone.contains(&cart), !case.contains("flawed"), "{case}");
        }
        assert!(tree.lost().is_empty(), "{case}");
    }
}
