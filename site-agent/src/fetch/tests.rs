//! From an offer to a candidate: whole, in parts, over a link that breaks, and from a peer that lies.

use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_proto::codec::{chunk_at, compress_fragment, encode_list};
use skerry_proto::v1::Encoding;

use skerry_proto::codec::list::Step;

use super::*;

fn fragment(name: &str, index: u32) -> Arc<EncodedFragment> {
    let name = name.to_owned();
    Arc::new(EncodedFragment::service(v1::Service {
        namespace: "shop".into(),
        name,
        index,
        ..Default::default()
    }))
}

struct Published {
    contents: Contents,
    manifest: v1::Manifest,
}

fn publish(generation: u64, fragments: &[Arc<EncodedFragment>]) -> Published {
    let contents = Contents::new(fragments.to_vec());
    let list = contents.digest.as_bytes().to_vec();
    Published { contents, manifest: v1::Manifest { generation, list, ..Default::default() } }
}

impl Published {
    fn slot(&self) -> Slot {
        Slot { manifest: self.manifest.encode_to_vec(), list: self.contents.list.to_vec() }
    }
    /// An offer with fragments inside, up to so many bytes.
    fn offer(&self, room: usize) -> Offer {
        self.offer_after(None, room)
    }
    fn offer_after(&self, before: Option<&Self>, room: usize) -> Offer {
        let (base, old) = before.map_or((None, &[][..]), |before| {
            (Some(&before.contents.digest), before.contents.fragments.as_slice())
        });
        let Step { list, fragments } = encode_list(base, old, &self.contents.fragments, room);
        Offer {
            manifest: self.manifest.encode_to_vec(),
            list: Some(list),
            fragments,
            number: 1,
            ..Offer::default()
        }
    }
    fn bytes(&self, id: &Digest) -> Option<Arc<[u8]>> {
        self.contents
            .fragments
            .iter()
            .find(|fragment| fragment.id == *id)
            .map(|fragment| fragment.bytes.clone())
    }
}

/// Nothing is here.
const NOTHING: Stock<'_> = Stock { known: &|_| None, part: None };

const NOW: Now = Now::ZERO;

#[test]
fn a_small_offer_is_complete_at_once() {
    let (one, two) = (fragment("a", 1), fragment("b", 2));
    let published = publish(1, &[one, two]);
    let offer = published.offer(usize::MAX);

    let mut fetch = Fetch::begin(&offer, &published.manifest, &[], &NOTHING).unwrap();
    assert!(fetch.is_complete());
    assert_eq!(fetch.poll_need(NOW), None);
    let (slot, fragments) = fetch.into_parts();
    assert_eq!(slot, published.slot());
    assert_eq!(fragments.len(), 2);
}

#[test]
fn a_list_builds_on_a_slot_that_is_here() {
    let (one, two, new) = (fragment("a", 1), fragment("b", 2), fragment("c", 3));
    let before = publish(1, &[one.clone(), two]);
    let after = publish(2, &[one, new]);
    let offer = after.offer_after(Some(&before), usize::MAX);
    let known = |id: &Digest| before.bytes(id);
    let stock = Stock { known: &known, part: None };

    let fetch = Fetch::begin(&offer, &after.manifest, &[&before.slot()], &stock).unwrap();
    assert!(fetch.is_complete());
    assert_eq!(fetch.into_parts().0, after.slot());

    let error = Fetch::begin(&offer, &after.manifest, &[], &stock).unwrap_err();
    assert!(matches!(error, FetchError::UnknownBase(_)), "{error}");
}

#[test]
fn chunks_go_on_after_a_broken_link() {
    let one = fragment(&"n".repeat(300), 1);
    let published = publish(1, std::slice::from_ref(&one));
    let encoded = compress_fragment(&one.bytes).unwrap();
    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], &NOTHING).unwrap();

    assert_eq!(fetch.poll_need(NOW).unwrap().fragments[0].offset, 0);
    assert_eq!(fetch.poll_need(NOW), None);
    fetch.handle_chunk(NOW, &chunk_at(&one.id, &encoded, 0, 5)).unwrap();
    fetch.handle_link_down();
    assert_eq!(fetch.poll_need(NOW).unwrap().fragments[0].offset, 5);
    fetch.handle_chunk(NOW, &chunk_at(&one.id, &encoded, 5, usize::MAX)).unwrap();

    assert!(fetch.is_complete());
    assert_eq!(fetch.into_parts().1, [(one.id, one.bytes.clone())]);
}

