//! Fragments on the wire: compressed against a predecessor or in resumable chunks.
//!
//! Whatever comes in is read through a cap and checked against its id before anybody sees a byte
//! of it. Compression is no part of a fragment's identity.

pub mod chunk;
pub mod fragment;

use std::io::{self, Read};

use skerry_core::bundle::MAX_FRAGMENT_BYTES;
use skerry_core::id::Digest;

pub use chunk::{Assembly, chunk_at, compress_fragment};
pub use fragment::{decode_fragment, encode_fragment};

/// zstd's level. Fragments are a few KiB and each is compressed once for all sites, so bytes on the
/// link count for more than time; above 12 nothing is gained at this size.
const LEVEL: i32 = 12;

/// log2 of the largest window that a frame may ask for: 2 MiB, a fragment and its dictionary.
/// zstd's own limit would let a frame of a few bytes ask for 128 MiB.
const MAX_WINDOW_LOG: u32 = 21;

/// Why bytes from the wire are not the fragment that they claim to be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The id is not 32 bytes.
    #[error("the fragment's id is not a digest: {0}")]
    BadId(skerry_core::id::InvalidId),
    /// A newer peer's encoding.
    #[error("fragment {id}: encoding {encoding} is not known")]
    UnknownEncoding {
        /// The fragment.
        id: Digest,
        /// The number on the wire.
        encoding: i32,
    },
    /// The dictionary is not at hand.
    #[error("fragment {id}: its dictionary, fragment {base}, is not here")]
    MissingBase {
        /// The fragment.
        id: Digest,
        /// The fragment that it is compressed against.
        base: Digest,
    },
    /// More bytes than any fragment has, before or after decompression.
    #[error("fragment {id} is longer than {MAX_FRAGMENT_BYTES} bytes")]
    TooLong {
        /// The fragment.
        id: Digest,
    },
    /// Not zstd, or cut off.
    #[error("fragment {id} does not decompress: {source}")]
    Malformed {
        /// The fragment.
        id: Digest,
        /// What zstd says.
        source: io::Error,
    },
    /// Other content than the id says.
    #[error("fragment {id} has the content of {found}")]
    WrongContent {
        /// The id that was claimed.
        id: Digest,
        /// BLAKE3 of the bytes that came.
        found: Digest,
    },
    /// A chunk of another fragment.
    #[error("fragment {id}: a chunk is of another fragment")]
    OtherFragment {
        /// The fragment that is being put together.
        id: Digest,
    },
    /// A chunk that does not go on where the ones before it end.
    #[error("fragment {id}: a chunk starts at {offset}, {expected} was asked for")]
    Gap {
        /// The fragment.
        id: Digest,
        /// The chunk's offset.
        offset: u64,
        /// The bytes that are there.
        expected: u64,
    },
}

fn digest(bytes: &[u8]) -> Result<Digest, CodecError> {
    Digest::from_slice(bytes).map_err(CodecError::BadId)
}

/// Compresses; a dictionary of raw bytes is one that does not start with zstd's magic number, and
/// no protobuf message does (0x37 would be a field of wire type 7).
fn compress(bytes: &[u8], dictionary: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary)?.compress(bytes)
}

/// Decompresses at most one fragment's worth of bytes and checks the id.
fn decompress(id: Digest, encoded: &[u8], dictionary: &[u8]) -> Result<Vec<u8>, CodecError> {
    let malformed = |source| CodecError::Malformed { id, source };
    let mut reader = zstd::stream::read::Decoder::with_dictionary(encoded, dictionary).map_err(malformed)?;
    reader.window_log_max(MAX_WINDOW_LOG).map_err(malformed)?;
    let mut bytes = Vec::new();
    let cap = MAX_FRAGMENT_BYTES as u64 + 1;
    reader.single_frame().take(cap).read_to_end(&mut bytes).map_err(malformed)?;
    check(id, bytes)
}

/// Checks length and content of a whole fragment.
fn check(id: Digest, bytes: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    if bytes.len() > MAX_FRAGMENT_BYTES {
        return Err(CodecError::TooLong { id });
    }
    let found = Digest::of(&bytes);
    if found == id { Ok(bytes) } else { Err(CodecError::WrongContent { id, found }) }
}
