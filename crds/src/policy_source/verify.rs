//! `spec.verify` → who may sign commits, in plain types.
//!
//! Keys stay text here: reading them and their files is `gitops`' part.

use std::path::{Path, PathBuf};

use skerry_core::diagnostic::{Code, Location};
use skerry_core::document::field_path;

use crate::api::policy_source::{self as api, VerifyMode};
use crate::findings::{Findings, below};

/// Whose signatures commits must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// What comes of a head that is not signed by an allowed signer.
    pub mode: VerifyMode,
    /// Who may sign.
    pub signers: Vec<Signer>,
    /// A file with more signers in the form of OpenSSH's `allowed_signers`.
    pub allowed_signers_file: Option<PathBuf>,
    /// A file with SSH public keys that are not trusted any more.
    pub revoked_keys_file: Option<PathBuf>,
}

/// Somebody who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Where the key stands.
    pub location: Location,
    /// The field in which it stands, as `spec.verify.signers[0].sshKey`.
    pub field: String,
    /// Patterns of the committers' e-mail addresses; at least one of them does not exclude.
    pub principals: Vec<String>,
    /// The key.
    pub key: SignerKey,
    /// Patterns of what an SSH key may sign; empty: anything.
    pub namespaces: Vec<String>,
    /// From when on it is trusted: seconds since 1970.
    pub valid_after: Option<i64>,
    /// Until when it is trusted; after `valid_after`.
    pub valid_before: Option<i64>,
    /// It is not trusted any more.
    pub is_revoked: bool,
}

/// A public key, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerKey {
    /// A line of a `.pub` file.
    Ssh(String),
    /// Armored OpenPGP keys.
    OpenPgp(String),
    /// A file with them.
    OpenPgpFile(PathBuf),
}

impl Verify {
    /// Looks for its files below a folder, unless their paths are absolute.
    #[must_use]
    pub fn with_files_below(mut self, folder: &Path) -> Self {
        let keys = self.signers.iter_mut().filter_map(|signer| match &mut signer.key {
            SignerKey::OpenPgpFile(file) => Some(file),
            SignerKey::Ssh(_) | SignerKey::OpenPgp(_) => None,
        });
        let lists = self.allowed_signers_file.iter_mut().chain(&mut self.revoked_keys_file);
        keys.chain(lists).for_each(|file| *file = folder.join(&*file));
        self
    }
}

/// Converts `spec.verify`; what is wrong with it is noted, and then the source is not used.
pub(super) fn convert(given: api::Verify, findings: &mut Findings<'_>) -> Verify {
    let pointer = "/spec/verify";
    let signers = given.signers.unwrap_or_default();
    if signers.is_empty() && given.allowed_signers_file.is_none() {
        let help = "list at least one signer: without one, no commit is trusted";
        let message = "name signers or an allowedSignersFile";
        findings.error(Code::InvalidValue, pointer, message, help);
    }
    let places: Vec<String> = (0..signers.len()).map(|at| format!("{pointer}/signers/{at}")).collect();
    let signers = signers.into_iter().zip(&places);
    Verify {
        mode: given.mode.unwrap_or(VerifyMode::Enforce),
        signers: signers.filter_map(|(signer, pointer)| convert_signer(signer, pointer, findings)).collect(),
        allowed_signers_file: given.allowed_signers_file.map(PathBuf::from),
        revoked_keys_file: given.revoked_keys_file.map(PathBuf::from),
    }
}

fn convert_signer(given: api::Signer, pointer: &str, findings: &mut Findings<'_>) -> Option<Signer> {
    let below = |name: &str| below(pointer, name);
    let Some((name, key)) = key(given.ssh_key, given.openpgp_key, given.openpgp_key_file) else {
        let message = "give exactly one of sshKey, openPGPKey and openPGPKeyFile";
        let help = "a signer has one key; list somebody with two keys twice";
        findings.error(Code::InvalidValue, pointer, message, help);
        return None;
    };
    if given.namespaces.is_some() && !matches!(key, SignerKey::Ssh(_)) {
        let help = "leave it out: OpenPGP signatures have no namespace";
        findings.error(Code::InvalidValue, &below("namespaces"), "only an sshKey has namespaces", help);
    }
    let namespaces = given.namespaces.unwrap_or_default();
    check_patterns(&given.principals, &below("principals"), findings);
    check_patterns(&namespaces, &below("namespaces"), findings);
    let valid_after = time(given.valid_after.as_deref(), &below("validAfter"), findings);
    let valid_before = time(given.valid_before.as_deref(), &below("validBefore"), findings);
    if valid_after.zip(valid_before).is_some_and(|(after, before)| after >= before) {
        let message = "validBefore is not after validAfter";
        let help = "let the key be valid for some time, or set `revoked: true`";
        findings.error(Code::InvalidValue, &below("validBefore"), message, help);
    }
    Some(Signer {
        location: findings.locate(&below(name)),
        field: field_path(&below(name)),
        principals: given.principals,
        key,
        namespaces,
        valid_after,
        valid_before,
        is_revoked: given.revoked.unwrap_or_default(),
    })
}

/// Returns the one key and the field that it is in.
fn key(
    ssh: Option<String>,
    openpgp: Option<String>,
    openpgp_file: Option<String>,
) -> Option<(&'static str, SignerKey)> {
    match (ssh, openpgp, openpgp_file) {
        (Some(key), None, None) => Some(("sshKey", SignerKey::Ssh(key))),
        (None, Some(key), None) => Some(("openPGPKey", SignerKey::OpenPgp(key))),
        (None, None, Some(file)) => Some(("openPGPKeyFile", SignerKey::OpenPgpFile(file.into()))),
        _ => None,
    }
}

/// Notes patterns that can never match, and lists of which nothing matches.
fn check_patterns(patterns: &[String], pointer: &str, findings: &mut Findings<'_>) {
    for (at, pattern) in patterns.iter().enumerate() {
        if !pattern.chars().all(|character| character.is_ascii_graphic() && character != ',') {
            let message = format!("`{pattern}` is not a pattern");
            let help = "write one address or pattern for each item, without blanks and commas";
            findings.error(Code::InvalidValue, &format!("{pointer}/{at}"), message, help);
        }
    }
    if !patterns.is_empty() && patterns.iter().all(|pattern| pattern.starts_with('!')) {
        let message = "all patterns exclude, so nothing matches";
        let help = "add a pattern without `!`, such as `*@example.com`";
        findings.error(Code::InvalidValue, pointer, message, help);
    }
}

fn time(given: Option<&str>, pointer: &str, findings: &mut Findings<'_>) -> Option<i64> {
    let text = given?;
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.as_second()),
        Err(_) => {
            let help = "write it as 2026-01-31T12:00:00Z (RFC 3339)";
            findings.error(Code::InvalidValue, pointer, format!("`{text}` is not a time"), help);
            None
        }
    }
}
