//! Fetches from real repositories: by path, by `file://`, and over HTTP from the real `git`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use skerry_gitops::credentials::{Credentials, Secret};
use skerry_gitops::fetch_error::FetchError;
use skerry_gitops::guard::{HeadChange, classify};
use skerry_gitops::limits::STUCK_FETCHES;
use skerry_gitops::mirror::{Head, Mirror};
use skerry_gitops::reference::Reference;
use skerry_gitops::remote::Remote;

use crate::http_remote::{Manner, Server};
use crate::repository::{MAIN, TestRepo, oid, service};

const LONG: Duration = Duration::from_secs(60);

pub(crate) fn branch(name: &str) -> Reference {
    Reference::Branch(name.to_owned())
}

pub(crate) fn mirror(dir: &Path, address: &str) -> Mirror {
    Mirror::open_or_create(&dir.join("mirror"), &Remote::parse(address).unwrap()).unwrap()
}

pub(crate) fn fetch(mirror: &mut Mirror, reference: &Reference) -> Result<Head, FetchError> {
    mirror.fetch(reference, &Credentials::Anonymous, LONG)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn password(user: &str, password: &str) -> Credentials {
    Credentials::Password { username: user.to_owned(), password: Secret::new(password) }
}

#[test]
fn branches_tags_and_commits_are_fetched_by_every_local_way() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let side = repo.commit("side", &[("a.yaml", &service("side", 80))]);
    let second = repo.commit(MAIN, &[("a.yaml", &service("cart", 81))]);
    let object = repo.repo.find_object(oid(first), None).unwrap();
    let signature = git2::Signature::new("Ada", "ada@example.org", &git2::Time::new(0, 0)).unwrap();
    repo.repo.tag("v1", &object, &signature, "annotated", false).unwrap();
    repo.repo.tag_lightweight("light", &object, false).unwrap();
    let server = Server::start(repo.dir.path(), Manner::Open);
    let addresses = [text(repo.path()), format!("file://{}", text(repo.path())), server.url("policies.git")];
    let table = [
        (branch(MAIN), second, format!("main@sha1:{second}")),
        (branch("side"), side, format!("side@sha1:{side}")),
        (Reference::Tag("v1".to_owned()), first, format!("v1@sha1:{first}")),
        (Reference::Tag("light".to_owned()), first, format!("light@sha1:{first}")),
        (Reference::Commit(first), first, format!("commit@sha1:{first}")),
        (Reference::Commit(side), side, format!("commit@sha1:{side}")),
    ];
    for address in &addresses {
        for (reference, commit, revision) in &table {
            let dir = tempfile::tempdir().unwrap();
            let mut mirror = mirror(dir.path(), address);
            let head = fetch(&mut mirror, reference).unwrap();
            assert_eq!(
                (head.commit, head.revision.as_str()),
                (*commit, revision.as_str()),
                "{address} {reference}"
            );
            assert_eq!(mirror.head(), Some(*commit));
            assert_eq!(mirror.history().changed_files(None, *commit, "").unwrap().files.len(), 1);
        }
    }
}

#[test]
fn a_second_fetch_brings_only_what_is_new() {
    let repo = TestRepo::new();
    let server = Server::start(repo.dir.path(), Manner::Open);
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &server.url("policies.git"));
    let noise: String =
        (0..20_000).map(|number| format!("# {}\n", blake3::hash(&[number as u8; 9][..]))).collect();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80)), ("noise.md", &noise)]);
    let first = fetch(&mut mirror, &branch(MAIN)).unwrap();
    let second = repo.commit(MAIN, &[("a.yaml", &service("cart", 81)), ("noise.md", &noise)]);

    let one = fetch(&mut mirror, &branch(MAIN)).unwrap();
    let same = fetch(&mut mirror, &branch(MAIN)).unwrap();

    assert_eq!((one.commit, same.commit, same.received_bytes), (second, second, 0));
    assert!(one.received_bytes < 1_000 && first.received_bytes > one.received_bytes, "{one:?} {first:?}");
}

#[test]
fn credentials_are_checked_by_the_server() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let server = Server::start(repo.dir.path(), Manner::Basic("ada", "p&s+w%rd:1"));
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &server.url("policies.git"));
    let mut attempt = |credentials: Credentials| mirror.fetch(&branch(MAIN), &credentials, LONG);

    assert_eq!(attempt(password("ada", "p&s+w%rd:1")).unwrap().commit, commit);
    for wrong in [password("ada", "wrong"), password("", ""), Credentials::Anonymous] {
        let error = attempt(wrong).unwrap_err();
        assert!(matches!(error, FetchError::AuthenticationFailed { .. }), "{error:?}");
    }
    assert_eq!(mirror.head(), Some(commit), "what was fetched stays");
}