#[test]
fn large_fetches_are_staged_in_batches() {
    let fragments: Vec<_> =
        (1..=600).map(|index| fragment(&format!("{index:04}{}", "n".repeat(900)), index)).collect();
    let published = publish(1, &fragments);
    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], &NOTHING).unwrap();
    let (mut needs, mut staged) = (0, 0);
    while let Some(need) = fetch.poll_need(NOW) {
        needs += 1;
        for want in need.fragments {
            let id = Digest::from_slice(&want.id).unwrap();
            let encoded = compress_fragment(&published.bytes(&id).unwrap()).unwrap();
            fetch.handle_chunk(NOW, &chunk_at(&id, &encoded, 0, usize::MAX)).unwrap();
            staged += fetch.poll_batch().map_or(0, |batch| batch.0.len());
        }
    }
    assert!(fetch.is_complete() && needs == 4 && staged > 500, "{needs} {staged}");
    assert_eq!(staged + fetch.into_parts().1.len(), 600);
}

#[test]
fn what_is_altered_is_refused_and_asked_for_again() {
    let one = fragment("a", 1);
    let published = publish(1, std::slice::from_ref(&one));
    let mut wrong = published.offer(usize::MAX);
    wrong.fragments[0].encoding = Encoding::Identity.into();
    wrong.fragments[0].data = b"something else".to_vec();
    let error = Fetch::begin(&wrong, &published.manifest, &[], &NOTHING).unwrap_err();
    assert!(matches!(error, FetchError::Refused(Refusal::WrongList)), "{error}");
    // Where it builds on what is here, that may be at fault: the whole list is asked for first.
    wrong.list = published.offer_after(Some(&published), 0).list;
    let error = Fetch::begin(&wrong, &publish(1, &[]).manifest, &[&published.slot()], &NOTHING).unwrap_err();
    assert!(matches!(error, FetchError::WrongStep), "{error}");

    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], &NOTHING).unwrap();
    fetch.poll_need(NOW).unwrap();
    let other = compress_fragment(b"something else").unwrap();
    assert!(fetch.handle_chunk(NOW, &chunk_at(&one.id, &other, 0, usize::MAX)).is_err());
    fetch.handle_link_down();
    assert_eq!(fetch.poll_need(NOW).unwrap().fragments[0].offset, 0);
}

#[test]
fn a_list_that_the_manifest_does_not_name_is_refused() {
    let published = publish(1, &[fragment("a", 1)]);
    let other = publish(1, &[fragment("b", 1)]);
    let error = Fetch::begin(&other.offer(0), &published.manifest, &[], &NOTHING).unwrap_err();
    assert!(matches!(error, FetchError::Refused(Refusal::WrongList)), "{error}");
}

/// A fragment that does not compress.
fn noise(name: &str, bytes: usize) -> Arc<EncodedFragment> {
    let digest = |at: usize| (Digest::of(format!("{name}{at}").as_bytes()).to_string(), String::new());
    let selector = (0..bytes / 32).map(digest).collect();
    let service = v1::Service { namespace: "shop".into(), name: name.into(), selector, ..Default::default() };
    Arc::new(EncodedFragment::service(service))
}

/// A core that answers wants chunk by chunk, over links that break after so many bytes each; counts them all.
struct Links<'a> {
    published: &'a Published,
    bytes_each: usize,
    sent: usize,
}

impl Links<'_> {
    fn encoded(&self, id: &Digest) -> Vec<u8> {
        let is_list = *id == self.published.contents.digest;
        let bytes =
            if is_list { self.published.contents.list.clone() } else { self.published.bytes(id).unwrap() };
        compress_fragment(&bytes).unwrap()
    }

    /// One link, until it breaks or nothing is wanted any more.
    fn run(&mut self, fetch: &mut Fetch, store: &mut BTreeMap<Digest, Arc<[u8]>>) {
        let end = self.sent + self.bytes_each;
        while let Some(need) = fetch.poll_need(NOW) {
            for want in &need.fragments {
                let id = Digest::from_slice(&want.id).unwrap();
                let (encoded, mut offset) = (self.encoded(&id), want.offset);
                while offset < encoded.len() as u64 {
                    let chunk = chunk_at(&id, &encoded, offset, usize::MAX);
                    offset += chunk.data.len() as u64;
                    self.sent += chunk.data.len();
                    if self.sent > end {
                        return; // it was on its way
                    }
                    if let Taken::List(list) = fetch.handle_chunk(NOW, &chunk).unwrap() {
                        let stock = Stock { known: &|id| store.get(id).cloned(), part: None };
                        fetch.handle_list(list, Vec::new(), &stock).unwrap();
                    }
                    store.extend(fetch.poll_batch().into_iter().flat_map(|batch| batch.0));
                }
            }
        }
    }
}

