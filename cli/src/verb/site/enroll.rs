//! `skerry site enroll`: a join token for the box of a site.

use skerry_proto::v1::CreateTokenRequest;

use crate::args::core::CoreArgs;
use crate::args::life::{Life, parse_life};
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::age::rfc3339;

const EXAMPLES: &str = "\
Examples:
  skerry site enroll store-1 > store-1.token
  skerry site enroll store-1 --expires 72h --address https://core.example:7443
  skerry site enroll store-1 --replace | ssh store-1 skerry-agent enroll --data-dir /var/lib/skerry

The token is good for one box, once. Whoever has it can become the site: hand it over as you would a password.";

/// Print a join token, with which a box becomes the one of a site
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The site, as in the policy repository
    #[arg(value_name = "SITE")]
    pub name: String,
    /// How long the token lasts, `30m`, `24h` or `7d`; at most 30 days
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_life::<30>)]
    pub expires: Life,
    /// Where the site reaches the core, if not where this command does
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// The box takes the place of the one that is the site's now, which is cut off then
    #[arg(long)]
    pub replace: bool,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut core = args.core.connect()?;
    let request = CreateTokenRequest {
        site: args.name.clone(),
        life_seconds: args.expires.0,
        core: args.address.clone().unwrap_or_else(|| core.url().to_owned()),
        replace: args.replace,
    };
    let made = core.create_token(request)?;
    let mut words = format!(
        "give it to the box of site `{}`: `skerry-agent enroll --data-dir DIR` reads it; it ends at {}",
        args.name,
        rfc3339(made.expires_at_ms)
    );
    if args.replace {
        words.push_str(
            " (with `--replace` where a box is enrolled already, whose agent is to be restarted then)",
        );
    }
    if made.unknown_site {
        words.push_str("; the policy repository has no such site yet");
    }
    words.push('\n');
    output.note(&words);
    output.result(&format!("{}\n", made.token))?;
    Ok(Outcome::Done)
}
