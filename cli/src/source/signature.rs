//! Who vouches for the commit that was read: its signature, against the signers that a file with a `PolicySource` allows.
//!
//! Must not read the clock.

use std::path::Path;

use serde::Serialize;
use skerry_core::diagnostic::{Diagnostic, has_errors};
use skerry_crds::{decode_policy_source, parse};
use skerry_gitops::history::History;
use skerry_gitops::provenance::Verdict;
use skerry_gitops::provenance::signers::{Loaded, Signers, read_file};

use super::{Origin, Stand};
use crate::error::{CliError, ErrorKind};
use crate::signature::{Check, SignatureView};

/// The commit that an answer is of.
#[derive(Debug, Clone, Serialize)]
pub struct Vouched {
    /// The revision; of a clone's files as they are, that of HEAD.
    pub name: String,
    /// What was found about its signature; `None` of what is not committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureView>,
    /// The folder whose files were read, where they are not those of the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncommitted: Option<String>,
}

/// Reads who may sign from a file with one `PolicySource`.
pub fn load(file: &Path) -> Result<Loaded, CliError> {
    let shown = file.display().to_string();
    let error = |message: String| CliError::new(ErrorKind::Source, message);
    let bytes = fs_err::read(file).map_err(|failed| {
        error(failed.to_string()).hint("name the file with the PolicySource that the core was given")
    })?;
    let parsed = parse(&shown, &bytes);
    let refused = |diagnostics: &[Diagnostic]| {
        let lines = diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        error(format!("`{shown}` is not a PolicySource that can be used: {lines}"))
    };
    let [document] = parsed.documents.as_slice() else {
        return Err(refused(&parsed.diagnostics).hint("put one PolicySource into the file"));
    };
    if has_errors(&parsed.diagnostics) {
        return Err(refused(&parsed.diagnostics));
    }
    let source = decode_policy_source(document).map_err(|diagnostics| refused(&diagnostics))?;
    let Some(verify) = source.verify else {
        let none = error(format!("the PolicySource in `{shown}` does not say who may sign"));
        return Err(none.hint("add `spec.verify` with signers"));
    };
    let verify = verify.with_files_below(file.parent().unwrap_or(Path::new("")));
    Ok(Loaded::load(&verify, read_file))
}

/// Checks the commit that a source was read at; `None` when there is none. Without signers it is only said whether it
/// is signed.
pub fn vouched(origin: &Origin, signers: Option<&Signers>, now: i64) -> Result<Option<Vouched>, CliError> {
    let (repository, revision) = match origin {
        Origin::Commit { repository, revision } => (repository, revision.as_str()),
        Origin::Folder { stand: Stand::Alone, .. } => return Ok(None),
        Origin::Folder { root, .. } => (root, "HEAD"),
    };
    let history = History::open(repository)?;
    // A clone without a commit has nothing that could be signed.
    let Ok(resolved) = history.resolve(revision) else { return Ok(None) };
    let name = resolved.revision.to_string();
    // Nobody vouches for what is not committed.
    if let Origin::Folder { stand: Stand::Changed, read, .. } = origin {
        let files = if read.is_empty() { "." } else { read };
        return Ok(Some(Vouched { name, signature: None, uncommitted: Some(files.to_owned()) }));
    }
    let nobody = Signers::default();
    let verdict = history.verify(resolved.commit, signers.unwrap_or(&nobody), now)?;
    let signature = match (&verdict, signers) {
        (Verdict::Untrusted(_), None) => None,
        _ => SignatureView::of(&verdict.provenance(), verdict.reason()),
    };
    let signature = signature.unwrap_or_else(unchecked);
    Ok(Some(Vouched { name, signature: Some(signature), uncommitted: None }))
}

fn unchecked() -> SignatureView {
    SignatureView { check: Check::Unchecked, signer: String::new(), reason: String::new() }
}
