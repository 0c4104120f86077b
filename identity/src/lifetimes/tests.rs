//! Cases of lifetimes. No clock.

use proptest::prelude::*;

use super::*;

fn hours(count: u64) -> Duration {
    HOUR * u32::try_from(count).unwrap()
}

#[test]
fn a_table_of_budgets() {
    // Budget; authority, workload, agent: hours.
    let table = [
        (0, 24, 8, 48),
        (1, 24, 8, 48),
        (24, 41, 13, 82),
        (7 * 24, 278, 24, 557),
        (30 * 24, 1189, 24, 2379),
        (180 * 24, 7129, 24, 14259),
    ];
    for (budget, site_ca, svid, agent) in table {
        let found = Lifetimes::for_budget(hours(budget), &Ceilings::NEW).unwrap();
        let rounded = [found.site_ca, found.svid, found.agent].map(|life| life.as_secs() / 3600);
        assert_eq!(rounded, [site_ca, svid, agent], "{budget} hours");
    }
}

#[test]
fn what_cannot_be_covered_is_said_with_the_numbers() {
    let week = DEFAULT_BUDGET;
    let cases = [
        (MAX_BUDGET + HOUR, Ceilings::NEW, "an offline budget of 180d 1h is over the limit of 180d"),
        (DAY * 400, Ceilings::NEW, "an offline budget of 400d is over the limit of 180d"),
        (
            week,
            Ceilings { mesh_root: DAY * 10, ..Ceilings::NEW },
            "an offline budget of 7d needs a site authority of 11d 14h, and the mesh root ends in 10d: \
             rotate the root first",
        ),
        (
            week,
            Ceilings { transport: DAY * 20, ..Ceilings::NEW },
            "an offline budget of 7d needs an agent certificate of 23d 5h, and the transport authority ends in 20d: \
             rotate it first",
        ),
        (
            Duration::ZERO,
            Ceilings { mesh_root: Duration::ZERO, ..Ceilings::NEW },
            "an offline budget of 0s needs a site authority of 1d, and the mesh root ends in 0s: rotate the root first",
        ),
    ];
    for (budget, ceilings, message) in cases {
        assert_eq!(Lifetimes::for_budget(budget, &ceilings).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_longest_budget_is_covered_until_a_root_is_half_over() {
    let half = Ceilings { mesh_root: ROOT / 2, transport: ROOT / 2 };
    let longest = Lifetimes::for_budget(MAX_BUDGET, &half).unwrap();
    assert_eq!(longest.site_ca, MAX_SITE_CA);
    assert!(longest.agent < ROOT / 2);
}

#[test]
fn rotation_is_at_a_third_and_jitter_makes_it_earlier() {
    let validity = Validity::starting(Timestamp(1_000_000), Duration::from_millis(3_000));
    for (jitter, offset) in
        [(0.0, 1_000), (0.5, 900), (1.0, 800), (-1.0, 1_000), (7.0, 800), (f64::NAN, 1_000)]
    {
        assert_eq!(validity.rotate_at(jitter), Timestamp(1_000_000 + offset), "{jitter}");
    }
    let backwards = Validity { issued: Timestamp(5), until: Timestamp(3) };
    assert_eq!(backwards.rotate_at(0.0), Timestamp(5), "what is over is renewed at once");
}

#[test]
fn runway_is_what_the_shortest_of_the_chain_leaves() {
    let (now, budget) = (Timestamp(1_000), Duration::from_millis(500));
    let at = |ends: &[u64]| Runway::at(now, ends.iter().copied().map(Timestamp), budget);
    assert_eq!(at(&[1_500, 9_000]), Runway::Covered(budget));
    assert_eq!(at(&[9_000, 1_499]), Runway::Short(Duration::from_millis(499)));
    assert_eq!(at(&[1_000]), Runway::Over);
    assert_eq!(at(&[999, 9_000]), Runway::Over);
    assert_eq!(at(&[]), Runway::Over);
    assert_eq!(at(&[1_499]).left(), Duration::from_millis(499));
}

proptest! {
    /// A cut of the whole budget, begun at the worst moment of a renewal that is late by as much as is provided for.
    #[test]
    fn a_cut_of_the_whole_budget_is_outlived(budget in 0..=MAX_BUDGET.as_secs(), jitter in 0.0..=1.0_f64) {
        let budget = Duration::from_secs(budget);
        let lifetimes = Lifetimes::for_budget(budget, &Ceilings::NEW).unwrap();
        let authority = Validity::starting(Timestamp(1_800_000_000_000), lifetimes.site_ca);
        let cut = after(authority.rotate_at(jitter), budget / 10);
        prop_assert!(left(authority.until, cut) >= budget);
        prop_assert!(lifetimes.svid <= lifetimes.site_ca / 3);
        prop_assert!(lifetimes.agent > lifetimes.site_ca);
    }
}
