//! Who may sign, as a `PolicySource` says it: in itself and in the files that it names.
//!
//! Must not check signatures. A signer who cannot be read trusts nobody and hurts no other; a list of revoked keys that
//! cannot be read in full makes all SSH signatures untrusted, since any of their keys may be on it.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;

use skerry_core::diagnostic::{Code, Diagnostic, Diagnostics, Location, Severity, has_errors};
use skerry_crds::policy_source::{self, SignerKey, Verify};
use ssh_key::public::KeyData;

use super::distrust::Distrust;
use super::openpgp::OpenPgpKey;
use super::{NAMESPACE, allowed_signers, openpgp, ssh};
use crate::limits::SIGNERS_BYTES;
use crate::pattern::Patterns;

/// RSA keys with fewer bits are weak (NIST SP 800-131A).
pub(super) const LEAST_RSA_BITS: usize = 2_048;

/// Everybody who may sign.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    pub(super) ssh: Vec<Signer<KeyData>>,
    pub(super) openpgp: Vec<Signer<OpenPgpKey>>,
    pub(super) revoked: Revoked,
}

/// One key, and when it may be used by whom.
#[derive(Debug, Clone)]
pub(super) struct Signer<K> {
    pub(super) key: K,
    pub(super) terms: Terms,
}

/// When a key may be used, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) principals: Patterns,
    /// For what; `None` is for everything.
    pub(super) namespaces: Option<Patterns>,
    /// Seconds since 1970; both are included, as in OpenSSH.
    pub(super) valid_after: Option<i64>,
    pub(super) valid_before: Option<i64>,
    pub(super) is_revoked: bool,
}

/// SSH keys that are trusted no more.
#[derive(Debug, Clone)]
pub(super) enum Revoked {
    Keys(BTreeSet<KeyData>),
    Unknown { file: String },
}

impl Default for Revoked {
    fn default() -> Self {
        Self::Keys(BTreeSet::new())
    }
}

/// A signature that was made by a key of this content, and who has such a key.
pub(super) struct Good<'a> {
    /// The key, for people.
    pub(super) key: String,
    /// What the list of signers says of it; empty if it is nobody's.
    pub(super) claims: Vec<Claim<'a>>,
}

/// One entry of a key.
pub(super) struct Claim<'a> {
    pub(super) terms: &'a Terms,
    /// Why the key may not be used by its own word.
    pub(super) own: Option<Distrust>,
}

/// What is wrong with a key or a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: String,
}

impl Flaw {
    pub(super) fn invalid(message: impl Into<String>, help: impl Into<String>) -> Self {
        let (severity, code) = (Severity::Error, Code::InvalidValue);
        Self { severity, code, message: message.into(), help: help.into() }
    }

    pub(super) fn unsupported(message: impl Into<String>, help: impl Into<String>) -> Self {
        let (severity, code) = (Severity::Warning, Code::Unsupported);
        Self { severity, code, message: message.into(), help: help.into() }
    }

    pub(super) fn at(self, location: Location) -> Diagnostic {
        let Self { severity, code, message, help } = self;
        let diagnostic = match severity {
            Severity::Error => Diagnostic::error(code, location, message),
            Severity::Warning => Diagnostic::warning(code, location, message),
        };
        diagnostic.help(help)
    }
}

/// Who may sign, and what of it could not be used.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Those who could be read.
    pub signers: Signers,
    /// What could not, each with its file and line.
    pub diagnostics: Diagnostics,
}

