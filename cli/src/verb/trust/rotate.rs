//! `skerry trust rotate`: the next step of the rotation of one of the core's keys.

use clap::ValueEnum;
use skerry_proto::v1::{RotateKeyRequest, TrustKey};

use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::fleet::trust::TakenView;
use crate::outcome::Outcome;
use crate::output::{Output, trust};

const EXAMPLES: &str = "\
Examples:
  skerry trust rotate mesh-root                   # begin, switch, end: one step each time
  skerry trust rotate mesh-root --leave-behind    # go on without the sites that are dark
  skerry trust rotate manifest-key --now          # the key was stolen

A step is taken once every site has what it needs for it; until then the command says who is waited for, and
changes nothing. Back up `identity.redb` of the core after each step.";

/// Take the next step of the rotation of a key
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The key
    #[arg(value_name = "KEY", value_enum)]
    pub key: Key,
    /// Go on without the sites that are dark
    #[arg(long)]
    pub leave_behind: bool,
    /// The key is in wrong hands: another one signs, and nobody believes this one any more, at once
    #[arg(long, conflicts_with = "leave_behind")]
    pub now: bool,
}

/// A key that can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// Signs the authorities of sites.
    MeshRoot,
    /// Signs what core, agents and operators show each other.
    LinkRoot,
    /// Signs what sites run.
    ManifestKey,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let key = match args.key {
        Key::MeshRoot => TrustKey::MeshRoot,
        Key::LinkRoot => TrustKey::LinkRoot,
        Key::ManifestKey => TrustKey::ManifestKey,
    };
    let request = RotateKeyRequest { key: key.into(), leave_behind: args.leave_behind, now: args.now };
    let taken = args.core.connect()?.rotate_key(request)?;
    output.result(&trust::taken(&TakenView::of(taken)))?;
    Ok(Outcome::Done)
}
