//! `skerry trust rotate`: a step of the rotation of one of the core's keys.

use clap::ValueEnum;
use skerry_proto::v1::rotate_key_response::Step;
use skerry_proto::v1::{RotateKeyRequest, TrustKey};

use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::fleet::trust::TakenView;
use crate::outcome::Outcome;
use crate::output::{Output, trust};

const EXAMPLES: &str = "\
Examples:
  skerry trust rotate mesh-root --step begin      # then --step switch, then --step end
  skerry trust rotate mesh-root                   # whichever step is next
  skerry trust rotate mesh-root --leave-behind    # go on without the sites that are dark
  skerry trust rotate manifest-key --now          # the key was stolen

A step is taken once every site has what it needs for it; until then the command says who is
waited for, and changes nothing. Nor does a step that is named and was taken already in the rotation
that is under way, so that a script may ask again; where none is, `begin` begins one. Without --step
no other rotation begins within 24 h after the last one.
Back up `identity.redb` of the core after each step.";

/// Take a step of the rotation of a key
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The key
    #[arg(value_name = "KEY", value_enum)]
    pub key: Key,
    /// The step that is meant; if left out, whichever is next
    #[arg(long, value_name = "STEP", value_enum, conflicts_with = "now")]
    pub step: Option<StepName>,
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

/// A step that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StepName {
    /// A new key is believed beside the one that signs.
    Begin,
    /// The new key signs.
    Switch,
    /// The old key is believed no more.
    End,
}

impl StepName {
    fn to_wire(self) -> Step {
        match self {
            Self::Begin => Step::Begin,
            Self::Switch => Step::Switch,
            Self::End => Step::End,
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let key = match args.key {
        Key::MeshRoot => TrustKey::MeshRoot,
        Key::LinkRoot => TrustKey::LinkRoot,
        Key::ManifestKey => TrustKey::ManifestKey,
    };
    let step = args.step.map_or(Step::Unknown, StepName::to_wire);
    let (key, step) = (key.into(), step.into());
    let request = RotateKeyRequest { key, leave_behind: args.leave_behind, now: args.now, step };
    let taken = TakenView::of(args.core.connect()?.rotate_key(request)?);
    output.result(&trust::taken(&taken))?;
    if args.now && taken.step == Step::End {
        let signs = &taken.key.signs.id;
        output.note(&format!("if {signs}, which signs, is the one in wrong hands, say so once more\n"));
    }
    if args.key == Key::LinkRoot && !taken.was_taken {
        output.note(match taken.step {
            Step::Begin => {
                "credentials of operators that were made before this are of no use from the switch on: make others, `skerry operator create`\n"
            }
            Step::Switch => {
                "credentials of operators that were made before this end with the rotation (`skerry operator list`): make others now\n"
            }
            Step::End | Step::Replace | Step::Unknown => "",
        });
    }
    Ok(Outcome::Done)
}
