//! A disk that takes no more, under the program itself: what is published is served, status says what is wrong, and
//! it goes on by itself when there is room again.
//!
//! The disk is played by the limit of file sizes, which can be lowered and raised while the program runs.

use std::process::Child;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use skerry_proto::v1::Report;
use skerry_proto::v1::sync_response::Message;

use crate::program::{Running, run, text};
use crate::rig::core::{Home, TestCore};
use crate::rig::policies::{SHOP, route};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::until;

/// Less than any place in the state store that is written, more than a small pack of Git.
pub(crate) const FULL: u64 = 8 << 10;

pub(crate) fn limit(program: &Child, bytes: Option<u64>) {
    let pid = i32::try_from(program.id()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit can be set");
}

/// The report that a site makes while the disk takes nothing.
fn second_report() -> Vec<Report> {
    vec![Report { seq: 2, ..Report::default() }]
}

/// The disk takes nothing: what was published is served to whoever comes, and a report is left to its site.
pub(crate) async fn serves_and_keeps_nothing(site: &mut TestSite, core: &TestCore) {
    let Message::Current(_) = site.connect(core).await.next_message().await else {
        panic!("what is published is served")
    };
    let mut newcomer = TestSite::new("s2");
    assert_eq!(newcomer.connect(core).await.take_offer().await.manifest.generation, 1);
    let error = site.send(core, second_report()).await.expect_err("nothing can be kept");
    assert_eq!(error.code(), tonic::Code::Unavailable, "the site keeps it: {error}");
}

/// The disk is well: the commit that waited reaches the site, its report is kept, and nothing is wrong any more.
pub(crate) async fn keeps_again(site: &mut TestSite, core: &TestCore) {
    assert_eq!(site.connect(core).await.take_offer().await.manifest.generation, 2);
    let kept =
        || async { site.send(core, second_report()).await.ok().filter(|acknowledged| *acknowledged == 2) };
    until("reports are kept", kept).await;
    core.source_when("no error", |source| source.error.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_nothing_that_is_served_and_ends_by_itself() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let program = Running::start_deaf_to_limits(&home);
    let core = TestCore::of_program(&home).await;
    core.source_when("the first revision", |source| !source.revision.is_empty()).await;
    // Who comes later is enrolled while that can be kept.
    drop(core.agent("s2").await);
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;
    assert_eq!(site.report(&core, 1).await, 1);

    limit(&program.0, Some(FULL));
    let commit = repository.commit("move", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;
    let source = core.source_when("the error", |source| !source.error.is_empty()).await;

    assert!(source.error.starts_with("the state store cannot be used"), "{}", source.error);
    assert!(source.error_help.contains("the disk has room"), "{}", source.error_help);
    serves_and_keeps_nothing(&mut site, &core).await;

    limit(&program.0, None);
    let source = core.compiled(&commit).await;
    keeps_again(&mut site, &core).await;
    assert!(source.revision.ends_with(&commit));
    let summary = core.site("s1").await.summary.unwrap();
    assert!(summary.received_at_ms > 0, "what was kept before is there: {summary:?}");
    drop(program);
}

/// A disk that takes nothing at all, and files that are damaged: the program ends at once, with what would help.
#[test]
fn a_store_that_cannot_be_opened_is_named_with_help() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let state = home.data_dir().join("state.redb");
    fs_err::create_dir_all(home.data_dir()).unwrap();
    fs_err::create_dir(&state).unwrap();
    let ends_with = |words: &str| {
        let output = run(&Running::arguments(&home));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        for words in [words, "state.redb", "(help: "] {
            assert!(error.contains(words), "{words} is not in: {error}");
        }
    };
    ends_with("cannot be opened");
    fs_err::remove_dir(&state).unwrap();
    fs_err::write(&state, b"not a store".repeat(500)).unwrap();
    ends_with("cannot be opened");
    assert_eq!(fs_err::read(&state).unwrap(), b"not a store".repeat(500), "it is left as it was");
}
