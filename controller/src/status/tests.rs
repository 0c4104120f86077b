//! What people are shown: ages beside every figure, and pages that fit into a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use skerry_core::bundle::v1::SignatureCheck;
use skerry_core::bundle::{EncodedFragment, v1};
use skerry_core::diagnostic::{Code, Diagnostic, Diagnostics, Location};
use skerry_core::id::Revision;
use skerry_core::index::compile;
use skerry_core::policy::Decoded;
use skerry_core::policy::site::{Uplink, UplinkClass};
use skerry_core::provenance::Provenance;
use skerry_proto::v1::{SiteEvent, SiteState};

use super::*;
use crate::report::Observed;
use crate::samples::{contents, nothing, publish, service, site};
use crate::source::failure::Failure;
use crate::store::{HeldHead, Signature, Until};

/// Invariant 10: nothing is said about a site that was never heard from.
#[test]
fn a_site_that_never_said_anything_has_no_figure() {
    let summary = to_summary(&site("s1"), SiteFacts::default(), &nothing());
    assert_eq!(summary, SiteSummary { site: "s1".to_owned(), ..SiteSummary::default() });
}

#[test]
fn a_site_is_shown_with_what_it_shall_run_what_it_said_and_when() {
    let published = nothing();
    publish(&published, "s1", 4, Some(&contents(&[service("cart", 1, 1)])));
    let entry = published.entry(&site("s1"));
    let digest = published.manifest(&site("s1"), &entry.as_ref().unwrap().row).1;
    let state = SiteState { generation: 3, ..SiteState::default() };
    let observed = Observed { state: state.clone(), observed_at: Timestamp(10), received_at: Timestamp(20) };
    let open = |seq| Event {
        seq,
        observed_at: Timestamp(11),
        received_at: Timestamp(20),
        event: SiteEvent { generation: seq, ..SiteEvent::default() },
    };
    let row = ReportRow {
        observed: Some(observed),
        open: vec![open(1), open(2)],
        open_older: 3,
        clock_ahead_ms: -4,
        ..ReportRow::default()
    };
    let facts = SiteFacts {
        entry,
        seen: Seen { pulls: true, ..Seen::default() },
        stored_seen: Some(Timestamp(30)),
        report: Some(row),
        ..SiteFacts::default()
    };

    let summary = to_summary(&site("s1"), facts, &published);

    assert_eq!((summary.desired, summary.desired_generation), (digest.as_bytes().to_vec(), 4));
    assert_eq!((summary.state, summary.observed_at_ms, summary.received_at_ms), (Some(state), 10, 20));
    assert_eq!((summary.connected, summary.pulls, summary.last_seen_ms), (false, true, 30));
    let open: Vec<_> =
        summary.open.iter().map(|row| (row.seq, row.observed_at_ms, row.received_at_ms)).collect();
    assert_eq!((open, summary.open_older), (vec![(2, 11, 20), (1, 11, 20)], 3), "newest first");
    assert_eq!(summary.clock_ahead_ms, -4);
}

/// Invariant 10: how long a silence means that nothing is known depends on how often the site's uplink lets it speak.
#[test]
fn invariant_10_a_metered_site_is_unknown_later() {
    let stale_after = |mesh: u32, class| {
        let link = Pace::of(&Uplink { class, bytes_per_day: None }).to_settings();
        let settings = v1::Settings { stale_after_seconds: mesh, link, ..v1::Settings::default() };
        let published = nothing();
        publish(&published, "s1", 1, Some(&contents(&[Arc::new(EncodedFragment::settings(settings))])));
        let entry = published.entry(&site("s1"));
        to_summary(&site("s1"), SiteFacts { entry, ..SiteFacts::default() }, &published).stale_after_seconds
    };
    assert_eq!(stale_after(300, UplinkClass::Broadband), 345);
    assert_eq!(stale_after(300, UplinkClass::Metered), 1_845);
    assert_eq!(stale_after(7_200, UplinkClass::Metered), 7_200);
}

