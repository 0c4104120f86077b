//! The policy digest: names all that decides what a site runs, but for what the core gives by itself.
//!
//! That is the address index of each service, which depends on the order in which a core met them. Whoever compiles the same
//! revision elsewhere has other indexes and the same policy digest, so it can be signed where no core is. Works on bytes and
//! not on what an agent makes of them: a field that this version does not know counts as well.

use std::collections::BTreeSet;

use prost::Message as _;

use crate::bundle::{Contents, v1};
use crate::id::Digest;

/// `Fragment.service` and `Service.index` of bundle.proto.
const SERVICE: u64 = 2;
const INDEX: u64 = 3;

/// Wire types of protobuf; groups are none of ours.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

/// Why fragments have no policy digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDigest {
    /// A fragment is no protobuf message, or has more than one service.
    #[error("fragment `{0}` is not read by this version")]
    Unreadable(String),
    /// Which of the two is reached would be for whoever numbered them to say.
    #[error("fragment `{0}` has the address index of another service")]
    SharedIndex(String),
}

/// Digests the fragments of a site, each with its key, in the order of the list.
///
/// # Errors
/// See [`NoDigest`].
pub fn policy_digest<'a>(
    fragments: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Digest, NoDigest> {
    let (mut list, mut indexes) = (v1::FragmentList::default(), BTreeSet::new());
    for (key, bytes) in fragments {
        let plain = without_index(bytes).ok_or_else(|| NoDigest::Unreadable(key.to_owned()))?;
        if plain.index.is_some_and(|index| !indexes.insert(index)) {
            return Err(NoDigest::SharedIndex(key.to_owned()));
        }
        let id = Digest::of(&plain.bytes).as_bytes().to_vec();
        list.fragments.push(v1::FragmentRef { key: key.to_owned(), id, length: 0 });
    }
    Ok(Digest::of(&list.encode_to_vec()))
}

impl Contents {
    /// Returns the policy digest.
    ///
    /// # Errors
    /// See [`NoDigest`]; what was compiled has one.
    pub fn policy_digest(&self) -> Result<Digest, NoDigest> {
        policy_digest(self.fragments.iter().map(|fragment| (&*fragment.name, &*fragment.bytes)))
    }
}

/// A fragment without the index of its service.
#[derive(Debug, Default)]
struct Plain {
    bytes: Vec<u8>,
    index: Option<u64>,
}

fn without_index(fragment: &[u8]) -> Option<Plain> {
    let mut plain = Plain::default();
    let mut services = 0;
    each_field(fragment, |field| {
        if field.number != SERVICE {
            plain.bytes.extend_from_slice(field.whole);
            return Some(());
        }
        // Two would be merged when they are decoded, and the second one's index would count.
        services += 1;
        let mut service = Vec::with_capacity(field.payload.len());
        each_field(field.payload, |inner| {
            match (inner.number, inner.wire) {
                // As it is decoded: the lower half, and the last one counts.
                (INDEX, VARINT) => plain.index = Some(inner.varint & u64::from(u32::MAX)),
                (INDEX, _) => return None,
                _ => service.extend_from_slice(inner.whole),
            }
            Some(())
        })?;
        put_varint(&mut plain.bytes, SERVICE << 3 | LENGTH);
        put_varint(&mut plain.bytes, u64::try_from(service.len()).ok()?);
        plain.bytes.append(&mut service);
        (services == 1 && field.wire == LENGTH).then_some(())
    })?;
    Some(plain)
}

/// A field as it was written.
#[derive(Clone, Copy)]
struct Field<'a> {
    number: u64,
    wire: u64,
    /// Tag and all.
    whole: &'a [u8],
    /// Of a field with a length.
    payload: &'a [u8],
    /// Of a field that is one.
    varint: u64,
}

/// Calls back for each field of a message; `None` when it is none, or when the callback says so.
fn each_field<'a>(message: &'a [u8], mut take: impl FnMut(Field<'a>) -> Option<()>) -> Option<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let begin = rest;
        let tag = get_varint(&mut rest)?;
        let (mut payload, mut varint) = (&rest[..0], 0);
        match tag & 7 {
            VARINT => varint = get_varint(&mut rest)?,
            FIXED_64 => rest = rest.get(8..)?,
            FIXED_32 => rest = rest.get(4..)?,
            LENGTH => {
                let length = usize::try_from(get_varint(&mut rest)?).ok()?;
                payload = rest.get(..length)?;
                rest = &rest[length..];
            }
            _ => return None,
        }
        let whole = &begin[..begin.len() - rest.len()];
        take(Field { number: tag >> 3, wire: tag & 7, whole, payload, varint })?;
    }
    Some(())
}

