//! `skerry site`: sites one by one, against a core in this process.

use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{
    AuditCount, Claimant, Counted, Enrolled, EventRow, FleetStatus, FragmentRow, ProxyState, SiteDetail,
    SiteEvent, SiteState, SiteSummary,
};

use crate::core::{Core, Known, NOW, ago, revision, source};
use crate::folder::Folder;
use crate::run::{Ran, skerry};

fn counted() -> Counted {
    let audit = AuditCount { policy: "shop/who-calls".to_owned(), matched: 12, unmatched: 3 };
    Counted { audits: vec![audit], denied: 1, not_allowed: 2 }
}

fn state() -> SiteState {
    let refused =
        "gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected:\n  cannot bind";
    let proxies = vec![
        ProxyState { workload: "shop/web-1".to_owned(), phase: Phase::Ready.into(), ..ProxyState::default() },
        ProxyState {
            workload: "shop/web-2".to_owned(),
            phase: Phase::Refused.into(),
            detail: refused.to_owned(),
            restarts: 3,
            ..ProxyState::default()
        },
    ];
    SiteState {
        manifest: vec![6],
        epoch: 1,
        generation: 6,
        revision: revision('a'),
        proxies,
        agent_version: "0.1.0".to_owned(),
        workload_problems: vec!["web-3.yaml:4:3: error[UnknownField]: spec.prots".to_owned()],
        workloads: 2,
        events_dropped: 4,
        identity_until_ms: NOW + 9 * 86_400_000,
        offline_budget_seconds: 7 * 86_400,
        counted: Some(counted()),
    }
}

fn summary() -> SiteSummary {
    SiteSummary {
        site: "store-1".to_owned(),
        labels: [("region".to_owned(), "eu".to_owned()), ("tier".to_owned(), "retail".to_owned())].into(),
        desired: vec![7],
        desired_generation: 7,
        desired_revision: revision('b'),
        connected: true,
        last_seen_ms: ago(3),
        received_at_ms: ago(30),
        observed_at_ms: ago(31),
        state: Some(state()),
        open: vec![event(Kind::RolledBack, 90, "shop/web-2 refused a listener")],
        stale_after_seconds: 300,
        agent: Some(Claimant { boot: vec![1; 16], peer: "10.0.0.1:4000".to_owned(), ..Claimant::default() }),
        enrolled: Some(Enrolled {
            key: vec![0xab; 32],
            enrolled_at_ms: ago(90_000),
            authority_until_ms: NOW + 12 * 86_400_000,
            agent_until_ms: NOW + 24 * 86_400_000,
            ..Enrolled::default()
        }),
        ..SiteSummary::default()
    }
}

fn event(kind: Kind, seconds: u64, detail: &str) -> EventRow {
    let event =
        SiteEvent { kind: kind.into(), generation: 7, revision: revision('b'), detail: detail.to_owned() };
    EventRow { seq: 9, observed_at_ms: ago(seconds), received_at_ms: ago(seconds / 2), event: Some(event) }
}

fn core() -> Core {
    let events = vec![
        event(Kind::RolledBack, 90, "shop/web-2 refused a listener"),
        event(Kind::ProxyExited, 8_000, "shop/web-2: exit code 1\x1b[2J"),
    ];
    let fragment =
        |key: &str, length| FragmentRow { key: key.to_owned(), id: "0123456789abcdef".repeat(4), length };
    let fragments = vec![fragment("service/shop/web", 320), fragment("settings", 42)];
    let detail = SiteDetail { summary: Some(summary()), events, fragments, now_ms: NOW, events_older: 12 };
    let bare = SiteSummary { site: "store-2".to_owned(), ..SiteSummary::default() };
    let fleet = FleetStatus {
        source: Some(source()),
        sites: vec![summary(), bare.clone()],
        now_ms: NOW,
        ..FleetStatus::default()
    };
    let bare = SiteDetail { summary: Some(bare), now_ms: NOW, ..SiteDetail::default() };
    Core::knowing(Known { fleet, sites: vec![detail, bare], ..Known::default() })
}

fn ask(args: &[&str]) -> Ran {
    let core = core();
    skerry(Folder::empty().path(), &[&["site"], args, &core.arguments()].concat())
}

#[test]
fn all_sites_and_one() {
    insta::assert_snapshot!(format!("{}\n{}", ask(&["get"]), ask(&["get", "store-1"])));
}

#[test]
fn one_site_for_programs() {
    insta::assert_snapshot!(ask(&["get", "store-1", "-o", "yaml"]));
}

#[test]
fn all_that_is_known_of_a_site() {
    insta::assert_snapshot!(ask(&["describe", "store-1"]));
}

#[test]
fn a_site_of_which_nothing_is_known() {
    insta::assert_snapshot!(ask(&["describe", "store-2"]));
}

#[test]
fn all_that_is_known_for_programs() {
    let json: serde_json::Value =
        serde_json::from_str(&ask(&["describe", "store-1", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["events"][0]["kind"], "RolledBack");
    assert_eq!(json["events"][0]["observed"]["ageSeconds"], 90);
    assert_eq!((&json["eventsOlder"], &json["running"]["eventsDropped"]), (&12.into(), &4.into()));
    assert_eq!(json["fragments"][1]["key"], "settings");
    assert_eq!(json["running"]["observed"]["ageSeconds"], 31);
}

#[test]
fn a_site_that_is_not_there() {
    insta::assert_snapshot!(ask(&["describe", "store-9"]));
}
