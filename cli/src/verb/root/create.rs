//! `skerry root create`: a new mesh root.

use std::path::PathBuf;

use skerry_identity::ca::{Authority as _, MeshRoot};
use skerry_identity::ceremony::Ledger;
use skerry_identity::lifetimes::{ROOT, Validity};
use skerry_identity::spiffe_id::MeshDomain;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

use super::folder::{Folder, now, usage};

const EXAMPLES: &str = "\
Examples:
  skerry root create --mesh mesh.local --dir /media/root
  skerry-controller --offline-root root.crt …                # with a copy of the certificate alone

The folder holds the key (`root.key`), which must never be where a network is, the certificate (`root.crt`), which is public, and
the ledger of what was signed (`ledger.json`). Keep two copies of it.";

/// Make a mesh root, to be kept offline
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The mesh: trust domain of every identity, as `skerry-controller --trust-domain`
    #[arg(long, value_name = "DOMAIN")]
    pub mesh: String,
    /// Where to put it: a folder of its own, on a medium of its own
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mesh = MeshDomain::new(&args.mesh).map_err(|error| usage(format!("--mesh: {error}")))?;
    let root = MeshRoot::create(&mesh, &Validity::starting(now()?, ROOT));
    let root = root.map_err(|error| CliError::internal(format!("no root: {error}")))?;
    let folder = Folder::new(&args.dir);
    folder.create(&root, &Ledger::new(&mesh, &root))?;
    output.note("the key in it signs for every site of the mesh: keep it where no network is\n");
    output.result(&format!(
        "root {} of mesh {}: start the core with --offline-root and a copy of {}\n",
        root.certificate().thumbprint().short(),
        mesh.as_str(),
        folder.certificate().display()
    ))?;
    Ok(Outcome::Done)
}