#[test]
fn the_source_is_shown_with_what_is_wrong_and_how_much_of_it() {
    let place = |line| Location { file: "a.yaml".to_owned(), line, column: 1 };
    let errors =
        (1..=MAX_DIAGNOSTICS as u32 + 5).map(|line| Diagnostic::error(Code::InvalidYaml, place(line), "bad"));
    let mut diagnostics: Diagnostics = errors.collect();
    diagnostics.insert(Diagnostic::warning(Code::Tie, place(900), "tie"));
    let decode = |_: &_| Decoded::Foreign { api_version: String::new(), kind: String::new() };
    let world = World {
        compiled: Arc::new(compile(&Default::default(), decode)),
        revision: Revision::from_text("main@sha1:1"),
        signature: Signature { provenance: Provenance::Untrusted, reason: "a stranger".to_owned() },
        compiled_at: Timestamp(5),
        diagnostics,
        foreign: BTreeMap::from([("Deployment".to_owned(), 2)]),
    };
    let commit = "a".repeat(40).parse().unwrap();
    let view = SourceView {
        signers: [Diagnostic::warning(Code::Unsupported, Location::file("/etc/allowed"), "no")].into(),
        fetched_at: Timestamp(4),
        failure: Some(Failure { error: "no".to_owned(), help: "do".to_owned(), ..Failure::default() }),
        held: Some(HeldHead {
            commit,
            revision: Revision::from_text("main@sha1:2"),
            reason: "why".to_owned(),
            until: Until::Trusted { help: "sign".to_owned() },
        }),
        ..SourceView::default()
    };

    let status = to_source_status(view, Some(&world));

    assert_eq!((status.errors, status.warnings, status.diagnostics.len()), (205, 2, MAX_DIAGNOSTICS));
    assert_eq!((status.diagnostics[0].file.as_str(), status.diagnostics[1].line), ("/etc/allowed", 1));
    assert_eq!(
        (status.signature(), status.signature_detail.as_str()),
        (SignatureCheck::Untrusted, "a stranger")
    );
    assert_eq!(status.held_help, "sign");
    assert_eq!((status.compiled_at_ms, status.fetched_at_ms), (5, 4));
    assert_eq!((status.error.as_str(), status.error_help.as_str()), ("no", "do"));
    assert_eq!((status.held_revision.as_str(), status.held_reason.as_str()), ("main@sha1:2", "why"));
    assert_eq!(status.foreign["Deployment"], 2);
}

#[test]
fn kinds_beyond_the_first_hundred_are_told_together() {
    let long = "K".repeat(MAX_KIND_BYTES * 2);
    let rare = (0..150).map(|number| (format!("Rare{number:03}"), 1));
    let foreign = rare.chain([("Zebra".to_owned(), 7), (long.clone(), 3)]).collect();

    let told = most_frequent(&foreign);

    assert_eq!(told.len(), MAX_FOREIGN_KINDS + 1);
    assert_eq!((told["Zebra"], told[&long[..MAX_KIND_BYTES]], told["Rare097"], told["other"]), (7, 3, 1, 52));
}

#[test]
fn a_page_ends_at_its_limit_and_before_it_is_too_long() {
    let row = |problem: &str| SiteSummary {
        state: Some(SiteState { workload_problems: vec![problem.to_owned()], ..SiteState::default() }),
        ..SiteSummary::default()
    };
    let rows = |number, problem| std::iter::repeat_n(row(problem), number);
    let count = |(rows, more): (Vec<SiteSummary>, bool)| (rows.len(), more);
    let long = "x".repeat(MAX_PAGE_BYTES / 4);

    assert_eq!(count(page(rows(3, "x"), 3)), (3, false));
    assert_eq!(count(page(rows(4, "x"), 3)), (3, true));
    assert_eq!(count(page(rows(9, &long), 9)), (3, true));
    assert_eq!(count(page(rows(2, &"x".repeat(MAX_PAGE_BYTES)), 9)), (1, true), "one always fits");
}
