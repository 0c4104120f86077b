//! Reports on a stream: packed against what both ends have seen on it.
//!
//! A report says much that was said before (the same proxies are ready) or that the core said itself (the revision
//! that was offered). So each batch is compressed with the batch before, and the manifest that is answered in the same
//! message, as dictionary. Both ends of a stream keep one [`Context`] and see the same batches in the same order.

use std::io;

use prost::{DecodeError, Message};
use skerry_core::id::Digest;

use super::{CodecError, Frame, compress};
use crate::v1::{Report, Reports};

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
    /// See [`UnpackError`].
    pub fn unpack(&mut self, packed: &[u8], manifest: Option<&[u8]>) -> Result<Reports, UnpackError> {
        let plain = Frame::REPORTS.decompress(NAME, packed, &self.dictionary(manifest))?;
        let reports = Reports::decode(&*plain).map_err(|error| to_error(&plain, error))?;
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

/// Why a batch was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It was packed against something else, is over the cap of a message, or is no batch: that says nothing of a report.
    #[error(transparent)]
    Batch(#[from] CodecError),
    /// One of the reports is none.
    #[error("report {seq} cannot be read: {source}")]
    Report {
        /// Its number; that of the first report of the batch when its own cannot be told.
        seq: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// A [`Reports`] of which no report was looked at.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bytes = "vec", repeated, tag = "2")]
    reports: Vec<Vec<u8>>,
}

/// As much of a [`Report`] as is needed to name it.
#[derive(Clone, PartialEq, Message)]
struct Numbered {
    #[prost(uint64, tag = "1")]
    seq: u64,
}

/// Finds the report that is why a batch does not decode.
fn to_error(plain: &[u8], error: DecodeError) -> UnpackError {
    let reports = Envelope::decode(plain).map(|envelope| envelope.reports).unwrap_or_default();
    let broken = reports.iter().find_map(|report| Some((number(report), Report::decode(&**report).err()?)));
    match (broken, reports.first().map(|first| number(first))) {
        (Some((seq, source)), Some(first)) if seq.max(first) > 0 => {
            UnpackError::Report { seq: if seq > 0 { seq } else { first }, source }
        }
        _ => {
            let source = io::Error::new(io::ErrorKind::InvalidData, error);
            UnpackError::Batch(CodecError::Malformed { fragment: NAME.to_owned(), source })
        }
    }
}

/// The number of a report as far as that can be read; 0 if it cannot.
fn number(report: &[u8]) -> u64 {
    let mut numbered = Numbered::default();
    // What was read before the error stays.
    numbered.merge(report).ok();
    numbered.seq
}
