//! `fold`: a table of what a site may send, and what is kept of it.

use skerry_proto::v1::ProxyState;

use super::*;

const NOW: Timestamp = Timestamp(1_000);
const BOOT: &[u8] = b"boot-1";

fn state(seq: u64, generation: u64) -> Report {
    let state = SiteState { generation, ..SiteState::default() };
    Report { seq, observed_at_ms: seq * 10, body: Some(Body::State(state)) }
}

fn event(seq: u64, detail: &str) -> Report {
    let event = SiteEvent { detail: detail.to_owned(), ..SiteEvent::default() };
    Report { seq, observed_at_ms: seq * 10, body: Some(Body::Event(event)) }
}

fn details(folded: &Folded) -> Vec<(u64, &str)> {
    folded.events.iter().map(|(place, event)| (*place, event.event.detail.as_str())).collect()
}

fn after(reports: Vec<Report>) -> ReportRow {
    fold(ReportRow::default(), BOOT, reports, NOW).row
}

#[test]
fn the_newest_state_stays_and_events_add_up() {
    let reports = vec![event(1, "a"), state(2, 7), event(3, "b"), state(4, 8)];

    let folded = fold(ReportRow::default(), BOOT, reports, NOW);

    assert_eq!(folded.row.acknowledged, 4);
    assert_eq!(details(&folded), [(0, "a"), (1, "b")]);
    let observed = folded.row.observed.unwrap();
    assert_eq!(
        (observed.state.generation, observed.observed_at, observed.received_at),
        (8, Timestamp(40), NOW)
    );
}

#[test]
fn a_repeated_request_changes_nothing() {
    let reports = vec![event(1, "a"), state(2, 7)];
    let row = after(reports.clone());

    let folded = fold(row.clone(), BOOT, reports, Timestamp(2_000));

    assert_eq!(folded, Folded { row, events: vec![] });
}

#[test]
fn a_restarted_agent_repeats_what_was_not_acknowledged_to_it() {
    let row = after(vec![event(1, "a"), event(2, "b")]);

    let folded = fold(row, b"boot-2", vec![event(2, "b"), event(3, "c")], NOW);

    assert_eq!(details(&folded), [(2, "c")]);
    assert_eq!(folded.row.acknowledged, 3);
}

#[test]
fn a_restarted_agent_may_have_replaced_the_state_that_was_last() {
    let row = after(vec![event(1, "a"), state(2, 7)]);

    let folded = fold(row, b"boot-2", vec![event(1, "a"), state(3, 8)], NOW);

    assert_eq!((details(&folded), folded.row.acknowledged), (vec![], 3));
}

#[test]
fn a_restarted_agent_that_goes_on_is_no_new_store() {
    let row = after(vec![event(1, "a"), event(2, "b")]);

    let folded = fold(row, b"boot-2", vec![event(5, "c")], NOW);

    assert_eq!((details(&folded), folded.row.acknowledged), (vec![(2, "c")], 5));
}

#[test]
fn a_site_that_lost_its_store_counts_from_one_again() {
    let row = after(vec![event(1, "a"), event(2, "b")]);

    let folded = fold(row, b"boot-2", vec![event(1, "x"), event(2, "y")], NOW);

    assert_eq!(details(&folded), [(2, "x"), (3, "y")]);
    assert_eq!(folded.row.acknowledged, 2);
}

#[test]
fn the_newest_events_are_kept_and_places_are_never_reused() {
    let reports = (1..=MAX_EVENTS as u64 + 20).map(|seq| event(seq, "x")).collect();

    let folded = fold(ReportRow::default(), BOOT, reports, NOW);

    assert_eq!((folded.row.first_event, folded.row.next_event), (20, 120));
    assert_eq!((folded.events.len(), folded.events[0].0), (MAX_EVENTS, 20));
}

#[test]
fn a_newer_agents_kind_of_report_is_acknowledged() {
    let unknown = Report { seq: 1, observed_at_ms: 0, body: None };
    assert_eq!(after(vec![unknown]).acknowledged, 1);
}

#[test]
fn what_is_too_long_is_cut_at_a_character() {
    let detail = "ä".repeat(MAX_DETAIL_BYTES);
    let proxy = ProxyState { detail: detail.clone(), ..ProxyState::default() };
    let long = SiteState {
        proxies: vec![proxy; MAX_PROXIES + 1],
        workload_problems: vec![detail; MAX_WORKLOAD_PROBLEMS + 1],
        ..SiteState::default()
    };

    let row = after(vec![Report { seq: 1, observed_at_ms: 0, body: Some(Body::State(long)) }]);

    let state = row.observed.unwrap().state;
    assert_eq!((state.proxies.len(), state.workload_problems.len()), (MAX_PROXIES, MAX_WORKLOAD_PROBLEMS));
    assert_eq!(state.proxies[0].detail.len(), MAX_DETAIL_BYTES);
    assert_eq!(state.workload_problems[0].len(), MAX_DETAIL_BYTES);
}
