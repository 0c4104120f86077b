//! The configuration, resolved: what the command line says, checked and with the source read.
//!
//! Pure but for the reader of files that is passed in.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skerry_core::diagnostic::Diagnostic;
use skerry_core::id::InvalidId;
use skerry_identity::certificate::Certificate;
use skerry_identity::spiffe_id::MeshDomain;
use tracing_subscriber::EnvFilter;

use crate::admission::Limits;
use crate::args::Args;
use crate::identity::authority::OfflineRoot;
use crate::source::config::SourceConfig;

mod source;

/// Everything that the core is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is followed.
    pub source: SourceConfig,
    /// Where state and mirror are.
    pub data_dir: PathBuf,
    /// Where agents and the CLI connect.
    pub listen: SocketAddr,
    /// Where push notifications and probes come.
    pub webhook_listen: SocketAddr,
    /// The mesh.
    pub mesh: MeshDomain,
    /// Whether a new mesh begins although there are sites.
    pub new_mesh: bool,
    /// Where the sealing key is.
    pub seal_key_file: Option<PathBuf>,
    /// The mesh root that is kept offline, if one is.
    pub offline_root: Option<OfflineRoot>,
    /// What is logged.
    pub log: String,
    /// What is taken on at once: follows from the number of sites.
    pub limits: Limits,
}

/// Why there is no configuration. `Display` is what is printed: one line for each thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The source file, each problem with its place.
    Source(Vec<Diagnostic>),
    /// The source file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A log filter that is not one.
    LogFilter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A trust domain that is none.
    TrustDomain(InvalidId),
    /// The certificate of an offline root that cannot be read, or is none.
    OfflineRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An address that others can reach.
    NotLoopback {
        /// The option.
        option: &'static str,
        /// Its value.
        address: SocketAddr,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(diagnostics) => {
                let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Unreadable { path, reason } => write!(
                f,
                "{}: cannot be read: {reason} (help: name a YAML file with one PolicySource by --source)",
                path.display()
            ),
            Self::LogFilter { filter, reason } => {
                write!(f, "--log {filter}: {reason} (help: write error, warn, info, debug or trace)")
            }
            Self::TrustDomain(error) => {
                write!(f, "--trust-domain: {error} (help: name it as `Mesh.spec.trustDomain`)")
            }
            Self::OfflineRoot { path, reason } => write!(
                f,
                "--offline-root {}: {reason} (help: give the certificate that `skerry root create` wrote)",
                path.display()
            ),
            Self::NotLoopback { option, address } => write!(
                f,
                "{option} {address}: only loopback addresses are served, for it speaks no TLS \
                 (help: listen on 127.0.0.1 or [::1], behind what ends TLS for your Git server)"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Resolves the command line; `read` reads the source file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn resolve(args: Args, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Self, ConfigError> {
        check_loopback("--webhook-listen", args.webhook_listen)?;
        EnvFilter::try_new(&args.log).map_err(|error| ConfigError::LogFilter {
            filter: args.log.clone(),
            reason: error.to_string(),
        })?;
        let bytes = read(&args.source).map_err(|error| ConfigError::Unreadable {
            path: args.source.clone(),
            reason: error.to_string(),
        })?;
        let offline_root =
            args.offline_root.as_deref().map(|path| offline_root(path, args.root_signs_within, &read));
        let offline_root = offline_root.transpose()?;
        Ok(Self {
            source: source::resolve(&args.source, &bytes).map_err(ConfigError::Source)?,
            data_dir: args.data_dir,
            listen: args.listen,
            webhook_listen: args.webhook_listen,
            mesh: MeshDomain::new(&args.trust_domain).map_err(ConfigError::TrustDomain)?,
            new_mesh: args.new_mesh,
            seal_key_file: args.seal_key_file,
            offline_root,
            log: args.log,
            limits: Limits::for_sites(args.max_sites),
        })
    }
}

fn offline_root(
    path: &Path,
    days: u32,
    read: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<OfflineRoot, ConfigError> {
    let fail = |reason: String| ConfigError::OfflineRoot { path: path.to_owned(), reason };
    let bytes = read(path).map_err(|error| fail(error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| fail(error.to_string()))?;
    let certificate = Certificate::from_pem(text).map_err(|error| fail(error.to_string()))?;
    Ok(OfflineRoot { certificate, signs_every: Duration::from_secs(u64::from(days) * 86_400) })
}

fn check_loopback(option: &'static str, address: SocketAddr) -> Result<(), ConfigError> {
    if address.ip().is_loopback() { Ok(()) } else { Err(ConfigError::NotLoopback { option, address }) }
}

#[cfg(test)]
mod tests;
