//! Signatures: what is not trusted is held whoever confirms it, and what is in force stays.

use skerry_core::provenance::Provenance;
use skerry_crds::policy_source::{Verify, VerifyMode};

use super::repository::{COMMITTER, SshKey};
use super::*;

/// The folder of a core that knows one signer.
struct Trust {
    rig: Rig,
    key: SshKey,
}

impl Trust {
    /// A repository whose first commit is not signed, and a core that takes signed ones only.
    fn enforced() -> Self {
        let mut trust = Self { rig: Rig::with("", &[("a.yaml", SITE)]), key: SshKey::new() };
        trust.rig.verify = Some(Verify {
            mode: VerifyMode::Enforce,
            signers: Vec::new(),
            allowed_signers_file: Some(trust.file("allowed")),
            revoked_keys_file: Some(trust.file("revoked")),
        });
        trust.write("allowed", &allowed(&trust.key));
        trust.write("revoked", "");
        trust
    }

    fn audited() -> Self {
        let mut trust = Self::enforced();
        trust.rig.verify = trust.rig.verify.map(|verify| Verify { mode: VerifyMode::Audit, ..verify });
        trust
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.rig.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs_err::write(self.file(name), text).unwrap();
    }

    fn commit(&self, message: &str) -> String {
        self.rig.repository.commit(message, &[])
    }

    fn signed(&self, files: &[(&str, &str)]) -> String {
        self.rig.repository.commit_signed("signed", files, &self.key)
    }

    /// Starts with a signed revision in force, and keeps it.
    fn started(&mut self) -> Follower<PendingStore> {
        self.signed(&[]);
        self.rig.start_accepted()
    }
}

/// A line of `allowed_signers`.
fn allowed(key: &SshKey) -> String {
    format!("{COMMITTER} {}\n", key.public())
}

fn verified() -> Provenance {
    Provenance::Verified { signer: COMMITTER.to_owned() }
}

fn provenance(follower: &Follower<PendingStore>) -> Provenance {
    follower.accepted.as_ref().unwrap().signature.provenance.clone()
}

fn waits_for_trust(follower: &Follower<PendingStore>) -> bool {
    let until = follower.pending.held.as_ref().map(|held| &held.until);
    matches!(until, Some(Until::Trusted { help }) if !help.is_empty())
}

#[test]
fn the_first_head_is_held_until_a_signed_one_comes() {
    let trust = Trust::enforced();
    let mut follower = trust.rig.start();
    follower.poll().unwrap();
    assert_eq!(held(&follower), "the commit is not signed");
    assert!(waits_for_trust(&follower));
    assert_eq!((accepted(&follower), scopes(&mut follower)), (String::new(), vec![]));

    let signed = trust.signed(&[]);
    follower.poll().unwrap();

    assert_eq!((accepted(&follower), held(&follower)), (signed, ""));
    assert_eq!(provenance(&follower), verified());
    assert_eq!(follower.take_events()[0].accepted.signature.provenance, verified());
}

/// Invariant 6: the last good revision is served on, over a restart too, and a confirmation changes nothing.
#[test]
fn invariant_6_an_unsigned_head_is_held_over_a_restart_and_whoever_confirms_it() {
    let mut trust = Trust::enforced();
    let mut follower = trust.started();
    let good = accepted(&follower);
    let bad = trust.rig.repository.commit("all gone", &[("a.yaml", ""), ("README.md", "x")]);
    for _ in 0..2 {
        follower.poll().unwrap();
        assert_eq!((held(&follower), accepted(&follower)), ("the commit is not signed", good.clone()));
        let refused = follower.confirm(&bad).unwrap_err();
        assert!(matches!(refused, NotConfirmed::Untrusted { .. }), "{refused}");
        assert!(refused.to_string().contains("a confirmation does not change that"), "{refused}");
        assert_eq!(follower.pending.confirmed, None, "it is not kept for later either");
        let events = follower.take_events();
        assert!(events.iter().all(|event| event.deletes.is_empty()), "{events:?}");
        follower = trust.rig.start();
        assert!(waits_for_trust(&follower), "it is in the store");
    }
}

/// Files are read anew, so the list of signers can be mended without a restart and without a commit.
#[test]
fn a_hold_ends_when_the_signer_is_allowed() {
    let mut trust = Trust::enforced();
    let mut follower = trust.started();
    let other = SshKey::new();
    let commit = trust.rig.repository.commit_signed("by somebody else", &[], &other);
    follower.poll().unwrap();
    assert!(held(&follower).ends_with("which is no allowed signer's"), "{}", held(&follower));

    trust.write("allowed", &format!("{}* cert-authority {}\n", allowed(&trust.key), other.public()));
    follower.poll().unwrap();
    assert!(waits_for_trust(&follower), "a certificate authority trusts nobody");
    let said: Vec<String> = trust.rig.board.view().signers.iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].contains("allowed:2: warning[Unsupported]"), "{said:?}");

    trust.write("allowed", &format!("{}{}", allowed(&trust.key), allowed(&other)));
    follower.poll().unwrap();
    assert_eq!((accepted(&follower), held(&follower)), (commit, ""));
    assert_eq!(trust.rig.board.view().signers, [].into());
}

#[test]
fn what_is_in_force_stays_when_its_key_is_revoked() {
    let mut trust = Trust::enforced();
    let mut follower = trust.started();
    let commit = accepted(&follower);
    trust.write("revoked", &trust.key.public());
    for _ in 0..2 {
        follower.poll().unwrap();
        assert_eq!((accepted(&follower), held(&follower)), (commit.clone(), ""));
        assert_eq!(provenance(&follower), verified());
        follower = trust.rig.start();
    }
    // Also when nothing but the store is left of it.
    fs_err::remove_dir_all(trust.file("mirror")).unwrap();
    let mut follower = trust.rig.start();
    follower.poll().unwrap();
    assert_eq!((accepted(&follower), scopes(&mut follower)), (commit, vec![Scope::Whole]));

    trust.signed(&[]);
    follower.poll().unwrap();
    assert!(held(&follower).ends_with("which is revoked"), "{}", held(&follower));
}

