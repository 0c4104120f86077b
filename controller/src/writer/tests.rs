//! The writer: many requests at once, and one that cannot be kept.

use skerry_proto::v1::{Report, SiteEvent, report::Body};

use super::*;
use crate::samples::site;
use crate::samples::store::FakeStore;

fn batch(name: &str, reports: Vec<Report>) -> ReportBatch {
    ReportBatch { site: site(name), boot: vec![1], reports, arrival: Default::default() }
}

/// Writes what waits at the other end.
fn write_all(store: &FakeStore, queue: &mut ReportQueue) {
    let mut requests = Vec::new();
    while let Ok(request) = queue.0.try_recv() {
        requests.push(request);
    }
    write(store, &SourceBoard::default(), requests);
}

type Answer = oneshot::Receiver<Result<u64, StoreError>>;

fn enqueue(sender: &ReportSender, name: &str, seq: u64) -> Answer {
    sender.enqueue(batch(name, vec![Report { seq, ..Report::default() }])).unwrap()
}

/// Invariant 9: 10,000 sites that report at once have room; more bytes than there is room for are sent away, and
/// there is room again when what waits is written.
#[test]
fn invariant_9_reports_wait_within_bounds_and_the_rest_is_told_to_come_back() {
    let (sender, mut queue) = channel();
    let answers: Vec<Answer> = (0..10_000).map(|at| enqueue(&sender, &format!("s{at}"), 1)).collect();
    let long = |site: &str| {
        let event = SiteEvent { detail: "x".repeat(60_000), ..SiteEvent::default() };
        let report = |seq| Report { seq, body: Some(Body::Event(event.clone())), ..Report::default() };
        batch(site, (1..=60).map(report).collect())
    };
    let mut taken = Vec::new();
    let refused = loop {
        match sender.enqueue(long("long")) {
            Ok(answer) => taken.push(answer),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, NotKept::Full), "{refused:?}");
    assert_eq!(taken.len(), QUEUE_BYTES / 3_600_000, "60 reports of 60,000 B each");

    write_all(&FakeStore::default(), &mut queue);

    assert!(answers.into_iter().all(|mut answer| answer.try_recv().unwrap().unwrap() == 1));
    assert_eq!(taken.pop().unwrap().try_recv().unwrap().unwrap(), 60);
    sender.enqueue(long("long")).unwrap();
}

#[test]
fn invariant_9_no_more_requests_wait_than_there_are_places() {
    let (sender, queue) = channel();
    let kept: Vec<Answer> = (0..QUEUE).map(|_| enqueue(&sender, "s1", 1)).collect();
    assert!(matches!(sender.enqueue(batch("s1", Vec::new())), Err(NotKept::Full)));
    assert_eq!(kept.len(), QUEUE);
    drop(queue);
    assert!(matches!(sender.enqueue(batch("s1", Vec::new())), Err(NotKept::Stopping)));
}

/// A full disk is shown, and its end too.
#[test]
fn a_store_that_takes_no_reports_is_shown() {
    let (store, board, (sender, mut queue)) = (FakeStore::default(), SourceBoard::default(), channel());
    for (is_full, shown) in [(true, true), (false, false)] {
        store.set_full(is_full);
        let mut answer = enqueue(&sender, "s1", 7);
        write(&store, &board, vec![queue.0.try_recv().unwrap()]);
        assert_eq!(answer.try_recv().unwrap().is_err(), is_full);
        assert_eq!(board.view().failure.is_some(), shown);
    }
}

#[test]
fn each_request_gets_its_own_answer() {
    let (sender, mut queue) = channel();
    let answers = [("s1", 3), ("s2", 5), ("s1", 4)].map(|(name, seq)| enqueue(&sender, name, seq));

    write_all(&FakeStore::default(), &mut queue);

    let acknowledged: Vec<u64> =
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap()).collect();
    assert_eq!(acknowledged, [3, 5, 4]);
}

/// Invariant 7: one bad site hurts only itself.
#[test]
fn a_damaged_row_of_one_site_does_not_stop_the_others() {
    let store = FakeStore::default();
    store.damage(site("s2"));
    let (sender, mut queue) = channel();
    let mut answers = [("s1", 3), ("s2", 5)].map(|(name, seq)| enqueue(&sender, name, seq));

    write_all(&store, &mut queue);

    assert_eq!(answers[0].try_recv().unwrap().unwrap(), 3);
    assert!(answers[1].try_recv().unwrap().is_err());
}
