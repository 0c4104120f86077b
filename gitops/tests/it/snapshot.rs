//! A source followed through real commits, and brought back after a restart.

use std::collections::BTreeMap;

use skerry_core::diagnostic::Code;
use skerry_core::world::Age;
use skerry_gitops::age::Ages;
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::snapshot::{Aging, SourceTree};

use crate::repository::{MAIN, TestRepo, UNREADABLE, file, key, refused, service};

#[test]
fn an_advance_tells_what_changed_and_how_old_it_is() {
    let repo = TestRepo::new();
    let first =
        repo.at(1_000).commit(MAIN, &[("a.yaml", &service("cart", 80)), ("b.yaml", &service("ads", 80))]);
    let second =
        repo.at(2_000).commit(MAIN, &[("a.yaml", &service("cart", 81)), ("c.yaml", &service("new", 80))]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);

    let all = tree.advance(&history, first).unwrap();
    let step = tree.advance(&history, second).unwrap();
    let same = tree.advance(&history, second).unwrap();

    assert_eq!((all.from, all.to, all.upserts.len(), all.files), (None, first, 2, 2));
    assert_eq!((step.from, step.to, step.files), (Some(first), second, 2));
    let upserts: Vec<_> = step.upserts.iter().map(|aged| (aged.object.key.name.as_str(), aged.age)).collect();
    assert_eq!(upserts, [("cart", Age::Known(1_000)), ("new", Age::Known(2_000))]);
    assert_eq!(step.deletes, [key("ads")]);
    assert!(same.upserts.is_empty() && same.deletes.is_empty());
}

#[test]
fn going_back_is_an_advance_too() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let second = repo.commit(MAIN, &[("b.yaml", &service("ads", 80))]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&history, second).unwrap();

    let back = tree.advance(&history, first).unwrap();

    assert_eq!(back.upserts.len(), 1);
    assert_eq!(back.deletes, [key("ads")]);
}

#[test]
fn a_wrong_path_changes_nothing() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("fleet/a.yaml", &service("cart", 80))]);
    let second = repo.commit(MAIN, &[("moved/a.yaml", &service("cart", 80))]);
    let history = repo.history();
    let mut tree = SourceTree::new("fleet", Aging::FromHistory);
    tree.advance(&history, first).unwrap();
    let before = tree.clone();

    let error = tree.advance(&history, second).unwrap_err();

    assert!(matches!(error, ReadError::PathNotFound { .. }));
    assert_eq!(tree, before);
}

#[test]
fn a_restart_brings_held_objects_back() {
    let repo = TestRepo::new();
    let good = repo.commit(
        MAIN,
        &[("a.yaml", &file(&[service("ads", 80), service("cart", 80)])), ("b.yaml", &service("big", 80))],
    );
    let large = "#".repeat(FILE_BYTES + 1);
    let bad = repo
        .commit(MAIN, &[("a.yaml", &file(&[refused("cart"), UNREADABLE.to_owned()])), ("b.yaml", &large)]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&history, good).unwrap();
    let advance = tree.advance(&history, bad).unwrap();
    assert!(advance.deletes.is_empty() && advance.upserts.is_empty());
    assert_eq!(advance.diagnostics.iter().filter(|diagnostic| diagnostic.code == Code::Held).count(), 3);
    assert_eq!(
        tree.needed_commits().into_iter().collect::<std::collections::BTreeSet<_>>(),
        [good, bad].into()
    );

    let holds: String = serde_json::to_string(&tree.holds().iter().collect::<Vec<_>>()).unwrap();
    let holds: Vec<(_, _)> = serde_json::from_str(&holds).unwrap();
    let ages = tree.ages().unwrap().clone();
    let (restored, all) = SourceTree::restore(&history, "", bad, &holds.into_iter().collect(), ages).unwrap();

    assert_eq!(restored, tree);
    assert_eq!(
        all.upserts.iter().map(|aged| aged.object.key.name.as_str()).collect::<Vec<_>>(),
        ["ads", "big", "cart"]
    );
    assert_eq!((all.diagnostics, all.lost), (advance.diagnostics, vec![]));
}

#[test]
fn a_hold_whose_version_is_gone_is_told() {
    let repo = TestRepo::new();
    let good = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let bad = repo.commit(MAIN, &[("a.yaml", &refused("cart"))]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&history, good).unwrap();
    tree.advance(&history, bad).unwrap();
    let mut hold = tree.holds()[&key("cart")].clone();
    hold.blob = "0123456789012345678901234567890123456789".parse().unwrap();

    let holds = BTreeMap::from([(key("cart"), hold)]);
    let (restored, all) = SourceTree::restore(&history, "", bad, &holds, Ages::new("")).unwrap();

    assert_eq!(all.lost, [key("cart")]);
    assert_eq!(restored.objects().count(), 0);
}

#[test]
fn holds_that_no_longer_apply_are_dropped_at_a_restart() {
    let repo = TestRepo::new();
    let good = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let bad = repo.commit(MAIN, &[("a.yaml", &refused("cart"))]);
    let removed = repo.commit(MAIN, &[("b.yaml", &service("ads", 80))]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&history, good).unwrap();
    tree.advance(&history, bad).unwrap();

    let (restored, all) = SourceTree::restore(&history, "", removed, tree.holds(), Ages::new("")).unwrap();

    assert!(restored.holds().is_empty());
    assert_eq!(all.upserts.len(), 1);
    assert!(all.deletes.is_empty());
}

#[test]
fn links_and_submodules_are_counted_as_they_come_and_go() {
    let repo = TestRepo::new();
    let policy = service("cart", 80);
    let first = repo.commit_entries(
        &[],
        &[
            ("a.yaml", policy.as_bytes(), 0o100_644),
            ("l.yaml", b"a.yaml", 0o120_000),
            ("sub", b"x", 0o160_000),
        ],
    );
    let second = repo.commit_on(&[first], &[("a.yaml", &policy)]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);

    assert_eq!(tree.advance(&history, first).unwrap().ignored, 2);
    assert_eq!(tree.advance(&history, second).unwrap().ignored, 0);
}
