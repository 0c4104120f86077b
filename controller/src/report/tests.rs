//! `fold`: a table of what a site may send, and what is kept of it.

use proptest::prelude::*;
use skerry_proto::v1::{AuditCount, Counted, ProxyState};

use super::*;

const NOW: Arrival = Arrival { received_at: Timestamp(1_000), sent_at: Timestamp(0) };
const BOOT: &[u8] = b"folder/st:/run-1";

fn state(seq: u64, generation: u64) -> Report {
    let state = SiteState { generation, ..SiteState::default() };
    Report { seq, observed_at_ms: seq * 10, body: Some(Body::State(state)), ..Default::default() }
}

fn event(seq: u64, detail: &str) -> Report {
    let event = SiteEvent { detail: detail.to_owned(), ..SiteEvent::default() };
    Report { seq, observed_at_ms: seq * 10, body: Some(Body::Event(event)), ..Default::default() }
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
        (8, Timestamp(40), NOW.received_at)
    );
}

#[test]
fn a_repeated_request_changes_nothing() {
    let reports = vec![event(1, "a"), state(2, 7)];
    let row = after(reports.clone());

    let folded = fold(row.clone(), BOOT, reports, Arrival { received_at: Timestamp(2_000), ..NOW });

    assert_eq!(folded, Folded { row, events: vec![] });
}

#[test]
fn a_restarted_agent_repeats_what_was_not_acknowledged_to_it() {
    let row = after(vec![event(1, "a"), event(2, "b")]);

    let folded = fold(row, b"folder/st:/run-2", vec![event(2, "b"), event(3, "c")], NOW);

    assert_eq!(details(&folded), [(2, "c")]);
    assert_eq!(folded.row.acknowledged, 3);
}

#[test]
fn a_restarted_agent_may_have_replaced_the_state_that_was_last() {
    let row = after(vec![event(1, "a"), state(2, 7)]);

    let folded = fold(row, b"folder/st:/run-2", vec![event(1, "a"), state(3, 8)], NOW);

    assert_eq!((details(&folded), folded.row.acknowledged), (vec![], 3));
}

#[test]
fn a_restarted_agent_that_goes_on_is_no_new_store() {
    let row = after(vec![event(1, "a"), event(2, "b")]);

    let folded = fold(row, b"folder/st:/run-2", vec![event(5, "c")], NOW);

    assert_eq!((details(&folded), folded.row.acknowledged), (vec![(2, "c")], 5));
}

#[test]
fn a_site_that_lost_its_store_counts_from_one_again() {
    let row = after(vec![event(1, "a"), event(2, "b")]);

    let folded = fold(row, b"folder/new/run-2", vec![event(1, "x"), event(2, "y")], NOW);

    assert_eq!(details(&folded), [(2, "x"), (3, "y")]);
    assert_eq!(folded.row.acknowledged, 2);
}

/// An agent that runs without its disk for a while counts as one without a store; back on it, it goes on where it was.
#[test]
fn a_site_that_comes_back_to_its_store_repeats_nothing() {
    let row = after(vec![event(1, "a"), event(2, "b")]);
    let (memory, back): (&[u8], &[u8]) = (b"folder/mem/run-2", b"folder/st:/run-3");

    let row = fold(row, memory, vec![event(1, "x"), event(2, "y")], NOW).row;
    let row = fold(row, memory, vec![event(2, "y")], NOW).row;
    assert_eq!((row.acknowledged, row.next_event), (2, 4));
    let folded = fold(row, back, vec![event(2, "b"), event(3, "c")], NOW);

    assert_eq!(details(&folded), [(4, "c")]);
    assert_eq!(folded.row.acknowledged, 3);
    // And the other way round: what came from memory is known as well.
    assert_eq!(fold(folded.row, memory, vec![event(2, "y"), event(3, "z")], NOW).events.len(), 1);
}

