//! What waits in memory: numbered, bounded, and sent only under numbers that the disk vouches for.

use skerry_proto::v1::SiteState;

use super::*;

fn event(detail: &str) -> Report {
    let event = SiteEvent { detail: detail.to_owned(), ..SiteEvent::default() };
    Report { body: Some(report::Body::Event(event)), ..Report::default() }
}

fn state(workloads: u32) -> Report {
    let state = SiteState { workloads, ..SiteState::default() };
    Report { body: Some(report::Body::State(state)), ..Report::default() }
}

fn seqs(reports: &[Report]) -> Vec<u64> {
    reports.iter().map(|report| report.seq).collect()
}

#[test]
fn a_number_that_the_disk_does_not_vouch_for_is_not_sent() {
    let mut tail = Tail::after(Numbers { given: 10, reserved: 12 });
    tail.push(["a", "b", "c"].map(event).to_vec());
    assert_eq!(seqs(&tail.merge(Vec::new(), 9)), [11, 12]);

    let pending = tail.begin(Vec::new());
    tail.handle_written(&pending, Numbers { given: pending.given, reserved: 99 });
    tail.push(vec![event("d")]);
    assert_eq!(seqs(&tail.merge(pending.waiting, 9)), [11, 12, 13, 14], "three of them from the disk");
}

#[test]
fn a_newer_state_takes_the_place_of_the_one_that_waits() {
    let mut tail = Tail::without_disk();
    tail.push(vec![state(1), event("a"), state(2)]);
    assert_eq!(seqs(&tail.merge(Vec::new(), 9)), [2, 3]);
}

#[test]
fn the_newest_wait_and_what_is_dropped_is_counted() {
    let mut tail = Tail::without_disk();
    tail.push(vec![state(1)]);
    for number in 0..100 {
        tail.push(vec![event(&number.to_string())]);
        tail.handle_not_written();
    }
    assert_eq!((tail.waiting().0, tail.waiting().2), (MAX_TAIL as u64, 101 - MAX_TAIL as u64));
    let kept = tail.merge(Vec::new(), 99);
    assert_eq!((kept[0].seq, kept[1].seq, kept[63].seq), (1, 39, 101), "the state is kept");

    let pending = tail.begin(Vec::new());
    tail.handle_written(&pending, Numbers { given: 101, reserved: 999 });
    assert_eq!(tail.waiting(), (0, 0, 0));
}

/// What the core would refuse would keep back all behind it.
#[test]
fn a_report_over_the_limit_becomes_an_event_that_says_so() {
    let mut tail = Tail::without_disk();
    tail.push(vec![event(&"x".repeat(MAX_REPORT_BYTES - 30)), event(&"x".repeat(MAX_REPORT_BYTES))]);
    let [whole, dropped] = &tail.merge(Vec::new(), 9)[..] else { panic!("two reports") };
    assert!(whole.encoded_len() <= MAX_REPORT_BYTES);
    let Some(report::Body::Event(event)) = &dropped.body else { panic!("an event") };
    assert_eq!((event.kind(), dropped.seq), (Kind::ReportDropped, 2));
    assert_eq!(event.detail, "the agent dropped a report of 61448 bytes: over the limit of 61440");
}

/// The core must not take what was sent over the head of others for a repetition, nor the others for one.
#[test]
fn what_is_overtaken_is_read_only_after_it_was_numbered_anew() {
    let mut tail = Tail::after(Numbers { given: 3, reserved: 99 });
    tail.forget(1);
    tail.push(vec![event("a")]);
    assert_eq!((seqs(&tail.overtake(9)), tail.read_after()), (vec![4], 4));
    tail.forget(4);
    assert_eq!((tail.forgotten(), tail.waiting().0), (1, 0), "2 and 3 are on disk and were not sent");

    let pending = tail.begin(Vec::new());
    assert_eq!((pending.forgotten, pending.overtaking.last()), (1, Some(&4)));
    tail.handle_written(&pending, Numbers { given: 6, reserved: 99 });
    assert_eq!(tail.read_after(), 1);
    tail.push(vec![event("b")]);
    assert_eq!(seqs(&tail.merge(Vec::new(), 9)), [7], "5 and 6 are those that were overtaken");
}
