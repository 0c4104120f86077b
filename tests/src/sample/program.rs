//! The program `skerry-sample`: its arguments and its life.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;

use super::{Identity, Sample};
use crate::signals;

/// A small HTTP service that answers with what it was asked.
#[derive(Debug, Parser)]
#[command(name = "skerry-sample", disable_version_flag = true)]
pub struct Args {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The service's name.
    #[arg(long)]
    name: String,
    /// The version that it says it is.
    #[arg(long, default_value = "v1")]
    version: String,
    /// The site that it runs at.
    #[arg(long, default_value = "")]
    site: String,
}

/// Serves until SIGTERM or Ctrl-C.
pub async fn run(args: Args) -> Result<()> {
    let sample = Sample::start(args.listen, Identity::new(&args.name, &args.version).at(&args.site)).await?;
    tokio::select! {
        () = sample.run() => Ok(()),
        ended = signals::end() => ended.map(drop),
    }
}
