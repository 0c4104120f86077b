//! The session: each rule once, then a model of an agent against any order of events.

use std::sync::Arc;

use skerry_core::bundle::v1::Manifest;
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_proto::codec::Assembly;
use skerry_proto::limits::{MAX_CHUNK_BYTES, MAX_INLINE_BYTES};
use skerry_proto::v1::{Encoding, FragmentWant, ListEntry};

use super::*;
use crate::samples::{contents, hello, hello_of, noise, nothing, publish, restored, row, service, site};

mod model;
mod pull;
mod vouched;

fn next(session: &mut Session, published: &Published) -> Option<Message> {
    session.poll_response(published, MAX_CHUNK_BYTES).and_then(|response| response.message)
}

fn offer(session: &mut Session, published: &Published) -> Offer {
    match next(session, published) {
        Some(Message::Offer(offer)) => offer,
        other => panic!("an offer is due, not {other:?}"),
    }
}

fn generation(offer: &Offer) -> u64 {
    prost::Message::decode(&*offer.manifest).map(|manifest: Manifest| manifest.generation).unwrap()
}

fn applied(offer: &Offer, refused: &str) -> Applied {
    Applied { offer: offer.number, refused: refused.to_owned() }
}

fn need(fragments: &[(&EncodedFragment, u64)]) -> Need {
    let want = |(fragment, offset): &(&EncodedFragment, u64)| FragmentWant {
        id: fragment.id.as_bytes().to_vec(),
        offset: *offset,
    };
    Need { fragments: fragments.iter().map(want).collect() }
}

/// One site with one small service.
fn small() -> (Published, Arc<Contents>) {
    let (published, contents) = (nothing(), contents(&[service("cart", 3, 1)]));
    publish(&published, "s1", 1, Some(&contents));
    (published, contents)
}

#[test]
fn a_new_site_gets_everything_in_one_offer() {
    let (published, contents) = small();
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();

    let offer = offer(&mut session, &published);

    assert_eq!(offer.list.as_ref().unwrap().base, Vec::<u8>::new());
    assert_eq!(offer.list.as_ref().unwrap().upserts.len(), 1);
    assert_eq!(offer.list.as_ref().unwrap().upserts[0].key, *contents.fragments[0].name);
    assert_eq!(offer.fragments.len(), 1);
    assert_eq!(session.handle_applied(&applied(&offer, "")), Settled::Runs(Digest::of(&offer.manifest)));
    assert_eq!(next(&mut session, &published), None);
}

#[test]
fn a_site_that_runs_the_newest_is_told_so() {
    let (published, contents) = small();
    let hello = hello_of("s1", &contents, 1);

    let mut session = Session::handle_hello(&hello, &published).unwrap();

    assert_eq!(next(&mut session, &published), Some(Message::Current(Current {})));
    assert_eq!(next(&mut session, &published), None);
    assert!(!session.is_over());
}

#[test]
fn one_changed_fragment_is_one_message_with_a_delta_inside() {
    let old = contents(&[service("cart", 30, 1), service("web", 30, 1)]);
    let new = contents(&[service("cart", 30, 2), service("web", 30, 1)]);
    let published = nothing();
    publish(&published, "s1", 1, Some(&old));
    let mut session = Session::handle_hello(&hello_of("s1", &old, 1), &published).unwrap();
    next(&mut session, &published);

    publish(&published, "s1", 2, Some(&new));
    session.handle_published();
    let offer = offer(&mut session, &published);

    let list = offer.list.as_ref().unwrap();
    assert_eq!(list.base, old.digest.prefix().as_bytes());
    assert_eq!(
        (list.upserts.as_slice(), list.removals.len()),
        (&[ListEntry { place: 1, ..ListEntry::default() }][..], 0)
    );
    let [data] = offer.fragments.as_slice() else { panic!("one fragment is new: {offer:?}") };
    assert_eq!(data.encoding(), Encoding::ZstdDictionary);
    let bytes = prost::Message::encoded_len(&offer);
    assert!(bytes < 200, "{bytes} bytes for one changed route");
}

