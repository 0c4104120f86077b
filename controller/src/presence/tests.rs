//! Presence: who is connected, and that a wake is never lost and never piles up.

use futures::FutureExt as _;

use skerry_core::pace::Pace;
use skerry_core::policy::site::{Uplink, UplinkClass};

use super::*;
use crate::samples::at;

fn site() -> SiteId {
    SiteId::new("s1").unwrap()
}

#[test]
fn a_site_is_connected_while_its_stream_lives() {
    let presence = Arc::new(Presence::default());
    assert_eq!(presence.seen(&site(), at(5)), Seen::default());

    let connection = presence.connect(&site(), Claimant::default(), at(5)).unwrap();
    let seen = presence.seen(&site(), at(5));
    assert_eq!((seen.connected, seen.last_seen, seen.rival), (true, Timestamp(5), None));
    connection.touch(at(7));
    drop(connection);

    let seen = presence.seen(&site(), at(8));
    assert_eq!((seen.connected, seen.last_seen), (false, Timestamp(7)));
    let agent = seen.agent.unwrap();
    assert_eq!((agent.first, agent.last), (at(5), at(7)));
}

#[test]
fn a_wake_before_the_stream_looks_is_kept_and_many_are_one() {
    let presence = Arc::new(Presence::default());
    let connection = presence.connect(&site(), Claimant::default(), at(5)).unwrap();

    presence.wake_those(|one| *one == site());
    presence.wake_those(|one| *one == site());

    assert_eq!(connection.woken().now_or_never(), Some(Wake::Published));
    assert_eq!(connection.woken().now_or_never(), None);
}

#[test]
fn the_newest_stream_of_a_site_takes_the_place_of_the_older() {
    let presence = Arc::new(Presence::default());
    let older = presence.connect(&site(), Claimant::default(), at(5)).unwrap();
    let newer = presence.connect(&site(), Claimant::default(), at(6)).unwrap();

    assert_eq!(older.woken().now_or_never(), Some(Wake::Replaced));
    drop(older);
    assert!(presence.seen(&site(), at(7)).connected);
    presence.wake_those(|one| *one == site());
    assert_eq!(newer.woken().now_or_never(), Some(Wake::Published));
}

#[test]
fn a_stream_that_is_silent_for_too_long_is_woken_to_end() {
    let presence = Arc::new(Presence::default());
    let connection = presence.connect(&site(), Claimant::default(), at(5)).unwrap();
    // Two reports of 300 s, and 45 s.
    for minute in 0..12 {
        if minute == 1 {
            connection.touch(Moment { wall: Timestamp(u64::MAX), ..at(6) });
        }
        assert_eq!(connection.woken().now_or_never(), None, "minute {minute}");
        presence.end_silent(Duration::from_secs(60));
        presence.take_seen();
    }
    presence.end_silent(Duration::from_secs(60));
    assert_eq!(connection.woken().now_or_never(), Some(Wake::Silent));
}

/// Invariant 9: a peer that takes nothing does not hear that its stream ends, and holds it no longer than two intervals.
#[test]
fn invariant_9_a_stream_that_does_not_end_when_it_was_told_to_is_cut() {
    let (presence, minute) = (Arc::new(Presence::default()), Duration::from_secs(60));
    let connect = |second| {
        let connection = presence.connect(&site(), Claimant::default(), at(second)).unwrap();
        let cut = CancellationToken::new();
        connection.set_cut(cut.clone());
        (connection, cut)
    };
    let (hanging, cut_hanging) = connect(5);
    let (ended, cut_ended) = connect(6);
    let (newest, cut_newest) = connect(7);
    drop(ended);
    for is_cut in [false, true, true] {
        newest.touch(at(8));
        presence.end_silent(minute);
        presence.take_seen();
        let cut = [&cut_hanging, &cut_ended, &cut_newest].map(CancellationToken::is_cancelled);
        assert_eq!(cut, [is_cut, false, false]);
    }
    drop(hanging);

    // And one that is silent.
    presence.end_silent(Duration::from_secs(3_600));
    assert!(!cut_newest.is_cancelled(), "it is told first");
    presence.end_silent(minute);
    assert!(cut_newest.is_cancelled());
    assert_eq!(presence.shard(&site()).lock()[&site()].leaving.len(), 0);
}

/// Its uplink lets it report every half hour.
#[test]
fn a_metered_site_may_be_silent_for_longer() {
    let presence = Arc::new(Presence::default());
    let pace = Pace::of(&Uplink { class: UplinkClass::Metered, bytes_per_day: None });
    let by = Claimant { pace, ..Claimant::default() };
    let connection = presence.connect(&site(), by, at(5)).unwrap();
    presence.end_silent(Duration::from_secs(60));
    presence.take_seen();

    presence.end_silent(Duration::from_secs(2 * 1_800 + 45));
    assert_eq!(connection.woken().now_or_never(), None);
    presence.end_silent(Duration::from_secs(1));
    assert_eq!(connection.woken().now_or_never(), Some(Wake::Silent));
}

