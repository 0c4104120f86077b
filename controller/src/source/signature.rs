//! Who vouches for a head: reads the signers, has the signature checked, and says what comes of it.
//!
//! The decisions are `gitops`' part ([`skerry_gitops::provenance`]).

use skerry_crds::policy_source::{Verify, VerifyMode};
use skerry_gitops::history::History;
use skerry_gitops::mirror::Head;
use skerry_gitops::provenance::signers::{Loaded, Signers, read_file};
use skerry_gitops::provenance::{Admission, decide};
use skerry_gitops::read_error::ReadError;
use tracing::warn;

use super::status::SourceBoard;
use crate::store::{Accepted, HeldHead, Signature, Until};

/// What comes of a head, as far as its signature tells.
pub(super) enum Checked {
    /// It may go into force.
    Admitted(Signature),
    /// It may not.
    Held(HeldHead),
}

/// Reads who may sign, and shows what of it cannot be used. `None`: nobody looks at signatures.
pub(super) fn signers(verify: Option<&Verify>, board: &SourceBoard) -> Option<(VerifyMode, Signers)> {
    let verify = verify?;
    let Loaded { signers, diagnostics } = Loaded::load(verify, read_file);
    board.set_signers(diagnostics);
    Some((verify.mode, signers))
}

/// Checks the signature of a head. `now` is in seconds since 1970.
///
/// # Errors
/// The commit cannot be read.
pub(super) fn check(
    history: &History,
    head: &Head,
    signers: Option<&(VerifyMode, Signers)>,
    now: u64,
) -> Result<Checked, ReadError> {
    let Some((mode, signers)) = signers else { return Ok(Checked::Admitted(Signature::default())) };
    let verdict = history.verify(head.commit, signers, i64::try_from(now).unwrap_or(i64::MAX))?;
    let (reason, help) = (verdict.reason(), verdict.help());
    if decide(*mode, &verdict) == Admission::Hold {
        let (commit, revision, until) = (head.commit, head.revision.clone(), Until::Trusted { help });
        return Ok(Checked::Held(HeldHead { commit, revision, reason, until }));
    }
    if !reason.is_empty() {
        warn!(revision = %head.revision, reason, help, "the signature is not trusted; it is taken all the same");
    }
    Ok(Checked::Admitted(Signature { provenance: verdict.provenance(), reason }))
}

/// Shows what is found about the revision in force, where that stays and nobody looked at signatures when it came.
pub(super) fn show_in_force(
    history: &History,
    in_force: Option<&Accepted>,
    signers: Option<&(VerifyMode, Signers)>,
    now: u64,
    board: &SourceBoard,
) {
    let unseen = in_force.filter(|accepted| accepted.signature == Signature::default());
    let found = unseen.zip(signers).and_then(|(accepted, (_, signers))| {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let verdict = history.verify(accepted.commit, signers, now).ok()?;
        let signature = Signature { provenance: verdict.provenance(), reason: verdict.reason() };
        Some((accepted.revision.clone(), signature))
    });
    board.set_in_force(found);
}
