//! Where the key comes from that the core's own keys are sealed with.
//!
//! A file or a variable that somebody looks after, or else a file in the data folder that the core makes: that is
//! protection against nobody who has the folder, and is said at each start.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use skerry_identity::sealed::{SealKey, UnfitKey};
use skerry_identity::token::TokenSecret;
use tracing::warn;
use zeroize::Zeroizing;

/// The variable that may hold the key itself.
pub const VARIABLE: &str = "SKERRY_SEAL_KEY";

/// The file that the core makes for itself.
const FILE: &str = "seal.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file cannot be read or made.
    #[error("the sealing key {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Others can read it.
    #[error("the sealing key {} may be read by others (mode {mode:03o}): chmod 600 it, and make another if somebody has", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not fit.
    #[error("the sealing key in {place}: {reason}")]
    Unfit {
        /// The file or the variable.
        place: String,
        /// Why not.
        reason: UnfitKey,
    },
    /// The variable is there and holds nothing: whoever set it meant a key, and none was found where they looked.
    #[error(
        "the variable {VARIABLE} is empty (help: put the key into it, as of `openssl rand -hex 32`, or unset it)"
    )]
    Empty,
    /// The provider gave no random bytes.
    #[error("no sealing key can be made: the crypto provider failed")]
    Provider,
}

/// Finds the key: in the file that is named, else in the variable, else in the data folder, where it is made if need be.
///
/// `is_first`: nothing is sealed yet, so that a key may be made.
pub fn find(
    file: Option<&Path>,
    variable: Option<&OsStr>,
    data_dir: &Path,
    is_first: bool,
) -> Result<SealKey, SealError> {
    if let Some(path) = file {
        return read(path);
    }
    if let Some(value) = variable {
        if value.is_empty() {
            return Err(SealError::Empty);
        }
        let place = format!("the variable {VARIABLE}");
        return SealKey::new(value.as_bytes()).map_err(|reason| SealError::Unfit { place, reason });
    }
    let path = data_dir.join(FILE);
    if is_first && !path.exists() {
        make(&path)?;
    }
    warn!(
        path = %path.display(),
        "the sealing key lies beside the keys that it seals: name one elsewhere with --seal-key-file, or in {VARIABLE}"
    );
    read(&path)
}

fn read(path: &Path) -> Result<SealKey, SealError> {
    let failed = |reason| SealError::File { path: path.to_owned(), reason };
    let mode = fs_err::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SealError::Open { path: path.to_owned(), mode });
    }
    let content = Zeroizing::new(fs_err::read(path).map_err(failed)?);
    SealKey::new(&content).map_err(|reason| SealError::Unfit { place: path.display().to_string(), reason })
}

/// Makes one, in hex. Written beside and renamed: half a key is none.
fn make(path: &Path) -> Result<(), SealError> {
    let secret = TokenSecret::generate().map_err(|_| SealError::Provider)?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in secret.as_bytes() {
        text.push_str(&Zeroizing::new(format!("{byte:02x}")));
    }
    text.push('\n');
    write_private(path, text.as_bytes()).map_err(|reason| SealError::File { path: path.to_owned(), reason })
}

/// Writes a file that its owner alone may read, in one step.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    // One that was left there keeps the mode that it had.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_where_it_is_named_or_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let lost = find(None, None, folder.path(), false).unwrap_err().to_string();
        assert!(lost.contains("No such file"), "another key would open nothing: {lost}");
        let made = find(None, None, folder.path(), true).unwrap();
        assert_eq!(find(None, None, folder.path(), true).unwrap().name(), made.name());
        let path = folder.path().join(FILE);
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let named = folder.path().join("named");
        let left = named.with_extension("new");
        fs_err::write(&left, "half").unwrap();
        fs_err::set_permissions(&left, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&named, "ab".repeat(32).as_bytes()).unwrap();
        assert_eq!(fs_err::metadata(&named).unwrap().permissions().mode() & 0o777, 0o600);
        let by_file = find(Some(&named), Some(OsStr::new("not looked at")), folder.path(), true).unwrap();
        let by_variable = find(None, Some(OsStr::new(&"ab".repeat(32))), folder.path(), true).unwrap();
        assert_eq!(by_file.name(), by_variable.name());
        assert_ne!(by_file.name(), made.name());
    }

    #[test]
    fn what_is_open_missing_or_unfit_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let words = |path: &Path| find(Some(path), None, folder.path(), true).unwrap_err().to_string();
        assert!(words(&path).contains("No such file"), "{}", words(&path));
        write_private(&path, b"short").unwrap();
        assert!(words(&path).contains("openssl rand -hex 32"), "{}", words(&path));
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(words(&path).contains("may be read by others (mode 644)"), "{}", words(&path));
        let error = find(None, Some(OsStr::new("short")), folder.path(), true).unwrap_err().to_string();
        assert!(error.starts_with("the sealing key in the variable SKERRY_SEAL_KEY: "), "{error}");
        let error = find(None, Some(OsStr::new("")), folder.path(), true).unwrap_err().to_string();
        assert!(error.starts_with("the variable SKERRY_SEAL_KEY is empty (help: "), "{error}");
        assert!(!folder.path().join(FILE).exists(), "and no other key is made in its place");
    }
}
