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
        assert_eq!(published.base(Some(&version(number).digest), &target), expected, "version {number}");
    }
    assert_eq!(published.base(None, &target), Base::Nothing);
    assert_eq!(published.base(Some(&target.digest), &target), Base::Known(target.digest));
}

#[test]
fn a_delta_from_the_same_list_is_empty() {
    let published = nothing();
    let same = contents(&[service("cart", 20, 1)]);
    publish(&published, "s1", 1, Some(&same));

    let delta = published.delta(Base::Known(same.digest), &same);

    assert_eq!(delta.list.base, same.digest.as_bytes());
    assert!(delta.list.upserts.is_empty() && delta.list.removals.is_empty() && delta.fragments.is_empty());
}

#[test]
fn a_fragment_that_was_not_there_has_no_dictionary() {
    let (old, new) = (contents(&[]), contents(&[service("cart", 20, 1)]));
    let published = nothing();
    publish(&published, "s1", 1, Some(&old));
    publish(&published, "s1", 2, Some(&new));

    let delta = published.delta(Base::Known(old.digest), &new);

    assert_eq!(delta.fragments[0].encoding(), Encoding::Zstd);
}

#[test]
fn a_full_cache_of_encoded_fragments_starts_anew_and_gives_the_same() {
    let (cache, first) = (EncodedFragments::with_room(20_000), noise("first", 9_000));
    let before = cache.get(&first);
    for number in 0..12 {
        cache.get(&noise(&format!("n{number}"), 9_000));
    }
    assert_eq!(cache.get(&first), before);
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
