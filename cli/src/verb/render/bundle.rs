//! `skerry render bundle`: the bundle of a site, as JSON, YAML or the bytes of an offer.

use clap::ValueEnum;
use prost::Message as _;
use serde_json::{Value, json};
use skerry_core::bundle::{FragmentKey, v1};
use skerry_proto::v1::{Encoding, FragmentData, ListDelta, ListEntry, Offer};

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::{Output, bundle, serialized};
use crate::source::policy::Chosen;

use super::{Rendered, SiteArgs, prepare, render};

const EXAMPLES: &str = "\
Examples:
  skerry render bundle --site store-1
  skerry render bundle --source policies --rev HEAD~1 --site store-1 -o yaml
  skerry render bundle --site store-1 -o pb > store-1.pb    # a skerry.sync.v1.Offer";

/// Print the bundle of a site
///
/// Diagnostics go to standard error; exits with 1 if there are errors, and the bundle is printed all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which site of which policy.
    #[command(flatten)]
    pub site: SiteArgs,
    /// The form of the bundle
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Format::Json)]
    pub output: Format,
}

/// Forms of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For programs.
    Json,
    /// Pleasant to read.
    Yaml,
    /// The bytes of a `skerry.sync.v1.Offer` that needs nothing before it.
    Pb,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let (policy, chosen) = prepare(&args.site, output)?;
    let rendered = render(&policy, &chosen)?;
    match args.output {
        Format::Json => output.result(&serialized::json(&to_value(&rendered, &chosen))?)?,
        Format::Yaml => output.result(&serialized::yaml(&to_value(&rendered, &chosen))?)?,
        Format::Pb => output.bytes(&to_offer(&rendered, &chosen).encode_to_vec())?,
    }
    Ok(policy.outcome())
}

fn to_value(rendered: &Rendered, chosen: &Chosen) -> Value {
    let fragments = chosen.contents.fragments.iter().map(|fragment| {
        let content = v1::Fragment::decode(&*fragment.bytes).ok().and_then(|fragment| fragment.kind);
        let mut value = json!({
            "key": fragment.key.to_string(),
            "id": fragment.id.to_string(),
            "length": fragment.bytes.len(),
        });
        match content {
            Some(v1::fragment::Kind::Settings(settings)) => value["settings"] = bundle::settings(&settings),
            Some(v1::fragment::Kind::Service(service)) => value["service"] = bundle::service(&service),
            None => {}
        }
        value
    });
    let manifest = &rendered.bundle.manifest;
    json!({
        "manifest": {
            "digest": rendered.bundle.digest.to_string(),
            "site": manifest.site,
            "epoch": manifest.epoch,
            "generation": manifest.generation,
            "revision": manifest.revision,
            "list": chosen.contents.digest.to_string(),
            "schema": manifest.schema,
        },
        "fragments": fragments.collect::<Vec<_>>(),
    })
}

fn to_offer(rendered: &Rendered, chosen: &Chosen) -> Offer {
    let fragments = &chosen.contents.fragments;
    let entry = |key: &FragmentKey| ListEntry { key: key.to_string(), ..ListEntry::default() };
    let data = |bytes: &[u8]| FragmentData { encoding: Encoding::Identity.into(), data: bytes.to_vec() };
    let upserts = fragments.iter().map(|fragment| entry(&fragment.key)).collect();
    Offer {
        manifest: rendered.manifest.clone(),
        list: Some(ListDelta { upserts, ..ListDelta::default() }),
        fragments: fragments.iter().map(|fragment| data(&fragment.bytes)).collect(),
        number: 1,
        // It is what a core would say; no core has.
        signatures: Vec::new(),
        policy: None,
    }
}
