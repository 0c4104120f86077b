//! Places that admission gave, given back when they are dropped.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use skerry_proto::v1::RetryAfter;

use crate::admission::{Admission, Limits, Verdict, Way};

/// Admission, as all streams share it.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Mutex<Admission>>);

/// Room for a stream, or for one who pulls.
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
    pub(super) fn bundle(&self, way: Way) -> Result<BundlePlace, u32> {
        match self.0.lock().handle_bundle(way, Instant::now()) {
            Verdict::Go(ticket) => Ok(BundlePlace(self.clone(), ticket)),
            Verdict::ComeBack(seconds) => Err(seconds),
        }
    }

    /// Returns how long a chunk may be now, `longest` at most.
    pub(super) fn chunk_room(&self, longest: usize) -> usize {
        self.0.lock().chunk_room(longest)
    }
}

/// What a site is told that there is no room for now.
pub(super) fn come_back(seconds: u32) -> RetryAfter {
    RetryAfter { seconds, reason: "the core has its hands full".to_owned() }
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
