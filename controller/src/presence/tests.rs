//! Presence: who is connected, and that a wake is never lost and never piles up.

use futures::FutureExt as _;

use super::*;

fn site() -> SiteId {
    SiteId::new("s1").unwrap()
}

#[test]
fn a_site_is_connected_while_its_stream_lives() {
    let presence = Arc::new(Presence::default());
    assert_eq!(presence.seen(&site()), Seen::default());

    let connection = presence.connect(&site(), Timestamp(5));
    assert_eq!(presence.seen(&site()), Seen { connected: true, last_seen: Timestamp(5) });
    connection.touch(Timestamp(7));
    drop(connection);

    assert_eq!(presence.seen(&site()), Seen { connected: false, last_seen: Timestamp(7) });
}

#[test]
fn a_wake_before_the_stream_looks_is_kept_and_many_are_one() {
    let presence = Arc::new(Presence::default());
    let connection = presence.connect(&site(), Timestamp(5));

    presence.wake(&site());
    presence.wake(&site());

    assert_eq!(connection.woken().now_or_never(), Some(Wake::Published));
    assert_eq!(connection.woken().now_or_never(), None);
}

#[test]
fn the_newest_stream_of_a_site_takes_the_place_of_the_older() {
    let presence = Arc::new(Presence::default());
    let older = presence.connect(&site(), Timestamp(5));
    let newer = presence.connect(&site(), Timestamp(6));

    assert_eq!(older.woken().now_or_never(), Some(Wake::Replaced));
    drop(older);
    assert!(presence.seen(&site()).connected);
    presence.wake(&site());
    assert_eq!(newer.woken().now_or_never(), Some(Wake::Published));
}

#[test]
fn what_was_seen_is_handed_out_once() {
    let presence = Arc::new(Presence::default());
    presence.touch(&site(), Timestamp(5));
    assert_eq!(presence.take_seen(), [(site(), Timestamp(5))]);
    assert_eq!(presence.take_seen(), []);
}
