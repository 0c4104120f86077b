//! `skerry bundle sign`: compiles a revision and signs what each site shall run. Needs no core.

use std::collections::BTreeSet;
use std::path::PathBuf;

use prost::Message as _;
use skerry_core::diagnostic::{Severity, has_errors};
use skerry_gitops::history::History;
use skerry_identity::envelope::KeyId;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_proto::limits::MAX_POLICY_FILE_BYTES;

use crate::args::source::{RevisionArgs, SourceArgs};
use crate::error::{CliError, ErrorKind};
use crate::key_file;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::policy_signatures::{Signing, count, mesh_of, sign};
use crate::source::policy::Policy;
use crate::source::{Origin, Source, count as count_diagnostics};

const EXAMPLES: &str = "\
Examples:
  skerry bundle sign --key policy.key                             # HEAD of this clone, into policy.sig
  skerry bundle sign --source policies --rev main --key policy.key -o main.sig
  skerry bundle sign --key policy.key --number 1200               # an older commit, on purpose: above what sites have

Sites take no number below the one that they have. It counts the commits up to the revision, so that it grows by itself; a clone
needs its whole history for that. What is broken in the revision is signed as a core has it that followed the history: held.";

/// Compile a revision and sign what each site shall run
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A Git repository with policies, a clone or a bare one; what is signed is a commit
    #[arg(long, short, value_name = "REPO", default_value = ".")]
    pub source: String,
    /// The folder inside the repository that holds the policies
    #[arg(long, value_name = "FOLDER", default_value = "", hide_default_value = true)]
    pub path: String,
    /// The commit, branch or tag to sign
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub rev: String,
    /// A policy key, Ed25519 in PEM; for several signatures name several
    #[arg(long, value_name = "FILE", required = true)]
    pub key: Vec<PathBuf>,
    /// The number to sign, if not that of the commits up to the revision
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub number: Option<u64>,
    /// Where the signatures go
    #[arg(long, short, value_name = "FILE", default_value = "policy.sig")]
    pub output: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut keys = args.key.iter().map(|path| key_file::read_private(path)).collect::<Result<Vec<_>, _>>()?;
    // A key counts once, however often it is named.
    let mut named = BTreeSet::new();
    keys.retain(|key| named.insert(KeyId::of(&key.public())));
    let source = SourceArgs { source: args.source.clone(), path: args.path.clone() };
    if Source::find(&source)?.is_folder() {
        return Err(no_commit(&source.source));
    }
    let revision = RevisionArgs { source, rev: Some(args.rev.clone()) };
    let policy = Policy::read_followed(&revision, output.progress())?;
    warn(&policy, output);
    let (commit, number) = number(&policy.loaded.origin, args.number)?;
    let mesh = mesh(&policy)?;
    let revision = policy.loaded.revision.to_string();
    let signing = Signing { mesh: &mesh, revision, commit: &commit, number, keys: &keys };
    let signatures = output.progress().during("signing", || sign(&policy.compiled, &signing))?;
    let bytes = signatures.encode_to_vec();
    if bytes.len() > MAX_POLICY_FILE_BYTES {
        let message = format!("{} bytes of signatures are over the limit of 64 MiB", bytes.len());
        return Err(CliError::new(ErrorKind::Usage, message).hint("sign with fewer keys at a time"));
    }
    fs_err::write(&args.output, &bytes).map_err(|error| CliError::write(&error))?;
    output.result(&format!(
        "signed number {number} of {} for {} sites in {} groups: {} ({} bytes)\n",
        signatures.revision,
        count(&signatures),
        signatures.groups.len(),
        args.output.display(),
        bytes.len()
    ))?;
    Ok(Outcome::Done)
}

/// Says what is signed as it was before, and what is not signed.
fn warn(policy: &Policy, output: &mut Output) {
    let warning = output.paint_stderr().warning("warning:").to_string();
    if has_errors(&policy.diagnostics) {
        let errors = count_diagnostics(&policy.diagnostics, Severity::Error);
        output.note(&format!(
            "{warning} errors in the revision: {errors}; it is signed as a core has it in force, see `skerry validate`\n"
        ));
    }
    let sites = policy.compiled.sites();
    let unverified = sites.filter(|site| policy.compiled.contents(site).is_none()).count();
    if unverified > 0 {
        output.note(&format!(
            "{warning} what is compiled for {unverified} sites is not signed: it does not verify\n"
        ));
    }
}

fn no_commit(folder: &str) -> CliError {
    CliError::new(ErrorKind::Source, format!("`{folder}` is a plain folder, and has no commit to sign")).hint(
        "name the top of a clone, or a bare repository, with `--source`, and the folder inside it with `--path`",
    )
}

/// Finds the commit and its number.
fn number(origin: &Origin, given: Option<u64>) -> Result<(String, u64), CliError> {
    let Origin::Commit { repository, revision } = origin else {
        return Err(CliError::internal("a folder was taken for a repository"));
    };
    let history = History::open(repository)?;
    let commit = history.resolve(revision)?.commit;
    let number = match given {
        Some(number) => number,
        None => history.commits_up_to(commit)?,
    };
    Ok((commit.to_string(), number))
}

/// The mesh of all sites.
fn mesh(policy: &Policy) -> Result<MeshDomain, CliError> {
    let mut contents = policy.compiled.sites().filter_map(|site| policy.compiled.contents(site));
    let Some(first) = contents.next() else {
        return Err(CliError::new(
            ErrorKind::Policy,
            "the policy declares no site that it could be signed for",
        )
        .hint("a signature names its site: commit a `Site` for each, see `skerry validate`"));
    };
    let mesh = mesh_of(first).unwrap_or_default();
    MeshDomain::new(&mesh).map_err(|error| CliError::new(ErrorKind::Policy, error.to_string()))
}
