//! A bare copy of a remote repository in the data folder, brought up to date by fetches.
//!
//! Blocking: keep it on a thread of its own. Must not read policies or decide whether a head is accepted. The folder
//! is a cache and belongs to one process: what is damaged is thrown away and fetched again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use skerry_core::id::Revision;

use crate::credentials::Credentials;
use crate::fetch_error::FetchError;
use crate::history::History;
use crate::limits::{FETCH_BYTES, PACKS, STUCK_FETCHES};
use crate::oid::CommitId;
use crate::reference::Reference;
use crate::remote::Remote;

mod failure;
mod packs;
mod session;
mod storage;
mod transfer;

use session::Terms;
use transfer::Received;

const HEAD: &str = "refs/skerry/head";
const KEPT: &str = "refs/skerry/keep/";

/// A mirror. Its history is what was fetched, whether accepted or not.
pub struct Mirror {
    dir: PathBuf,
    remote: Remote,
    history: History,
    fetch_limit: usize,
    /// Fetches whose thread still runs, those that were given up among them.
    running: Arc<AtomicUsize>,
}

/// What a fetch found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit at the reference.
    pub commit: CommitId,
    /// The commit under the reference's name.
    pub revision: Revision,
    /// Bytes of the pack that was received; 0 when the commit was there already.
    pub received_bytes: usize,
}

impl Mirror {
    /// Opens the mirror in `dir`, or makes an empty one. Lock files and half-written packs that a killed process left
    /// are removed; a damaged mirror is replaced by an empty one.
    ///
    /// # Errors
    /// [`FetchError::Storage`]: the folder cannot be written, or holds something that is not a mirror.
    pub fn open_or_create(dir: &Path, remote: &Remote) -> Result<Self, FetchError> {
        let repo = storage::open(dir)?;
        let (dir, remote, running) = (dir.to_owned(), remote.clone(), Arc::new(AtomicUsize::new(0)));
        Ok(Self { dir, remote, history: History { repo }, fetch_limit: FETCH_BYTES, running })
    }

    /// Bounds the bytes of one fetch; [`FETCH_BYTES`] if never called.
    #[must_use]
    pub fn with_fetch_limit(self, bytes: usize) -> Self {
        Self { fetch_limit: bytes, ..self }
    }

    /// Returns what was fetched, to be read.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns the commit that the last successful fetch found.
    pub fn head(&self) -> Option<CommitId> {
        self.history.repo.refname_to_id(HEAD).ok().map(CommitId::from_git)
    }

    /// Fetches a reference and all of its history that is missing, at most [`FETCH_BYTES`].
    ///
    /// Gives up after `timeout`, also when the server says nothing at all: then the transfer's thread is left behind
    /// until the kernel ends its connection, and whatever it still receives changes nothing. Needs `&mut self` because
    /// every [`PACKS`] packs the mirror is repacked and opened anew.
    ///
    /// # Errors
    /// See [`FetchError`]; on any error head and history are as before.
    pub fn fetch(
        &mut self,
        reference: &Reference,
        credentials: &Credentials,
        timeout: Duration,
    ) -> Result<Head, FetchError> {
        let terms = Terms::new(&self.dir, &self.remote, credentials, timeout).limit(self.fetch_limit);
        let received = self.transfer(reference, terms, timeout).map_err(|error| self.blame(error))?;
        let stored = self.history.repo.reference(HEAD, received.commit.to_git(), true, "fetch");
        stored.map_err(|error| failure::damaged(&self.remote, &error))?;
        if packs::count(&self.dir) > PACKS {
            self.compact()?;
        }
        let Received { commit, bytes } = received;
        Ok(Head { commit, revision: reference.revision(commit), received_bytes: bytes })
    }

    /// A fetch over a damaged mirror fails in many words, mostly those of an unreachable remote: what the mirror itself
    /// says counts before them.
    fn blame(&self, error: FetchError) -> FetchError {
        match &error {
            FetchError::Storage { .. } | FetchError::TimedOut { .. } | FetchError::TooLarge { .. } => error,
            _ => match storage::open_sound(&self.dir) {
                Ok(_) => error,
                Err(damage) => failure::damaged(&self.remote, &damage),
            },
        }
    }

    fn transfer(
        &self,
        reference: &Reference,
        terms: Terms,
        timeout: Duration,
    ) -> Result<Received, FetchError> {
        let timed_out =
            || FetchError::TimedOut { remote: self.remote.to_string(), seconds: timeout.as_secs() };
        if self.running.load(Ordering::Acquire) >= STUCK_FETCHES {
            return Err(timed_out());
        }
        let cancelled = terms.cancelled();
        let (send, receive) = mpsc::sync_channel(1);
        let (reference, counted) = (reference.clone(), Counted::new(&self.running));
        let work = move || {
            let _counted = counted;
            // Nobody listens once the fetch was given up.
            send.send(transfer::run(&reference, terms)).ok();
        };
        let started = thread::Builder::new().name("git-fetch".to_owned()).spawn(work);
        started.map_err(|error| FetchError::Storage { dir: self.dir.clone(), reason: error.to_string() })?;
        let answer = receive.recv_timeout(timeout);
        cancelled.store(true, Ordering::Release);
        match answer {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(timed_out()),
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "the transfer ended without an answer".to_owned();
                Err(FetchError::Unreachable { remote: self.remote.to_string(), reason })
            }
        }
    }

    /// Keeps exactly these commits and their history, besides the head's, whatever becomes of the branch: the accepted
    /// commit, and those that holds name ([`crate::snapshot::SourceTree::needed_commits`]).
    ///
    /// # Errors
    /// [`FetchError::Corrupt`] when one of them is not there.
    pub fn retain(&mut self, commits: &BTreeSet<CommitId>) -> Result<(), FetchError> {
        let retain = || {
            let repo = &self.history.repo;
            for commit in commits {
                repo.reference(&format!("{KEPT}{commit}"), commit.to_git(), true, "keep")?;
            }
            for kept in repo.references_glob(&format!("{KEPT}*"))? {
                let mut kept = kept?;
                let commit = kept.target().map(CommitId::from_git);
                if commit.is_none_or(|commit| !commits.contains(&commit)) {
                    kept.delete()?;
                }
            }
            Ok(())
        };
        retain().map_err(|error| failure::damaged(&self.remote, &error))
    }

    /// Writes head, kept commits and their histories into one pack and drops all else. Fetches do it by themselves.
    ///
    /// # Errors
    /// [`FetchError::Storage`], [`FetchError::Corrupt`].
    pub fn compact(&mut self) -> Result<(), FetchError> {
        packs::compact(&self.history.repo, &self.dir, &self.remote)?;
        // libgit2 has the packs that are gone mapped.
        self.history = History { repo: storage::open(&self.dir)? };
        Ok(())
    }

    /// Throws everything away, for a caller that met [`FetchError::Corrupt`] or a damaged history. The next fetch brings
    /// what the remote has; a commit that only the mirror had is lost.
    ///
    /// # Errors
    /// [`FetchError::Storage`].
    pub fn rebuild(&mut self) -> Result<(), FetchError> {
        self.history = History { repo: storage::create_anew(&self.dir)? };
        Ok(())
    }
}

/// Counts a running transfer for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::AcqRel);
        Self(running.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A flag that tells a transfer that nobody waits for it any more.
pub(crate) type Cancelled = Arc<AtomicBool>;
