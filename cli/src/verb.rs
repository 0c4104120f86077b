//! The verbs: one file for each, each with its arguments and `run`.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod bundle;
pub mod completions;
pub mod diff;
pub mod explain;
pub mod generate_docs;
pub mod operator;
pub mod render;
pub mod root;
pub mod site;
pub mod source;
pub mod status;
pub mod trust;
pub mod validate;

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "clap would show it in place of each verb's own words")]
pub enum Verb {
    Status(status::Args),
    Site(site::Args),
    Source(source::Args),
    Operator(operator::Args),
    Root(root::Args),
    Validate(validate::Args),
    Render(render::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Bundle(bundle::Args),
    Trust(trust::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    GenerateDocs(generate_docs::Args),
}

/// Runs a verb.
pub fn run(verb: &Verb, output: &mut Output) -> Result<Outcome, CliError> {
    match verb {
        Verb::Status(args) => status::run(args, output),
        Verb::Site(args) => site::run(args, output),
        Verb::Source(args) => source::run(args, output),
        Verb::Operator(args) => operator::run(args, output),
        Verb::Root(args) => root::run(args, output),
        Verb::Validate(args) => validate::run(args, output),
        Verb::Render(args) => render::run(args, output),
        Verb::Diff(args) => diff::run(args, output),
        Verb::Explain(args) => explain::run(args, output),
        Verb::Bundle(args) => bundle::run(args, output),
        Verb::Trust(args) => trust::run(args, output),
        Verb::Completions(args) => completions::run(args, output),
        Verb::GenerateDocs(args) => generate_docs::run(args, output),
    }
}
