//! `skerry source confirm`: accepts a head that the core holds, or what sites refused of the revision in force.

use skerry_core::id::Revision;
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{EventRow, FleetStatus};

use crate::args::core::CoreArgs;
use crate::error::{CliError, ErrorKind};
use crate::fleet::view::{FleetView, SourceView};
use crate::outcome::Outcome;
use crate::output::Output;

/// How many digits of a hash name a commit.
const HASH: std::ops::RangeInclusive<usize> = 7..=40;

const EXAMPLES: &str = "\
Examples:
  skerry source get                  # shows the revision that is held, and why
  skerry source confirm 1a2b3c4d     # the held one, by its whole name or the start of its hash
  skerry source confirm 5e6f7a8b     # the one in force: what sites refused to lose of it is meant";

/// Accept a revision that the core holds, or what sites refused to lose of the one in force
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The revision: `main@sha1:<40 hex>`, or at least 7 digits of its hash
    #[arg(value_name = "REVISION")]
    pub revision: String,
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    if !names_a_commit(&args.revision) {
        let error = CliError::new(ErrorKind::Usage, format!("`{}` does not name a revision", args.revision));
        return Err(error.hint("write the held one as `skerry source get` shows it, or 7 digits of its hash"));
    }
    let mut core = args.core.connect()?;
    let source = FleetView::of(core.source()?).source;
    let held = source.held.as_ref().map(|held| &held.revision);
    let meant =
        held.into_iter().chain([&source.revision]).find(|revision| is_meant(&args.revision, revision));
    let Some(meant) = meant else { return Err(not_meant(args, &source)) };
    // A confirmation of what is in force goes to every site: only where it is an answer to one.
    if held != Some(meant) && !has_refusals(&core.status("")?) {
        let nothing = "nothing waits for a confirmation";
        output
            .result(&format!("{nothing}: {meant} is in force, and no site has refused anything of it\n"))?;
        return Ok(Outcome::Done);
    }
    core.confirm_source(meant)?;
    output.result(&format!("confirmed {meant}\n"))?;
    Ok(Outcome::Done)
}

/// Says whether a site has refused something since it last applied a bundle.
fn has_refusals(fleet: &FleetStatus) -> bool {
    let is_refusal =
        |event: &EventRow| event.event.as_ref().is_some_and(|event| event.kind() == Kind::BundleRefused);
    fleet.sites.iter().any(|site| site.open_older > 0 || site.open.iter().any(is_refusal))
}

fn not_meant(args: &Args, source: &SourceView) -> CliError {
    let (message, hint) = match &source.held {
        None => (
            "no revision waits for a confirmation".to_owned(),
            format!("the core runs `{}`", source.revision),
        ),
        Some(held) => (
            format!("`{}` does not wait for a confirmation", args.revision),
            format!("`{}` does: {}", held.revision, held.reason),
        ),
    };
    CliError::new(ErrorKind::Refused, message).hint(hint)
}

/// Says whether a text is the name of a revision, long or short, or the start of its hash.
fn names_a_commit(typed: &str) -> bool {
    let hash = typed.rsplit_once('@').map_or(typed, |(_, hash)| hash.trim_start_matches("sha1:"));
    HASH.contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_meant(typed: &str, revision: &str) -> bool {
    let hash = revision.split_once("@sha1:").map_or("", |(_, hash)| hash);
    let is_hash = HASH.contains(&typed.len()) && hash.starts_with(&typed.to_ascii_lowercase());
    typed == revision || typed == Revision::from_text(revision).short() || is_hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_held_revision_is_meant() {
        let hash = "1a2b3c4d".repeat(5);
        let held = format!("main@sha1:{hash}");
        for typed in [held.as_str(), &hash, "1a2b3c4", "main@1a2b3c4d"] {
            assert!(is_meant(typed, &held), "{typed}");
        }
        for typed in ["", "1a2b3c", "2b3c4d1a", "main", "main@sha1:1a2b3c4d"] {
            assert!(!is_meant(typed, &held), "{typed}");
        }
        assert!(is_meant("1A2B3C4", &held));
        for typed in ["1a2b3c4", "main@1a2b3c4d", &held, "main@sha1:1a2b3c4d"] {
            assert!(names_a_commit(typed), "{typed}");
        }
        for typed in ["", "abc", "1a2b3c", "main", "main@", "main@sha1:xyz", "not-a-hash", "@"] {
            assert!(!names_a_commit(typed), "{typed}");
        }
    }
}
