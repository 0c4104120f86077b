//! Reports on a stream: packed against what both ends have seen on it.
//!
//! A report says much that was said before (the same proxies are ready) or that the core said itself (the revision
//! that was offered). So each batch is compressed with the batch before, and the manifest that is answered in the same
//! message, as dictionary. Both ends of a stream keep one [`Context`] and see the same batches in the same order.

use std::io;

use prost::Message as _;
use skerry_core::id::Digest;

use super::{CodecError, Frame, compress};
use crate::v1::Reports;

/// The longest batch that is kept as dictionary for the next one: a state and some events. 20,000 streams keep 80 MiB
/// of them if all are that long; most have 200 bytes.
const MAX_KEPT_BYTES: usize = 4 << 10;

/// What reports are called in errors.
const NAME: &str = "reports";

/// What both ends of a stream have seen.
#[derive(Debug, Default)]
pub struct Context {
    before: Vec<u8>,
}

impl Context {
    /// Packs reports; `manifest` is what the same message answers to, if it does.
    ///
    /// # Errors
    /// zstd fails for lack of memory only.
    pub fn pack(&mut self, reports: &Reports, manifest: Option<&[u8]>) -> io::Result<Vec<u8>> {
        let plain = reports.encode_to_vec();
        let packed = compress(&plain, &self.dictionary(manifest))?;
        self.keep(plain);
        Ok(packed)
    }

    /// Unpacks reports.
    ///
    /// # Errors
    /// They were packed against something else, are over the cap of a message, or are no reports.
    pub fn unpack(&mut self, packed: &[u8], manifest: Option<&[u8]>) -> Result<Reports, CodecError> {
        let plain = Frame::REPORTS.decompress(NAME, packed, &self.dictionary(manifest))?;
        let malformed = |error| CodecError::Malformed {
            fragment: NAME.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, error),
        };
        let reports = Reports::decode(&*plain).map_err(malformed)?;
        self.keep(plain);
        Ok(reports)
    }

    fn dictionary(&self, manifest: Option<&[u8]>) -> Vec<u8> {
        let mut dictionary = self.before.clone();
        if let Some(manifest) = manifest {
            dictionary.extend_from_slice(manifest);
            dictionary.extend_from_slice(Digest::of(manifest).as_bytes());
        }
        dictionary
    }

    fn keep(&mut self, plain: Vec<u8>) {
        self.before = if plain.len() <= MAX_KEPT_BYTES { plain } else { Vec::new() };
        self.before.shrink_to_fit();
    }
}
