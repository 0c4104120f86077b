//! A source followed through real commits, and brought back after a restart.

use skerry_core::diagnostic::Code;
use skerry_core::world::Age;
use skerry_gitops::age::Ages;
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::snapshot::kept::KeptFiles;
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
    let (restored, all) =
        SourceTree::restore(&history, "", bad, (&holds.into_iter().collect(), &KeptFiles::default()), ages)
            .unwrap();

    assert_eq!(restored, tree);
    assert_eq!(
        all.upserts.iter().map(|aged| aged.object.key.name.as_str()).collect::<Vec<_>>(),
        ["ads", "big", "cart"]
    );
    assert_eq!((all.diagnostics, restored.lost().len()), (advance.diagnostics, 0));
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

    let (restored, all) =
        SourceTree::restore(&history, "", removed, (tree.holds(), &KeptFiles::default()), Ages::new(""))
            .unwrap();

    assert!(restored.holds().is_empty());
    assert_eq!(all.upserts.len(), 1);
    assert!(all.deletes.is_empty());
}

#[test]
fn links_and_submodules_are_named_as_they_come_and_go() {
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

    let with = tree.advance(&history, first).unwrap();
    assert_eq!((with.ignored, with.files), (2, 1));
    insta::assert_snapshot!(with.diagnostics.iter().map(|one| format!("{one}\n")).collect::<String>());
    let without = tree.advance(&history, second).unwrap();
    assert_eq!((without.ignored, without.files, without.diagnostics.len()), (0, 1, 0));
}

#[test]
fn names_that_are_not_utf8_are_named_where_policies_may_be_behind_them() {
    let repo = TestRepo::new();
    let blob = repo.repo.blob(service("cart", 80).as_bytes()).unwrap();
    let mut folder = repo.repo.treebuilder(None).unwrap();
    folder.insert("b.yaml", blob, 0o100_644).unwrap();
    let folder = folder.write().unwrap();
    let mut top = repo.repo.treebuilder(None).unwrap();
    top.insert(&b"caf\xe9.yaml"[..], blob, 0o100_644).unwrap();
    top.insert(&b"caf\xe8.yaml"[..], blob, 0o100_644).unwrap();
    top.insert(&b"\xff.md"[..], blob, 0o100_644).unwrap();
    top.insert(&b"d\xfc"[..], folder, 0o040_000).unwrap();
    let top = repo.repo.find_tree(top.write().unwrap()).unwrap();
    let ada = git2::Signature::new("Ada", "ada@example.org", &git2::Time::new(0, 0)).unwrap();
    let commit = crate::repository::id(repo.repo.commit(None, &ada, &ada, "names", &top, &[]).unwrap());

    let advance = SourceTree::new("", Aging::FromHistory).advance(&repo.history(), commit).unwrap();

    let named: Vec<_> = advance.diagnostics.iter().map(|one| one.location.file.as_str()).collect();
    assert_eq!(named, ["caf\\xe8.yaml", "caf\\xe9.yaml", "d\\xfc"]);
    assert_eq!((advance.upserts.len(), advance.files), (0, 0));
}

#[test]
fn invariant_6_a_file_that_becomes_a_link_removes_nothing() {
    let repo = TestRepo::new();
    let policy = service("cart", 80);
    let first = repo.commit_on(&[], &[("d/a.yaml", &policy), ("b.yaml", &service("ads", 80))]);
    let linked = [("d", &b"../elsewhere"[..], 0o120_000), ("b.yaml", &b"../b.yaml"[..], 0o120_000)];
    let linked = repo.commit_entries(&[first], &linked);
    let gone = repo.commit_on(&[linked], &[("c.yaml", &service("new", 80))]);
    let history = repo.history();
    let mut tree = SourceTree::new("", Aging::FromHistory);
    tree.advance(&history, first).unwrap();

    let held = tree.advance(&history, linked).unwrap();

    assert_eq!(held.deletes, []);
    assert_eq!(tree.holds().keys().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["ads", "cart"]);
    let removed = tree.advance(&history, gone).unwrap();
    assert_eq!(removed.deletes, [key("ads"), key("cart")], "without the links the removal is said");
}
