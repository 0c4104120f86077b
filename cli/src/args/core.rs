//! Which core to ask, and what to show it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skerry_identity::operator::{MAX_FILE_BYTES, OperatorCredentials};

use crate::error::{CliError, ErrorKind};
use crate::fleet::Fleet;
use crate::whole_file;

/// Where credentials are if nothing else is said, below the user's folder of configuration.
const DEFAULT_FILE: &str = "skerry/operator.json";

/// What would help who has none.
const HINT: &str = "the core writes `operator.json` in its data folder: copy it to ~/.config/skerry/operator.json, or name it \
                    with `--credentials` or SKERRY_CREDENTIALS";

/// The arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct CoreArgs {
    /// The core to ask, if not the one that the credentials name
    #[arg(long, value_name = "URL", env = "SKERRY_CORE", hide_env_values = true)]
    pub core: Option<String>,
    /// What to show it: `operator.json` of the core's data folder [default: ~/.config/skerry/operator.json]
    #[arg(long, value_name = "FILE", env = "SKERRY_CREDENTIALS", hide_env_values = true)]
    pub credentials: Option<PathBuf>,
}

impl CoreArgs {
    /// Prepares to ask the core.
    pub fn connect(&self) -> Result<Fleet, CliError> {
        let path = self.credentials.clone().or_else(default_file);
        let path =
            path.ok_or_else(|| CliError::new(ErrorKind::Usage, "no credentials are given").hint(HINT))?;
        let credentials = read(&path)?;
        Fleet::at(self.core.as_deref().unwrap_or(&credentials.core), &credentials)
    }
}

fn default_file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(config.join(DEFAULT_FILE))
}

fn read(path: &Path) -> Result<OperatorCredentials, CliError> {
    let shown = path.display();
    let usage = |message: String| CliError::new(ErrorKind::Usage, message);
    let metadata = fs_err::metadata(path).map_err(|error| whole_file::unreadable(path, &error).hint(HINT))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let hint = "chmod 600 it; whoever has read it may do all that you may, until it ends";
        return Err(usage(format!("{shown} may be read by others (mode {mode:03o})")).hint(hint));
    }
    let bytes = whole_file::read(path, MAX_FILE_BYTES).map_err(|error| error.hint(HINT))?;
    OperatorCredentials::from_json(&bytes).map_err(|error| usage(format!("{shown}: {error}")).hint(HINT))
}

/// Credentials of nobody, for tests.
#[cfg(test)]
pub(crate) fn some() -> OperatorCredentials {
    use skerry_core::id::Timestamp;
    use skerry_identity::ca::{Authority as _, TransportCa};
    use skerry_identity::csr::ProvenKey;
    use skerry_identity::key::EcdsaKey;
    use skerry_identity::lifetimes::{ROOT, Validity};
    let mesh = skerry_identity::spiffe_id::MeshDomain::new("mesh.local").unwrap();
    let (key, validity) = (EcdsaKey::generate().unwrap(), Validity::starting(Timestamp(1), ROOT));
    let authority = TransportCa::create(&mesh, &validity).unwrap();
    let certificate = authority.sign_operator("admin", &ProvenKey::from(&key), &validity).unwrap();
    let roots = vec![authority.certificate().clone()];
    OperatorCredentials { core: "https://127.0.0.1:1".to_owned(), mesh, certificate, key, roots }
}
