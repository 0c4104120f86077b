//! Which files differ between two commits.

use skerry_gitops::history::Blob;
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::tree::{ChangeKind, Ignored};

use crate::repository::{MAIN, TestRepo};

fn kinds(changes: &skerry_gitops::tree::TreeChanges) -> Vec<(&str, ChangeKind)> {
    changes.files.iter().map(|change| (change.path.as_str(), change.kind)).collect()
}

#[test]
fn only_policy_files_that_differ_are_listed() {
    let repo = TestRepo::new();
    let first =
        repo.commit(MAIN, &[("a.yaml", "a"), ("d/b.yml", "b"), ("d/c.json", "c"), ("README.md", "r")]);
    let second =
        repo.commit(MAIN, &[("a.yaml", "a2"), ("d/c.json", "c"), ("d/e/f.yaml", "f"), ("README.md", "r2")]);
    let history = repo.history();

    let all = history.changed_files(None, first, "").unwrap();
    let step = history.changed_files(Some(first), second, "").unwrap();
    let back = history.changed_files(Some(second), first, "").unwrap();

    assert_eq!(
        kinds(&all),
        [("a.yaml", ChangeKind::Added), ("d/b.yml", ChangeKind::Added), ("d/c.json", ChangeKind::Added)]
    );
    assert_eq!(
        kinds(&step),
        [
            ("a.yaml", ChangeKind::Modified),
            ("d/b.yml", ChangeKind::Removed),
            ("d/e/f.yaml", ChangeKind::Added)
        ]
    );
    assert_eq!(
        kinds(&back),
        [
            ("a.yaml", ChangeKind::Modified),
            ("d/b.yml", ChangeKind::Added),
            ("d/e/f.yaml", ChangeKind::Removed)
        ]
    );
}

#[test]
fn a_path_limits_what_is_seen_however_it_is_written() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", "a"), ("fleet/mesh/b.yaml", "b"), ("fleet2/c.yaml", "c")]);
    let history = repo.history();

    for path in ["fleet", "/fleet/", "./fleet", "fleet//"] {
        let changes = history.changed_files(None, commit, path).unwrap();
        assert_eq!(kinds(&changes), [("fleet/mesh/b.yaml", ChangeKind::Added)], "{path}");
    }
}

#[test]
fn a_path_that_is_not_there_is_an_error_at_the_new_commit_and_empty_at_the_old() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", "a"), ("docs/x.md", "x")]);
    let second = repo.commit(MAIN, &[("fleet/b.yaml", "b")]);
    let history = repo.history();

    let forward = history.changed_files(Some(first), second, "fleet").unwrap();
    assert_eq!(kinds(&forward), [("fleet/b.yaml", ChangeKind::Added)]);

    for path in ["fleet", "a.yaml", "..", "a.yaml/b"] {
        let error = history.changed_files(Some(second), first, path).unwrap_err();
        let ReadError::PathNotFound { folders, .. } = &error else { panic!("{path}: {error}") };
        assert_eq!(folders, &["docs"], "{path}");
    }
}

#[test]
fn a_file_and_a_folder_of_one_name_replace_each_other() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("x.yaml", "a")]);
    let second = repo.commit(MAIN, &[("x.yaml/y.yaml", "a")]);
    let history = repo.history();

    let changes = history.changed_files(Some(first), second, "").unwrap();

    assert_eq!(kinds(&changes), [("x.yaml", ChangeKind::Removed), ("x.yaml/y.yaml", ChangeKind::Added)]);
}

#[test]
fn links_submodules_and_hidden_names_are_passed_over() {
    let repo = TestRepo::new();
    let first = repo.commit_entries(
        &[],
        &[
            ("a.yaml", b"a", 0o100_644),
            ("run.yaml", b"x", 0o100_755),
            ("link.yaml", b"/etc/passwd", 0o120_000),
            ("vendored", b"sub", 0o160_000),
            (".github/workflows/ci.yaml", b"c", 0o100_644),
            (".pre-commit-config.yaml", b"c", 0o100_644),
        ],
    );
    let second = repo.commit_on(&[first], &[("a.yaml", "a"), ("link.yaml", "a file now")]);
    let history = repo.history();

    let all = history.changed_files(None, first, "").unwrap();
    let step = history.changed_files(Some(first), second, "").unwrap();

    assert_eq!(kinds(&all), [("a.yaml", ChangeKind::Added), ("run.yaml", ChangeKind::Added)]);
    let ignored = [("link.yaml", Some(Ignored::SymbolicLink)), ("vendored", Some(Ignored::Submodule))];
    assert_eq!(all.ignored.iter().map(|(path, why)| (path.as_str(), *why)).collect::<Vec<_>>(), ignored);
    assert_eq!(kinds(&step), [("link.yaml", ChangeKind::Added), ("run.yaml", ChangeKind::Removed)]);
    let ignored = [("link.yaml", None), ("vendored", None)];
    assert_eq!(step.ignored.iter().map(|(path, why)| (path.as_str(), *why)).collect::<Vec<_>>(), ignored);
}

#[test]
fn a_large_blob_is_measured_and_not_loaded() {
    let repo = TestRepo::new();
    let large = "#".repeat(FILE_BYTES + 1);
    let commit = repo.commit(MAIN, &[("large.yaml", &large), ("small.yaml", &large[1..])]);
    let history = repo.history();

    let changes = history.changed_files(None, commit, "").unwrap();
    let blobs: Vec<_> =
        changes.files.iter().map(|change| history.read_blob(change.blob.unwrap()).unwrap()).collect();

    assert_eq!(blobs[0], Blob::TooLarge { size: FILE_BYTES + 1 });
    assert!(matches!(&blobs[1], Blob::Bytes(bytes) if bytes.len() == FILE_BYTES));
}

#[test]
fn a_tree_that_contains_itself_many_times_over_is_refused() {
    let repo = TestRepo::new();
    let blob = repo.repo.blob(b"a").unwrap();
    let mut tree = None;
    for _ in 0..8 {
        let mut builder = repo.repo.treebuilder(None).unwrap();
        for name in 0..10 {
            match tree {
                Some(tree) => builder.insert(format!("d{name}"), tree, 0o040_000),
                None => builder.insert(format!("f{name}.yaml"), blob, 0o100_644),
            }
            .unwrap();
        }
        tree = Some(builder.write().unwrap());
    }
    let tree = repo.repo.find_tree(tree.unwrap()).unwrap();
    let signature = git2::Signature::new("Ada", "ada@example.org", &git2::Time::new(0, 0)).unwrap();
    let commit = repo.repo.commit(None, &signature, &signature, "bomb", &tree, &[]).unwrap();

    let error = repo.history().changed_files(None, crate::repository::id(commit), "").unwrap_err();

    assert!(matches!(error, ReadError::TooMany { .. }), "{error}");
}