fn get_varint(rest: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(rest).ok()
}

fn put_varint(bytes: &mut Vec<u8>, value: u64) {
    prost::encoding::encode_varint(value, bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bundle::EncodedFragment;

    fn service(name: &str, index: u32) -> v1::Service {
        let ports = vec![v1::ServicePort { port: 80, ..Default::default() }];
        v1::Service { namespace: "shop".into(), name: name.into(), index, ports, ..Default::default() }
    }

    fn digest(services: &[v1::Service]) -> Result<Digest, NoDigest> {
        let fragments: Vec<_> = services.iter().cloned().map(EncodedFragment::service).collect();
        Contents::new(fragments.into_iter().map(Into::into).collect()).policy_digest()
    }

    #[test]
    fn the_index_of_a_service_is_the_core_s_own_and_everything_else_counts() {
        let own = digest(&[service("a", 1), service("b", 2)]).unwrap();
        assert_eq!(own, digest(&[service("a", 300), service("b", 70_000)]).unwrap());
        let others = [
            vec![service("a", 1)],
            vec![service("a", 1), service("c", 2)],
            vec![service("a", 1), v1::Service { cluster_ip: "10.0.0.1".into(), ..service("b", 2) }],
            vec![service("a", 1), v1::Service { ports: Vec::new(), ..service("b", 2) }],
        ];
        for other in others {
            assert_ne!(own, digest(&other).unwrap(), "{other:?}");
        }
        let (one, other) = (EncodedFragment::service(service("a", 1)), v1::Settings::default());
        let keys = |first, second| policy_digest([(first, &*one.bytes), (second, &[][..])]);
        assert_ne!(keys("service/shop/a", "settings"), keys("service/shop/b", "settings"));
        assert!(keys("service/shop/a", "settings").is_ok(), "{other:?}");
    }

    #[test]
    fn two_services_never_share_an_index() {
        let shared = digest(&[service("a", 4), service("b", 4)]).unwrap_err();
        assert_eq!(shared, NoDigest::SharedIndex("service/shop/b".to_owned()));
        let raw = |index: &[u8]| [&[0x12, u8::try_from(index.len() + 1).unwrap(), 0x18][..], index].concat();
        let (plain, long) = (raw(&[4]), raw(&[0x84, 0x80, 0x80, 0x80, 0x10]));
        let service = |bytes: &[u8]| v1::Fragment::decode(bytes).unwrap();
        assert_eq!(service(&plain), service(&long), "written in another way");
        assert!(policy_digest([("a", &*plain), ("b", &*long)]).is_err());
    }

    /// What an older agent would pass over is signed all the same.
    #[test]
    fn a_field_that_is_not_known_counts() {
        let known = EncodedFragment::service(service("a", 1)).bytes.to_vec();
        let with = |extra: &[u8]| {
            let inner = [&known[2..], extra].concat();
            [&[known[0], u8::try_from(inner.len()).unwrap()][..], &inner].concat()
        };
        let digest = |bytes: &[u8]| policy_digest([("service/shop/a", bytes)]);
        assert_eq!(digest(&with(&[])), digest(&known));
        // Field 100, a varint; the same at the fragment itself; the index once more.
        assert_ne!(digest(&with(&[0xa0, 0x06, 1])).unwrap(), digest(&known).unwrap());
        assert_ne!(digest(&[&known[..], &[0xa0, 0x06, 1]].concat()).unwrap(), digest(&known).unwrap());
        assert_eq!(digest(&with(&[0x18, 9])).unwrap(), digest(&known).unwrap());
        let unreadable = [
            with(&[0x1a, 1, 7]),
            [known.clone(), known.clone()].concat(),
            with(&[0x0b]),
            known[..known.len() - 1].to_vec(),
            vec![0x10, 1],
        ];
        for bytes in unreadable {
            assert!(digest(&bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = policy_digest([("settings", &*bytes)]);
        }
    }
}
