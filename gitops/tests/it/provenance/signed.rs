//! Commits, keys and signers to test with. Keys come from seeds, so fingerprints in golden files stay.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use skerry_core::diagnostic::Location;
use skerry_crds::policy_source::{Signer, SignerKey, Verify, VerifyMode};
use skerry_gitops::provenance::signers::{Loaded, Signers};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::rand_core::{CryptoRng, Error, RngCore};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// 2026-01-01T00:00:00Z.
pub(super) const NOW: i64 = 1_767_225_600;
pub(super) const DAY: i64 = 86_400;

pub(super) const ADA: &str = "ada@example.org";

/// A source of bits that are the same in each run (splitmix64). Fit for tests alone.
pub(super) struct Seed(pub(super) u64);

impl RngCore for Seed {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).unwrap()
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.next_u64().to_le_bytes()[0]);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seed {}

/// What Git signs: a commit of Ada's without a signature.
pub(super) fn payload() -> String {
    payload_of(&format!("Ada <{ADA}>"))
}

/// The same with another committer.
pub(super) fn payload_of(committer: &str) -> String {
    format!(
        "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor Eve <eve@example.org> 1767225000 +0000\n\
         committer {committer} 1767225000 +0000\n\nsplit the traffic\n\nOf the shop.\n"
    )
}

/// Puts a signature into a commit as Git does: the last of the fields.
pub(super) fn with_signature(payload: &str, armor: &str) -> Vec<u8> {
    let (header, message) = payload.split_once("\n\n").unwrap();
    let folded = armor.trim_end().replace('\n', "\n ");
    format!("{header}\ngpgsig {folded}\n\n{message}").into_bytes()
}

/// An SSH key.
pub(super) fn ssh_key(seed: u8) -> PrivateKey {
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(pair, "ada's laptop").unwrap()
}

pub(super) fn public(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

pub(super) fn ssh_armor(key: &PrivateKey, namespace: &str, payload: &str) -> String {
    let signature = key.sign(namespace, HashAlg::Sha512, payload.as_bytes()).unwrap();
    signature.to_pem(LineEnding::LF).unwrap()
}

/// Ada's commit, signed with an SSH key.
pub(super) fn ssh_signed(key: &PrivateKey) -> Vec<u8> {
    with_signature(&payload(), &ssh_armor(key, "git", &payload()))
}

/// A signer with no limits.
pub(super) fn signer(key: SignerKey) -> Signer {
    Signer {
        location: Location { file: "source.yaml".to_owned(), line: 9, column: 15 },
        field: "spec.verify.signers[0].sshKey".to_owned(),
        principals: vec![ADA.to_owned()],
        key,
        namespaces: Vec::new(),
        valid_after: None,
        valid_before: None,
        is_revoked: false,
    }
}

/// What a `PolicySource` says, with its files.
pub(super) struct Source {
    pub(super) verify: Verify,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Source {
    pub(super) fn with(signers: Vec<Signer>) -> Self {
        let (allowed_signers_file, revoked_keys_file) = (None, None);
        let verify = Verify { mode: VerifyMode::Enforce, signers, allowed_signers_file, revoked_keys_file };
        Self { verify, files: BTreeMap::new() }
    }

    pub(super) fn allowed(self, text: impl Into<Vec<u8>>) -> Self {
        let verify = Verify { allowed_signers_file: Some("allowed_signers".into()), ..self.verify };
        Self { verify, ..self }.file("allowed_signers", text)
    }

    pub(super) fn revoked(self, text: impl Into<Vec<u8>>) -> Self {
        let verify = Verify { revoked_keys_file: Some("revoked_keys".into()), ..self.verify };
        Self { verify, ..self }.file("revoked_keys", text)
    }

    pub(super) fn file(mut self, name: &str, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), text.into());
        self
    }

    pub(super) fn load(&self) -> Loaded {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        Loaded::load(&self.verify, |path: &Path| self.files.get(path).cloned().ok_or_else(missing))
    }

    /// Loads signers with whom nothing is wrong.
    pub(super) fn signers(&self) -> Signers {
        let loaded = self.load();
        assert_eq!(loaded.diagnostics, [].into());
        loaded.signers
    }
}

/// Ada with one SSH key.
pub(super) fn ada(key: &PrivateKey) -> Signer {
    signer(SignerKey::Ssh(public(key)))
}
