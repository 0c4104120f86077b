//! How streams begin: no publication is missed, and strangers leave no trace.

use skerry_core::id::Timestamp;
use skerry_proto::limits::{BOOT_BYTES, MAX_CHUNK_BYTES};
use skerry_proto::v1::sync_response::Message;

use super::*;
use crate::samples::{at, contents, hello, hello_of, nothing, publish, service, site};

fn next(session: &mut Session, published: &Published) -> Option<Message> {
    session.poll_response(published, MAX_CHUNK_BYTES).and_then(|response| response.message)
}

/// The wake of this publication came before the stream was registered.
#[test]
fn what_is_published_while_a_site_says_hello_is_offered() {
    let (published, presence) = (nothing(), Arc::new(Presence::default()));
    let first = contents(&[service("cart", 1, 1)]);
    publish(&published, "s1", 1, Some(&first));
    let hello = hello_of("s1", &first, 1);

    let (mut session, connection) = greet(&hello, Claimant::default(), &published, &presence, at(5)).unwrap();
    assert!(connection.is_some());
    publish(&published, "s1", 2, Some(&contents(&[service("cart", 1, 2)])));

    assert!(matches!(next(&mut session, &published), Some(Message::Current(_))));
    assert!(matches!(next(&mut session, &published), Some(Message::Offer(_))));
}

#[test]
fn a_site_that_nobody_knows_is_told_to_come_back_and_leaves_no_trace() {
    let (published, presence) = (nothing(), Arc::new(Presence::default()));
    for is_compiled in [false, true] {
        if is_compiled {
            publish(&published, "s1", 1, Some(&contents(&[])));
        }

        let (mut session, connection) =
            greet(&hello("stranger"), Claimant::default(), &published, &presence, at(5)).unwrap();

        assert!(connection.is_none());
        assert!(matches!(next(&mut session, &published), Some(Message::RetryAfter(_))));
        assert_eq!(presence.take_seen(), []);
    }
}

#[test]
fn a_known_site_is_registered_for_as_long_as_it_stays() {
    let (published, presence) = (nothing(), Arc::new(Presence::default()));
    publish(&published, "s1", 1, Some(&contents(&[])));

    let greeted = greet(&hello("s1"), Claimant::default(), &published, &presence, at(5)).unwrap();

    assert!(presence.seen(&site("s1"), at(5)).connected);
    drop(greeted);
    assert!(!presence.seen(&site("s1"), at(5)).connected);
    assert_eq!(presence.take_seen(), [(site("s1"), Timestamp(5))]);
}

#[test]
fn an_agent_whose_site_is_another_ones_is_told_why_and_when_to_come_back() {
    let (published, presence) = (nothing(), Arc::new(Presence::default()));
    publish(&published, "s1", 1, Some(&contents(&[])));
    let greet = |hello: &Hello| {
        greet(hello, claimant(hello, None, &published), &published, &presence, at(5)).unwrap()
    };
    let first = greet(&hello("s1"));

    let (mut session, connection) = greet(&Hello { boot: vec![9; BOOT_BYTES], ..hello("s1") });

    assert!(first.1.is_some() && connection.is_none());
    let Some(Message::RetryAfter(retry)) = next(&mut session, &published) else { panic!("it is sent away") };
    assert!(retry.seconds > 0 && retry.reason.contains("two agents claim this site"), "{retry:?}");
}
