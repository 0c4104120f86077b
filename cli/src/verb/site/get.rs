//! `skerry site get`: sites in a table, one line each.

use crate::args::TableFormat;
use crate::args::core::CoreArgs;
use crate::error::{CliError, ErrorKind};
use crate::fleet::Fleet;
use crate::fleet::view::{FleetView, SiteDetailView, SiteView};
use crate::outcome::Outcome;
use crate::output::{Output, fleet, serialized};

const EXAMPLES: &str = "\
Examples:
  skerry site get
  skerry site get store-1
  skerry site get -o json | jq '.[] | select(.state != \"InSync\") | .site'";

/// List all sites, or show one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One site
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut core = args.core.connect()?;
    let text = match &args.name {
        Some(name) => {
            let site = one(&mut core, name)?.site;
            let table = |site: &_| fleet::labelled_sites(std::slice::from_ref(site), output.paint());
            serialized::in_form(&site, args.output, table)?
        }
        None => {
            let answer = output.progress().during("asking the core", || core.status(""))?;
            let sites: Vec<SiteView> = FleetView::of(answer).sites;
            serialized::in_form(&sites, args.output, |sites| fleet::labelled_sites(sites, output.paint()))?
        }
    };
    output.result(&text)?;
    Ok(Outcome::Done)
}

/// Asks for one site.
pub fn one(core: &mut Fleet, name: &str) -> Result<SiteDetailView, CliError> {
    SiteDetailView::of(core.site(name)?).ok_or_else(|| {
        CliError::new(ErrorKind::NotFound, format!("the core knows no site `{name}`"))
            .hint("`skerry site get` lists all sites")
    })
}
