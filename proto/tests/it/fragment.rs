//! `encode_fragment` and `decode_fragment`: round trips, sizes, and bytes that lie.

use proptest::prelude::*;
use skerry_core::bundle::MAX_FRAGMENT_BYTES;
use skerry_proto::codec::{CodecError, compress_fragment, decode_fragment, encode_fragment};
use skerry_proto::v1::{Encoding, FragmentData};

use crate::samples::{any_fragment, of_bytes, service};

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same_bytes(fragment in any_fragment(), base in proptest::option::of(any_fragment())) {
        let data = encode_fragment(&fragment, base.as_ref());
        let lookup = |id: &_| base.as_ref().filter(|base| base.id == *id).map(|base| base.bytes.clone());
        prop_assert_eq!(decode_fragment(&data, lookup).unwrap(), fragment.bytes.to_vec());
        prop_assert!(data.data.len() <= fragment.bytes.len());
    }

    #[test]
    fn bytes_of_anything_never_pass_for_a_fragment(id in any::<[u8; 32]>(), encoding in 0..4, data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let data = FragmentData { id: id.to_vec(), encoding, base: id.to_vec(), data };
        prop_assert!(decode_fragment(&data, |_| Some([7; 40].into())).is_err());
    }
}

#[test]
fn one_changed_weight_takes_few_bytes_against_the_predecessor() {
    let (before, after) = (service(20, 10), service(20, 20));

    let data = encode_fragment(&after, Some(&before));

    assert_eq!(data.encoding(), Encoding::ZstdDictionary);
    assert!(data.data.len() < after.bytes.len() / 8, "{} of {}", data.data.len(), after.bytes.len());
}

#[test]
fn a_fragment_of_a_few_bytes_is_sent_as_it_is() {
    assert_eq!(encode_fragment(&of_bytes(b"ab"), None).encoding(), Encoding::Identity);
}

#[test]
fn a_bomb_is_cut_off_at_the_cap() {
    let bomb = vec![0; 300 << 20];
    let data = compress_fragment(&bomb).unwrap();
    assert!(data.len() < MAX_FRAGMENT_BYTES, "a bomb is small: {}", data.len());
    let id = skerry_core::id::Digest::of(&bomb).as_bytes().to_vec();

    // The frame asks for a window that is over ours, or gives more bytes than a fragment has.
    let mut error = decode_fragment(
        &FragmentData { id: id.clone(), encoding: Encoding::Zstd.into(), base: vec![], data },
        |_| None,
    );
    assert!(matches!(error, Err(CodecError::Malformed { .. } | CodecError::TooLong { .. })), "{error:?}");

    let data = compress_fragment(&vec![0; MAX_FRAGMENT_BYTES + 1]).unwrap();
    error =
        decode_fragment(&FragmentData { id, encoding: Encoding::Zstd.into(), base: vec![], data }, |_| None);
    assert!(matches!(error, Err(CodecError::TooLong { .. })), "{error:?}");
}

#[test]
fn the_longest_fragment_passes_in_every_encoding() {
    let noise: Vec<u8> = (0..MAX_FRAGMENT_BYTES as u64 / 32)
        .flat_map(|number| *skerry_core::id::Digest::of(&number.to_le_bytes()).as_bytes())
        .collect();
    let (fragment, mut changed) = (of_bytes(&noise), noise.clone());
    changed[500_000] ^= 1;

    let plain = encode_fragment(&fragment, None);
    assert_eq!(plain.encoding(), Encoding::Identity);
    assert_eq!(decode_fragment(&plain, |_| None).unwrap(), noise);

    let delta = encode_fragment(&of_bytes(&changed), Some(&fragment));
    assert_eq!(delta.encoding(), Encoding::ZstdDictionary);
    assert_eq!(decode_fragment(&delta, |_| Some(fragment.bytes.clone())).unwrap(), changed);
}

#[test]
fn each_lie_has_its_own_error() {
    let (before, after) = (service(20, 10), service(20, 20));
    let good = encode_fragment(&after, Some(&before));
    let lookup = |_: &_| Some(before.bytes.clone());
    let with = |change: fn(&mut FragmentData)| {
        let mut data = good.clone();
        change(&mut data);
        decode_fragment(&data, lookup)
    };

    assert!(matches!(with(|data| data.id.truncate(5)), Err(CodecError::BadId(_))));
    assert!(matches!(with(|data| data.base.clear()), Err(CodecError::BadId(_))));
    assert!(matches!(with(|data| data.encoding = 9), Err(CodecError::UnknownEncoding { encoding: 9, .. })));
    assert!(matches!(with(|data| data.encoding = 0), Err(CodecError::WrongContent { .. })));
    assert!(matches!(with(|data| data.data.truncate(9)), Err(CodecError::Malformed { .. })));
    assert!(matches!(
        with(|data| data.data = vec![0; MAX_FRAGMENT_BYTES + 1]),
        Err(CodecError::TooLong { .. })
    ));
    assert!(matches!(decode_fragment(&good, |_| None), Err(CodecError::MissingBase { .. })));
    assert!(decode_fragment(&good, |_| Some(b"another dictionary of a few bytes"[..].into())).is_err());
}