/// Whatever an agent was killed in the middle of: what was handed to the store is not sent again.
#[test]
fn an_agent_that_is_restarted_after_each_break_ends_with_about_one_transfer() {
    let mut fragments: Vec<_> = (0..40).map(|at| noise(&format!("s{at}"), 2_000)).collect();
    fragments.push(noise("large", 400_000));
    let published = publish(1, &fragments);
    let whole: usize =
        published.contents.fragments.iter().map(|one| compress_fragment(&one.bytes).unwrap().len()).sum();
    let mut links = Links { published: &published, bytes_each: 50_000, sent: 0 };
    let (mut store, mut part) = (BTreeMap::new(), None);
    let offer = Offer { list: None, ..published.offer(0) };
    let mut fetch = Fetch::begin(&offer, &published.manifest, &[], &NOTHING).unwrap();
    let mut lives = 1;
    loop {
        links.run(&mut fetch, &mut store);
        if fetch.is_complete() {
            break;
        }
        // The link breaks, and the agent is restarted before it is back.
        fetch.handle_link_down();
        if let Some((fragments, staged)) = fetch.flush() {
            store.extend(fragments);
            part = staged.or(part);
        }
        let stock = Stock { known: &|id| store.get(id).cloned(), part: part.clone() };
        fetch = Fetch::resume(fetch.slot().clone(), &stock).unwrap();
        lives += 1;
    }
    assert!(lives > 8 && lives < 20, "{lives} lives");
    // One chunk of each link was lost on its way.
    assert!(links.sent < whole + lives * (16 << 10), "{} bytes for {whole}", links.sent);
    assert_eq!(fetch.slot(), &published.slot());
}

#[test]
fn a_long_list_is_asked_for_as_a_fragment_is() {
    let published = publish(1, &[fragment("a", 1)]);
    let offer = Offer { list: None, ..published.offer(0) };
    let mut fetch = Fetch::begin(&offer, &published.manifest, &[], &NOTHING).unwrap();
    assert_eq!((fetch.is_complete(), fetch.list()), (false, None));
    let need = fetch.poll_need(NOW).unwrap();
    assert_eq!(need.fragments[0].id, published.contents.digest.as_bytes());

    let encoded = compress_fragment(&published.contents.list).unwrap();
    let chunk = chunk_at(&published.contents.digest, &encoded, 0, usize::MAX);
    let Taken::List(list) = fetch.handle_chunk(NOW, &chunk).unwrap() else { panic!("the list is whole") };
    assert!(!fetch.is_complete(), "not before the list is taken");
    fetch.handle_list(list, Vec::new(), &NOTHING).unwrap();

    assert_eq!(fetch.list().unwrap().fragments.len(), 1);
    assert_eq!(fetch.poll_need(NOW).unwrap().fragments[0].id, published.contents.fragments[0].id.as_bytes());
}

#[test]
fn a_link_that_carries_nothing_of_what_was_asked_for_has_failed() {
    let one = noise("a", 40_000);
    let published = publish(1, std::slice::from_ref(&one));
    let encoded = compress_fragment(&one.bytes).unwrap();
    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], &NOTHING).unwrap();
    assert_eq!(fetch.poll_timeout(), None);
    fetch.poll_need(NOW).unwrap();
    assert_eq!(fetch.poll_timeout(), Some(STALL));

    let mut chunk =
        |at, offset, bytes| fetch.handle_chunk(at, &chunk_at(&one.id, &encoded, offset, bytes)).unwrap();
    chunk(STALL / 4, 0, 10);
    chunk(STALL / 4, 10, 0);
    assert_eq!(fetch.poll_timeout(), Some(STALL), "next to nothing came");
    let mut chunk =
        |at, offset, bytes| fetch.handle_chunk(at, &chunk_at(&one.id, &encoded, offset, bytes)).unwrap();
    chunk(STALL / 2, 10, LEAST_BYTES - 10);
    assert_eq!(fetch.poll_timeout(), Some(STALL * 3 / 2), "something came");
    fetch.handle_chunk(STALL, &chunk_at(&one.id, &encoded, LEAST_BYTES as u64, 10)).unwrap();
    assert_eq!(fetch.poll_timeout(), Some(STALL * 3 / 2), "it is counted anew");
    fetch.handle_link_down();
    assert_eq!(fetch.poll_timeout(), None);
}

/// A pull brings a part of what was asked for, and the offer again.
#[test]
fn what_a_pull_did_not_bring_is_asked_for_once() {
    let (one, two) = (fragment("a", 1), fragment("b", 2));
    let published = publish(1, &[one.clone(), two.clone()]);
    let whole =
        |one: &EncodedFragment| chunk_at(&one.id, &compress_fragment(&one.bytes).unwrap(), 0, usize::MAX);
    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], &NOTHING).unwrap();
    assert_eq!(fetch.poll_need(NOW).unwrap().fragments.len(), 2);

    fetch.handle_chunk(NOW, &whole(&one)).unwrap();
    assert_eq!(fetch.poll_need(NOW), None, "the other may still come");
    fetch.handle_offer();
    assert_eq!(fetch.poll_need(NOW).unwrap().fragments[0].id, two.id.as_bytes());
    fetch.handle_offer();
    assert_eq!(fetch.poll_need(NOW), None, "it was asked for just now");
}
