//! A cache of what is computed for many sites at once, bounded by its bytes.
//!
//! Starts anew when it is full: what is asked for now is asked for by many, and is soon there again.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

/// Values with what each of them takes.
#[derive(Debug)]
pub struct Cache<K, V> {
    room: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    by_key: HashMap<K, V>,
    bytes: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// Makes a cache that holds so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self { room: bytes, inner: Mutex::new(Inner { by_key: HashMap::new(), bytes: 0 }) }
    }

    /// Returns a value. If it is not there it is made; `size` tells how many bytes it takes. Two may
    /// make the same at once: no lock is held meanwhile.
    pub fn get(&self, key: K, make: impl FnOnce(&K) -> V, size: impl FnOnce(&V) -> usize) -> V {
        if let Some(value) = self.inner.lock().by_key.get(&key) {
            return value.clone();
        }
        let value = make(&key);
        let bytes = size(&value);
        let mut inner = self.inner.lock();
        if inner.bytes + bytes > self.room {
            inner.clear();
        }
        if bytes <= self.room && inner.by_key.insert(key, value.clone()).is_none() {
            inner.bytes += bytes;
        }
        value
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.inner.lock().clear();
    }

    /// Tells how many bytes are held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }
}

impl<K, V> Inner<K, V> {
    fn clear(&mut self) {
        (self.by_key, self.bytes) = (HashMap::new(), 0);
    }
}
