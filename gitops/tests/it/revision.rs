//! Revisions of clones, for the offline commands.

use std::fs;

use skerry_core::world::Age;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::snapshot::Aging;
use skerry_gitops::snapshot::load::{load_folder, load_revision};

use crate::repository::{MAIN, TestRepo, file, refused, service};

#[test]
fn a_revision_is_read_by_any_of_its_names() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let second = repo.commit(MAIN, &[("a.yaml", &file(&[service("cart", 80), service("ads", 80)]))]);
    let tag = repo.repo.find_object(crate::repository::oid(first), None).unwrap();
    let signature = git2::Signature::new("Ada", "ada@example.org", &git2::Time::new(0, 0)).unwrap();
    repo.repo.tag("v1", &tag, &signature, "first", false).unwrap();
    let table = [
        ("main", second, "main", 2),
        ("HEAD", second, "main", 2),
        ("v1", first, "v1", 1),
        ("main~1", first, "commit", 1),
        (&second.to_string()[..10], second, "commit", 2),
    ];
    for (name, commit, label, objects) in table {
        let loaded = load_revision(repo.path(), name, "", Aging::FromHistory).unwrap();
        assert_eq!(loaded.revision.as_str(), format!("{label}@sha1:{commit}"), "{name}");
        assert_eq!(loaded.objects.len(), objects, "{name}");
    }
}

#[test]
fn nothing_is_held_without_a_before() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    repo.commit(MAIN, &[("a.yaml", &refused("cart"))]);

    let loaded = load_revision(repo.path(), MAIN, "", Aging::FromHistory).unwrap();

    assert!(loaded.objects.is_empty());
    assert!(!loaded.diagnostics.is_empty());
}

#[test]
fn a_folder_inside_a_clone_is_read_from_there() {
    let repo = TestRepo::new();
    repo.at(3_000)
        .commit(MAIN, &[("fleet/shop/a.yaml", &service("cart", 80)), ("b.yaml", &service("ads", 80))]);
    let clone =
        git2::Repository::clone(repo.path().to_str().unwrap(), repo.dir.path().join("clone")).unwrap();
    let top = clone.workdir().unwrap();
    fs::write(top.join("fleet/shop/a.yaml"), service("uncommitted", 80)).unwrap();

    for (folder, path) in [("fleet/shop", ""), ("fleet", "shop"), ("", "fleet"), ("", "./fleet/")] {
        let loaded = load_revision(&top.join(folder), "HEAD", path, Aging::FromHistory).unwrap();
        let (object, age) = &loaded.objects[0];
        assert_eq!(
            (object.key.name.as_str(), *age, loaded.files),
            ("cart", Age::Known(3_000), 1),
            "{folder} {path}"
        );
        assert_eq!(object.document.location.file, "fleet/shop/a.yaml");
    }
}

#[test]
fn a_folder_and_a_revision_of_it_have_the_same_objects() {
    let repo = TestRepo::new();
    let both = file(&[service("cart", 80), refused("bad"), service("ads", 81)]);
    repo.commit(MAIN, &[("a.yaml", &both), ("d/b.yaml", &service("cart", 82)), (".hidden/x.yaml", "[")]);
    let clone =
        git2::Repository::clone(repo.path().to_str().unwrap(), repo.dir.path().join("clone")).unwrap();
    let top = clone.workdir().unwrap();

    let folder = load_folder(top, "").unwrap();
    let revision = load_revision(top, "HEAD", "", Aging::Skip).unwrap();

    assert_eq!(folder.objects, revision.objects);
    assert_eq!(folder.diagnostics, revision.diagnostics);
    assert_eq!((folder.files, folder.foreign), (revision.files, revision.foreign));
}

#[test]
fn names_that_stand_for_nothing_are_errors() {
    let repo = TestRepo::new();
    let empty = load_revision(repo.path(), "HEAD", "", Aging::FromHistory).unwrap_err();
    assert!(matches!(&empty, ReadError::RevisionNotFound { branches, .. } if branches.is_empty()), "{empty}");
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    repo.set_branch("old", commit);
    let unknown = load_revision(repo.path(), "mian", "", Aging::FromHistory).unwrap_err();
    assert!(
        matches!(&unknown, ReadError::RevisionNotFound { branches, .. } if branches == &["main", "old"]),
        "{unknown}"
    );
    let outside = tempfile::tempdir().unwrap();
    let error = load_revision(outside.path(), "HEAD", "", Aging::FromHistory).unwrap_err();
    assert_eq!(error, ReadError::NotARepository { path: outside.path().to_owned() });
}

#[test]
fn a_repository_of_another_user_is_named_as_such() {
    let repo = TestRepo::new();
    // Only root can give files away.
    if std::os::unix::fs::chown(repo.path(), Some(65_534), None).is_err() {
        return;
    }
    let error = load_revision(repo.path(), MAIN, "", Aging::Skip).unwrap_err();
    assert_eq!(error, ReadError::ForeignOwner { path: repo.path().to_owned() });
}
