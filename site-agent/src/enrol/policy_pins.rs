//! Policy keys that whoever enrols a box brings along: the first trust root comes from the core, and is believed about them
//! only as far as it agrees. Decides; reads files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skerry_identity::envelope::KeyId;
use skerry_identity::key::VerifyingKey;
use skerry_identity::trust_root::TrustRoot;

/// The longest file: a key is 120 B, and there may be text around it.
const MAX_BYTES: u64 = 64 << 10;

/// The keys that were brought along; none: whatever the core says is believed.
#[derive(Debug, Default)]
pub(super) struct PolicyPins(BTreeSet<VerifyingKey>);

impl PolicyPins {
    /// Reads the files; says which one is no public key.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, String> {
        let shown =
            |path: &Path, error: &dyn std::fmt::Display| format!("--policy-key {}: {error}", path.display());
        let read = |path: &PathBuf| {
            let length = std::fs::metadata(path).map_err(|error| shown(path, &error))?.len();
            if length > MAX_BYTES {
                return Err(shown(path, &"it is too long for a key"));
            }
            let text = std::fs::read_to_string(path).map_err(|error| shown(path, &error))?;
            VerifyingKey::from_pem(&text).map_err(|error| shown(path, &error))
        };
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Says whether a first trust root has policy keys, all of which were brought along; else why it is not believed.
    pub(super) fn check(&self, root: &TrustRoot) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(role) = &root.policy else {
            return Err("the core's trust root has no policy keys, and --policy-key names some (help: `skerry trust policy` puts \
                        them there)"
                .to_owned());
        };
        match role.keys.difference(&self.0).next() {
            // It may be an older version, of a time when nobody had to sign.
            None if !root.require_policy => Err("the core's trust root has the policy keys of --policy-key, and does not ask for their signatures: a \
                                                  core that was broken into could show it for ever (help: `skerry trust policy` \
                                                  makes them asked for; or enrol the box without --policy-key)"
                .to_owned()),
            None => Ok(()),
            Some(stranger) => Err(format!(
                "the core's trust root has policy key {}, which --policy-key does not name (help: name it, too, if it is \
                 one of yours; else the core is not)",
                KeyId::of(stranger)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use skerry_identity::key::SigningKey;
    use skerry_identity::spiffe_id::MeshDomain;
    use skerry_identity::trust_root::Role;

    use super::*;

    /// The table: who was brought along, and whom the core names.
    #[test]
    fn a_core_adds_no_policy_key_of_its_own() {
        let [core, a, b] = [(); 3].map(|()| SigningKey::generate().unwrap().public());
        let root = |keys: &[VerifyingKey]| TrustRoot {
            mesh: MeshDomain::new("mesh.local").unwrap(),
            version: 1,
            expires: 1_900_000_000,
            core: Role::new(1, [core]),
            policy: (!keys.is_empty()).then(|| Role::new(1, keys.iter().copied())),
            require_policy: !keys.is_empty(),
        };
        let cases: [(&[VerifyingKey], &[VerifyingKey], &str); 7] = [
            (&[], &[], ""),
            (&[], &[b], ""),
            (&[a], &[a], ""),
            (&[a, b], &[a], ""),
            (&[a], &[], "has no policy keys, and --policy-key names some"),
            (&[a], &[b], "which --policy-key does not name"),
            (&[a], &[a, b], "which --policy-key does not name"),
        ];
        for (pins, named, expected) in cases {
            let found =
                PolicyPins(pins.iter().copied().collect()).check(&root(named)).err().unwrap_or_default();
            assert!(
                found.contains(expected) && found.is_empty() == expected.is_empty(),
                "{expected}: {found}"
            );
        }
    }

    /// Policy keys have signed such a root by the book, before they were asked for.
    #[test]
    fn a_root_that_asks_for_no_signature_is_not_taken_from_a_core() {
        let [core, a] = [(); 2].map(|()| SigningKey::generate().unwrap().public());
        let root = TrustRoot {
            mesh: MeshDomain::new("mesh.local").unwrap(),
            version: 2,
            expires: 1_900_000_000,
            core: Role::new(1, [core]),
            policy: Some(Role::new(1, [a])),
            require_policy: false,
        };
        let found = PolicyPins(BTreeSet::from([a])).check(&root).unwrap_err();
        assert!(found.contains("does not ask for their signatures"), "{found}");
        assert_eq!(PolicyPins::default().check(&root), Ok(()));
    }

    #[test]
    fn a_file_that_is_no_public_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.key");
        let key = SigningKey::generate().unwrap();
        fs_err::write(&path, key.public().to_pem()).unwrap();
        assert_eq!(PolicyPins::read(std::slice::from_ref(&path)).unwrap().0, BTreeSet::from([key.public()]));
        fs_err::write(&path, &*key.to_pem().unwrap()).unwrap();
        for path in [path, folder.path().join("gone")] {
            let error = PolicyPins::read(std::slice::from_ref(&path)).unwrap_err();
            assert!(error.starts_with(&format!("--policy-key {}: ", path.display())), "{error}");
        }
    }
}
