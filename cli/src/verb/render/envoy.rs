//! `skerry render envoy`: the configuration of one proxy, as one file that Envoy runs, or resource by resource.

use std::path::{Path, PathBuf};

use skerry_core::bundle::Bundle;
use skerry_core::bundle::v1::MtlsMode;
use skerry_core::diagnostic::{Diagnostic, Severity, has_errors};
use skerry_core::id::{NamespacedName, SiteId};
use skerry_core::workload::Workload;
use skerry_xds::bootstrap::{BootstrapOptions, NodeId, static_bootstrap};
use skerry_xds::json::{JsonError, resources_to_json, to_json};
use skerry_xds::lower::{Dns, Domain, Identity, LowerError, LowerOptions, lower, unenforced};
use skerry_xds::resource::ResourceSet;

use crate::error::{CliError, ErrorKind};
use crate::nearest;
use crate::outcome::Outcome;
use crate::output::{Output, diagnostics};

use super::{SiteArgs, prepare, render};

const EXAMPLES: &str = "\
Examples:
  skerry render envoy --site store-1 --workload shop/web-1 --workloads local --static > envoy.json
  envoy -c envoy.json
  skerry render envoy --site store-1 --workload shop/web-1 --workloads local | jq '.routes | keys'";

/// Print the Envoy configuration of one proxy
///
/// Diagnostics go to standard error; exits with 1 if there are errors, and the configuration is printed all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which site of which policy.
    #[command(flatten)]
    pub site: SiteArgs,
    /// The workload whose proxy is meant
    #[arg(long, value_name = "NS/NAME")]
    pub workload: NamespacedName,
    /// The folder with the site's Workload files
    #[arg(long, value_name = "DIR")]
    pub workloads: PathBuf,
    /// Print one file that `envoy -c` runs and that needs nothing else; without it, the xDS resources
    #[arg(long = "static")]
    pub is_static: bool,
    /// As at an enrolled site: with mutual TLS, by certificates that Envoy reads from this folder (with `--static`:
    /// `workload.secret.pb` and `mesh-roots.secret.pb`)
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Do not answer names over DNS
    #[arg(long)]
    pub no_dns: bool,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let (policy, chosen) = prepare(&args.site, output)?;
    let (workloads, problems) = read_workloads(&args.workloads)?;
    say_problems(&problems, &args.workloads, output);
    let bundle = render(&policy, &chosen)?.bundle;
    let options = LowerOptions {
        dns: if args.no_dns { Dns::Off } else { Dns::Serve },
        identity: identity(args, &chosen.site, &bundle),
        ..LowerOptions::default()
    };
    if args.secrets.is_none() && asks_for_mutual_tls(&bundle) {
        let warning = output.paint_stderr().warning("warning:");
        output.note(&format!(
            "{warning} the policy says Strict, and this is how a site serves that is not enrolled: in plain text (--secrets DIR \
             shows mutual TLS)\n"
        ));
    }
    let set =
        lower(&bundle, &workloads, &args.workload, &options).map_err(|error| to_error(&error, &workloads))?;
    let problems_of_proxy = set.problems.iter().map(ToString::to_string);
    for problem in problems_of_proxy.chain(unenforced(&bundle, &workloads)) {
        let warning = output.paint_stderr().warning("warning:");
        output.note(&format!("{warning} {problem}\n"));
    }
    let node = NodeId::of(&chosen.site, &args.workload);
    let text = print(args, &set, &node).map_err(|error| CliError::internal(error.to_string()))?;
    output.result(&text)?;
    Ok(if has_errors(&problems) { Outcome::PolicyErrors } else { policy.outcome() })
}

fn identity(args: &Args, site: &SiteId, bundle: &Bundle) -> Identity {
    match args.secrets {
        Some(_) => {
            Identity::Held(Domain { site: site.to_string(), mesh: bundle.settings.trust_domain.clone() })
        }
        None => Identity::NotEnrolled,
    }
}

fn asks_for_mutual_tls(bundle: &Bundle) -> bool {
    let services = bundle.services.values().map(|service| service.mtls());
    services.chain([bundle.settings.mtls()]).any(|mode| mode == MtlsMode::Strict)
}

fn print(args: &Args, set: &ResourceSet, node: &NodeId) -> Result<String, JsonError> {
    match args.is_static {
        true => {
            let secrets = args.secrets.clone().unwrap_or_default();
            to_json(&static_bootstrap(
                set,
                node,
                &BootstrapOptions { secrets, ..BootstrapOptions::default() },
            ))
        }
        false => resources_to_json(set),
    }
}

/// Reads the files of a folder that can hold workloads; not those in folders below.
fn read_workloads(folder: &Path) -> Result<(Vec<Workload>, Vec<Diagnostic>), CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::new(ErrorKind::Source, error.to_string())
            .hint("name the folder with the site's Workload files")
    };
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_policy = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if is_policy && !name.starts_with('.') && entry.path().is_file() {
            files.push((name, fs_err::read(entry.path()).map_err(unreadable)?));
        }
    }
    Ok(skerry_crds::load_workloads(&files))
}

fn say_problems(problems: &[Diagnostic], folder: &Path, output: &mut Output) {
    let read = |file: &str| fs_err::read_to_string(folder.join(file)).ok();
    let (shown, paint) = (folder.display().to_string(), output.paint_stderr());
    let (errors, others): (Vec<_>, Vec<_>) =
        problems.iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    output.say(&diagnostics::render(errors, &shown, &read, paint));
    output.note(&diagnostics::render(others, &shown, &read, paint));
}

fn to_error(error: &LowerError, workloads: &[Workload]) -> CliError {
    let with_proxy = |typed: &NamespacedName| {
        let names = workloads
            .iter()
            .filter(|workload| workload.proxy.is_some())
            .map(|workload| workload.name.to_string());
        let list = nearest::list(&typed.to_string(), names);
        if list.is_empty() {
            "no workload has a proxy: give one `spec.proxy`".to_owned()
        } else {
            format!("workloads with a proxy: {list}")
        }
    };
    match error {
        LowerError::UnknownWorkload(name) | LowerError::NoProxy(name) => {
            CliError::new(ErrorKind::NotFound, error.to_string()).hint(with_proxy(name))
        }
        LowerError::InvalidCidr(_) => CliError::internal(error.to_string()),
    }
}
