//! The writer: many requests at once, and one that cannot be kept.

use skerry_proto::v1::Report;

use super::*;
use crate::samples::site;
use crate::samples::store::FakeStore;

fn request(name: &str, seq: u64) -> (Request, oneshot::Receiver<Result<u64, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    let reports = vec![Report { seq, ..Report::default() }];
    let batch = ReportBatch { site: site(name), boot: vec![1], reports, arrival: Default::default() };
    (Request { batch, reply }, answer)
}

#[test]
fn each_request_gets_its_own_answer() {
    let (requests, answers): (Vec<_>, Vec<_>) =
        [("s1", 3), ("s2", 5), ("s1", 4)].into_iter().map(|(name, seq)| request(name, seq)).unzip();

    write(&FakeStore::default(), requests);

    let acknowledged: Vec<u64> =
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap()).collect();
    assert_eq!(acknowledged, [3, 5, 4]);
}

/// Invariant 7: one bad site hurts only itself.
#[test]
fn a_damaged_row_of_one_site_does_not_stop_the_others() {
    let store = FakeStore::default();
    store.damage(site("s2"));
    let (requests, mut answers): (Vec<_>, Vec<_>) =
        [("s1", 3), ("s2", 5)].into_iter().map(|(name, seq)| request(name, seq)).unzip();

    write(&store, requests);

    assert_eq!(answers[0].try_recv().unwrap().unwrap(), 3);
    assert!(answers[1].try_recv().unwrap().is_err());
}
