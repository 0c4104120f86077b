//! What is shown of the source: written by its thread and the planner, read by status requests.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use skerry_core::diagnostic::{Diagnostic, Diagnostics};
use skerry_core::id::{Revision, Timestamp};

use super::failure::Failure;
use crate::store::{HeldHead, Signature, StoreError};

/// What is known of the source besides its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceView {
    /// The address, without password.
    pub url: String,
    /// The branch, tag or commit, as people read it.
    pub reference: String,
    /// The folder that is read.
    pub path: String,
    /// When the remote was last read without an error; 0: not since the core started.
    pub fetched_at: Timestamp,
    /// Why what is there is not in force: the remote, its content, or the store.
    pub failure: Option<Failure>,
    /// The head that waits.
    pub held: Option<HeldHead>,
    /// What is wrong with the signers that it allows.
    pub signers: Diagnostics,
    /// What is found about the signature of what is in force, if nobody looked when it came.
    pub in_force: Option<(Revision, Signature)>,
    /// Why push notifications are refused.
    pub webhook: Option<Diagnostic>,
}

/// A [`SourceView`] that several threads share.
#[derive(Debug, Default)]
pub struct SourceBoard(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    view: SourceView,
    store: BTreeMap<Keeper, Failure>,
}

/// What is written to the store. Each says for itself whether that works: a short row may fit where a
/// long one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeper {
    /// Publications.
    Plans,
    /// What sites report.
    Reports,
}

impl SourceBoard {
    /// Starts with what the configuration says.
    pub fn new(view: SourceView) -> Self {
        Self(Mutex::new(Inner { view, store: BTreeMap::new() }))
    }

    /// Returns what is known now. A store that cannot be written counts before anything else.
    pub fn view(&self) -> SourceView {
        let inner = self.0.lock();
        let failure = inner.store.values().next().cloned().or_else(|| inner.view.failure.clone());
        SourceView { failure, ..inner.view.clone() }
    }

    /// Notes a fetch that found its reference.
    pub fn set_fetched(&self, at: Timestamp) {
        self.0.lock().view.fetched_at = at;
    }

    /// Notes why the source is not followed, or that it is.
    pub fn set_failure(&self, failure: Option<Failure>) {
        self.0.lock().view.failure = failure;
    }

    /// Notes what is wrong with the signers.
    pub fn set_signers(&self, diagnostics: Diagnostics) {
        self.0.lock().view.signers = diagnostics;
    }

    /// Notes what is found about the signature of what is in force.
    pub fn set_in_force(&self, found: Option<(Revision, Signature)>) {
        self.0.lock().view.in_force = found;
    }

    /// Notes why push notifications are refused, if they are. Returns whether that is news.
    pub fn set_webhook(&self, doubt: Option<Diagnostic>) -> bool {
        let mut inner = self.0.lock();
        let is_news = inner.view.webhook != doubt;
        inner.view.webhook = doubt;
        is_news
    }

    /// Notes which head waits.
    pub fn set_held(&self, held: Option<HeldHead>) {
        self.0.lock().view.held = held;
    }

    /// Says whether the store cannot be written.
    pub fn is_store_failing(&self) -> bool {
        !self.0.lock().store.is_empty()
    }

    /// Notes that the store cannot be written, or that it can.
    pub fn set_store_error(&self, keeper: Keeper, error: Option<&StoreError>) {
        let mut inner = self.0.lock();
        match error {
            Some(error) => drop(inner.store.insert(keeper, Failure::from(error))),
            None => drop(inner.store.remove(&keeper)),
        }
    }
}
