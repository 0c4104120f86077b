//! Trust roots, and who signed what.
//!
//! Whatever a root says of itself, a manifest is believed because of as many of its keys as it asks for, and of no others.

use skerry_core::id::Timestamp;
use skerry_identity::envelope::Signatures;
use skerry_identity::trust_root::{PolicyDemand, SignedRoot, TrustedRoot};

use crate::{Reach, parts};

/// When it is: milliseconds.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Reads a root, the root after it, and signatures; verifies. Taken if the manifest is vouched for.
pub fn body(bytes: &[u8]) -> Reach {
    let (root, rest) = parts::split(bytes);
    let (next, rest) = parts::split(rest);
    let (manifest, signatures) = parts::split(rest);
    let Some(trusted) = read(root).and_then(|signed| TrustedRoot::first(signed).ok()) else {
        return Reach::Refused;
    };
    let steps: Vec<SignedRoot> = read(next).into_iter().collect();
    let trusted = match trusted.walk(&steps, PolicyDemand::AsRoot) {
        Ok(walked) => {
            let step = walked.root().version - trusted.root().version;
            assert!(step <= 1 && walked.root().mesh == trusted.root().mesh);
            walked
        }
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            trusted
        }
    };
    Reach::of(is_vouched_for(&trusted, manifest, signatures))
}

/// Reads a root, and reads it back as it was.
fn read(json: &[u8]) -> Option<SignedRoot> {
    let signed: SignedRoot = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&signed).expect("it can be written");
    assert_eq!(serde_json::from_slice::<SignedRoot>(&written).ok().as_ref(), Some(&signed));
    if let Ok(root) = signed.root() {
        assert_eq!(root.to_bytes().as_ref(), Ok(&signed.payload), "a root has one form");
    }
    Some(signed)
}

fn is_vouched_for(trusted: &TrustedRoot, manifest: &[u8], signatures: &[u8]) -> bool {
    let Ok(signatures) = Signatures::from_bytes(signatures) else { return false };
    let Ok(by) = trusted.verify_manifest(manifest, &signatures, NOW) else { return false };
    let root = trusted.root();
    assert!(!root.is_over(NOW) && by.len() >= usize::from(root.core.threshold));
    assert!(by.iter().all(|id| signatures.iter().any(|signature| signature.key_id == *id)));
    true
}
