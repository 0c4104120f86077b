//! Who is served: a table of everything that can come.

use skerry_core::id::Timestamp;

use super::*;
use crate::samples::at;

fn agent(folder: u8, run: u8) -> Claimant {
    let boot = Boot([[folder; 6], [run; 6]].concat().try_into().unwrap());
    let peer = Some(SocketAddr::from(([10, 0, 0, folder], 4000)));
    Claimant { boot, attempt: 0, peer, pace: Pace::default() }
}

/// A site whose agents came in this order, a second apart, each with a stream that is there.
fn after(agents: &[(u8, u8)]) -> Claims {
    let mut claims = Claims::default();
    for (second, (folder, run)) in (1..).zip(agents) {
        claims.claim(agent(*folder, *run), Place::Held, at(second * 1000)).unwrap();
    }
    claims
}

/// Who came before, whether the last one is there, how many seconds ago it was heard from, who comes, who is served.
type Case = (&'static str, &'static [(u8, u8)], Place, u64, (u8, u8), bool);

#[test]
fn a_table_of_who_is_served() {
    use Place::{Held, Left};
    let cases: [Case; 11] = [
        ("nobody was here", &[], Left, 0, (1, 1), true),
        ("the same run, its connection is half-open", &[(1, 1)], Held, 1, (1, 1), true),
        ("restarted, the old connection is half-open", &[(1, 1)], Held, 1, (1, 2), true),
        ("restarted, the old connection has ended", &[(1, 1)], Left, 1, (1, 2), true),
        ("restarted again and again", &[(1, 1), (1, 2), (1, 3)], Held, 1, (1, 4), true),
        ("another agent, and the first is there", &[(1, 1)], Held, 345, (2, 1), false),
        ("another agent, and the first is silent for too long", &[(1, 1)], Held, 346, (2, 1), true),
        ("another agent, and the first has just left", &[(1, 1)], Left, 30, (2, 1), false),
        ("another agent, and the first is gone", &[(1, 1)], Left, 31, (2, 1), true),
        ("a copied folder: the first run comes back", &[(1, 1), (1, 2)], Held, 1, (1, 1), false),
        ("a copied folder: an older run comes back", &[(1, 1), (1, 2), (1, 3)], Held, 1, (1, 1), false),
    ];
    for (what, before, place, seconds, (folder, run), is_served) in cases {
        let mut claims = after(before);
        let last = claims.holder().map_or(0, |holder| holder.last.wall.0);
        let now = at(last + seconds * 1000);

        let outcome = claims.claim(agent(folder, run), place, now);

        assert_eq!(outcome.is_ok(), is_served, "{what}: {outcome:?}");
        assert_eq!(claims.holder().unwrap().by == agent(folder, run), is_served, "{what}");
        assert_eq!(claims.rival(now).is_some(), !is_served, "{what}");
    }
}

#[test]
fn both_are_shown_with_their_times_for_as_long_as_both_try() {
    let mut claims = after(&[(1, 1)]);
    let fenced = claims.claim(agent(2, 1), Place::Held, at(5_000)).unwrap_err();
    assert_eq!((fenced.seconds, fenced.reason.contains("10.0.0.1:4000")), (30, true), "{}", fenced.reason);
    claims.heard(at(30_000));
    claims.claim(agent(2, 1), Place::Held, at(35_000)).unwrap_err();

    let rival = claims.rival(at(35_000)).unwrap();
    assert_eq!((rival.first, rival.last), (at(5_000), at(35_000)));
    let holder = claims.holder().unwrap();
    assert_eq!((holder.by, holder.first, holder.last), (agent(1, 1), at(1_000), at(30_000)));
    assert!(claims.rival(at(35_000 + 3_600_001)).is_none());
}

/// Whatever comes in whatever order, one agent at a time is served, and one that goes on alone is served in the end.
#[test]
fn an_agent_that_is_left_alone_is_served_in_the_end() {
    let mut claims = after(&[(1, 1), (1, 2)]);
    let alone = agent(1, 1);
    let tries = (0..20).map(|number| at(2_000 + number * 30_000));
    let served = tries.filter(|now| claims.claim(alone, Place::Held, *now).is_ok()).count();
    assert!(served > 0, "{claims:?}");
    assert_eq!(claims.holder().unwrap().by, alone);
}

/// Ten years in milliseconds.
const TEN_YEARS: u64 = 10 * 365 * 86_400_000;

/// A wall clock that jumps: ahead, it lets no rival in while the first agent is there; and when it is set back, an
/// agent that is gone is not there for ten years.
#[test]
fn a_wall_clock_that_jumps_ten_years_either_way_decides_nothing() {
    let skewed = |ms, wall| Moment { wall: Timestamp(wall), ..at(ms) };
    let mut claims = after(&[(1, 1)]);
    let (now, years) = (at(1_000).wall.0, TEN_YEARS);

    assert!(
        claims.claim(agent(2, 1), Place::Held, skewed(2_000, now + years)).is_err(),
        "the first is there"
    );
    claims.heard(skewed(3_000, now + years));
    assert!(
        claims.rival(skewed(4_000, now)).is_some() && claims.rival(skewed(4_000, now + 2 * years)).is_some()
    );

    // The clock is set back, and the first agent was last heard from in ten years' time.
    let gone = 3_000 + 346_000;
    assert!(claims.claim(agent(2, 1), Place::Held, skewed(gone - 2_000, now)).is_err(), "not gone yet");
    assert!(claims.claim(agent(2, 1), Place::Held, skewed(gone, now)).is_ok(), "{claims:?}");
}

/// Connections of one run by their numbers: who is served, and whether the next one is.
#[test]
fn a_run_is_served_on_its_newest_connection() {
    for (served, comes, is_served) in
        [(1, 2, true), (2, 1, false), (2, 2, true), (7, 1, false), (2, 0, true), (0, 1, true), (0, 0, true)]
    {
        let with = |attempt| Claimant { attempt, ..agent(1, 1) };
        let mut claims = Claims::default();
        claims.claim(with(served), Place::Held, at(1_000)).unwrap();

        let outcome = claims.claim(with(comes), Place::Left, at(2_000));

        assert_eq!(outcome.is_ok(), is_served, "{comes} after {served}: {outcome:?}");
        let holder = claims.holder().unwrap();
        assert_eq!(
            (holder.by.attempt, holder.last),
            if is_served { (comes, at(2_000)) } else { (served, at(1_000)) }
        );
        assert_eq!(claims.rival(at(2_000)), None, "it is no other agent");
        let restarted = Claimant { attempt: 1, ..agent(1, 2) };
        assert!(claims.claim(restarted, Place::Held, at(3_000)).is_ok(), "another run counts from one");
    }
}
