//! Reports: kept once each, over restarts, and never for sites that nobody knows.

use prost::Message as _;
use skerry_proto::REFUSED_REPORT;
use skerry_proto::limits::{MAX_MESSAGE_BYTES, MAX_REPORT_BYTES, MAX_REPORTS};
use skerry_proto::v1::sync_response::Message;
use skerry_proto::v1::{
    Hello, Report, Reports, SiteEvent, SiteState, report::Body, site_event::Kind, sync_request,
};
use tonic::Code;

use crate::rig::core::Home;
use crate::rig::policies::SHOP;
use crate::rig::repository::Repository;
use crate::rig::shop;
use crate::rig::site::TestSite;

fn event(seq: u64, detail: &str) -> Report {
    let event =
        SiteEvent { kind: Kind::RolledBack.into(), detail: detail.to_owned(), ..SiteEvent::default() };
    Report { seq, observed_at_ms: 1_000 + seq, body: Some(Body::Event(event)), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_kept_once_each_over_repetitions_and_restarts() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_ready().await;
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;

    let events = vec![event(1, "one"), event(2, "two")];
    assert_eq!(site.send(&core, events.clone()).await.unwrap(), 2);
    assert_eq!(site.send(&core, events.clone()).await.unwrap(), 2);
    assert_eq!(site.report(&core, 3).await, 3);
    core.stop().await;

    let core = home.start_ready().await;
    let row = core.site("s1").await.summary.unwrap();
    assert!(
        !row.connected && row.last_seen_ms > 0 && row.observed_at_ms == 7_000,
        "last known, with its age"
    );
    let open = |row: &skerry_proto::v1::SiteSummary| -> Vec<u64> {
        row.open.iter().map(|event| event.seq).collect()
    };
    assert_eq!(open(&row), [2, 1], "once each, over repetitions and restarts");
    assert_eq!(site.send(&core, events).await.unwrap(), 3);
    let detail = core.site("s1").await;
    let details: Vec<&str> =
        detail.events.iter().map(|row| row.event.as_ref().unwrap().detail.as_str()).collect();
    assert_eq!(details, ["two", "one"], "newest first");
    let summary = detail.summary.unwrap();
    assert_eq!(summary.state.unwrap().manifest, site.digest());
    assert_eq!(summary.desired, site.digest());
    assert!(summary.received_at_ms > 0 && summary.last_seen_ms >= summary.received_at_ms);
    assert_eq!(summary.observed_at_ms, 7_000);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_a_site_that_nobody_knows_are_refused() {
    let (_shop, core) = shop().await;
    let error = TestSite::new("s9").send(&core, vec![event(1, "x")]).await.unwrap_err();
    assert!(error.message().contains("site s9 is not in the policy repository"), "{}", error.message());
    core.stop().await;
}

/// A report that breaks a rule costs itself: refused, it would come again and again, and keep back all behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_over_the_limit_is_dropped_where_people_see_it_and_keeps_none_back() {
    let (shop, core) = shop().await;
    let problems = vec!["x".repeat(MAX_REPORT_BYTES)];
    let state = SiteState { workload_problems: problems, ..SiteState::default() };
    let long = Report { seq: 2, observed_at_ms: 1_002, body: Some(Body::State(state)), ..Default::default() };

    assert_eq!(shop.site.send(&core, vec![event(1, "one"), long, event(3, "three")]).await.unwrap(), 3);

    let detail = core.site("s1").await;
    let words: Vec<&str> =
        detail.events.iter().map(|row| row.event.as_ref().unwrap().detail.as_str()).collect();
    let [three, dropped, one] = words.as_slice() else { panic!("{words:?}") };
    assert_eq!((*three, *one), ("three", "one"));
    assert!(dropped.starts_with("the core dropped report 2: it has 614"), "{dropped}");
    assert!(dropped.ends_with("over the limit of 61440"), "{dropped}");
    let summary = detail.summary.unwrap();
    let open: Vec<Kind> = summary.open.iter().map(|row| row.event.as_ref().unwrap().kind()).collect();
    assert_eq!(open, [Kind::RolledBack, Kind::ReportDropped, Kind::RolledBack], "and among the problems");
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_reports_the_first_are_kept_and_the_rest_comes_again() {
    let (shop, core) = shop().await;
    let many: Vec<Report> = (1..=MAX_REPORTS as u64 + 9).map(|seq| event(seq, "x")).collect();
    assert_eq!(shop.site.send(&core, many.clone()).await.unwrap(), MAX_REPORTS as u64);
    assert_eq!(shop.site.send(&core, many[MAX_REPORTS..].to_vec()).await.unwrap(), MAX_REPORTS as u64 + 9);
    assert_eq!(core.site("s1").await.events.len(), MAX_REPORTS + 9, "once each");
    core.stop().await;
}

/// Packs bytes that need not be reports: a frame of zstd without its magic number, with one raw block (RFC 8878 §3.1.1).
fn pack(plain: &[u8]) -> Vec<u8> {
    let length = u8::try_from(plain.len()).expect("a short batch");
    let block = (u32::from(length) << 3 | 1).to_le_bytes();
    [&[0x20, length], &block[..3], plain].concat()
}

/// An agent must not guess what an error on its stream is about: it would give up reports that are well.
#[tokio::test(flavor = "multi_thread")]
async fn only_an_error_that_is_about_a_report_names_one() {
    let (mut shop, core) = shop().await;
    let mut plain =
        Reports { sent_at_ms: 7, reports: vec![event(41, "fine"), event(42, "ABBA")] }.encode_to_vec();
    let good = pack(&plain);
    let at = plain.windows(4).position(|window| window == b"ABBA").unwrap();
    plain[at..at + 4].fill(0xff);

    for (packed, code, named) in [
        (pack(&plain), Some(Code::InvalidArgument), Some("42")),
        (pack(b"no message at all"), Some(Code::InvalidArgument), None),
        (good, None, None),
    ] {
        let mut stream = shop.site.connect(&core).await;
        let Message::Current(_) = stream.next_message().await else { panic!("it is current") };
        stream.send_packed(packed).await;
        let error = stream.next().await.err();
        let name = error.as_ref().and_then(|error| error.metadata().get(REFUSED_REPORT));
        assert_eq!(name.map(|name| name.to_str().unwrap()), named, "{error:?}");
        assert_eq!(error.map(|error| error.code()), code);
    }
    assert_eq!(core.site("s1").await.events.len(), 2, "those that are well");
    // A word that is wrong in another way names none.
    let mut stream = shop.site.connect(&core).await;
    let Message::Current(_) = stream.next_message().await else { panic!("it is current") };
    stream.send(sync_request::Message::Hello(Hello::default())).await;
    let error = stream.next().await.unwrap_err();
    assert_eq!((error.code(), error.metadata().get(REFUSED_REPORT)), (Code::InvalidArgument, None));
    core.stop().await;
}

/// Invariant 9: a message over the cap is refused with a message that names it, and nothing else is hurt.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_a_message_over_the_cap_is_refused_with_the_cap() {
    let (shop, core) = shop().await;
    let detail = "x".repeat(MAX_MESSAGE_BYTES + 1);

    let error = shop.site.send(&core, vec![event(1, &detail)]).await.unwrap_err();

    assert_eq!(error.code(), Code::OutOfRange);
    assert!(error.message().contains("the limit is: 4194304 bytes"), "{}", error.message());
    assert_eq!(shop.site.report(&core, 1).await, 1, "what is within the cap is taken");
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sites_report_at_once() {
    let sites: String = (0..50)
        .map(|number| {
            format!("---\napiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: s{number}}}\n")
        })
        .collect();
    let repository = Repository::with(&[("sites.yaml", &sites)]);
    let core = Home::of(repository.path()).start_ready().await;

    let all: Vec<TestSite> = (0..50).map(|number| TestSite::new(&format!("s{number}"))).collect();
    let acknowledged = futures::future::join_all(all.iter().map(|site| site.report(&core, 1))).await;

    assert_eq!(acknowledged, vec![1; 50]);
    let status = core.status().await;
    assert!(status.sites.iter().all(|site| site.received_at_ms > 0), "{status:?}");
    core.stop().await;
}