/// What is in force when signatures are first asked for stays in force; the next head must be signed.
#[test]
fn signatures_are_asked_for_from_the_next_head_on() {
    let mut trust = Trust::enforced();
    let verify = trust.rig.verify.take();
    let first = accepted(&trust.rig.start_accepted());
    trust.rig.verify = verify;
    let mut follower = trust.rig.start();
    follower.poll().unwrap();
    assert_eq!((accepted(&follower), held(&follower)), (first.clone(), ""));
    assert_eq!(provenance(&follower), Provenance::Unchecked);
    trust.commit("not signed");
    follower.poll().unwrap();
    assert_eq!((accepted(&follower), held(&follower)), (first, "the commit is not signed"));
}

/// The commit in force would be another policy in another folder, so it is checked for that.
#[test]
fn another_path_of_an_unsigned_commit_is_held_for_its_signature() {
    let mut trust = Trust::enforced();
    trust.rig.repository.commit("more", &[("lab/b.yaml", &site_named("s2"))]);
    let verify = trust.rig.verify.take();
    trust.rig.start_accepted();
    (trust.rig.verify, trust.rig.path) = (verify, "lab");
    let mut follower = trust.rig.start();
    follower.poll().unwrap();
    assert!(waits_for_trust(&follower), "{:?}", follower.pending);
}

#[test]
fn a_rewritten_head_waits_for_trust_first_and_then_for_a_confirmation() {
    let mut trust = Trust::enforced();
    let mut follower = trust.started();
    let good = accepted(&follower);
    trust.rig.repository.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "rewritten"]);
    follower.poll().unwrap();
    assert!(waits_for_trust(&follower));

    trust.rig.repository.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let rewritten = trust.signed(&[("b.yaml", &site_named("s2"))]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("was rewritten") && !waits_for_trust(&follower), "{}", held(&follower));
    assert_eq!(accepted(&follower), good);
    follower.confirm(&rewritten).unwrap();
    assert_eq!((accepted(&follower), provenance(&follower)), (rewritten, verified()));
}

/// Between the look at a head and its confirmation a key may be revoked: it is looked at again.
#[test]
fn a_confirmation_comes_too_late_for_a_key_that_was_revoked() {
    let mut trust = Trust::enforced();
    let mut follower = trust.started();
    let good = accepted(&follower);
    trust.rig.repository.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let rewritten = trust.signed(&[("b.yaml", &site_named("s2"))]);
    follower.poll().unwrap();
    assert!(held(&follower).contains("was rewritten"));
    trust.write("revoked", &trust.key.public());

    let refused = follower.confirm(&rewritten).unwrap_err();

    assert!(refused.to_string().contains("which is revoked"), "{refused}");
    assert_eq!(accepted(&follower), good);
    assert!(follower.take_events().iter().all(|event| event.accepted.commit.to_string() == good));
}

#[test]
fn where_signatures_are_audited_everything_is_taken_and_said() {
    let trust = Trust::audited();
    let mut follower = trust.rig.start();
    follower.poll().unwrap();
    let accepted = |follower: &Follower<PendingStore>| follower.accepted.clone().unwrap().signature;
    assert_eq!(accepted(&follower).provenance, Provenance::Unsigned);
    trust.rig.repository.commit_signed("by a stranger", &[], &SshKey::new());
    follower.poll().unwrap();
    let found = accepted(&follower);
    assert_eq!(found.provenance, Provenance::Untrusted);
    assert!(found.reason.ends_with("which is no allowed signer's"), "{}", found.reason);
    trust.signed(&[]);
    follower.poll().unwrap();
    assert_eq!(accepted(&follower), Signature { provenance: verified(), reason: String::new() });
    assert_eq!(held(&follower), "");
}

/// A file that is not there trusts nobody, and is said; what is in force stays.
#[test]
fn a_list_of_signers_that_cannot_be_read_trusts_nobody_and_is_said() {
    let mut trust = Trust::enforced();
    let mut follower = trust.started();
    let good = accepted(&follower);
    fs_err::remove_file(trust.file("allowed")).unwrap();
    follower.poll().unwrap();
    let said: Vec<String> = trust.rig.board.view().signers.iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].contains("cannot be read"), "said before anything is held: {said:?}");
    trust.signed(&[]);
    follower.poll().unwrap();
    assert!(waits_for_trust(&follower));
    assert_eq!(accepted(&follower), good);
}

/// Who switches signatures on sees at once that what is in force has none; it stays in force.
#[test]
fn what_is_in_force_is_looked_at_when_signatures_are_switched_on() {
    let mut trust = Trust::enforced();
    let verify = trust.rig.verify.take();
    drop(trust.rig.start_accepted());
    trust.rig.verify = verify;
    let mut follower = trust.rig.start();
    follower.restore();
    follower.poll().unwrap();
    let (revision, found) = trust.rig.board.view().in_force.expect("it is shown");
    assert_eq!((revision, held(&follower)), (follower.accepted.clone().unwrap().revision, ""));
    assert_eq!((found.provenance, found.reason.as_str()), (Provenance::Unsigned, "the commit is not signed"));

    trust.signed(&[]);
    follower.poll().unwrap();
    follower.poll().unwrap();
    assert_eq!(trust.rig.board.view().in_force, None, "what came after was looked at when it came");
}
