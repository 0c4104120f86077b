//! `skerry root deliver`: brings what was signed to the core.

use std::path::PathBuf;

use skerry_identity::ceremony::SignedAuthorities;
use skerry_proto::v1::SignedAuthority;

use crate::args::core::CoreArgs;
use crate::error::{CliError, ErrorKind};
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::printable::on_one_line;

use super::folder::from_json;

const EXAMPLES: &str = "\
Examples:
  skerry root deliver signed.json

What was delivered before may be delivered again. Boxes that wait fetch it within a minute, others when they renew.";

/// Bring what the offline root has signed to the core
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core.
    #[command(flatten)]
    pub core: CoreArgs,
    /// What `skerry root sign` printed
    #[arg(value_name = "FILE")]
    pub signed: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let signed: SignedAuthorities = from_json(&args.signed)?;
    let to_wire = |signed: skerry_identity::ceremony::SignedAuthority| SignedAuthority {
        site: signed.site.to_string(),
        certificate: signed.certificate,
    };
    let authorities: Vec<_> = signed.certificates.into_iter().map(to_wire).collect();
    let (mesh, root) = (&signed.mesh, &signed.root);
    let answer = args.core.connect()?.deliver_authorities(&authorities, (mesh, root))?;
    for refused in &answer.refused {
        output.note(&format!("not taken for site {}: {}\n", refused.site, on_one_line(&refused.reason)));
    }
    let what = match answer.taken {
        1 => "1 certificate is".to_owned(),
        taken => format!("{taken} certificates are"),
    };
    output.result(&format!("{what} delivered\n"))?;
    match answer.refused.len() {
        0 => Ok(Outcome::Done),
        count => Err(CliError::new(ErrorKind::Refused, format!("the core did not take {count} of them"))
            .hint("`skerry root requests` has what waits now: sign that")),
    }
}
