//! The data folder: which file lies where, and with which mode. Knows names, not contents.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use skerry_core::id::{Digest, NamespacedName};
use tracing::warn;

use crate::clock::{FolderId, random};

/// The longest path of a Unix socket: `sockaddr_un` has 108 bytes, one of them the final zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// The longest name of a file in a proxy's folder that is a socket: `admin.<epoch>.sock`.
const LONGEST_SOCKET: &str = "admin.9999.sock";

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The path leaves no room for sockets.
    #[error(
        "{path}: path is too long for Unix sockets ({length} bytes, at most {MAX_SOCKET_PATH}): use a shorter --data-dir"
    )]
    TooLong {
        /// The socket's path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The folder cannot be made.
    #[error("cannot prepare the data folder: {0}")]
    Io(#[from] std::io::Error),
}

/// The data folder of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Names a data folder; touches nothing.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folders, mode 0700. An error when the path leaves no room for a socket.
    pub fn prepare(&self) -> Result<(), LayoutError> {
        fits(&self.proxies().join(short_name("x")).join(LONGEST_SOCKET))?;
        private_folder(&self.root)?;
        private_folder(&self.proxies())?;
        Ok(())
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.root.join("state.redb")
    }

    /// What tells this data folder from any other: made once, and not in the store, which may be damaged. Where it
    /// cannot be kept, each run is another one; the core then takes a while to let the next run in.
    pub(crate) fn folder_id(&self) -> FolderId {
        let path = self.root.join("id");
        let kept = fs_err::read(&path).ok().and_then(|bytes| bytes.try_into().ok());
        kept.unwrap_or_else(|| {
            let id = random();
            if let Err(error) = replace_file(&path, &id) {
                warn!("cannot keep the data folder's id: {error}");
            }
            id
        })
    }

    /// The site's keys and certificates.
    pub fn enrolment(&self) -> PathBuf {
        self.root.join("identity.json")
    }

    /// The same again: keys cannot be fetched anew.
    pub fn enrolment_copy(&self) -> PathBuf {
        self.root.join("identity.copy.json")
    }

    /// Keys that the core was asked to sign for, until it has.
    pub fn pending_keys(&self) -> PathBuf {
        self.root.join("identity.pending")
    }

    /// The Workload API, unless it is served elsewhere.
    pub fn workload_socket(&self) -> PathBuf {
        self.root.join("workload.sock")
    }

    /// The last state report, for people.
    pub fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// The folder of the proxies' folders.
    pub fn proxies(&self) -> PathBuf {
        self.root.join("proxies")
    }

    /// The folder of one workload's proxy: `<namespace>.<name>`, or 16 hex digits of its hash where
    /// that would be too long for a socket.
    pub fn proxy(&self, workload: &NamespacedName) -> ProxyDir {
        let name = format!("{}.{}", workload.namespace, workload.name);
        let plain = self.proxies().join(&name);
        match fits(&plain.join(LONGEST_SOCKET)) {
            Ok(()) => ProxyDir::new(plain),
            Err(_) => ProxyDir::new(self.proxies().join(short_name(&name))),
        }
    }
}

fn short_name(name: &str) -> String {
    Digest::of(name.as_bytes()).to_string()[..16].to_owned()
}

fn fits(path: &Path) -> Result<(), LayoutError> {
    let length = path.as_os_str().len();
    if length <= MAX_SOCKET_PATH {
        Ok(())
    } else {
        Err(LayoutError::TooLong { path: path.to_owned(), length })
    }
}

/// Whatever this process makes from now on, and those that it starts, is its owner's alone unless it says otherwise.
pub(crate) fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Makes a folder that only its owner may enter, and its parents.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // Asked first: a disk that cannot be written has it as it was left.
    if fs_err::metadata(path)?.permissions().mode() & 0o777 == 0o700 {
        return Ok(());
    }
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Replaces a file in one step: mode 0600, fsynced, then renamed over the old one.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&scratch)?;
    // One that was left there keeps the mode that it had.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(&scratch, path)?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// The folder of one proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProxyDir(PathBuf);

impl ProxyDir {
    /// Names a proxy's folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the agent serves ADS.
    pub fn ads_socket(&self) -> PathBuf {
        self.0.join("ads.sock")
    }

    /// Where an Envoy of this restart epoch has its admin interface.
    pub fn admin_socket(&self, epoch: u32) -> PathBuf {
        self.0.join(format!("admin.{epoch}.sock"))
    }

    /// The self-contained bootstrap.
    pub fn static_bootstrap(&self) -> PathBuf {
        self.0.join("static.pb")
    }

    /// Where the listeners are in it.
    pub fn static_index(&self) -> PathBuf {
        self.0.join("static.index")
    }

    /// The same without the listeners whose address somebody else had when an Envoy was started from it.
    pub fn cut_bootstrap(&self) -> PathBuf {
        self.0.join("static.cut.pb")
    }

    /// A secret as the self-contained bootstrap reads it.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.0.join(skerry_xds::secret::file_name(name))
    }

    /// The bootstrap that names the ADS socket.
    pub fn ads_bootstrap(&self) -> PathBuf {
        self.0.join("ads.pb")
    }

    /// Held by the launcher while it lives; holds its process id.
    pub fn lock(&self) -> PathBuf {
        self.0.join("launcher.lock")
    }

    /// The inbound addresses at which the proxy was seen to listen, one a line: its peers use those.
    pub fn listening(&self) -> PathBuf {
        self.0.join("listening")
    }

    /// What the launcher runs.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The base id that Envoy chose, for hot restarts.
    pub fn base_id(&self) -> PathBuf {
        self.0.join("base-id")
    }

    /// What Envoy says.
    pub fn envoy_log(&self) -> PathBuf {
        self.0.join("envoy.log")
    }

    /// There while the launcher was started by the agent, and not asked to end.
    pub fn supervised(&self) -> PathBuf {
        self.0.join("supervised")
    }

    /// What the launcher says, when the agent started it.
    pub fn launcher_log(&self) -> PathBuf {
        self.0.join("launcher.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_workload_name_takes_a_short_folder() {
        let layout = Layout::new("/var/lib/skerry");
        let short = layout.proxy(&NamespacedName::new("shop", "checkout-1"));
        let long = layout.proxy(&NamespacedName::new("shop", "n".repeat(120)));

        assert_eq!(short.path(), Path::new("/var/lib/skerry/proxies/shop.checkout-1"));
        assert!(long.admin_socket(9999).as_os_str().len() <= MAX_SOCKET_PATH);
    }

    #[test]
    fn a_data_folder_without_room_for_a_socket_is_refused() {
        let error = Layout::new(format!("/{}", "d".repeat(90))).prepare().unwrap_err();
        assert!(error.to_string().contains("use a shorter --data-dir"), "{error}");
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        replace_file(&path, b"one").unwrap();
        let left = folder.path().join("state.json.new");
        fs_err::write(&left, b"half").unwrap();
        fs_err::set_permissions(&left, std::fs::Permissions::from_mode(0o644)).unwrap();
        replace_file(&path, b"two").unwrap();

        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_data_folder_keeps_its_id() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = |folder: &tempfile::TempDir| Layout::new(folder.path()).folder_id();
        assert_eq!(id(&one), id(&one));
        assert_ne!(id(&one), id(&other));
    }
}
