//! Reads the files that credentials are in.

use std::path::Path;

use skerry_core::diagnostic::{Code, Diagnostic, Location};
use skerry_gitops::credentials::{Credentials, Secret};
use tracing::warn;

use super::config::Login;
use super::failure::{Failure, Remedy};
use super::status::SourceBoard;

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

/// Shows whether the secret of push notifications can be used: else each is refused, and only their sender hears of it.
pub fn look_at_webhook(secret: Option<&Path>, board: &SourceBoard) {
    let doubt = secret.and_then(|path| {
        let reason = match read_text(path) {
            Ok(text) if text.is_empty() => "its file is empty".to_owned(),
            Ok(_) => return None,
            Err(failure) => failure.error,
        };
        let message = format!("push notifications are refused, since their secret cannot be used: {reason}");
        let location = Location::file(path.display().to_string());
        let warning = Diagnostic::warning(Code::InvalidValue, location, message);
        Some(
            warning.help("write the secret that the Git host has into the file of `spec.webhook.secretFile`"),
        )
    });
    if board.set_webhook(doubt.clone())
        && let Some(doubt) = doubt
    {
        warn!("{doubt}");
    }
}
