//! A fragment or a list in chunks: the way for what does not fit into an offer, resumable at any byte.
//!
//! The sender may have been replaced by another version between two chunks; then the parts do not
//! fit together, the check of the whole says so, and the receiver starts that fragment anew.

use std::io;

use skerry_core::id::Digest;

use super::{CodecError, Frame, compress};
use crate::limits::{MAX_CHUNK_BYTES, encoded_bound};
use crate::v1::{Chunk, FragmentWant};

/// Compresses a fragment or list for sending in chunks: zstd without dictionary.
///
/// # Errors
/// zstd fails for lack of memory only.
pub fn compress_fragment(bytes: &[u8]) -> io::Result<Vec<u8>> {
    compress(bytes, &[])
}

/// Cuts the chunk that starts at `offset` out of an encoded form: at most `room` bytes
/// and at most [`MAX_CHUNK_BYTES`]. An offset beyond the end gives an empty last chunk at the end.
pub fn chunk_at(id: &Digest, encoded: &[u8], offset: u64, room: usize) -> Chunk {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(encoded.len());
    let end = start + (encoded.len() - start).min(room).min(MAX_CHUNK_BYTES);
    Chunk {
        id: id.as_bytes().to_vec(),
        offset: start as u64,
        data: encoded[start..end].to_vec(),
        last: end == encoded.len(),
    }
}

/// A fragment or list whose chunks are coming in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    id: Digest,
    encoded: Vec<u8>,
    /// How long it may be when it is decoded.
    frame: Frame,
}

impl Assembly {
    /// Starts with what is there of the encoded form: nothing, or what was kept from a link that broke.
    pub fn resume(id: Digest, encoded: Vec<u8>) -> Self {
        Self { id, encoded, frame: Frame::FRAGMENT }
    }

    /// The same for a fragment list, which may be longer.
    pub fn resume_list(id: Digest, encoded: Vec<u8>) -> Self {
        Self { id, encoded, frame: Frame::LIST }
    }

    /// Returns the encoded bytes that are there, to be kept.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Returns what to ask for.
    pub fn want(&self) -> FragmentWant {
        FragmentWant { id: self.id.as_bytes().to_vec(), offset: self.encoded.len() as u64 }
    }

    /// Takes the next chunk; returns the checked fragment with the last one.
    ///
    /// # Errors
    /// After [`CodecError::OtherFragment`] and [`CodecError::Gap`] all is as before. After any other what
    /// is there is worth nothing, and it is dropped: `want` asks from the start.
    pub fn accept(&mut self, chunk: &Chunk) -> Result<Option<Vec<u8>>, CodecError> {
        if chunk.id != self.id.as_bytes() {
            return Err(CodecError::OtherFragment { id: self.id });
        }
        let expected = self.encoded.len() as u64;
        if chunk.offset != expected {
            return Err(CodecError::Gap { id: self.id, offset: chunk.offset, expected });
        }
        if self.encoded.len() + chunk.data.len() > encoded_bound(self.frame.cap) {
            self.encoded.clear();
            return Err(CodecError::TooLong { fragment: format!("fragment {}", self.id) });
        }
        self.encoded.extend_from_slice(&chunk.data);
        if !chunk.last {
            return Ok(None);
        }
        let decoded = decode_checked(self.id, self.frame, &self.encoded);
        self.encoded.clear();
        decoded.map(Some)
    }
}

fn decode_checked(id: Digest, frame: Frame, encoded: &[u8]) -> Result<Vec<u8>, CodecError> {
    let bytes = frame.decompress(&format!("fragment {id}"), encoded, &[])?;
    let found = Digest::of(&bytes);
    if found == id { Ok(bytes) } else { Err(CodecError::WrongContent { id, found }) }
}
