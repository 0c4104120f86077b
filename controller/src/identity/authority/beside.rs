//! What stands beside a key of the core's while it is rotated, and how that is kept.
//!
//! Of the key that is on its way out nothing is kept but its public half: it signs nothing any more.

use serde::{Deserialize, Serialize};
use skerry_core::id::Timestamp;

use crate::identity::rotation::{Stage, Step};

/// Where a rotation was last taken a step further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Sites that have this version of trust, or a later one, have what the step told.
    pub version: u64,
    /// When it was.
    pub at: Timestamp,
}

/// What stands beside the key that signs.
#[derive(Debug, Clone)]
pub(super) enum Beside<K, P> {
    /// Nothing: no rotation.
    Nothing,
    /// The key that comes after it.
    Next(K, Turn),
    /// The public half of the one before it.
    Last(P, Turn),
}

/// The same as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum BesideRecord {
    /// As [`Beside::Nothing`].
    #[default]
    Nothing,
    /// As [`Beside::Next`].
    Next {
        /// PEM.
        public: String,
        /// Sealed.
        key: Vec<u8>,
        /// The turn.
        turn: Turn,
    },
    /// As [`Beside::Last`].
    Last {
        /// PEM.
        public: String,
        /// The turn.
        turn: Turn,
    },
}

impl<K: Clone, P: Clone> Beside<K, P> {
    /// Says where the rotation is.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Nothing => Stage::Steady,
            Self::Next(..) => Stage::Begun,
            Self::Last(..) => Stage::Switched,
        }
    }

    /// Says when it got there.
    pub(super) fn turn(&self) -> Option<Turn> {
        match self {
            Self::Nothing => None,
            Self::Next(_, turn) | Self::Last(_, turn) => Some(*turn),
        }
    }

    /// Returns what is believed beside the key that signs.
    pub(super) fn public(&self, of: impl FnOnce(&K) -> P) -> Option<P> {
        match self {
            Self::Nothing => None,
            Self::Next(key, _) => Some(of(key)),
            Self::Last(public, _) => Some(public.clone()),
        }
    }

    /// Takes a step: returns the key that signs then, and what stands beside it. A step that there is nothing for changes nothing.
    pub(super) fn step<E>(
        &self,
        signs: &K,
        (step, turn): (Step, Turn),
        make: impl FnOnce() -> Result<K, E>,
        public: impl FnOnce(&K) -> P,
    ) -> Result<(K, Self), E> {
        Ok(match (step, self) {
            (Step::Begin, Self::Nothing) => (signs.clone(), Self::Next(make()?, turn)),
            (Step::Switch, Self::Next(next, _)) => (next.clone(), Self::Last(public(signs), turn)),
            (Step::End, Self::Last(..)) => (signs.clone(), Self::Nothing),
            (Step::Replace, Self::Next(next, _)) => (next.clone(), Self::Nothing),
            (Step::Replace, _) => (make()?, Self::Nothing),
            _ => (signs.clone(), self.clone()),
        })
    }

    /// Writes it: `next` gives a key's public half as PEM and the sealed private one, `last` a public half as PEM.
    pub(super) fn to_record<E>(
        &self,
        next: impl FnOnce(&K) -> Result<(String, Vec<u8>), E>,
        last: impl FnOnce(&P) -> String,
    ) -> Result<BesideRecord, E> {
        Ok(match self {
            Self::Nothing => BesideRecord::Nothing,
            Self::Next(key, turn) => {
                let (public, key) = next(key)?;
                BesideRecord::Next { public, key, turn: *turn }
            }
            Self::Last(public, turn) => BesideRecord::Last { public: last(public), turn: *turn },
        })
    }

    /// Reads it back.
    pub(super) fn open<E>(
        record: &BesideRecord,
        next: impl FnOnce(&str, &[u8]) -> Result<K, E>,
        last: impl FnOnce(&str) -> Result<P, E>,
    ) -> Result<Self, E> {
        Ok(match record {
            BesideRecord::Nothing => Self::Nothing,
            BesideRecord::Next { public, key, turn } => Self::Next(next(public, key)?, *turn),
            BesideRecord::Last { public, turn } => Self::Last(last(public)?, *turn),
        })
    }
}