#[test]
fn what_was_seen_is_handed_out_once() {
    let presence = Arc::new(Presence::default());
    presence.touch(&site(), at(5));
    assert_eq!(presence.take_seen(), [(site(), Timestamp(5))]);
    assert_eq!(presence.take_seen(), []);
}

/// Two agents claim a site: the first is served, and what the other does changes no figure of the site.
#[test]
fn a_second_agent_does_not_take_the_place_of_the_first() {
    let presence = Arc::new(Presence::default());
    let other = Claimant { boot: claim::Boot::of(&[9; 16]), ..Claimant::default() };
    let first = presence.connect(&site(), Claimant::default(), at(5)).unwrap();

    assert!(presence.connect(&site(), other, at(6)).is_err());
    assert!(presence.pull(&site(), other, at(7)).is_err());

    assert_eq!(first.woken().now_or_never(), None, "it is not replaced");
    let seen = presence.seen(&site(), at(8));
    assert_eq!((seen.connected, seen.pulls, seen.last_seen), (true, false, Timestamp(5)));
    assert_eq!(seen.rival, Some(Claim { by: other, first: at(6), last: at(7) }));
}

/// A box that took the place of another one is not told to wait until that is gone.
#[test]
fn an_agent_whose_box_is_none_of_the_site_s_any_more_holds_no_place() {
    let presence = Arc::new(Presence::default());
    let other = Claimant { boot: claim::Boot::of(&[9; 16]), ..Claimant::default() };
    let _first = presence.connect(&site(), Claimant::default(), at(5)).unwrap();
    assert!(presence.connect(&site(), other, at(6)).is_err());
    presence.forget_agent(&site());
    let _second = presence.connect(&site(), other, at(7)).unwrap();
    let seen = presence.seen(&site(), at(8));
    assert_eq!((seen.agent.map(|agent| agent.by), seen.rival), (Some(other), None));
}

/// Connections that overtake each other: one that was held up on its way is dead, and evicts nobody.
#[test]
fn a_stream_that_comes_late_does_not_take_the_place_of_a_newer_one() {
    let presence = Arc::new(Presence::default());
    let attempt = |attempt| Claimant { attempt, ..Claimant::default() };
    let newer = presence.connect(&site(), attempt(2), at(5)).unwrap();

    let late = presence.connect(&site(), attempt(1), at(6)).unwrap_err();

    assert!(late.reason.contains("connection 1 of this agent came late"), "{}", late.reason);
    assert_eq!(newer.woken().now_or_never(), None, "it is not replaced");
    let seen = presence.seen(&site(), at(7));
    assert_eq!((seen.connected, seen.last_seen, seen.rival), (true, Timestamp(5), None));
    let newest = presence.connect(&site(), attempt(3), at(8)).unwrap();
    assert_eq!(newer.woken().now_or_never(), Some(Wake::Replaced));
    drop(newest);
}

#[test]
fn an_agent_that_cannot_be_talked_to_is_shown_until_one_can() {
    let presence = Arc::new(Presence::default());
    let away = TurnedAway { peer: None, reason: "upgrade the agent".to_owned(), last: at(5) };
    presence.turn_away(&site(), away.clone());

    let seen = presence.seen(&site(), at(6));
    assert_eq!((seen.last_seen, seen.turned_away), (Timestamp(0), Some(away)), "nothing else is known");
    assert_eq!(presence.seen(&site(), at(5 + 3_600_001)).turned_away, None, "it is gone");
    assert_eq!(presence.take_seen(), []);

    let _stream = presence.connect(&site(), Claimant::default(), at(7)).unwrap();
    assert_eq!(presence.seen(&site(), at(8)).turned_away, None);
}

/// Invariant 9: anybody can name a site.
#[test]
fn invariant_9_strangers_are_shown_for_a_while_and_are_few() {
    let presence = Presence::default();
    for number in 0..150 {
        presence.note_stranger(SiteId::new(format!("s{number:03}")).unwrap(), None, at(number));
    }
    let shown = |now, known: &str| presence.strangers(at(now), |site| site.as_str() == known);
    assert_eq!((shown(200, "").len(), shown(200, "").first().unwrap().site.as_str()), (100, "s050"));
    assert_eq!(shown(200, "s050").len(), 99, "it is in the policy now");
    assert_eq!(shown(3_600_000 + 100, "").len(), 50);
}
