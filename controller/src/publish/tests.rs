//! What is published: how far back deltas reach, and what a cache may never change.

use skerry_proto::v1::Encoding;

use super::*;
use crate::samples::{contents, noise, nothing, publish, service, site};

#[test]
fn deltas_reach_sixteen_publications_back() {
    let published = nothing();
    let version = |number| contents(&[service("cart", 20, number)]);
    for number in 0..=17 {
        publish(&published, "s1", u64::from(number) + 1, Some(&version(number)));
    }
    let target = version(17);

    for (number, expected) in
        [(0, Base::Unknown), (1, Base::Known(version(1).digest)), (16, Base::Known(version(16).digest))]
    {
        assert_eq!(
            published.base(Some(version(number).digest.prefix()), &target),
            expected,
            "version {number}"
        );
    }
    assert_eq!(published.base(None, &target), Base::Nothing);
    assert_eq!(published.base(Some(target.digest.prefix()), &target), Base::Known(target.digest));
}

#[test]
fn a_delta_from_the_same_list_is_empty() {
    let published = nothing();
    let same = contents(&[service("cart", 20, 1)]);
    publish(&published, "s1", 1, Some(&same));

    let delta = published.delta(Base::Known(same.digest), &same, Inline::Fragments);

    assert_eq!(delta.list.base, same.digest.prefix().as_bytes());
    assert!(delta.list.upserts.is_empty() && delta.list.removals.is_empty() && delta.fragments.is_empty());
}

#[test]
fn a_fragment_that_was_not_there_has_no_dictionary() {
    let (old, new) = (contents(&[]), contents(&[service("cart", 20, 1)]));
    let published = nothing();
    publish(&published, "s1", 1, Some(&old));
    publish(&published, "s1", 2, Some(&new));

    let delta = published.delta(Base::Known(old.digest), &new, Inline::Fragments);

    assert_eq!(delta.fragments[0].encoding(), Encoding::Zstd);
}

/// Invariant 9: whatever is asked for, a cache holds no more bytes than it may, and gives the same.
#[test]
fn invariant_9_a_full_cache_starts_anew_and_gives_the_same() {
    let cache = Cache::with_room(1_000);
    let value = |key: u32| (key, 300 + key as usize % 7);
    for key in 0..100 {
        assert_eq!(cache.get(key, |key| value(*key), |value| value.1), value(key));
        assert_eq!(cache.get(key, |_| panic!("it is there"), |_: &(u32, usize)| 0), value(key));
        assert!(cache.bytes() <= 1_000, "{}", cache.bytes());
    }
    // What is longer than the whole cache is given, and takes no room.
    assert_eq!(cache.get(500, |_| (1, 2_000), |value| value.1), (1, 2_000));
    assert!(cache.bytes() <= 1_000);
    cache.clear();
    assert_eq!(cache.bytes(), 0);
}

/// Invariant 9: the history is bounded by its bytes. What all versions share counts once.
#[test]
fn invariant_9_a_history_reaches_less_far_back_when_versions_are_long() {
    let shared = noise("shared", 60_000);
    let version = |number: u32| contents(&[shared.clone(), noise(&format!("n{number}"), 20_000)]);
    let versions: Vec<_> = (0..10).map(version).collect();
    let room = shared.bytes.len() + 3 * (versions[0].fragments[0].bytes.len() + 4 * 16);
    let history = History::with_room(room);

    versions.iter().for_each(|version| history.keep([Arc::clone(version)]));

    let kept: Vec<bool> = versions.iter().map(|version| history.get(&version.digest).is_some()).collect();
    assert_eq!(kept, [false, false, false, false, false, false, false, true, true, true]);
    history.keep([contents(&[noise("huge", 200_000)])]);
    assert!(versions.iter().all(|version| history.get(&version.digest).is_none()), "all of it is given back");
}

#[test]
fn sites_are_listed_in_order_and_gone_when_taken_away() {
    let published = nothing();
    let same = contents(&[service("cart", 1, 1)]);
    let names: Vec<String> = (0..300).map(|number| format!("s{number:03}")).collect();
    for name in names.iter().rev() {
        publish(&published, name, 1, Some(&same));
    }
    publish(&published, "s007", 2, None);

    let listed: Vec<String> = published.sites().iter().map(ToString::to_string).collect();
    let expected: Vec<String> = names.into_iter().filter(|name| name != "s007").collect();
    assert_eq!(listed, expected);
    assert!(matches!(published.lookup(&site("s007")), Lookup::Unknown));
}