#[test]
fn a_password_in_the_address_is_used_and_not_shown() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let server = Server::start(repo.dir.path(), Manner::Basic("ada", "s3cret&+"));
    let address = |password: &str| format!("http://ada:{password}@{}/policies.git", server.address);
    let dir = tempfile::tempdir().unwrap();

    let head = fetch(&mut mirror(dir.path(), &address("s3cret%26%2B")), &branch(MAIN)).unwrap();
    let error = fetch(&mut mirror(dir.path(), &address("s3cret-wrong")), &branch(MAIN)).unwrap_err();

    assert_eq!(head.commit, commit);
    assert!(matches!(error, FetchError::AuthenticationFailed { .. }));
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let target = Server::start(repo.dir.path(), Manner::Basic("ada", "s3cret"));
    let elsewhere =
        format!("http://localhost:{}/policies.git/info/refs?service=git-upload-pack", target.address.port());
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}");
    let server = Server::start(repo.dir.path(), Manner::Answer(redirect));
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &server.url("policies.git"));

    let error = mirror.fetch(&branch(MAIN), &password("ada", "s3cret"), LONG).unwrap_err();

    assert!(
        matches!(&error, FetchError::Unreachable { reason, .. } if reason.contains("redirect")),
        "{error:?}"
    );
    assert_eq!(target.connections(), 0);
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    for manner in [Manner::Silent, Manner::SilentOnPack] {
        let server = Server::start(repo.dir.path(), manner);
        let dir = tempfile::tempdir().unwrap();
        let mut mirror = mirror(dir.path(), &server.url("policies.git"));
        let start = Instant::now();

        let error =
            mirror.fetch(&branch(MAIN), &Credentials::Anonymous, Duration::from_millis(300)).unwrap_err();

        assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(mirror.head(), None);
    }
}

#[test]
fn fetches_that_hang_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), Manner::Silent);
    let mut mirror = mirror(dir.path(), &server.url("policies.git"));
    for _ in 0..STUCK_FETCHES + 4 {
        let error =
            mirror.fetch(&branch(MAIN), &Credentials::Anonymous, Duration::from_millis(1)).unwrap_err();
        assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
    }
    let error = mirror.fetch(&branch(MAIN), &Credentials::Anonymous, Duration::MAX).unwrap_err();
    assert!(matches!(error, FetchError::TimedOut { .. }), "not even tried: {error:?}");
}

#[test]
fn a_mirror_goes_on_after_a_fetch_that_hangs() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let dir = tempfile::tempdir().unwrap();
    let silent = Server::start(repo.dir.path(), Manner::SilentOnPack);
    let mut hung = mirror(dir.path(), &silent.url("policies.git"));
    hung.fetch(&branch(MAIN), &Credentials::Anonymous, Duration::from_millis(200)).unwrap_err();

    let open = Server::start(repo.dir.path(), Manner::Open);
    let mut mirror = mirror(dir.path(), &open.url("policies.git"));

    assert_eq!(fetch(&mut mirror, &branch(MAIN)).unwrap().commit, commit);
}

#[test]
fn a_connection_that_breaks_off_leaves_the_mirror_as_it_was() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let dir = tempfile::tempdir().unwrap();
    let open = Server::start(repo.dir.path(), Manner::Open);
    fetch(&mut mirror(dir.path(), &open.url("policies.git")), &branch(MAIN)).unwrap();
    let second = repo.commit(MAIN, &[("a.yaml", &service("cart", 81))]);
    let cut = Server::start(repo.dir.path(), Manner::CutPack);

    let mut broken = mirror(dir.path(), &cut.url("policies.git"));
    fetch(&mut broken, &branch(MAIN)).unwrap_err();

    assert_eq!(broken.head(), Some(first));
    assert!(!broken.history().contains(second));
    let mut again = mirror(dir.path(), &open.url("policies.git"));
    assert_eq!(fetch(&mut again, &branch(MAIN)).unwrap().commit, second);
}

#[test]
fn more_bytes_than_allowed_are_not_taken() {
    let repo = TestRepo::new();
    let noise: String =
        (0..5_000_u32).map(|number| blake3::hash(&number.to_le_bytes()).to_string()).collect();
    repo.commit(MAIN, &[("noise.md", &noise)]);
    let server = Server::start(repo.dir.path(), Manner::Open);
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &server.url("policies.git")).with_fetch_limit(20_000);

    let error = fetch(&mut mirror, &branch(MAIN)).unwrap_err();

    assert!(matches!(error, FetchError::TooLarge { limit: 20_000, .. }), "{error:?}");
    assert_eq!(mirror.head(), None);
}

#[test]
fn a_deleted_branch_changes_nothing_and_comes_back() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    repo.set_branch("other", first);
    let server = Server::start(repo.dir.path(), Manner::Open);
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &server.url("policies.git"));
    fetch(&mut mirror, &branch(MAIN)).unwrap();
    repo.delete_branch(MAIN);

    let error = fetch(&mut mirror, &branch(MAIN)).unwrap_err();
    assert!(
        matches!(&error, FetchError::RefNotFound { known, total: 1, .. } if known == &["other"]),
        "{error:?}"
    );
    assert_eq!(mirror.head(), Some(first));

    repo.set_branch(MAIN, first);
    assert_eq!(fetch(&mut mirror, &branch(MAIN)).unwrap().commit, first);
}

