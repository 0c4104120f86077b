//! What waits for a policy signature is not offered, and what has one is offered with it.

use parking_lot::Mutex;
use skerry_identity::envelope::Signatures;
use skerry_proto::v1::PolicyProof;

use super::*;
use crate::policy::{Asks, Kept};

/// What the board of a test says, and what it was asked.
#[derive(Debug, Clone, Default)]
struct Board {
    signed: Arc<Mutex<Option<Kept>>>,
    asked: Arc<Mutex<Vec<u64>>>,
}

impl Board {
    fn vouch(&self, asks: Asks) -> Vouched {
        self.asked.lock().push(asks.floor);
        self.signed.lock().clone().map_or(Vouched::Missing, Vouched::Signed)
    }

    fn sign(&self, number: u64, commit: u8) {
        let (policy, signatures) = (Digest::of(b"policy"), Signatures::default());
        *self.signed.lock() = Some(Kept { policy, number, commit: [commit; 20], signatures });
    }
}

fn published(board: &Board) -> Published {
    let board = board.clone();
    let published = nothing().vouched_by(move |_, _, asks| board.vouch(asks.unwrap_or_default()));
    publish(&published, "s1", 1, Some(&contents(&[service("cart", 3, 1)])));
    published
}

#[test]
fn what_waits_for_a_signature_is_offered_when_it_comes() {
    let board = Board::default();
    let published = published(&board);
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    assert_eq!(next(&mut session, &published), Some(Message::Current(Current {})), "it has to wait");
    session.handle_published();
    assert_eq!(next(&mut session, &published), None, "and goes on waiting");

    board.sign(5, 7);
    session.handle_published();
    let first = offer(&mut session, &published);
    let expected = PolicyProof { number: 5, commit: vec![7; 20], signatures: Vec::new() };
    assert_eq!(first.policy, Some(expected));
    session.handle_applied(&applied(&first, ""));

    // From then on the site takes no number below, and the next one says so.
    publish(&published, "s1", 2, Some(&contents(&[service("cart", 4, 1)])));
    session.handle_published();
    offer(&mut session, &published);
    assert_eq!(*board.asked.lock(), [0, 0, 0, 5]);
}

#[test]
fn what_is_on_its_way_goes_on_while_the_next_waits() {
    let board = Board::default();
    board.sign(5, 7);
    let published = published(&board);
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    let first = offer(&mut session, &published);
    *board.signed.lock() = None;
    publish(&published, "s1", 2, Some(&contents(&[service("cart", 4, 1)])));
    session.handle_published();
    assert_eq!(next(&mut session, &published), None);
    assert_eq!(session.handle_applied(&applied(&first, "")), Settled::Runs(Digest::of(&first.manifest)));
    assert_eq!(next(&mut session, &published), None);
}

/// The site says by itself what it asks for.
#[test]
fn a_hello_says_what_the_site_asks_for() {
    let board = Board::default();
    let published = published(&board);
    let hello = Hello { requires_policy: true, policy_number: 9, ..hello("s1") };
    Session::handle_hello(&hello, &published).unwrap();
    assert_eq!(*board.asked.lock(), [9]);
}
