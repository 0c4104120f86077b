//! Fragments, lists and reports on the wire: compressed against what the other end has, or in resumable chunks.
//!
//! Whatever comes in is read through a cap. Compression is no part of a fragment's identity.

pub mod chunk;
pub mod fragment;
pub mod list;
pub mod reports;

use std::io::{self, Read};

use skerry_core::bundle::MAX_FRAGMENT_BYTES;
use skerry_core::id::Digest;

use crate::limits::{MAX_LIST_BYTES, MAX_MESSAGE_BYTES};

pub use chunk::{Assembly, chunk_at, compress_fragment};
pub use fragment::{decode_fragment, encode_fragment};
pub use list::{decode_list, encode_list};

/// zstd's level. Fragments are a few KiB and each is compressed once for all sites, so bytes on the
/// link count for more than time; above 12 nothing is gained at this size.
const LEVEL: i32 = 12;

/// What every zstd frame starts with (RFC 8878 §3.1.1). Not sent: both ends know what they have.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why bytes from the wire are not what they claim to be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A newer peer's encoding.
    #[error("fragment {fragment}: encoding {encoding} is not known")]
    UnknownEncoding {
        /// The fragment.
        fragment: String,
        /// The number on the wire.
        encoding: i32,
    },
    /// The dictionary is not at hand.
    #[error("fragment {fragment}: the one that it is compressed against is not here")]
    MissingBase {
        /// The fragment.
        fragment: String,
    },
    /// An entry has neither an id nor contents.
    #[error("fragment {fragment}: it is neither named nor sent")]
    MissingData {
        /// The fragment.
        fragment: String,
    },
    /// An entry replaces one that is not there.
    #[error("the list to start from has no entry {place}")]
    NoSuchPlace {
        /// The place, from 1.
        place: u32,
    },
    /// More bytes than there may be, before or after decompression.
    #[error("{fragment} is longer than it may be")]
    TooLong {
        /// The fragment.
        fragment: String,
    },
    /// Not zstd, or cut off.
    #[error("{fragment} does not decompress: {source}")]
    Malformed {
        /// The fragment.
        fragment: String,
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

/// Compresses; a dictionary of raw bytes is one that does not start with zstd's magic number, and
/// no protobuf message does (0x37 would be a field of wire type 7).
fn compress(bytes: &[u8], dictionary: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary)?.compress(bytes)?;
    frame.drain(..MAGIC.len());
    Ok(frame)
}

/// How much a frame may ask for and give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// The most bytes that it may hold.
    cap: usize,
    /// log2 of the largest window that it may ask for; zstd's own limit would let a frame of a few bytes ask for
    /// 128 MiB.
    window_log: u32,
}

impl Frame {
    /// A list.
    const LIST: Self = Self { cap: MAX_LIST_BYTES, window_log: 21 };
    /// A fragment with its dictionary: 2 MiB.
    const FRAGMENT: Self = Self { cap: MAX_FRAGMENT_BYTES, window_log: 21 };
    /// A message.
    const REPORTS: Self = Self { cap: MAX_MESSAGE_BYTES, window_log: 22 };

    /// Decompresses; `name` is for errors.
    fn decompress(self, name: &str, encoded: &[u8], dictionary: &[u8]) -> Result<Vec<u8>, CodecError> {
        let malformed = |source| CodecError::Malformed { fragment: name.to_owned(), source };
        let frame = MAGIC.chain(encoded);
        let mut reader =
            zstd::stream::read::Decoder::with_dictionary(frame, dictionary).map_err(malformed)?;
        reader.window_log_max(self.window_log).map_err(malformed)?;
        let mut bytes = Vec::new();
        reader.single_frame().take(self.cap as u64 + 1).read_to_end(&mut bytes).map_err(malformed)?;
        if bytes.len() > self.cap {
            return Err(CodecError::TooLong { fragment: name.to_owned() });
        }
        Ok(bytes)
    }
}
