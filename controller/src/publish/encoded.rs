//! Fragments in the form that is sent in chunks, compressed once for all sites that ask.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use skerry_core::bundle::EncodedFragment;
use skerry_core::id::Digest;
use skerry_proto::codec::compress_fragment;

/// How many bytes are remembered: room for all fragments of 200 services in 10 versions each.
const MAX_BYTES: usize = 8 << 20;

/// A cache that starts anew when it is full.
#[derive(Debug)]
pub struct EncodedFragments {
    room: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<Digest, Arc<[u8]>>,
    bytes: usize,
}

impl Default for EncodedFragments {
    fn default() -> Self {
        Self::with_room(MAX_BYTES)
    }
}

impl EncodedFragments {
    /// Makes a cache that holds so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self { room: bytes, inner: Mutex::default() }
    }

    /// Returns a fragment's encoded form.
    pub fn get(&self, fragment: &EncodedFragment) -> Arc<[u8]> {
        if let Some(encoded) = self.inner.lock().by_id.get(&fragment.id) {
            return Arc::clone(encoded);
        }
        let encoded = compress_fragment(&fragment.bytes).expect("zstd fails for lack of memory only");
        let encoded: Arc<[u8]> = encoded.into();
        let mut inner = self.inner.lock();
        if inner.bytes + encoded.len() > self.room {
            *inner = Inner::default();
        }
        inner.bytes += encoded.len();
        inner.by_id.insert(fragment.id, Arc::clone(&encoded));
        encoded
    }
}
