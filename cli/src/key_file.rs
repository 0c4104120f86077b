//! Files with policy keys: Ed25519, in PEM, as OpenSSL and `skerry bundle keygen` write them.
//!
//! Must not print a key: errors name the file, and what is wrong with it.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use skerry_identity::key::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::error::{CliError, ErrorKind};
use crate::whole_file;

/// The longest file: a key is 120 B, and there may be text around it.
const MAX_BYTES: usize = 64 << 10;

/// Reads a private key that nobody else may read.
pub fn read_private(path: &Path) -> Result<SigningKey, CliError> {
    let text = read(path)?;
    let key = SigningKey::from_pem(&text).map_err(|error| {
        let error = wrong(path, &error);
        if text.contains("ENCRYPTED") {
            return error.hint("it is encrypted: decrypt it first, `openssl pkey -in FILE -out PLAIN`");
        }
        error.hint("make one with `skerry bundle keygen`, or `openssl genpkey -algorithm ed25519`")
    })?;
    let metadata = fs_err::metadata(path).map_err(|error| wrong(path, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    // A pipeline's secret may be a pipe, or a file that a group may read which is the job's alone.
    if metadata.is_file() && mode & 0o007 != 0 {
        let error = wrong(path, &format_args!("everybody may read it (mode {mode:03o})"));
        return Err(error.hint("chmod 600 it, and make another key if somebody has read it"));
    }
    Ok(key)
}

/// Reads a public key.
pub fn read_public(path: &Path) -> Result<VerifyingKey, CliError> {
    VerifyingKey::from_pem(&read(path)?).map_err(|error| {
        wrong(path, &error)
            .hint("`skerry bundle keygen` writes it beside the private one; so does `openssl pkey -pubout`")
    })
}

/// Writes a new key beside its public half, `FILE.pub`; takes the place of nothing that is there.
pub fn write_new(path: &Path, key: &SigningKey) -> Result<(), CliError> {
    let pem = key.to_pem().map_err(|error| CliError::internal(error.to_string()))?;
    let public = path.with_added_extension("pub");
    write(path, 0o600, pem.as_bytes())?;
    write(&public, 0o644, key.public().to_pem().as_bytes())
}

fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let text = whole_file::read_text(path, MAX_BYTES);
    text.map_err(|error| error.hint("`skerry bundle keygen` makes a key, and its public half"))
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), CliError> {
    let mut options = fs_err::OpenOptions::new();
    let new = options.write(true).create_new(true);
    new.options_mut().mode(mode);
    let written = new.open(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CliError::new(ErrorKind::Usage, format!("{} is there already", path.display()))
                .hint("a key that is lost cannot be made again: name another file, or move it away first")
        }
        _ => CliError::write(&error),
    })
}

fn wrong(path: &Path, error: &impl std::fmt::Display) -> CliError {
    CliError::new(ErrorKind::Usage, format!("{}: {error}", path.display()))
}
