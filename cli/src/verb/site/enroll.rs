//! `skerry site enroll`: a join token for the box of a site.

use skerry_proto::v1::CreateTokenRequest;

use crate::args::core::CoreArgs;
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
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_life)]
    pub expires: u64,
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
        life_seconds: args.expires,
        core: args.address.clone().unwrap_or_else(|| core.url().to_owned()),
        replace: args.replace,
    };
    let made = core.create_token(request)?;
    let mut words = format!(
        "give it to the box of site `{}`: `skerry-agent enroll --data-dir DIR` reads it; it ends at {}",
        args.name,
        rfc3339(made.expires_at_ms)
    );
    if made.unknown_site {
        words.push_str("; the policy repository has no such site yet");
    }
    output.note(&words);
    output.result(&format!("{}\n", made.token))?;
    Ok(Outcome::Done)
}

fn parse_life(text: &str) -> Result<u64, String> {
    let wrong = || "write it as `30m`, `24h` or `7d`, at most 30 days".to_owned();
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|seconds| (1..=30 * 86_400).contains(seconds)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_have_a_unit_and_bounds() {
        for (text, expected) in [
            ("30m", Some(1_800)),
            ("24h", Some(86_400)),
            ("30d", Some(2_592_000)),
            ("31d", None),
            ("0h", None),
        ] {
            assert_eq!(parse_life(text).ok(), expected, "{text}");
        }
        for text in ["", "h", "24", "-1h", "ä", "99999999999999999999d"] {
            assert!(parse_life(text).is_err(), "{text}");
        }
    }
}
