//! Ages from Git: the commit that first introduced an object, whatever file it was in (design.md, "Age in Git").

use std::process::Command;

use skerry_core::world::Age;
use skerry_gitops::age::Ages;
use skerry_gitops::oid::CommitId;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::snapshot::Aging;
use skerry_gitops::snapshot::load::load_revision;

use crate::repository::{MAIN, TestRepo, UNREADABLE, file, key, refused, service};

fn ages_at(repo: &TestRepo, commit: CommitId) -> Ages {
    let mut ages = Ages::new("");
    ages.advance(&repo.history(), commit).unwrap();
    ages
}

fn seconds(ages: &Ages, name: &str) -> Option<i64> {
    ages.first_seen(&key(name)).map(|first| first.seconds)
}

#[test]
fn an_object_is_as_old_as_the_commit_that_brought_it() {
    let repo = TestRepo::new();
    repo.at(5_000).commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let moved = file(&[service("ads", 80), service("cart", 81)]);
    let last = repo.at(6_000).commit(MAIN, &[("elsewhere/b.yaml", &moved)]);

    let ages = ages_at(&repo, last);

    assert_eq!(seconds(&ages, "cart"), Some(5_000));
    assert_eq!(seconds(&ages, "ads"), Some(6_000));
    assert_eq!(seconds(&ages, "shipping"), None);
}

#[test]
fn order_of_history_counts_and_not_clocks() {
    let repo = TestRepo::new();
    repo.at(9_000).commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    repo.at(2_000).commit(MAIN, &[("b.yaml", &service("ads", 80))]);
    let last = repo.at(1_000).commit(MAIN, &[("c.yaml", &service("cart", 82))]);

    let ages = ages_at(&repo, last);

    assert_eq!(seconds(&ages, "cart"), Some(9_000));
    assert_eq!(seconds(&ages, "ads"), Some(2_000));
}

#[test]
fn an_object_that_was_removed_and_comes_back_keeps_its_age() {
    let repo = TestRepo::new();
    repo.at(1_000).commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    repo.at(2_000).commit(MAIN, &[("b.yaml", &service("ads", 80))]);
    let last = repo.at(3_000).commit(MAIN, &[("c.yaml", &service("cart", 80))]);

    assert_eq!(seconds(&ages_at(&repo, last), "cart"), Some(1_000));
}

#[test]
fn a_merged_branch_brings_its_own_ages() {
    let repo = TestRepo::new();
    let base = repo.at(1_000).commit_on(&[], &[("a.yaml", &service("cart", 80))]);
    let side = repo
        .at(2_000)
        .commit_on(&[base], &[("a.yaml", &service("cart", 80)), ("s.yaml", &service("side", 80))]);
    let main = repo
        .at(3_000)
        .commit_on(&[base], &[("a.yaml", &service("cart", 80)), ("m.yaml", &service("main", 80))]);
    let all = [
        ("a.yaml", service("cart", 80)),
        ("m.yaml", service("main", 80)),
        ("s.yaml", service("side", 80)),
        ("x.yaml", service("evil", 80)),
    ];
    let all: Vec<_> = all.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let merge = repo.at(4_000).commit_on(&[main, side], &all);

    let ages = ages_at(&repo, merge);

    let found = ["cart", "main", "side", "evil"].map(|name| seconds(&ages, name));
    assert_eq!(found, [Some(1_000), Some(3_000), Some(2_000), Some(4_000)]);
}

#[test]
fn what_both_parents_introduced_is_as_old_as_in_the_first_parent() {
    let repo = TestRepo::new();
    let base = repo.at(1_000).commit_on(&[], &[("a.yaml", &service("cart", 80))]);
    let side = repo.at(2_000).commit_on(&[base], &[("s.yaml", &service("both", 80))]);
    let main = repo.at(3_000).commit_on(&[base], &[("m.yaml", &service("both", 81))]);
    let merge = repo.at(4_000).commit_on(&[main, side], &[("m.yaml", &service("both", 81))]);

    let at_once = ages_at(&repo, merge);
    let mut stepwise = ages_at(&repo, main);
    stepwise.advance(&repo.history(), merge).unwrap();

    assert_eq!(seconds(&at_once, "both"), Some(3_000));
    assert_eq!(stepwise, at_once);
}

#[test]
fn documents_that_are_refused_count_and_unreadable_ones_do_not() {
    let repo = TestRepo::new();
    repo.at(1_000).commit(MAIN, &[("a.yaml", &file(&[UNREADABLE.to_owned(), refused("cart")]))]);
    let last = repo.at(2_000).commit(MAIN, &[("a.yaml", &file(&[service("ads", 80), service("cart", 80)]))]);

    let ages = ages_at(&repo, last);

    assert_eq!(seconds(&ages, "cart"), Some(1_000));
    assert_eq!(seconds(&ages, "ads"), Some(2_000));
}

