//! `skerry bundle keygen`: makes a policy key.

use std::path::PathBuf;

use skerry_identity::envelope::KeyId;
use skerry_identity::key::SigningKey;

use crate::error::CliError;
use crate::key_file;
use crate::outcome::Outcome;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  skerry bundle keygen policy.key                       # policy.key, and policy.key.pub beside it
  openssl genpkey -algorithm ed25519 -out policy.key    # the same, with other tools

Who has this key decides what sites run that ask for it. Keep it in the pipeline's secrets or on a stick, never at the core.";

/// Make a policy key
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The new file; its public half goes to `FILE.pub`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let key = SigningKey::generate().map_err(|error| CliError::internal(error.to_string()))?;
    key_file::write_new(&args.file, &key)?;
    let (file, id) = (args.file.display(), KeyId::of(&key.public()));
    output.result(&format!("policy key {id} is in {file}, its public half in {file}.pub\n"))?;
    Ok(Outcome::Done)
}