/// Started twice while its disk took nothing: each run counts for itself, and none of it counts again afterwards.
#[test]
fn a_site_that_comes_back_to_its_store_after_several_runs_without_it_repeats_nothing() {
    let disk: [&[u8]; 2] = [BOOT, b"folder/st:/run-9"];
    let without: [&[u8]; 4] = [b"folder/1/run-2", b"folder/2/run-3", b"folder/3/run-4", b"folder/4/run-5"];
    let mut row = fold(ReportRow::default(), disk[0], vec![event(1, "a"), event(2, "b")], NOW).row;
    for (runs, boot) in (1..).zip(without) {
        row = fold(row, boot, vec![event(1, "x")], NOW).row;
        let folded = fold(row.clone(), disk[1], vec![event(1, "a"), event(2, "b"), event(3, "c")], NOW);
        assert_eq!(details(&folded), [(2 + runs, "c")], "after {runs} runs");
    }
    // A store that nobody ever comes back to is forgotten at some time.
    row = fold(row, b"folder/5/run-6", vec![event(1, "x")], NOW).row;
    assert_eq!(row.former.len(), MAX_FORMER);
    assert_eq!(fold(row, disk[1], vec![event(2, "b")], NOW).events.len(), 1);
}

/// What could not be read is said once, as an event after all those that are kept; the site goes on in a new row.
#[test]
fn a_row_that_is_lost_begins_anew_and_says_so() {
    let lost = begin_anew(7..12, "it is no row", Timestamp(900));
    assert_eq!((lost.row.first_event, lost.row.next_event, lost.row.acknowledged), (7, 13, 0));
    assert_eq!(details(&lost), [(12, "the core has lost what this site had reported: it is no row")]);

    let folded = fold(lost.row, BOOT, vec![event(41, "x"), refusal(42, Kind::BundleRefused)], NOW);

    assert_eq!(details(&folded), [(13, "x"), (14, "42")]);
    assert_eq!(open(&folded.row), [0, 42], "until the site has applied something");
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
    let unknown = Report { seq: 1, observed_at_ms: 0, body: None, ..Default::default() };
    assert_eq!(after(vec![unknown]).acknowledged, 1);
}

#[test]
fn what_is_too_long_is_cut_at_a_character() {
    let detail = "ä".repeat(MAX_DETAIL_BYTES);
    let proxy = ProxyState { detail: detail.clone(), ..ProxyState::default() };
    let long = SiteState {
        proxies: vec![proxy; MAX_PROXIES + 1],
        workload_problems: vec![detail.clone(); MAX_WORKLOAD_PROBLEMS + 1],
        counted: Some(Counted {
            audits: vec![AuditCount { policy: detail, ..AuditCount::default() }; MAX_AUDITS + 1],
            ..Counted::default()
        }),
        ..SiteState::default()
    };

    let row = after(vec![Report {
        seq: 1,
        observed_at_ms: 0,
        body: Some(Body::State(long)),
        ..Default::default()
    }]);

    let state = row.observed.unwrap().state;
    assert_eq!((state.proxies.len(), state.workload_problems.len()), (MAX_PROXIES, MAX_WORKLOAD_PROBLEMS));
    assert_eq!(state.proxies[0].detail.len(), MAX_DETAIL_BYTES);
    assert_eq!(state.workload_problems[0].len(), MAX_DETAIL_BYTES);
    let audits = state.counted.unwrap().audits;
    assert_eq!((audits.len(), audits[0].policy.len()), (MAX_AUDITS, MAX_DETAIL_BYTES));
}

fn refusal(seq: u64, kind: Kind) -> Report {
    let event = SiteEvent { kind: kind.into(), detail: seq.to_string(), ..SiteEvent::default() };
    Report { seq, observed_at_ms: seq, body: Some(Body::Event(event)), ..Default::default() }
}

fn open(row: &ReportRow) -> Vec<u64> {
    row.open.iter().map(|event| event.seq).collect()
}

#[test]
fn what_was_refused_stays_in_sight_until_the_site_has_applied_something() {
    let row = after(vec![
        refusal(1, Kind::Applied),
        refusal(2, Kind::RolledBack),
        refusal(3, Kind::ProxyExited),
        refusal(4, Kind::BundleRefused),
    ]);
    assert_eq!(open(&row), [2, 4]);

    let row = fold(row, BOOT, vec![refusal(5, Kind::Applied), refusal(6, Kind::RolledBack)], NOW).row;
    assert_eq!(open(&row), [6]);
    assert_eq!(row.next_event, 6, "all of it stays in the history");
}

