//! Shares of requests: by weight, and of backends that cannot be used.

use std::collections::BTreeMap;

use skerry_core::bundle::v1::Backend;

use super::Stage;
use crate::client::get;
use crate::site::{RouteBuilder as _, backend, route};

fn weighted(service: &str, weight: u32) -> Backend {
    Backend { weight, ..backend(service, 80) }
}

fn counts(stage: &Stage, path: &str, requests: u32) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        let answer = get(stage.web, path);
        let who = if answer.status == 200 { answer.backend().to_owned() } else { answer.status.to_string() };
        *counts.entry(who).or_default() += 1;
    }
    counts
}

#[test]
fn requests_are_split_by_weight_and_an_unusable_backend_answers_its_share_with_500() {
    let invalid = Backend { invalid: true, ..weighted("shop/none", 1) };
    let stage = Stage::of(vec![
        route("split").prefix("/split").to(&[weighted("shop/a", 90), weighted("shop/b", 10)]),
        route("half").prefix("/half").to(&[weighted("shop/a", 1), invalid.clone()]),
        route("dead").prefix("/dead").to(&[invalid]),
        route("large").prefix("/large").to(&[weighted("shop/a", u32::MAX), weighted("shop/b", 0)]),
    ]);
    let split = counts(&stage, "/split", 400);
    assert!((330..=385).contains(&split["a"]) && split["a"] + split["b"] == 400, "{split:?}");
    let half = counts(&stage, "/half", 200);
    assert!((60..=140).contains(&half["500"]) && half["a"] + half["500"] == 200, "{half:?}");
    assert_eq!(counts(&stage, "/dead", 5), BTreeMap::from([("500".to_owned(), 5)]));
    assert_eq!(counts(&stage, "/large", 5), BTreeMap::from([("a".to_owned(), 5)]));
}