#[test]
fn a_removed_fragment_is_named() {
    let (cart, web) = (service("cart", 3, 1), service("web", 3, 1));
    let (old, new) = (contents(&[cart.clone(), web]), contents(&[cart]));
    let published = nothing();
    publish(&published, "s1", 1, Some(&old));
    publish(&published, "s1", 2, Some(&new));

    let mut session = Session::handle_hello(&hello_of("s1", &old, 1), &published).unwrap();

    let offer = offer(&mut session, &published);
    assert_eq!(offer.list.unwrap().removals, ["service/shop/web"]);
    assert_eq!(offer.fragments, []);
}

#[test]
fn a_list_that_is_forgotten_means_the_whole_list_and_no_fragment() {
    let (published, _) = small();
    let forgotten = contents(&[service("cart", 9, 9)]);

    let mut session = Session::handle_hello(&hello_of("s1", &forgotten, 0), &published).unwrap();

    let offer = offer(&mut session, &published);
    assert_eq!((offer.list.unwrap().base.len(), offer.fragments.len()), (0, 0));
}

#[test]
fn a_site_that_nobody_knows_is_told_when_to_come_back_and_why() {
    let (published, _) = small();

    let mut session = Session::handle_hello(&hello("s9"), &published).unwrap();

    let reason = "site s9 is not in the policy repository".to_owned();
    let retry = RetryAfter { seconds: UNKNOWN_SITE_RETRY, reason };
    assert_eq!(next(&mut session, &published), Some(Message::RetryAfter(retry)));
    assert!(session.is_over());
}

#[test]
fn a_site_that_is_taken_away_is_told_so() {
    let (published, contents) = small();
    let mut session = Session::handle_hello(&hello_of("s1", &contents, 1), &published).unwrap();
    next(&mut session, &published);

    publish(&published, "s1", 2, None);
    session.handle_published();

    assert!(matches!(next(&mut session, &published), Some(Message::RetryAfter(_))));
}

#[test]
fn a_core_that_just_started_knows_who_is_current() {
    let contents = contents(&[service("cart", 3, 1)]);
    let published = restored(1, crate::samples::rows([(site("s1"), row(&contents, 1))]));

    let mut current = Session::handle_hello(&hello_of("s1", &contents, 1), &published).unwrap();
    let mut behind = Session::handle_hello(&hello("s1"), &published).unwrap();
    let mut unknown = Session::handle_hello(&hello("s9"), &published).unwrap();

    assert!(matches!(next(&mut current, &published), Some(Message::Current(_))));
    for session in [&mut behind, &mut unknown] {
        let Some(Message::RetryAfter(retry)) = next(session, &published) else { panic!("no retry") };
        assert_eq!(retry.seconds, STARTING_RETRY);
    }
}

#[test]
fn what_does_not_fit_is_asked_for_and_comes_in_chunks_from_any_offset() {
    let large = noise("cart", 600_000);
    let (published, offered) = (nothing(), contents(std::slice::from_ref(&large)));
    publish(&published, "s1", 1, Some(&offered));
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    assert_eq!(offer(&mut session, &published).fragments, []);
    let encoded = published.encoded(&large);

    session.handle_need(&need(&[(&large, 1_000)])).unwrap();

    let mut received = encoded[..1_000].to_vec();
    while let Some(Message::Chunk(chunk)) = next(&mut session, &published) {
        assert!(chunk.data.len() <= MAX_CHUNK_BYTES);
        assert_eq!(chunk.offset, received.len() as u64);
        received.extend(&chunk.data);
        assert_eq!(chunk.last, received.len() == encoded.len());
    }
    assert_eq!(received, &encoded[..]);
}

/// A list that is longer than 16 KiB, of small fragments.
fn long() -> Arc<Contents> {
    contents(&(0..500).map(|at| service(&format!("a-service-with-a-name-{at:03}"), 1, 1)).collect::<Vec<_>>())
}

