//! `skerry trust bundle`: the roots of the mesh, for other SPIFFE implementations.

use skerry_identity::certificate::Certificate;
use skerry_identity::malformed::Malformed;
use skerry_identity::trust_bundle::{REFRESH_HINT, TrustBundle};
use skerry_proto::v1::GetTrustResponse;

use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  skerry trust bundle > mesh.local.json          # the SPIFFE trust bundle, as JWKS
  skerry trust bundle | jq -r '.keys[].x5c[0]' | base64 -d | openssl x509 -inform der -noout -text

It holds no secret. It is the bundle of the trust domain of each site, which are below that of the mesh; while the mesh root is rotated it
has both roots. Publish it where those look who shall believe the workloads of this mesh, and again when `spiffe_sequence` has grown.";

/// Print the roots of the mesh as a SPIFFE trust bundle (JWKS)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let answer = args.core.connect()?.trust()?;
    let document = document(&answer).map_err(CliError::not_understood)?;
    output.result(&(document + "\n"))?;
    Ok(Outcome::Done)
}

fn document(answer: &GetTrustResponse) -> Result<String, Malformed> {
    let roots = answer.mesh_roots.iter().map(|root| Certificate::from_der(root));
    let bundle = TrustBundle {
        sequence: Some(answer.version),
        refresh_hint: Some(REFRESH_HINT),
        roots: roots.collect::<Result<_, _>>()?,
    };
    bundle.to_jwks()
}
