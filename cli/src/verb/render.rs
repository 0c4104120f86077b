//! `skerry render`: what a site or one of its proxies would get. Needs no server.

use clap::Subcommand;
use skerry_core::bundle::Bundle;
use skerry_core::diagnostic::Severity;
use skerry_core::id::{Generation, Timestamp};
use skerry_core::ledger::{Row, Terms, encode};
use skerry_core::provenance::Provenance;
use skerry_core::verify::verify;

use crate::args::source::RevisionArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::{Output, diagnostics};
use crate::source::commit::Lookup;
use crate::source::policy::{Chosen, Policy};

pub mod bundle;
pub mod envoy;

const EXAMPLES: &str = "\
Examples:
  skerry render bundle --site store-1
  skerry render envoy --site store-1 --workload shop/web-1 --workloads local --static";

/// Print what a site, or one of its proxies, would get
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to print.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "clap would show it in place of each verb's own words")]
pub enum Verb {
    Bundle(bundle::Args),
    Envoy(envoy::Args),
}

/// Which site of which policy.
#[derive(Debug, Clone, clap::Args)]
pub struct SiteArgs {
    /// Where policies are read from.
    #[command(flatten)]
    pub source: RevisionArgs,
    /// The site; if the policy declares none, any name stands for a site without labels
    #[arg(long, value_name = "SITE")]
    pub site: String,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Bundle(args) => bundle::run(args, output),
        Verb::Envoy(args) => envoy::run(args, output),
    }
}

/// What a site would run, with the bytes that it would check.
#[derive(Debug)]
struct Rendered {
    manifest: Vec<u8>,
    bundle: Bundle,
}

/// Reads a policy, says what is wrong with it on standard error, and finds the site.
fn prepare(args: &SiteArgs, output: &mut Output) -> Result<(Policy, Chosen), CliError> {
    let policy = Policy::read(&args.source, output.progress())?;
    let lookup = Lookup::open(&policy.loaded.origin);
    let read = |file: &str| lookup.text(file);
    let (folder, paint) = (policy.loaded.folder(), output.paint_stderr());
    let (errors, others): (Vec<_>, Vec<_>) =
        policy.diagnostics.iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    output.say(&diagnostics::render(errors, folder, &read, paint));
    output.note(&diagnostics::render(others, folder, &read, paint));
    let chosen = policy.choose(&args.site)?;
    if !chosen.is_declared {
        let warning = paint.warning("warning:");
        output.note(&format!(
            "{warning} the policy declares no site: `{}` is taken as one without labels\n",
            chosen.site
        ));
    }
    Ok((policy, chosen))
}

/// Makes the bundle of a site as its first publication, at no time: equal policies give equal bytes.
fn render(policy: &Policy, chosen: &Chosen) -> Result<Rendered, CliError> {
    let row = Row {
        list: chosen.contents.digest,
        generation: Generation(1),
        revision: policy.loaded.revision.clone(),
        issued_at: Timestamp(0),
        removals: 0,
        provenance: Provenance::Unchecked,
    };
    let (manifest, _) = encode(&row.manifest(&chosen.site, Terms::default()));
    let fragments = &chosen.contents.fragments;
    let find =
        |id: &_| fragments.iter().find(|fragment| fragment.id == *id).map(|fragment| fragment.bytes.clone());
    let bundle = verify(&manifest, &chosen.contents.list, find)
        .map_err(|refusal| CliError::internal(format!("the compiled bundle does not verify: {refusal}")))?;
    Ok(Rendered { manifest, bundle })
}
