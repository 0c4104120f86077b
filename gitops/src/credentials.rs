//! What a fetch shows to a Git server, kept out of every message.
//!
//! Must not be printed: `Debug` hides secrets and nothing here has `Display`.

use std::fmt;
use std::path::PathBuf;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Hands the text to whoever must send it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a fetch authenticates itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all; a user and password in the URL are used if there are any.
    #[default]
    Anonymous,
    /// HTTP basic: a user with a password, or any user with a token.
    Password {
        /// The user; hosts that take tokens ignore it (`git`, `x-access-token`, `oauth2`).
        username: String,
        /// The password or token.
        password: Secret,
    },
    /// SSH with a key file.
    SshKey {
        /// The private key, in OpenSSH or PEM format.
        private_key: PathBuf,
        /// The key's passphrase, if it has one.
        passphrase: Option<Secret>,
        /// The OpenSSH `known_hosts` file. A host that it does not list is refused: there is no way to skip the check.
        known_hosts: PathBuf,
    },
}
