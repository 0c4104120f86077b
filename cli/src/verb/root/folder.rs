//! The folder of an offline root: its key, its certificate, and the ledger of what it has signed for.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustls::time_provider::{DefaultTimeProvider, TimeProvider as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skerry_core::id::Timestamp;
use skerry_identity::ca::{Authority as _, MeshRoot};
use skerry_identity::ceremony::{Ledger, MAX_FILE_BYTES};
use skerry_identity::certificate::Certificate;
use skerry_identity::key::EcdsaKey;

use crate::error::{CliError, ErrorKind};
use crate::whole_file;

/// The folder.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.0.join("root.crt")
    }

    fn key(&self) -> PathBuf {
        self.0.join("root.key")
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("ledger.json")
    }

    /// Writes a new root; never over another one.
    pub(super) fn create(&self, root: &MeshRoot, ledger: &Ledger) -> Result<(), CliError> {
        let fail = |path: &Path, error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => usage(format!("{} is there already", path.display()))
                .hint("a root is made once, in a folder of its own"),
            _ => CliError::new(ErrorKind::Output, format!("{}: {error}", path.display())),
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| fail(&self.0, error))?;
        let key = root.key().to_pem().map_err(|_| CliError::internal("the crypto provider failed"))?;
        let ledger = to_json(ledger)?;
        let certificate = root.certificate().to_pem();
        for (path, mode, content) in [
            (self.key(), 0o600, key.as_bytes()),
            (self.certificate(), 0o644, certificate.as_bytes()),
            (self.ledger(), 0o600, ledger.as_bytes()),
        ] {
            let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
            let written = file.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
            written.map_err(|error| fail(&path, error))?;
        }
        Ok(())
    }

    /// Reads the root and its ledger.
    pub(super) fn open(&self) -> Result<(MeshRoot, Ledger), CliError> {
        let path = self.key();
        let metadata = fs_err::metadata(&path).map_err(|error| whole_file::unreadable(&path, &error))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let words = format!("{} may be read by others (mode {mode:03o})", path.display());
            return Err(usage(words).hint("chmod 600 it, and make another root if somebody has read it"));
        }
        let key = whole_file::read_text(&path, MAX_FILE_BYTES)?;
        let key = EcdsaKey::from_pem(&key).map_err(|error| usage(format!("{}: {error}", path.display())))?;
        let path = self.certificate();
        let certificate = Certificate::from_pem(&whole_file::read_text(&path, MAX_FILE_BYTES)?);
        let certificate = certificate.map_err(|error| usage(format!("{}: {error}", path.display())))?;
        let ledger: Ledger = from_json(&self.ledger())?;
        let root = MeshRoot::load(&ledger.mesh, certificate, key);
        let root = root.map_err(|error| usage(format!("{}: {error}", path.display())))?;
        if root.certificate().thumbprint() != ledger.root {
            return Err(usage(format!("{} is of another root", self.ledger().display())));
        }
        Ok((root, ledger))
    }

    /// Writes the ledger in the place of the old one, in one step.
    pub(super) fn keep(&self, ledger: &Ledger) -> Result<(), CliError> {
        let (path, text) = (self.ledger(), to_json(ledger)?);
        let unfinished = path.with_extension("new");
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs_err::rename(&unfinished, &path)?;
            // The medium is pulled out next.
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error: io::Error| {
            CliError::new(ErrorKind::Output, format!("{}: {error}", path.display()))
        })
    }
}

/// Writes one of the ceremony's files.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value);
    Ok(text.map_err(|error| CliError::internal(format!("no JSON: {error}")))? + "\n")
}

/// Reads one of the ceremony's files.
pub(super) fn from_json<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    serde_json::from_slice(&whole_file::read(path, MAX_FILE_BYTES)?).map_err(|error| {
        usage(format!("{}: {error}", path.display())).hint("give the file as it was written, whole")
    })
}

pub(super) fn usage(words: String) -> CliError {
    CliError::new(ErrorKind::Usage, words)
}

/// What the clock of this machine says.
pub(super) fn now() -> Result<Timestamp, CliError> {
    let now = DefaultTimeProvider.current_time();
    let now =
        now.ok_or_else(|| usage("the clock of this machine is before 1970".to_owned()).hint("set it"))?;
    Ok(Timestamp(now.as_secs() * 1000))
}
