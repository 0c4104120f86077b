//! Reads the files that credentials are in.

use std::path::Path;

use skerry_gitops::credentials::{Credentials, Secret};

use super::config::Login;
use super::failure::{Failure, Remedy};

/// Reads credentials. A line break at the end of a file is no part of a secret.
///
/// # Errors
/// A file cannot be read, or is no text. Its content is never part of the error.
pub fn read(login: &Login) -> Result<Credentials, Failure> {
    Ok(match login {
        Login::Anonymous => Credentials::Anonymous,
        Login::Password { username, password } => Credentials::Password {
            username: read_text(username)?,
            password: Secret::new(read_text(password)?),
        },
        Login::SshKey { key, passphrase, known_hosts } => {
            let passphrase = passphrase.as_deref().map(read_text).transpose()?.map(Secret::new);
            Credentials::SshKey { private_key: key.clone(), passphrase, known_hosts: known_hosts.clone() }
        }
    })
}

/// Reads a file of one line.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let text = fs_err::read_to_string(path).map_err(|error| Failure {
        error: error.to_string(),
        help: "see that the file named in the PolicySource exists and may be read by the core".to_owned(),
        remedy: Remedy::Wait,
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
