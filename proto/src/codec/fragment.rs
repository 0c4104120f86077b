//! A fragment inside an offer: whole, compressed, or compressed against its predecessor.

use skerry_core::bundle::{EncodedFragment, MAX_FRAGMENT_BYTES};

use super::{CodecError, Frame, compress};
use crate::v1::{Encoding, FragmentData};

/// Encodes a fragment in the shortest way: as it is, as zstd, or as zstd with the fragment that the
/// receiver has under the same key as dictionary.
pub fn encode_fragment(fragment: &EncodedFragment, predecessor: Option<&EncodedFragment>) -> FragmentData {
    let mut shortest = (Encoding::Identity, fragment.bytes.to_vec());
    let ways = [
        (Encoding::Zstd, Some(&[][..])),
        (Encoding::ZstdDictionary, predecessor.map(|predecessor| &*predecessor.bytes)),
    ];
    for (encoding, dictionary) in ways {
        // Compression fails for lack of memory only; then the plain bytes do.
        let Some(Ok(data)) = dictionary.map(|dictionary| compress(&fragment.bytes, dictionary)) else {
            continue;
        };
        if data.len() < shortest.1.len() {
            shortest = (encoding, data);
        }
    }
    let (encoding, data) = shortest;
    FragmentData { encoding: encoding.into(), data }
}

/// Decodes the fragment of a key; `predecessor` is what the receiver has under it. Whether it is the one that was
/// meant, the digest of the list tells.
///
/// # Errors
/// What is no fragment: see [`CodecError`].
pub fn decode_fragment(
    key: &str,
    data: &FragmentData,
    predecessor: Option<&[u8]>,
) -> Result<Vec<u8>, CodecError> {
    let fragment = || key.to_owned();
    if data.data.len() > MAX_FRAGMENT_BYTES {
        return Err(CodecError::TooLong { fragment: fragment() });
    }
    match Encoding::try_from(data.encoding) {
        Ok(Encoding::Identity) => Ok(data.data.clone()),
        Ok(Encoding::Zstd) => Frame::FRAGMENT.decompress(key, &data.data, &[]),
        Ok(Encoding::ZstdDictionary) => {
            let dictionary = predecessor.ok_or_else(|| CodecError::MissingBase { fragment: fragment() })?;
            Frame::FRAGMENT.decompress(key, &data.data, dictionary)
        }
        Err(_) => Err(CodecError::UnknownEncoding { fragment: fragment(), encoding: data.encoding }),
    }
}
