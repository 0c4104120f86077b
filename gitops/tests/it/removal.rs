//! Mass removal: the table of cases (invariant 6).

use std::collections::BTreeMap;

use skerry_core::id::{Kind, ObjectKey};
use skerry_gitops::removal::{MassRemoval, Recent, Standing, WINDOW_SECONDS, judge};

fn keys(kind: Kind, names: std::ops::Range<usize>) -> Vec<ObjectKey> {
    names.map(|at| ObjectKey::new(kind, "shop", format!("n{at:03}"))).collect()
}

/// Judges a head that removes objects, all at once or after others went at a time.
fn verdict(
    before: &[(Kind, usize)],
    removed: &[ObjectKey],
    recent: &Recent,
    percent: u8,
) -> Option<MassRemoval> {
    let counts: BTreeMap<Kind, usize> = before.iter().copied().collect();
    let mut left = counts.clone();
    for key in removed {
        *left.get_mut(&key.kind).unwrap() -= 1;
    }
    judge(&Standing { counts: &counts, recent, percent, now: 10_000 }, removed, |_| false, &left)
}

#[test]
fn invariant_6_mass_removal_is_recognized_by_kind() {
    let fleet = [(Kind::Mesh, 1), (Kind::Site, 3), (Kind::Service, 40), (Kind::HttpRoute, 900)];
    let cases = [
        ("nothing", vec![], 50, vec![]),
        ("two of three sites", keys(Kind::Site, 0..2), 50, vec![]),
        ("all sites, though they are 3 of 944 objects", keys(Kind::Site, 0..3), 50, vec![Kind::Site]),
        ("the mesh", keys(Kind::Mesh, 0..1), 100, vec![Kind::Mesh]),
        ("half of the services", keys(Kind::Service, 0..20), 50, vec![]),
        ("more than half of them", keys(Kind::Service, 0..21), 50, vec![Kind::Service]),
        ("all of them, with a limit of 100", keys(Kind::Service, 0..40), 100, vec![Kind::Service]),
        ("few routes of many, at 1 %", keys(Kind::HttpRoute, 0..4), 1, vec![]),
        ("ten routes of many, at 1 %", keys(Kind::HttpRoute, 0..10), 1, vec![Kind::HttpRoute]),
        ("all routes, with a limit of 100", keys(Kind::HttpRoute, 0..900), 100, vec![]),
    ];
    for (case, removed, percent, over) in cases {
        let found = verdict(&fleet, &removed, &Recent::default(), percent);
        let found: Vec<Kind> = found.map_or(Vec::new(), |mass| mass.over.into_iter().collect());
        assert_eq!(found, over, "{case}");
    }
    let tiny = [(Kind::Site, 1), (Kind::Service, 3), (Kind::HttpRoute, 3)];
    let most = [keys(Kind::Service, 0..2), keys(Kind::HttpRoute, 0..3)].concat();
    assert_eq!(
        verdict(&tiny, &most, &Recent::default(), 1),
        None,
        "a tiny world is not asked about every change"
    );
}

#[test]
fn invariant_6_what_went_within_the_hour_counts() {
    let earlier = |at| Recent::default().with(&keys(Kind::Service, 0..15), at, |_| false);
    let now = keys(Kind::Service, 15..22);
    let left = [(Kind::Service, 25)];
    let mass = verdict(&left, &now, &earlier(10_000 - WINDOW_SECONDS + 1), 50).unwrap();
    assert_eq!((mass.kinds[&Kind::Service].gone, mass.kinds[&Kind::Service].of), (22, 40));
    assert_eq!(mass.removed, now, "names are of what this head removes");
    assert_eq!(verdict(&left, &now, &earlier(10_000 - WINDOW_SECONDS), 50), None);
    let back = earlier(9_999).with(&[], 10_000, |key| key.name.as_str() < "n010");
    assert_eq!(verdict(&left, &now, &back, 50), None, "what came back has not gone");
    assert_eq!(
        verdict(&[(Kind::Site, 2)], &keys(Kind::Site, 0..1), &earlier(9_999), 50),
        None,
        "kinds are apart"
    );
}

#[test]
fn the_reason_reads_well() {
    let left = [(Kind::Site, 3), (Kind::Service, 25)];
    let removed = [keys(Kind::Site, 0..3), keys(Kind::Service, 0..25)].concat();
    insta::assert_snapshot!(verdict(&left, &removed, &Recent::default(), 50).unwrap().to_string());
}
