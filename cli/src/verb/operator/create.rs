//! `skerry operator create`: credentials for one more operator.

use skerry_identity::certificate::Certificate;
use skerry_identity::csr;
use skerry_identity::key::EcdsaKey;
use skerry_identity::malformed::Malformed;
use skerry_identity::operator::OperatorCredentials;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_proto::v1::{CreateOperatorRequest, CreateOperatorResponse};

use crate::args::core::CoreArgs;
use crate::args::life::{Life, parse_life};
use crate::error::{CliError, ErrorKind};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::age::rfc3339;

const EXAMPLES: &str = "\
Examples:
  umask 077; skerry operator create ada > ada.json
  skerry operator create deploy-pipeline --expires 90d > pipeline.json
  skerry operator create dashboard --read-only --expires 90d > dashboard.json
  skerry status --credentials ada.json

What is printed has a private key, made here and kept nowhere else: hand it over as you would a password. A name may have several keys;
`skerry operator revoke` takes all of them back.";

/// Print credentials for an operator: a person, or a pipeline
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// Their name: lower-case letters, digits, `-` and `.`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How long they last, `24h` or `30d`; at most 366 days
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_life::<366>)]
    pub expires: Life,
    /// They may see everything, and change nothing
    #[arg(long)]
    pub read_only: bool,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut core = args.core.connect()?;
    let failed = |_| CliError::internal("the crypto provider failed");
    let key = EcdsaKey::generate().map_err(failed)?;
    let request = CreateOperatorRequest {
        name: args.name.clone(),
        request: csr::create(&key).map_err(failed)?,
        life_seconds: args.expires.0,
        read_only: args.read_only,
    };
    let answer = core.create_operator(request)?;
    if args.read_only && !answer.read_only {
        let words = "this core makes no read-only credentials: nothing is printed of those that it has made, which may change things";
        return Err(CliError::new(ErrorKind::Refused, words).hint(format!(
            "`skerry operator revoke {}` takes them back; bring the core up to date",
            args.name
        )));
    }
    let credentials = read(&answer, core.url().to_owned(), key).map_err(CliError::not_understood)?;
    output.note(&format!(
        "give it to `{}`: `--credentials FILE`, or ~/.config/skerry/operator.json; it ends at {}\n",
        args.name,
        rfc3339(credentials.certificate.not_after().0)
    ));
    output.bytes(&credentials.to_json().map_err(failed)?)?;
    Ok(Outcome::Done)
}

fn read(answer: &CreateOperatorResponse, core: String, key: EcdsaKey) -> Result<OperatorCredentials, String> {
    let malformed = |error: Malformed| error.to_string();
    let certificate = Certificate::from_der(&answer.certificate).map_err(malformed)?;
    if certificate.thumbprint() != key.thumbprint() {
        return Err("it is for another key".to_owned());
    }
    let roots = answer.roots.iter().map(|root| Certificate::from_der(root)).collect::<Result<_, _>>();
    let mesh = MeshDomain::new(&answer.mesh).map_err(|error| error.to_string())?;
    Ok(OperatorCredentials { core, mesh, certificate, key, roots: roots.map_err(malformed)? })
}
