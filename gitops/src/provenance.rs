//! Who vouches for a commit: its signature, SSH or OpenPGP, against the signers that a `PolicySource` allows.
//!
//! [`verify`] is a function of the raw commit, the signers and the time; [`decide`] says what comes of its verdict. Must not
//! read clocks, and no file but through a reader that is passed in.
//!
//! The commit at the head is the one that is checked, a merge as any other: its signature covers its whole tree, and by
//! the ids of its parents all that came before, so who signs a head vouches for everything that goes into force with it.
//! The time is that at which the core looks, not the one in the commit, since that is what its author wrote.

use skerry_core::provenance::Provenance;
use skerry_crds::policy_source::VerifyMode;

use crate::history::History;
use crate::limits::COMMIT_BYTES;
use crate::oid::CommitId;
use crate::read_error::ReadError;

mod allowed_signers;
pub mod commit;
pub mod distrust;
mod openpgp;
pub mod signers;
mod ssh;
mod time;

use commit::SignedCommit;
use distrust::Distrust;
use signers::Signers;

/// What Git's SSH signatures are made for (`gpg-interface.c`).
const NAMESPACE: &str = "git";

/// What is found about a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is signed by somebody who may.
    Trusted {
        /// The committer's e-mail address, which that key may be used for.
        signer: String,
    },
    /// It is not signed.
    Unsigned,
    /// It is signed, and that is not trusted.
    Untrusted(Distrust),
}

impl Verdict {
    /// Returns what goes with the revision.
    pub fn provenance(&self) -> Provenance {
        match self {
            Self::Trusted { signer } => Provenance::Verified { signer: signer.clone() },
            Self::Unsigned => Provenance::Unsigned,
            Self::Untrusted(_) => Provenance::Untrusted,
        }
    }

    /// Says in one sentence why the commit is not trusted; nothing if it is.
    pub fn reason(&self) -> String {
        match self {
            Self::Trusted { .. } => String::new(),
            Self::Unsigned => "the commit is not signed".to_owned(),
            Self::Untrusted(distrust) => distrust.to_string(),
        }
    }

    /// Says in one sentence what would help; nothing if it is trusted.
    pub fn help(&self) -> String {
        match self {
            Self::Trusted { .. } => String::new(),
            Self::Unsigned => format!("sign commits (`git commit -S`), and {}", distrust::ON_TOP),
            Self::Untrusted(distrust) => distrust.help(),
        }
    }
}

/// Whether a head may go into force, as far as its signature tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admit,
    /// It may not, whoever confirms it.
    Hold,
}

/// Decides what comes of a verdict.
pub fn decide(mode: VerifyMode, verdict: &Verdict) -> Admission {
    match (mode, verdict) {
        (VerifyMode::Audit, _) | (VerifyMode::Enforce, Verdict::Trusted { .. }) => Admission::Admit,
        (VerifyMode::Enforce, Verdict::Unsigned | Verdict::Untrusted(_)) => Admission::Hold,
    }
}

/// Checks the raw bytes of a commit object. `now` is in seconds since 1970.
pub fn verify(commit: &[u8], signers: &Signers, now: i64) -> Verdict {
    match trusted(commit, signers, now) {
        Ok(Some(signer)) => Verdict::Trusted { signer },
        Ok(None) => Verdict::Unsigned,
        Err(distrust) => Verdict::Untrusted(distrust),
    }
}

/// Returns the signer; `None` if there is no signature.
fn trusted(commit: &[u8], signers: &Signers, now: i64) -> Result<Option<String>, Distrust> {
    if commit.len() > COMMIT_BYTES {
        return Err(Distrust::TooLarge { limit: COMMIT_BYTES });
    }
    let SignedCommit { payload, signature } = SignedCommit::parse(commit)?;
    let Some(signature) = signature else { return Ok(None) };
    let armor = std::str::from_utf8(&signature)
        .map_err(|_| Distrust::Malformed { reason: "it is not text".to_owned() })?;
    let good = match armor.lines().next().unwrap_or_default().trim_end() {
        "-----BEGIN SSH SIGNATURE-----" => ssh::check(&payload, armor, &signers.ssh, &signers.revoked)?,
        "-----BEGIN PGP SIGNATURE-----" => openpgp::check(&payload, armor, &signers.openpgp, now)?,
        "-----BEGIN SIGNED MESSAGE-----" => {
            return Err(Distrust::Unsupported { what: "an X.509 signature (`gpg.format=x509`)".to_owned() });
        }
        _ => return Err(Distrust::Malformed { reason: "it is neither of SSH nor of OpenPGP".to_owned() }),
    };
    let committer = commit::committer(&payload).ok_or(Distrust::NoCommitter)?;
    good.judge(committer, now)?;
    Ok(Some(committer.to_owned()))
}

impl History {
    /// Checks a commit of the repository.
    ///
    /// # Errors
    /// It is not there, or damaged.
    pub fn verify(&self, commit: CommitId, signers: &Signers, now: i64) -> Result<Verdict, ReadError> {
        let odb = self.repo.odb().map_err(|error| ReadError::corrupt(&error))?;
        let (size, _) = odb.read_header(commit.to_git()).map_err(|error| ReadError::corrupt(&error))?;
        if size > COMMIT_BYTES {
            return Ok(Verdict::Untrusted(Distrust::TooLarge { limit: COMMIT_BYTES }));
        }
        let object = odb.read(commit.to_git()).map_err(|error| ReadError::corrupt(&error))?;
        Ok(verify(object.data(), signers, now))
    }
}
