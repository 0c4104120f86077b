//! The command line, as it is typed. Must not resolve anything; that is `config`'s part.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use clap::value_parser;

use crate::admission::SITES;

/// The core of a Skerry fleet: follows a Git repository of policies and serves bundles to sites.
#[derive(Debug, Clone, Parser)]
#[command(name = "skerry-controller", version)]
pub struct Args {
    /// YAML file with one PolicySource: which repository is followed.
    #[arg(long, value_name = "FILE")]
    pub source: PathBuf,
    /// Folder for the state store and the mirror of the repository. One core to a folder.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Address for agents and the CLI, over mutual TLS. Port 0 takes a free one; see `<data-dir>/listen`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// Loopback address for push notifications and probes. Port 0 takes a free one; see
    /// `<data-dir>/webhook`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7444")]
    pub webhook_listen: SocketAddr,
    /// The mesh: trust domain of every identity, `mesh.local` by default as in `Mesh`. Fixed by the first start.
    #[arg(long, value_name = "DOMAIN", default_value = "mesh.local")]
    pub trust_domain: String,
    /// Begin a new mesh although this core has sites: each has to be enrolled anew. For a core whose identities are lost.
    #[arg(long)]
    pub new_mesh: bool,
    /// File with the key that the core's own keys are sealed with: 32 random bytes or more, as of `openssl rand -hex 32`.
    /// Else the variable SKERRY_SEAL_KEY, else a file that the core makes in its data folder.
    #[arg(long, value_name = "FILE")]
    pub seal_key_file: Option<PathBuf>,
    /// PEM file with the certificate of a mesh root that is kept offline, as of `skerry root create`: site authorities wait for
    /// it to sign. Given at the first start, it is given at each.
    #[arg(long, value_name = "FILE")]
    pub offline_root: Option<PathBuf>,
    /// How many days a request may wait for the offline root: certificates last longer by that.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = value_parser!(u32).range(1..=90), requires = "offline_root")]
    pub root_signs_within: u32,
    /// Sites that are served at once; others are told to come back. Each takes some 48 KB of memory and, with one in ten
    /// that comes and goes, 1.1 open files: the core raises its limit of those as far as the hard limit goes.
    #[arg(long, value_name = "NUMBER", default_value_t = SITES, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_sites: u32,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,skerry_controller=debug`.
    #[arg(long, value_name = "FILTER", env = "SKERRY_LOG", default_value = "info")]
    pub log: String,
}
