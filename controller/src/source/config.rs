//! What is to be followed, resolved from a `PolicySource`.

use std::path::PathBuf;
use std::time::Duration;

use skerry_crds::policy_source::Verify;
use skerry_gitops::reference::Reference;
use skerry_gitops::remote::Remote;

/// Whether the source is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is fetched.
    Follow,
    /// It is left alone; what is in force stays.
    Suspended,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Where it is.
    pub remote: Remote,
    /// What of it is followed.
    pub reference: Reference,
    /// The folder that is read; empty is the top.
    pub path: String,
    /// How often it is asked for news.
    pub interval: Duration,
    /// How long one fetch may take.
    pub timeout: Duration,
    /// Whether it is followed.
    pub mode: Mode,
    /// How to log in.
    pub login: Login,
    /// The file with the webhook's secret, if there is a webhook.
    pub webhook_secret: Option<PathBuf>,
    /// Whose signatures commits must have; `None`: nobody looks at signatures. Its files are read anew at each poll.
    pub verify: Option<Verify>,
}

/// Files with credentials. They are read anew for each fetch, so that they can be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// No credentials.
    Anonymous,
    /// HTTP basic.
    Password {
        /// The file with the user.
        username: PathBuf,
        /// The file with the password or token.
        password: PathBuf,
    },
    /// SSH with a key.
    SshKey {
        /// The private key.
        key: PathBuf,
        /// The file with its passphrase.
        passphrase: Option<PathBuf>,
        /// The `known_hosts` file.
        known_hosts: PathBuf,
    },
}
