//! One connection's callbacks: shows credentials, checks the host, counts bytes, watches the clock.
//!
//! Must note why it refuses, since libgit2 passes on only that it did.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use git2::cert::{Cert, CertHostkey};
use git2::{CertificateCheckStatus, Cred, CredentialType, ErrorClass, ErrorCode, RemoteCallbacks};

use super::{Cancelled, failure};
use crate::credentials::{Credentials, Secret};
use crate::fetch_error::FetchError;
use crate::known_hosts::{self, HostKey};
use crate::limits::FETCH_BYTES;
use crate::remote::Remote;

/// The terms of a transfer.
pub(crate) struct Terms {
    /// The repository on this side.
    dir: PathBuf,
    remote: Remote,
    credentials: Credentials,
    limit: usize,
    timeout: Duration,
    /// `None` when the timeout is beyond what the clock can count.
    deadline: Option<Instant>,
    cancelled: Cancelled,
}

impl Terms {
    pub(crate) fn new(dir: &Path, remote: &Remote, credentials: &Credentials, timeout: Duration) -> Self {
        let deadline = Instant::now().checked_add(timeout);
        let (dir, remote, credentials) = (dir.to_owned(), remote.clone(), credentials.clone());
        Self {
            dir,
            remote,
            credentials,
            limit: FETCH_BYTES,
            timeout,
            deadline,
            cancelled: Cancelled::default(),
        }
    }

    /// Bounds the bytes of the pack.
    pub(super) fn limit(self, bytes: usize) -> Self {
        Self { limit: bytes, ..self }
    }

    pub(super) fn cancelled(&self) -> Cancelled {
        self.cancelled.clone()
    }
}

/// The state that a connection's callbacks share.
pub(crate) struct Session {
    terms: Terms,
    /// The first reason to stop, which is the true one.
    refusal: RefCell<Option<FetchError>>,
    received: Cell<usize>,
    attempts: Cell<u32>,
}

impl Session {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, refusal: RefCell::new(None), received: Cell::new(0), attempts: Cell::new(0) }
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.terms.remote
    }

    /// Returns the folder of the repository on this side.
    pub(crate) fn dir(&self) -> &Path {
        &self.terms.dir
    }

    /// Returns the bytes received so far.
    pub(crate) fn received(&self) -> usize {
        self.received.get()
    }

    /// Says what an error of libgit2 means: the reason that a callback noted, or else what the error itself tells.
    pub(crate) fn failure(&self, error: &git2::Error) -> FetchError {
        self.refusal.take().unwrap_or_else(|| failure::of_transfer(self.dir(), self.remote(), error))
    }

    pub(crate) fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(|_, user, allowed| self.credential(user, allowed));
        callbacks.certificate_check(|cert, host| self.check_host(cert, host));
        callbacks.transfer_progress(|progress| self.goes_on(progress.received_bytes()));
        callbacks.sideband_progress(|_| self.goes_on(0));
        callbacks
    }

    fn refuse(&self, why: FetchError) -> git2::Error {
        self.refusal.borrow_mut().get_or_insert(why);
        git2::Error::new(ErrorCode::User, ErrorClass::Callback, "refused")
    }

    fn goes_on(&self, received: usize) -> bool {
        self.received.set(self.received.get().max(received));
        let remote = || self.terms.remote.to_string();
        let limit = self.terms.limit;
        if received > limit {
            self.refuse(FetchError::TooLarge { remote: remote(), limit });
            return false;
        }
        let late = self.terms.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let over = late || self.terms.cancelled.load(Ordering::Acquire);
        if over {
            self.refuse(FetchError::TimedOut { remote: remote(), seconds: self.terms.timeout.as_secs() });
        }
        !over
    }

    fn credential(&self, user: Option<&str>, allowed: CredentialType) -> Result<Cred, git2::Error> {
        let no = |reason: &str| {
            let remote = self.terms.remote.to_string();
            Err(self.refuse(FetchError::AuthenticationFailed { remote, reason: reason.to_owned() }))
        };
        let user = user.or(self.terms.remote.user()).unwrap_or("git");
        if allowed.is_username() {
            return Cred::username(user);
        }
        // libgit2 asks again when the server did not take the first answer.
        if self.attempts.replace(self.attempts.get() + 1) > 0 {
            return no("the server did not accept the credentials");
        }
        match &self.terms.credentials {
            Credentials::Password { username, password } if allowed.is_user_pass_plaintext() => {
                Cred::userpass_plaintext(username, password.reveal())
            }
            Credentials::SshKey { private_key, passphrase, .. } if allowed.is_ssh_key() => {
                if std::fs::File::open(private_key).is_err() {
                    return no(&format!("the key file `{}` cannot be read", private_key.display()));
                }
                Cred::ssh_key(user, None, private_key, passphrase.as_ref().map(Secret::reveal))
            }
            Credentials::Anonymous => match self.terms.remote.password() {
                Some(password) if allowed.is_user_pass_plaintext() => {
                    Cred::userpass_plaintext(user, password.reveal())
                }
                _ => no("it asks for credentials and none are configured"),
            },
            _ => no("it asks for another kind of credentials than those that are configured"),
        }
    }

    fn check_host(&self, cert: &Cert<'_>, host: &str) -> Result<CertificateCheckStatus, git2::Error> {
        // An X.509 certificate is checked by the TLS library against the system's authorities.
        let Some(key) = cert.as_hostkey() else { return Ok(CertificateCheckStatus::CertificatePassthrough) };
        let reason = match self.look_up(key, host) {
            Ok(HostKey::Known) => return Ok(CertificateCheckStatus::CertificateOk),
            Ok(HostKey::Different) => "known_hosts lists another key for it".to_owned(),
            Ok(HostKey::Unlisted) => "known_hosts does not list it".to_owned(),
            Ok(HostKey::Revoked) => "known_hosts marks its key as revoked".to_owned(),
            Err(reason) => reason,
        };
        let fingerprint = key
            .hash_sha256()
            .map_or_else(String::new, |hash| format!("SHA256:{}", STANDARD_NO_PAD.encode(hash)));
        let key_type = key.hostkey_type().map_or("unknown", |kind| kind.name()).to_owned();
        Err(self.refuse(FetchError::HostKeyUnknown { host: host.to_owned(), key_type, fingerprint, reason }))
    }

    fn look_up(&self, key: &CertHostkey<'_>, host: &str) -> Result<HostKey, String> {
        let Credentials::SshKey { known_hosts, .. } = &self.terms.credentials else {
            return Err("no known_hosts file is configured".to_owned());
        };
        let key = key.hostkey().ok_or("the SSH library does not show it")?;
        let text = read(known_hosts)?;
        Ok(known_hosts::check(&text, host, self.terms.remote.port(), key))
    }
}

fn read(known_hosts: &Path) -> Result<String, String> {
    std::fs::read_to_string(known_hosts)
        .map_err(|error| format!("the known_hosts file `{}` cannot be read: {error}", known_hosts.display()))
}