impl Loaded {
    /// Reads all signers; `read` reads the files, anew each time, so that they can be replaced.
    pub fn load(verify: &Verify, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Self {
        let mut loaded = Self::default();
        for signer in &verify.signers {
            if let Err(flaw) = loaded.signers.add(signer, &read) {
                loaded.diagnostics.insert(flaw.at(signer.location.clone()).field(&*signer.field));
            }
        }
        if let Some(file) = &verify.allowed_signers_file {
            match text_of(file, &read) {
                Ok(text) => {
                    let (signers, diagnostics) = allowed_signers::parse(&file.display().to_string(), &text);
                    loaded.signers.ssh.extend(signers);
                    loaded.diagnostics.extend(diagnostics);
                }
                Err(flaw) => drop(loaded.diagnostics.insert(flaw.at(whole(file)))),
            }
        }
        if let Some(file) = &verify.revoked_keys_file {
            loaded.revoke(file, text_of(file, &read));
        }
        loaded
    }

    /// Says what is wrong with the keys that the document itself holds: errors all, since whoever wrote it is there to
    /// mend it.
    pub fn check_inline(verify: &Verify) -> Diagnostics {
        let is_inline = |signer: &&policy_source::Signer| !matches!(signer.key, SignerKey::OpenPgpFile(_));
        let signers = verify.signers.iter().filter(is_inline).cloned().collect();
        let inline =
            Verify { signers, allowed_signers_file: None, revoked_keys_file: None, ..verify.clone() };
        let found = Self::load(&inline, |_| Err(io::ErrorKind::NotFound.into())).diagnostics;
        found.into_iter().map(|diagnostic| Diagnostic { severity: Severity::Error, ..diagnostic }).collect()
    }

    fn revoke(&mut self, file: &Path, text: Result<String, Flaw>) {
        let name = file.display().to_string();
        let (keys, diagnostics) = match text {
            Ok(text) => allowed_signers::parse_revoked(&name, &text),
            Err(flaw) => (BTreeSet::new(), [flaw.at(whole(file))].into()),
        };
        self.signers.revoked =
            if has_errors(&diagnostics) { Revoked::Unknown { file: name } } else { Revoked::Keys(keys) };
        self.diagnostics.extend(diagnostics);
    }
}

impl Signers {
    fn add(
        &mut self,
        signer: &policy_source::Signer,
        read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<(), Flaw> {
        let terms = Terms {
            principals: Patterns::of(&signer.principals),
            namespaces: (!signer.namespaces.is_empty()).then(|| Patterns::of(&signer.namespaces)),
            valid_after: signer.valid_after,
            valid_before: signer.valid_before,
            is_revoked: signer.is_revoked,
        };
        let keys = match &signer.key {
            SignerKey::Ssh(text) => {
                self.ssh.push(Signer { key: ssh::parse_key(text)?, terms });
                return Ok(());
            }
            SignerKey::OpenPgp(text) => openpgp::parse_keys(text)?,
            SignerKey::OpenPgpFile(file) => openpgp::parse_keys(&text_of(file, read)?)?,
        };
        self.openpgp.extend(keys.into_iter().map(|key| Signer { key, terms: terms.clone() }));
        Ok(())
    }
}

impl Terms {
    /// Says why a key may not be used, if so; the later in this order, the nearer it is to being trusted.
    fn objection(&self, key: &str, committer: &str, now: i64) -> Option<(u8, Distrust)> {
        let key = key.to_owned();
        if let Some(allowed) = self.namespaces.as_ref().filter(|namespaces| !namespaces.matches(NAMESPACE)) {
            return Some((0, Distrust::NamespaceNotAllowed { key, allowed: allowed.to_string() }));
        }
        if !self.principals.matches(committer) {
            let (principals, committer) = (self.principals.to_string(), committer.to_owned());
            return Some((1, Distrust::WrongPrincipal { key, principals, committer }));
        }
        match (self.valid_after, self.valid_before) {
            (Some(from), _) if now < from => Some((2, Distrust::NotYetValid { key, from })),
            (_, Some(until)) if now > until => Some((2, Distrust::Expired { key, until })),
            _ => None,
        }
    }
}

impl Good<'_> {
    /// Decides about a signature that is good: whether its key is that of somebody who may sign as this committer, now.
    /// One entry of the key that allows it is enough, and one that revokes it is, too.
    pub(super) fn judge(self, committer: &str, now: i64) -> Result<(), Distrust> {
        let Self { key, claims } = self;
        let is_revoked =
            |claim: &Claim<'_>| claim.terms.is_revoked || matches!(claim.own, Some(Distrust::Revoked { .. }));
        if claims.iter().any(is_revoked) {
            return Err(Distrust::Revoked { key });
        }
        let mut nearest: Option<(u8, Distrust)> = None;
        for claim in claims {
            let objection = claim.terms.objection(&key, committer, now);
            let Some(objection) = objection.or_else(|| claim.own.map(|own| (3, own))) else { return Ok(()) };
            if nearest.as_ref().is_none_or(|(place, _)| objection.0 > *place) {
                nearest = Some(objection);
            }
        }
        Err(nearest.map_or(Distrust::UnknownKey { key }, |(_, distrust)| distrust))
    }
}

/// Reads a file of signers, at most [`SIGNERS_BYTES`] of it.
///
/// # Errors
/// What the system says; a longer file is an error, too.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(SIGNERS_BYTES).unwrap_or(u64::MAX);
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() > SIGNERS_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {SIGNERS_BYTES} bytes")));
    }
    Ok(bytes)
}

/// What is not UTF-8 is replaced: in a comment it does not matter, and in a key it is found.
fn text_of(file: &Path, read: &impl Fn(&Path) -> io::Result<Vec<u8>>) -> Result<String, Flaw> {
    let bytes = read(file).map_err(|error| {
        let help = "see that the file named in `spec.verify` of the PolicySource exists and may be read";
        Flaw::invalid(format!("`{}` cannot be read: {error}", file.display()), help)
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn whole(file: &Path) -> Location {
    Location::file(file.display().to_string())
}
