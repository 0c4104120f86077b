//! `skerry bundle attach`: hands policy signatures to the core.

use std::path::{Path, PathBuf};

use prost::Message as _;
use skerry_proto::limits::MAX_POLICY_FILE_BYTES;
use skerry_proto::v1::PolicySignatures;

use crate::args::core::CoreArgs;
use crate::error::{CliError, ErrorKind};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::policy_signatures::{count, parts};
use crate::whole_file;

const EXAMPLES: &str = "\
Examples:
  skerry bundle attach policy.sig

It does not matter whether the core has read the commit yet, and doing it twice changes nothing.";

/// Hand policy signatures to the core, which offers them to sites
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The file that `skerry bundle sign` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let signatures = read(&args.file)?;
    let (sites, number, revision) = (count(&signatures), signatures.number, signatures.revision.clone());
    let mut core = args.core.connect()?;
    let (mut attached, mut unknown) = (0, 0);
    for part in parts(signatures) {
        let answer = core.attach_policy(part)?;
        attached += answer.attached;
        unknown += answer.unknown_sites;
    }
    if unknown > 0 {
        output.note(&format!(
            "the policy repository, as the core has it now, does not have {unknown} of them\n"
        ));
    }
    output
        .result(&format!("attached number {number} of {revision}: new for {attached} of {sites} sites\n"))?;
    Ok(Outcome::Done)
}

fn read(path: &Path) -> Result<PolicySignatures, CliError> {
    let shown = path.display();
    let hint = "`skerry bundle sign` writes such a file";
    let usage = |message: String| CliError::new(ErrorKind::Usage, message).hint(hint);
    let bytes = whole_file::read(path, MAX_POLICY_FILE_BYTES).map_err(|error| error.hint(hint))?;
    let signatures = PolicySignatures::decode(bytes.as_slice());
    let signatures = signatures.ok().filter(|signatures| signatures.commit.len() == 20);
    signatures.ok_or_else(|| usage(format!("{shown} is no file of policy signatures, or it is cut")))
}