#[test]
fn a_list_that_is_too_long_for_an_offer_is_asked_for_as_a_fragment_is() {
    let (published, offered) = (nothing(), long());
    assert!(offered.list.len() > MAX_INLINE_BYTES);
    publish(&published, "s1", 1, Some(&offered));
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    assert!(session.is_starting_anew());
    let offer = offer(&mut session, &published);
    assert_eq!((offer.list, offer.fragments.len()), (None, 0));

    let list = FragmentWant { id: offered.digest.as_bytes().to_vec(), offset: 0 };
    session.handle_need(&Need { fragments: vec![list] }).unwrap();
    let mut assembly = Assembly::resume_list(offered.digest, Vec::new());
    let mut whole = None;
    while let Some(Message::Chunk(chunk)) = next(&mut session, &published) {
        whole = assembly.accept(&chunk).unwrap();
    }

    assert_eq!(whole.unwrap(), &*offered.list);
    session.handle_need(&need(&[(&offered.fragments[0], 0)])).unwrap();
    assert!(matches!(next(&mut session, &published), Some(Message::Chunk(_))), "fragments as before");
}

/// A site whose link broke in the middle of a fetch.
#[test]
fn what_a_site_is_fetching_already_is_offered_by_its_manifest_alone() {
    let (published, contents) = small();
    let row = published.entry(&site("s1")).unwrap().row;
    let (manifest, digest) = published.manifest(&site("s1"), &row);
    let pending = |digest: Digest| Hello { pending: digest.prefix().as_bytes().to_vec(), ..hello("s1") };

    let mut session = Session::handle_hello(&pending(digest), &published).unwrap();
    let named = offer(&mut session, &published);
    assert_eq!(named, Offer { manifest, number: 1, ..Offer::default() });
    session.handle_need(&need(&[(&contents.fragments[0], 0)])).unwrap();
    assert!(matches!(next(&mut session, &published), Some(Message::Chunk(_))));

    let mut session = Session::handle_hello(&pending(Digest::of(b"an older one")), &published).unwrap();
    let whole = offer(&mut session, &published);
    assert!(whole.list.is_some() && whole.fragments.len() == 1, "another one is offered as ever");
}

/// Invariant 9: a request names a fragment as often as it likes; it is sent once.
#[test]
fn invariant_9_a_fragment_that_is_asked_for_twice_is_sent_once() {
    let (published, contents) = small();
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    offer(&mut session, &published);

    let fragment = &*contents.fragments[0];
    session.handle_need(&need(&[(fragment, 0); 50])).unwrap();

    let Some(Message::Chunk(chunk)) = next(&mut session, &published) else { panic!("a chunk is due") };
    assert!(chunk.last);
    assert_eq!(next(&mut session, &published), None);
}

#[test]
fn chunks_are_as_long_as_there_is_room_for() {
    let large = noise("cart", 40_000);
    let (published, offered) = (nothing(), contents(std::slice::from_ref(&large)));
    publish(&published, "s1", 1, Some(&offered));
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    assert!(session.is_starting_anew() && session.is_offering());
    offer(&mut session, &published);
    session.handle_need(&need(&[(&large, 0)])).unwrap();

    let response = session.poll_response(&published, 5_000).and_then(|response| response.message);

    let Some(Message::Chunk(chunk)) = response else { panic!("a chunk is due") };
    assert_eq!((chunk.data.len(), chunk.last), (5_000, false));
}

#[test]
fn fragments_fill_an_offer_up_to_the_cap() {
    let fragments: Vec<_> = (0..40).map(|number| noise(&format!("s{number:02}"), 1_500)).collect();
    let (published, offered) = (nothing(), contents(&fragments));
    publish(&published, "s1", 1, Some(&offered));

    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();

    let offer = offer(&mut session, &published);
    let bytes: usize = offer.fragments.iter().map(|data| data.data.len()).sum();
    assert!(bytes <= MAX_INLINE_BYTES && bytes > MAX_INLINE_BYTES / 2, "{bytes}");
}

