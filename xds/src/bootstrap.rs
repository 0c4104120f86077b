//! Start files for Envoy: one that holds everything ([`static_bootstrap`]), one that asks the agent
//! ([`ads_bootstrap`]). The two cannot be mixed in one file; a launcher chooses and hot-restarts.

use std::path::{Path, PathBuf};

use prost::Message as _;
use skerry_core::id::{NamespacedName, SiteId};

use crate::envoy::bootstrap::Admin;
pub use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::{core, pipe};

mod ads;
mod parts;
mod runtime;
mod secrets;
mod snapshot;

pub(crate) use snapshot::to_manager;

pub use ads::{ADS_CLUSTER, AdsMode, ads_bootstrap};
pub use parts::{Part, Parts, static_parts};
pub use snapshot::static_bootstrap;

/// Only the owner of the process may use the admin interface: it can end Envoy.
const ADMIN_MODE: u32 = 0o600;

/// Who a proxy says it is. Envoy starts no ADS stream without both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId {
    /// `<site>/<namespace>/<workload>`.
    pub id: String,
    /// The site.
    pub cluster: String,
}

impl NodeId {
    /// Names the proxy of a workload at a site.
    pub fn of(site: &SiteId, workload: &NamespacedName) -> Self {
        Self { id: format!("{site}/{workload}"), cluster: site.to_string() }
    }

    fn to_node(&self) -> core::Node {
        core::Node { id: self.id.clone(), cluster: self.cluster.clone(), ..Default::default() }
    }
}

/// What both kinds of start file may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// A Unix socket for Envoy's admin interface, mode 0600; none: no admin interface. UTF-8, at most
    /// 107 bytes (`sockaddr_un`). Each Envoy of a hot restart needs its own.
    pub admin_socket: Option<PathBuf>,
    /// The folder with the secrets that a start file without an agent names ([`crate::secret::file_name`]): Envoy reads
    /// them from there, and again whenever one is replaced. They are not in the start file itself.
    pub secrets: PathBuf,
}

impl BootstrapOptions {
    fn to_admin(&self) -> Option<Admin> {
        let path = self.admin_socket.as_ref()?;
        Some(Admin { address: Some(pipe(text(path), ADMIN_MODE)), ..Default::default() })
    }
}

/// Encodes a start file for `envoy -c FILE.pb`.
pub fn to_pb(bootstrap: &Bootstrap) -> Vec<u8> {
    bootstrap.encode_to_vec()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