#[test]
fn only_what_is_below_the_path_counts() {
    let repo = TestRepo::new();
    repo.at(1_000).commit(MAIN, &[("drafts/a.yaml", &service("cart", 80))]);
    let last = repo.at(2_000).commit(MAIN, &[("fleet/a.yaml", &service("cart", 80))]);
    let mut ages = Ages::new("fleet");
    ages.advance(&repo.history(), last).unwrap();

    assert_eq!(seconds(&ages, "cart"), Some(2_000));
}

#[test]
fn a_rewritten_history_is_reported_and_reorders_nothing() {
    let repo = TestRepo::new();
    let root = repo.at(1_000).commit(MAIN, &[("m.yaml", &service("mesh", 80))]);
    let accepted =
        repo.at(2_000).commit(MAIN, &[("a.yaml", &service("cart", 80)), ("m.yaml", &service("mesh", 80))]);
    let forced = repo
        .at(9_000)
        .commit_on(&[root], &[("a.yaml", &service("cart", 80)), ("b.yaml", &service("ads", 80))]);
    let mut ages = ages_at(&repo, accepted);

    let report = ages.advance(&repo.history(), forced).unwrap();

    let rewritten = report.rewritten.unwrap();
    assert_eq!((rewritten.from, rewritten.kept), (accepted, vec![key("cart")]));
    assert_eq!((seconds(&ages, "cart"), seconds(&ages, "ads")), (Some(2_000), Some(9_000)));
}

#[test]
fn a_rollback_is_no_rewrite() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let second = repo.commit(MAIN, &[("b.yaml", &service("ads", 80))]);
    let mut ages = ages_at(&repo, second);

    let report = ages.advance(&repo.history(), first).unwrap();

    assert_eq!((report.rewritten, report.commits), (None, 0));
    assert!(ages.first_seen(&key("ads")).is_some());
}

#[test]
fn ages_survive_being_stored() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let ages = ages_at(&repo, commit);

    let stored = ages.objects().map(|(key, first)| (key.clone(), first));

    assert_eq!(Ages::restore(ages.path(), ages.at(), stored), ages);
}

#[test]
fn a_committed_timestamp_wins() {
    let repo = TestRepo::new();
    let stamped = service("cart", 80).replace("{name", "{creationTimestamp: '2020-01-01T00:00:00Z', name");
    repo.commit(MAIN, &[("a.yaml", &stamped)]);

    let loaded = load_revision(repo.path(), MAIN, "", Aging::FromHistory).unwrap();

    assert_eq!(loaded.objects[0].1, Age::Known(1_577_836_800));
}

/// Clones with the real `git`, at a depth: libgit2 cannot clone a local repository at one.
fn shallow_clone(repo: &TestRepo, depth: &str) -> std::path::PathBuf {
    let clone = repo.dir.path().join("shallow");
    let status = Command::new("git")
        .args(["clone", "--quiet", "--depth", depth])
        .arg(format!("file://{}", repo.path().display()))
        .arg(&clone)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .status()
        .unwrap();
    assert!(status.success());
    clone
}

#[test]
fn a_shallow_clone_that_cannot_answer_is_refused() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    repo.commit(MAIN, &[("a.yaml", &service("cart", 81)), ("b.yaml", &service("ads", 80))]);
    repo.commit(MAIN, &[("a.yaml", &service("cart", 82)), ("b.yaml", &service("ads", 80))]);
    let clone = shallow_clone(&repo, "1");

    let error = load_revision(&clone, "HEAD", "", Aging::FromHistory).unwrap_err();
    let skipped = load_revision(&clone, "HEAD", "", Aging::Skip).unwrap();

    assert_eq!(error, ReadError::Shallow { objects: 2, example: "Service shop/ads".to_owned() });
    assert_eq!(skipped.objects.iter().map(|(_, age)| *age).collect::<Vec<_>>(), [Age::Unknown; 2]);
}

#[test]
fn a_shallow_clone_answers_where_it_can() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("x.yaml", "# nothing yet\n")]);
    repo.commit(MAIN, &[("x.yaml", "# nothing still\n")]);
    repo.at(7_000).commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let clone = shallow_clone(&repo, "2");

    let loaded = load_revision(&clone, "HEAD", "", Aging::FromHistory).unwrap();

    assert_eq!(loaded.objects[0].1, Age::Known(7_000));
}
