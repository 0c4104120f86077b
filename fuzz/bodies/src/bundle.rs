//! What an offer carries: the change of a list, and fragments, which a site decodes, verifies and puts together.
//!
//! A digest cannot be guessed, so here the manifest names whatever list comes out. What is verified then is the same by every
//! way that leads to it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use prost::Message as _;
use skerry_core::bundle::{Bundle, Contents, EncodedFragment, FragmentKey, v1};
use skerry_core::id::Digest;
use skerry_core::ledger::encode;
use skerry_core::verify::{verify, verify_after};
use skerry_proto::codec::{Assembly, decode_list, encode_list};
use skerry_proto::v1::{Chunk, FragmentData, Offer};

use crate::Reach;

/// Fragments that are here, by id.
type Known = BTreeMap<Digest, Arc<[u8]>>;

/// What the site has already.
pub static BEFORE: LazyLock<Contents> = LazyLock::new(|| {
    let settings = v1::Settings { outbound_cidr: "127.70.0.0/16".to_owned(), ..v1::Settings::default() };
    let port =
        v1::ServicePort { port: 80, protocol: v1::Protocol::Http.into(), ..v1::ServicePort::default() };
    let service = v1::Service {
        namespace: "shop".to_owned(),
        name: "echo".to_owned(),
        index: 1,
        ports: vec![port],
        ..v1::Service::default()
    };
    let fragments = [EncodedFragment::settings(settings), EncodedFragment::service(service)];
    Contents::new(fragments.map(Arc::new).to_vec())
});

/// Takes an offer's step and verifies where it leads. Taken if that is a bundle.
pub fn body(bytes: &[u8]) -> Reach {
    let Ok(offer) = Offer::decode(bytes) else { return Reach::Refused };
    offer.fragments.iter().for_each(check_chunk);
    let known = |fragments: &[Arc<EncodedFragment>]| -> Known {
        fragments.iter().map(|fragment| (fragment.id, Arc::clone(&fragment.bytes))).collect()
    };
    let delta = offer.list.clone().unwrap_or_default();
    let (base, mut known) = if delta.base.is_empty() {
        (Vec::new(), Known::new())
    } else {
        (BEFORE.list.to_vec(), known(&BEFORE.fragments))
    };
    let base = v1::FragmentList::decode(&*base).expect("it was encoded here");
    let Ok(stepped) = decode_list(&delta, &offer.fragments, &base, |id| known.get(id).cloned()) else {
        return Reach::Refused;
    };
    known.extend(stepped.fragments);
    let list = stepped.list.encode_to_vec();
    let mut manifest = v1::Manifest::decode(&*offer.manifest).unwrap_or_default();
    manifest.list = Digest::of(&list).as_bytes().to_vec();
    let manifest = encode(&manifest).0;
    let Ok(bundle) = verify(&manifest, &list, |id| known.get(id).cloned()) else { return Reach::Refused };
    check_bundle(&bundle, (&manifest, &list), &known);
    Reach::Taken
}

/// A fragment that comes in chunks is what its id says, or nothing.
fn check_chunk(data: &FragmentData) {
    let id = Digest::of(&data.data);
    let chunk = Chunk { id: id.as_bytes().to_vec(), data: data.data.clone(), last: true, ..Chunk::default() };
    for mut assembly in [Assembly::resume(id, Vec::new()), Assembly::resume_list(id, Vec::new())] {
        if let Ok(Some(bytes)) = assembly.accept(&chunk) {
            assert_eq!(Digest::of(&bytes), id);
        }
    }
}

/// A bundle is the same when it is verified after itself, and when it is sent again from nothing and from what was before.
fn check_bundle(bundle: &Bundle, (manifest, list): (&[u8], &[u8]), known: &Known) {
    let again = verify_after(Some(bundle), manifest, list, |_| None);
    assert_eq!(again.as_ref(), Ok(bundle));
    let fragment = |entry: &v1::FragmentRef| {
        let id = Digest::from_slice(&entry.id).expect("it was verified");
        let key = entry.key.strip_prefix("service/").map_or(FragmentKey::Settings, |name| {
            FragmentKey::Service(name.parse().expect("it was verified"))
        });
        Arc::new(EncodedFragment::of_bytes(key, Arc::clone(&known[&id])))
    };
    let fragments: Vec<_> = bundle.list.fragments.iter().map(fragment).collect();
    let contents = Contents::new(fragments);
    assert_eq!(&*contents.list, list);
    let starts = [(None, &[][..]), (Some(&BEFORE.digest), BEFORE.fragments.as_slice())];
    for (base, old) in starts {
        let step = encode_list(base, old, &contents.fragments, usize::MAX);
        let before = Contents::new(old.to_vec());
        let before = v1::FragmentList::decode(&*before.list).expect("it was encoded here");
        let find = |id: &Digest| old.iter().find(|one| one.id == *id).map(|one| Arc::clone(&one.bytes));
        let stepped = decode_list(&step.list, &step.fragments, &before, find);
        assert_eq!(stepped.map(|stepped| stepped.list).ok().as_ref(), Some(&bundle.list));
    }
}
