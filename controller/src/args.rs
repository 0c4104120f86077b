//! The command line, as it is typed. Must not resolve anything; that is `config`'s part.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

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
    /// Loopback address for agents and the CLI. Port 0 takes a free one; see `<data-dir>/listen`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// Loopback address for push notifications and probes. Port 0 takes a free one; see
    /// `<data-dir>/webhook`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7444")]
    pub webhook_listen: SocketAddr,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,skerry_controller=debug`.
    #[arg(long, value_name = "FILTER", env = "SKERRY_LOG", default_value = "info")]
    pub log: String,
}