#[test]
fn older_refusals_are_counted_and_not_lost_silently() {
    let row = after((1..=MAX_OPEN as u64 + 3).map(|seq| refusal(seq, Kind::RolledBack)).collect());
    assert_eq!((row.open.len(), row.open_older, row.open[0].seq), (MAX_OPEN, 3, 4));
    let row = fold(row, BOOT, vec![refusal(99, Kind::Applied)], NOW).row;
    assert_eq!((open(&row), row.open_older), (vec![], 0));
}

/// The site's clock may be wrong by years, either way: an age is what lies between two of its own times.
#[test]
fn invariant_10_ages_do_not_follow_a_wrong_clock() {
    let year = 31_536_000_000;
    for (sent, made, expected) in [
        (5_000 + year, 4_000 + year, 9_000),
        (5_000, 4_000, 9_000),
        (5_000, 5_000, 10_000),
        (5_000, 5_000 + year, 10_000),
        (year, 1, 0),
    ] {
        let arrival = Arrival { received_at: Timestamp(10_000), sent_at: Timestamp(sent) };
        assert_eq!(arrival.observed(Timestamp(made)), Timestamp(expected), "sent {sent}, made {made}");
    }
    let ahead = Arrival { received_at: Timestamp(10_000), sent_at: Timestamp(10_000 + year) };
    let row = fold(ReportRow::default(), BOOT, vec![state(1, 1)], ahead).row;
    assert_eq!(row.clock_ahead_ms, 31_536_000_000);
}

/// What a site does: makes reports, sends what was not acknowledged to it, loses an answer, restarts.
#[derive(Debug, Clone, Copy)]
enum Step {
    Make(u8),
    /// The request arrives and its answer, too.
    Send(usize),
    /// The request arrives, and its answer is lost, or what was forgotten for it comes back with a crash.
    Lose(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Make),
        2 => (1..6_usize).prop_map(Step::Send),
        1 => (1..6_usize).prop_map(Step::Lose),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Every event is taken once, in order, whatever was sent twice or after a restart; and what is open is what was
    /// refused since the last apply that arrived.
    #[test]
    fn events_count_once_each(steps in prop::collection::vec(step(), 1..80)) {
        let (mut row, mut outbox, mut made, mut taken) = (ReportRow::default(), Vec::new(), 0, Vec::new());
        let mut boot = BOOT.to_vec();
        for step in steps {
            match step {
                Step::Make(kind) => {
                    made += 1;
                    let kinds = [Kind::RolledBack, Kind::BundleRefused, Kind::Applied, Kind::ProxyExited];
                    outbox.push(refusal(made, kinds[usize::from(kind)]));
                }
                Step::Send(number) | Step::Lose(number) => {
                    let request = outbox.iter().take(number).cloned().collect();
                    let folded = fold(row, &boot, request, NOW);
                    taken.extend(folded.events.iter().map(|(_, event)| event.clone()));
                    row = folded.row;
                    if matches!(step, Step::Send(_)) {
                        outbox.retain(|report| report.seq > row.acknowledged);
                    }
                }
                Step::Restart => boot[15] = boot[15].wrapping_add(1),
            }
        }
        let seqs: Vec<u64> = taken.iter().map(|event| event.seq).collect();
        prop_assert_eq!(&seqs, &(1..=row.acknowledged).collect::<Vec<_>>());
        let since = taken.iter().rposition(|event| event.event.kind() == Kind::Applied).map_or(0, |at| at + 1);
        let refused = taken[since..].iter().filter(|event| event.event.kind() != Kind::ProxyExited);
        let refused: Vec<u64> = refused.map(|event| event.seq).collect();
        let kept = refused.len().saturating_sub(MAX_OPEN);
        prop_assert_eq!(open(&row), &refused[kept..]);
        prop_assert_eq!(row.open_older as usize, kept);
    }
}
