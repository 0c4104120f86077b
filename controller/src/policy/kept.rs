//! What of the policy signatures is kept of one site: pure.

use skerry_core::id::Digest;
use skerry_identity::envelope::Signatures;
use skerry_identity::policy::PolicyProof;
use skerry_proto::v1;

/// How many different contents a site may have signatures for: what it runs, what it shall run, and what is signed before
/// the core has read it. With one key they take 4 × 150 B of memory for each site.
pub(super) const MAX_KEPT: usize = 4;

/// The signatures over one statement about a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What the site shall run.
    pub policy: Digest,
    /// The number of the statement.
    pub number: u64,
    /// The commit.
    pub commit: [u8; 20],
    /// By policy keys; as many as came.
    pub signatures: Signatures,
}

impl Kept {
    /// Returns what a site is shown of it.
    pub fn to_proof(&self) -> PolicyProof {
        let commit = self.commit.iter().map(|byte| format!("{byte:02x}")).collect();
        PolicyProof { number: self.number, commit, signatures: self.signatures.clone() }
    }

    /// Writes that for a site that has a manifest of this revision.
    pub fn to_wire(&self, revision: &str) -> v1::PolicyProof {
        let PolicyProof { number, commit, signatures } = self.to_proof();
        let is_told = revision.rsplit_once("@sha1:").is_some_and(|(_, named)| named == commit);
        let commit = if is_told { Vec::new() } else { self.commit.to_vec() };
        v1::PolicyProof { number, commit, signatures: signatures.to_bytes() }
    }

    fn is_of(&self, other: &Self) -> bool {
        (self.policy, self.number, self.commit) == (other.policy, other.number, other.commit)
    }

    /// Says whether it serves for all that another one does: the same content, at least as new and as often signed.
    fn replaces(&self, other: &Self) -> bool {
        let signatures = |kept: &Self| kept.signatures.iter().count();
        self.policy == other.policy && self.number >= other.number && signatures(self) >= signatures(other)
    }
}

/// Adds signatures to those of a site: newest first, each content once, [`MAX_KEPT`] at most. Says whether that changed
/// anything.
pub(super) fn fold(kept: &mut Vec<Kept>, mut news: Kept) -> bool {
    if let Some(same) = kept.iter().find(|same| same.is_of(&news)) {
        let mut merged = same.signatures.clone();
        merged.merge(&news.signatures);
        news.signatures = merged;
        if news == *same {
            return false;
        }
    } else if kept.iter().any(|other| other.replaces(&news)) {
        return false;
    }
    kept.retain(|other| !news.is_of(other) && !news.replaces(other));
    let at = kept.partition_point(|other| other.number > news.number);
    kept.insert(at, news);
    kept.truncate(MAX_KEPT);
    at < MAX_KEPT
}

#[cfg(test)]
mod tests {
    use skerry_identity::envelope::Signature;
    use skerry_identity::key::SigningKey;
    use skerry_identity::policy::Statement;
    use skerry_identity::spiffe_id::MeshDomain;

    use super::*;
    use crate::samples::site;

    fn signature(key: &SigningKey) -> Signature {
        let mesh = MeshDomain::new("mesh.local").unwrap();
        let (site, policy) = (site("s1"), Digest::of(b"policy"));
        Statement { mesh: &mesh, site: &site, number: 1, commit: "", policy: &policy }.sign(key).unwrap()
    }

    fn kept(content: &str, number: u64, by: &[&SigningKey]) -> Kept {
        let signatures = by.iter().map(|key| signature(key)).collect();
        Kept { policy: Digest::of(content.as_bytes()), number, commit: [7; 20], signatures }
    }

    #[test]
    fn each_content_is_kept_once_and_the_newest_stay() {
        let (a, b) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let mut all = Vec::new();
        assert!(fold(&mut all, kept("x", 1, &[&a])));
        assert!(!fold(&mut all, kept("x", 1, &[&a])), "the same again");
        assert!(fold(&mut all, kept("x", 1, &[&b])), "a second key");
        assert_eq!(all, [kept("x", 1, &[&a, &b])]);
        assert!(fold(&mut all, kept("x", 2, &[&a])), "not as often signed: both stay");
        assert_eq!(all.len(), 2);
        assert!(fold(&mut all, kept("x", 2, &[&b])), "now it is");
        assert_eq!(all, [kept("x", 2, &[&a, &b])]);
        assert!(!fold(&mut all, kept("x", 1, &[&a, &b])), "older");
        for (number, content) in [(3, "y"), (4, "z"), (5, "u"), (6, "v")] {
            assert!(fold(&mut all, kept(content, number, &[&a])));
        }
        assert_eq!(all.iter().map(|kept| kept.number).collect::<Vec<_>>(), [6, 5, 4, 3]);
        assert!(!fold(&mut all, kept("w", 1, &[&a])), "too old to be kept");
    }

    #[test]
    fn the_commit_travels_only_where_the_manifest_does_not_tell_it() {
        let one = kept("x", 1, &[]);
        let own = format!("main@sha1:{}", "07".repeat(20));
        assert!(one.to_wire(&own).commit.is_empty());
        assert_eq!(one.to_wire("main@sha1:0808").commit, [7; 20]);
        assert_eq!(one.to_proof().commit, "07".repeat(20));
    }
}