#[test]
fn a_force_push_and_a_rollback_over_http_are_noticed() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let second = repo.commit(MAIN, &[("a.yaml", &service("cart", 81))]);
    let server = Server::start(repo.dir.path(), Manner::Open);
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &server.url("policies.git"));
    fetch(&mut mirror, &branch(MAIN)).unwrap();
    let mut follow = |to| {
        repo.set_branch(MAIN, to);
        let head = fetch(&mut mirror, &branch(MAIN)).unwrap();
        assert_eq!(head.commit, to);
        classify(mirror.history(), Some(second), head.commit).unwrap()
    };

    assert_eq!(follow(first), HeadChange::RolledBack { commits: 1 });
    let forced = repo.commit_on(&[first], &[("a.yaml", &service("cart", 82))]);
    assert_eq!(follow(forced), HeadChange::Rewritten { merge_base: Some(first) });
    let third = repo.commit_on(&[second], &[("a.yaml", &service("cart", 83))]);
    assert_eq!(follow(third), HeadChange::FastForward { commits: 1 });
}

#[test]
fn repacking_keeps_the_head_and_what_is_to_be_retained() {
    let repo = TestRepo::new();
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = mirror(dir.path(), &text(repo.path()));
    let mut commits = Vec::new();
    for port in 0..12 {
        commits.push(repo.commit_on(&[], &[("a.yaml", &service("cart", port))]));
        repo.set_branch(MAIN, commits[commits.len() - 1]);
        fetch(&mut mirror, &branch(MAIN)).unwrap();
    }
    mirror.retain(&BTreeSet::from([commits[3], commits[4]])).unwrap();
    mirror.retain(&BTreeSet::from([commits[4]])).unwrap();

    mirror.compact().unwrap();

    let packs = fs::read_dir(dir.path().join("mirror/objects/pack")).unwrap().count();
    assert_eq!(packs, 2, "one pack and its index");
    assert!(mirror.history().contains(commits[11]) && mirror.history().contains(commits[4]));
    assert!(!mirror.history().contains(commits[3]));
    assert_eq!(mirror.head(), Some(commits[11]));
    assert_eq!(mirror.history().changed_files(Some(commits[4]), commits[11], "").unwrap().files.len(), 1);
    mirror.compact().unwrap();
    let next = repo.commit(MAIN, &[("a.yaml", &service("cart", 99))]);
    assert_eq!(fetch(&mut mirror, &branch(MAIN)).unwrap().commit, next);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let repo = TestRepo::new();
    let first = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let dir = tempfile::tempdir().unwrap();
    fetch(&mut mirror(dir.path(), &text(repo.path())), &branch(MAIN)).unwrap();
    let leftovers =
        ["refs/skerry/head.lock", "config.lock", "packed-refs.lock", "objects/pack/pack_git2_0a1b2c"];
    for leftover in leftovers {
        fs::write(dir.path().join("mirror").join(leftover), "").unwrap();
    }
    let second = repo.commit(MAIN, &[("a.yaml", &service("cart", 81))]);

    let mut mirror = mirror(dir.path(), &text(repo.path()));

    assert_eq!(mirror.head(), Some(first));
    assert_eq!(fetch(&mut mirror, &branch(MAIN)).unwrap().commit, second);
    for leftover in leftovers {
        assert!(!dir.path().join("mirror").join(leftover).exists(), "{leftover}");
    }
}

#[test]
fn a_damaged_mirror_is_built_anew() {
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);
    let damages: [&dyn Fn(&Path); 4] = [
        &|mirror| fs::write(mirror.join("config"), "[[[").unwrap(),
        &|mirror| fs::remove_dir_all(mirror.join("objects")).unwrap(),
        &|mirror| fs::write(mirror.join("refs/skerry/head"), "not a hash\n").unwrap(),
        &|mirror| {
            for entry in fs::read_dir(mirror.join("objects/pack")).unwrap().flatten() {
                let mut permissions = entry.metadata().unwrap().permissions();
                std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
                fs::set_permissions(entry.path(), permissions).unwrap();
                fs::File::options().write(true).open(entry.path()).unwrap().set_len(20).unwrap();
            }
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        fetch(&mut mirror(dir.path(), &text(repo.path())), &branch(MAIN)).unwrap();
        damage(&dir.path().join("mirror"));

        let mut mirror = mirror(dir.path(), &text(repo.path()));

        assert_eq!(mirror.head(), None, "damage {number}");
        assert_eq!(fetch(&mut mirror, &branch(MAIN)).unwrap().commit, commit, "damage {number}");
        mirror.rebuild().unwrap();
        assert_eq!((mirror.head(), mirror.history().contains(commit)), (None, false));
        assert_eq!(fetch(&mut mirror, &branch(MAIN)).unwrap().commit, commit, "damage {number}");
    }
}

#[test]
fn a_folder_that_is_not_a_mirror_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();

    let error = Mirror::open_or_create(dir.path(), &Remote::parse("/nowhere").unwrap()).err().unwrap();

    assert!(matches!(error, FetchError::Storage { .. }), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("thesis.tex")).unwrap(), "years of work");
}
