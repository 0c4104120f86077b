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
        let decoded = decode_fragment("a", &data, base.as_ref().map(|base| &*base.bytes));
        prop_assert_eq!(decoded.unwrap(), fragment.bytes.to_vec());
        prop_assert!(data.data.len() <= fragment.bytes.len());
    }

    #[test]
    fn whatever_comes_is_decoded_or_refused(encoding in 0..4, data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let data = FragmentData { encoding, data };
        let decoded = decode_fragment("a", &data, Some(&[7; 40]));
        prop_assert!(decoded.is_ok_and(|bytes| bytes.len() <= MAX_FRAGMENT_BYTES) || encoding > 0);
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
fn what_was_compressed_against_a_fragment_needs_that_one() {
    let data = encode_fragment(&service(20, 20), Some(&service(20, 10)));
    let error = decode_fragment("service/shop/checkout", &data, None).unwrap_err();
    assert!(matches!(error, CodecError::MissingBase { .. }), "{error}");
}

#[test]
fn a_fragment_of_a_few_bytes_is_sent_as_it_is() {
    assert_eq!(encode_fragment(&of_bytes(b"ab"), None).encoding(), Encoding::Identity);
}

#[test]
fn a_bomb_is_cut_off_at_the_cap() {
    let refused = |bytes: usize| {
        let data = compress_fragment(&vec![0; bytes]).unwrap();
        assert!(data.len() < MAX_FRAGMENT_BYTES, "a bomb is small: {}", data.len());
        decode_fragment("a", &FragmentData { encoding: Encoding::Zstd.into(), data }, None).unwrap_err()
    };

    // The frame asks for a window that is over ours, or gives more bytes than a fragment has.
    let error = refused(300 << 20);
    assert!(matches!(error, CodecError::Malformed { .. } | CodecError::TooLong { .. }), "{error:?}");
    let error = refused(MAX_FRAGMENT_BYTES + 1);
    assert!(matches!(error, CodecError::TooLong { .. }), "{error:?}");
}
