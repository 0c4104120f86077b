//! A fragment inside an offer: whole, compressed, or compressed against its predecessor.

use std::sync::Arc;

use skerry_core::bundle::{EncodedFragment, MAX_FRAGMENT_BYTES};
use skerry_core::id::Digest;

use super::{CodecError, check, compress, decompress, digest};
use crate::v1::{Encoding, FragmentData};

/// Encodes a fragment in the shortest way: as it is, as zstd, or as zstd with the fragment that the
/// receiver has under the same key as dictionary.
pub fn encode_fragment(fragment: &EncodedFragment, predecessor: Option<&EncodedFragment>) -> FragmentData {
    let mut shortest = (Encoding::Identity, None, fragment.bytes.to_vec());
    for base in [None, predecessor] {
        let dictionary = base.map_or(&[][..], |base| &base.bytes);
        // Compression fails for lack of memory only; then the plain bytes do.
        let Ok(data) = compress(&fragment.bytes, dictionary) else { continue };
        if wire_length(base, &data) < wire_length(shortest.1, &shortest.2) {
            let encoding = if base.is_some() { Encoding::ZstdDictionary } else { Encoding::Zstd };
            shortest = (encoding, base, data);
        }
    }
    let (encoding, base, data) = shortest;
    FragmentData {
        id: fragment.id.as_bytes().to_vec(),
        encoding: encoding.into(),
        base: base.map(|base| base.id.as_bytes().to_vec()).unwrap_or_default(),
        data,
    }
}

/// Bytes on the wire besides the id: a dictionary costs its own id, 34 bytes.
fn wire_length(base: Option<&EncodedFragment>, data: &[u8]) -> usize {
    data.len() + if base.is_some() { 34 } else { 0 }
}

/// Decodes a fragment and checks it; `lookup` finds the bytes of a fragment that is here already.
///
/// # Errors
/// Whatever is not exactly the fragment of that id: see [`CodecError`].
pub fn decode_fragment(
    data: &FragmentData,
    lookup: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Vec<u8>, CodecError> {
    let id = digest(&data.id)?;
    if data.data.len() > MAX_FRAGMENT_BYTES {
        return Err(CodecError::TooLong { id });
    }
    match Encoding::try_from(data.encoding) {
        Ok(Encoding::Identity) => check(id, data.data.clone()),
        Ok(Encoding::Zstd) => decompress(id, &data.data, &[]),
        Ok(Encoding::ZstdDictionary) => {
            let base = digest(&data.base)?;
            let dictionary = lookup(&base).ok_or(CodecError::MissingBase { id, base })?;
            decompress(id, &data.data, &dictionary)
        }
        Err(_) => Err(CodecError::UnknownEncoding { id, encoding: data.encoding }),
    }
}
