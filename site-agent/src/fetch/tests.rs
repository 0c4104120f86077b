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
        Offer { manifest: self.manifest.encode_to_vec(), list: Some(list), fragments, number: 1 }
    }
    fn bytes(&self, id: &Digest) -> Option<Arc<[u8]>> {
        self.contents
            .fragments
            .iter()
            .find(|fragment| fragment.id == *id)
            .map(|fragment| fragment.bytes.clone())
    }
}

fn nothing(_: &Digest) -> Option<Arc<[u8]>> {
    None
}

#[test]
fn a_small_offer_is_complete_at_once() {
    let (one, two) = (fragment("a", 1), fragment("b", 2));
    let published = publish(1, &[one, two]);
    let offer = published.offer(usize::MAX);

    let mut fetch = Fetch::begin(&offer, &published.manifest, &[], nothing).unwrap();
    assert!(fetch.is_complete());
    assert_eq!(fetch.poll_need(), None);
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

    let fetch = Fetch::begin(&offer, &after.manifest, &[&before.slot()], known).unwrap();
    assert!(fetch.is_complete());
    assert_eq!(fetch.into_parts().0, after.slot());

    let error = Fetch::begin(&offer, &after.manifest, &[], known).unwrap_err();
    assert!(matches!(error, FetchError::UnknownBase(_)), "{error}");
}

#[test]
fn chunks_go_on_after_a_broken_link() {
    let one = fragment(&"n".repeat(300), 1);
    let published = publish(1, std::slice::from_ref(&one));
    let encoded = compress_fragment(&one.bytes).unwrap();
    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], nothing).unwrap();

    assert_eq!(fetch.poll_need().unwrap().fragments[0].offset, 0);
    assert_eq!(fetch.poll_need(), None);
    fetch.handle_chunk(&chunk_at(&one.id, &encoded, 0, 5)).unwrap();
    fetch.handle_link_down();
    assert_eq!(fetch.poll_need().unwrap().fragments[0].offset, 5);
    fetch.handle_chunk(&chunk_at(&one.id, &encoded, 5, usize::MAX)).unwrap();

    assert!(fetch.is_complete());
    assert_eq!(fetch.into_parts().1, [(one.id, one.bytes.clone())]);
}

#[test]
fn large_fetches_are_staged_in_batches() {
    let fragments: Vec<_> =
        (1..=600).map(|index| fragment(&format!("{index:04}{}", "n".repeat(900)), index)).collect();
    let published = publish(1, &fragments);
    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], nothing).unwrap();
    let (mut needs, mut staged) = (0, 0);
    while let Some(need) = fetch.poll_need() {
        needs += 1;
        for want in need.fragments {
            let id = Digest::from_slice(&want.id).unwrap();
            let encoded = compress_fragment(&published.bytes(&id).unwrap()).unwrap();
            fetch.handle_chunk(&chunk_at(&id, &encoded, 0, usize::MAX)).unwrap();
            staged += fetch.poll_batch().map_or(0, |batch| batch.len());
        }
    }
    assert!(fetch.is_complete() && needs == 2 && staged > 500, "{needs} {staged}");
    assert_eq!(staged + fetch.into_parts().1.len(), 600);
}

#[test]
fn what_is_altered_is_refused_and_asked_for_again() {
    let one = fragment("a", 1);
    let published = publish(1, std::slice::from_ref(&one));
    let mut wrong = published.offer(usize::MAX);
    wrong.fragments[0].encoding = Encoding::Identity.into();
    wrong.fragments[0].data = b"something else".to_vec();
    let error = Fetch::begin(&wrong, &published.manifest, &[], nothing).unwrap_err();
    assert!(matches!(error, FetchError::Refused(Refusal::WrongList)), "{error}");
    // Where it builds on what is here, that may be at fault: the whole list is asked for first.
    wrong.list = published.offer_after(Some(&published), 0).list;
    let error = Fetch::begin(&wrong, &publish(1, &[]).manifest, &[&published.slot()], nothing).unwrap_err();
    assert!(matches!(error, FetchError::WrongStep), "{error}");

    let mut fetch = Fetch::begin(&published.offer(0), &published.manifest, &[], nothing).unwrap();
    fetch.poll_need().unwrap();
    let other = compress_fragment(b"something else").unwrap();
    assert!(fetch.handle_chunk(&chunk_at(&one.id, &other, 0, usize::MAX)).is_err());
    fetch.handle_link_down();
    assert_eq!(fetch.poll_need().unwrap().fragments[0].offset, 0);
}

#[test]
fn a_list_that_the_manifest_does_not_name_is_refused() {
    let published = publish(1, &[fragment("a", 1)]);
    let other = publish(1, &[fragment("b", 1)]);
    let error = Fetch::begin(&other.offer(0), &published.manifest, &[], nothing).unwrap_err();
    assert!(matches!(error, FetchError::Refused(Refusal::WrongList)), "{error}");
}
