//! `skerry root sign`: the ceremony itself.

use std::path::PathBuf;

use skerry_identity::ceremony::{Item, SigningRequests, Standing};

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::age::span;
use crate::output::table::{Cell, Tone, table};

use super::folder::{Folder, from_json, now, to_json, usage};

const EXAMPLES: &str = "\
Examples:
  skerry root sign --dir /media/root requests.json > signed.json
  skerry root sign --dir /media/root requests.json --new oslo --new bergen > signed.json

A site that was signed for before, and has the same key, is signed for again. One that is new, or has another key, is not until you
name it: ask who stands at the box for the first digits of its key, which `skerry-agent enroll` shows. A core that was broken into can
ask for any name; whoever holds the root is the one who notices.";

/// Sign what waits, on the machine that has the root's key
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder that `skerry root create` made
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// What `skerry root requests` printed
    #[arg(value_name = "FILE")]
    pub requests: PathBuf,
    /// Sign for this site although it is new, or has another key than last time
    #[arg(long, value_name = "SITE")]
    pub new: Vec<String>,
    /// Sign for every site that was never signed for
    #[arg(long)]
    pub all_new: bool,
}

impl Args {
    fn accepts(&self, item: &Item) -> bool {
        let is_named = self.new.iter().any(|site| site == item.site.as_str());
        match item.standing {
            Standing::Renewal => true,
            Standing::New => is_named || self.all_new,
            Standing::Changed { .. } => is_named,
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let folder = Folder::new(&args.dir);
    let (root, mut ledger) = folder.open()?;
    let requests: SigningRequests = from_json(&args.requests)?;
    let refused = |error| usage(format!("{}: {error}", args.requests.display()));
    let items = requests.read(&ledger).map_err(|error| refused(error.to_string()))?;
    if let Some(site) = args.new.iter().find(|site| items.iter().all(|item| item.site.as_str() != *site)) {
        return Err(usage(format!("--new {site}: nothing waits for that site")));
    }
    let rows = items.iter().map(|item| row(item, args.accepts(item)));
    let heading = ["SITE", "KEY", "LASTS", "BEFORE", ""];
    output.say(&table(output.paint_stderr(), &heading, rows));
    let (accepted, left): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| args.accepts(item));
    let hint = "compare the first digits of each key with what the box shows, then name its site with --new";
    if accepted.is_empty() && !left.is_empty() {
        return Err(
            usage("nothing is signed: no site was signed for with this key before".to_owned()).hint(hint)
        );
    }
    let signed = ledger.sign(&root, &accepted, now()?).map_err(|error| refused(error.to_string()))?;
    // What is printed may be delivered: it is remembered first.
    folder.keep(&ledger)?;
    output.result(&to_json(&signed)?)?;
    let what = if accepted.len() == 1 { "1 site".to_owned() } else { format!("{} sites", accepted.len()) };
    let words = format!("signed for {what}, left out {}", left.len());
    output.note(&if left.is_empty() { format!("{words}\n") } else { format!("{words} ({hint})\n") });
    Ok(Outcome::Done)
}

fn row(item: &Item, is_accepted: bool) -> Vec<Cell> {
    let before = match item.standing {
        Standing::Renewal => "same key".to_owned(),
        Standing::New => "never signed for".to_owned(),
        Standing::Changed { before } => format!("another key: {}", before.short()),
    };
    let outcome =
        if is_accepted { Cell::toned("signed", Tone::Good) } else { Cell::toned("left out", Tone::Warning) };
    vec![
        item.site.as_str().into(),
        item.key.public().thumbprint().short().into(),
        span(u64::try_from(item.lasts.as_millis()).unwrap_or(u64::MAX)).into(),
        before.into(),
        outcome,
    ]
}
