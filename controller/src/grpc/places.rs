//! Places that admission gave, given back when they are dropped.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::admission::{Admission, Limits, Verdict};

/// Admission, as all streams share it.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Mutex<Admission>>);

/// Room for a stream.
#[derive(Debug)]
pub(super) struct StreamPlace(Places);

/// Room for a whole bundle.
#[derive(Debug)]
pub(super) struct BundlePlace(Places, u64);

impl Places {
    /// Makes places of these numbers.
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Admission::new(limits))))
    }

    /// Takes a stream's place; else the seconds after which to come back.
    pub(super) fn stream(&self) -> Result<StreamPlace, u32> {
        match self.0.lock().handle_stream(rand::random()) {
            Verdict::Go(()) => Ok(StreamPlace(self.clone())),
            Verdict::ComeBack(seconds) => Err(seconds),
        }
    }

    /// Takes a whole bundle's place; else the seconds after which to come back.
    pub(super) fn bundle(&self) -> Result<BundlePlace, u32> {
        match self.0.lock().handle_bundle(Instant::now()) {
            Verdict::Go(ticket) => Ok(BundlePlace(self.clone(), ticket)),
            Verdict::ComeBack(seconds) => Err(seconds),
        }
    }

    /// Returns how long a chunk may be now.
    pub(super) fn chunk_room(&self) -> usize {
        self.0.lock().chunk_room()
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.0.lock().handle_stream_end();
    }
}

impl Drop for BundlePlace {
    fn drop(&mut self) {
        self.0.0.lock().handle_bundle_end(self.1, Instant::now());
    }
}
