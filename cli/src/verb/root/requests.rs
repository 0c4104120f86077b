//! `skerry root requests`: what waits for the offline root.

use skerry_core::id::{InvalidId, SiteId};
use skerry_identity::ceremony::{SigningRequest, SigningRequests};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::thumbprint::Thumbprint;
use skerry_proto::v1;

use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

use super::folder::to_json;

const EXAMPLES: &str = "\
Examples:
  skerry root requests > requests.json
  skerry root requests | jq -r '.requests[].site'

The file holds no secret. Carry it to the machine that has the root's key.";

/// Print what waits for the offline root, as a file for `skerry root sign`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let answer = args.core.connect()?.signing_requests()?;
    let requests = read(answer).map_err(CliError::not_understood)?;
    let count = requests.requests.len();
    output.note(&format!("{count} wait for root {}\n", requests.root.short()));
    output.result(&to_json(&requests)?)?;
    Ok(Outcome::Done)
}

fn read(answer: v1::ListSigningRequestsResponse) -> Result<SigningRequests, InvalidId> {
    let request = |request: v1::SigningRequest| {
        let site = SiteId::new(request.site)?;
        Ok(SigningRequest { site, request: request.request, lasts_seconds: request.lasts_seconds })
    };
    Ok(SigningRequests {
        mesh: MeshDomain::new(&answer.mesh)?,
        root: Thumbprint::from_slice(&answer.root)?,
        requests: answer.requests.into_iter().map(request).collect::<Result<_, InvalidId>>()?,
    })
}