#[test]
fn what_is_published_while_an_offer_is_out_is_looked_up_once_when_it_is_settled() {
    let (published, _) = small();
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    let first = offer(&mut session, &published);

    for generation in 2..=5_u32 {
        publish(&published, "s1", generation.into(), Some(&contents(&[service("cart", 3, generation)])));
        session.handle_published();
        assert_eq!(next(&mut session, &published), None);
    }
    session.handle_applied(&applied(&first, ""));

    let newest = offer(&mut session, &published);
    assert_eq!((generation(&newest), newest.list.unwrap().base.len()), (5, 8));
}

#[test]
fn a_newer_offer_takes_the_place_of_one_that_is_still_being_fetched() {
    let large = noise("cart", 600_000);
    let published = nothing();
    publish(&published, "s1", 1, Some(&contents(std::slice::from_ref(&large))));
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    let first = offer(&mut session, &published);
    session.handle_need(&need(&[(&large, 0)])).unwrap();
    assert!(matches!(next(&mut session, &published), Some(Message::Chunk(_))));

    publish(&published, "s1", 2, Some(&contents(&[service("cart", 3, 2)])));
    session.handle_published();

    let second = offer(&mut session, &published);
    assert_eq!(generation(&second), 2);
    assert_eq!(session.handle_applied(&applied(&first, "")), Settled::Stray);
    assert_eq!(next(&mut session, &published), None);
}

#[test]
fn what_a_site_refused_is_not_offered_again_but_what_comes_after_is() {
    let (published, _) = small();
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    let first = offer(&mut session, &published);

    let settled = session.handle_applied(&applied(&first, "Envoy said no"));
    assert_eq!(settled, Settled::Refused(Digest::of(&first.manifest), "Envoy said no".to_owned()));
    session.handle_published();
    assert_eq!(next(&mut session, &published), None);

    publish(&published, "s1", 2, Some(&contents(&[service("cart", 3, 2)])));
    session.handle_published();
    assert_eq!(generation(&offer(&mut session, &published)), 2);
}

#[test]
fn fragments_that_are_not_part_of_the_offer_are_passed_over() {
    let (published, contents) = small();
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    offer(&mut session, &published);

    let stranger = service("stranger", 1, 1);
    session.handle_need(&need(&[(&stranger, 0), (&contents.fragments[0], 0)])).unwrap();

    let Some(Message::Chunk(chunk)) = next(&mut session, &published) else { panic!("a chunk is due") };
    assert_eq!((chunk.id, chunk.last), (contents.fragments[0].id.as_bytes().to_vec(), true));
    assert_eq!(next(&mut session, &published), None);
}

#[test]
fn agents_that_cannot_be_served_are_told_why() {
    let (published, _) = small();
    let refuse = |change: fn(&mut Hello)| {
        let mut hello = hello("s1");
        change(&mut hello);
        Session::handle_hello(&hello, &published).unwrap_err().to_string()
    };
    for (change, words) in [
        ((|hello| hello.protocol = 0) as fn(&mut Hello), "speaks protocol 0"),
        (|hello| hello.schema = 0, "up to schema 0"),
        (|hello| hello.boot.clear(), "`boot` has 0 bytes"),
        (|hello| hello.site = "Site_1".to_owned(), "`Site_1` is not a site name"),
        (|hello| hello.manifest = vec![1], "is not a start of a digest"),
        (|hello| hello.list = vec![1; 32], "is not a start of a digest"),
        (|hello| hello.pending = vec![1; 31], "is not a start of a digest"),
    ] {
        let message = refuse(change);
        assert!(message.contains(words), "{message}");
    }
    let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
    let wants = vec![FragmentWant::default(); MAX_WANTS + 1];
    assert_eq!(
        session.handle_need(&Need { fragments: wants }),
        Err(Refusal::TooManyWants { wants: MAX_WANTS + 1 })
    );
}
