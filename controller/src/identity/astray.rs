//! Which sites cannot get on with this core by themselves, and why. Pure.
//!
//! A site goes from one version of the trust root to the next, each vouched for by the one before. A core whose identity was put back
//! from an old copy makes versions again under numbers that sites have already: they go on, renew, and take nothing that it signs.

use serde::{Deserialize, Serialize};
use skerry_core::id::Timestamp;

/// What keeps a site from getting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Astray {
    /// When it was seen last.
    pub at: Timestamp,
    /// What it is.
    pub why: Why,
}

/// The kinds of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Its trust root is another than the core's of that version.
    OtherRoot(Versions),
    /// The core has not made its version of the trust root.
    NewerRoot(Versions),
    /// A new link root signs, and the site is not known to know it.
    LeftBehind,
}

/// The versions of the trust root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Which one the site has.
    pub site: u64,
    /// The newest that the core has.
    pub core: u64,
}

/// The trust root that a site says it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaidRoot {
    /// Its version; 0: it has none yet.
    pub version: u64,
    /// Its digest; `None`: the agent is of a release that does not say.
    pub digest: Option<[u8; 32]>,
}

impl Astray {
    /// Says whether it believes nothing that the core signs, whatever it is told.
    pub fn has_other_root(&self) -> bool {
        match self.why {
            Why::OtherRoot(_) | Why::NewerRoot(_) => true,
            Why::LeftBehind => false,
        }
    }
}

/// Judges a trust root by those that the core has made: the newest version, and the digest of each.
pub fn judge(said: &SaidRoot, newest: u64, made: impl FnOnce(u64) -> Option<[u8; 32]>) -> Option<Why> {
    let versions = Versions { site: said.version, core: newest };
    if said.version > newest {
        return Some(Why::NewerRoot(versions));
    }
    let is_other = said.digest? != made(said.version)?;
    is_other.then_some(Why::OtherRoot(versions))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table: by the version that the site has, by what it says of it, and by what the core has made, here versions 1 to 3.
    #[test]
    fn a_trust_root_is_the_core_s_by_version_and_digest() {
        let made = |version: u64| (1..=3).contains(&version).then(|| [u8::try_from(version).unwrap(); 32]);
        let other = |site| Some(Why::OtherRoot(Versions { site, core: 3 }));
        let newer = |site| Some(Why::NewerRoot(Versions { site, core: 3 }));
        for (version, digest, expected) in [
            (3, Some([3; 32]), None),
            (3, Some([9; 32]), other(3)),
            // It is behind, and what it is behind of is not the core's.
            (2, Some([2; 32]), None),
            (2, Some([3; 32]), other(2)),
            // The number is enough.
            (4, Some([3; 32]), newer(4)),
            (4, None, newer(4)),
            (u64::MAX, None, newer(u64::MAX)),
            // An agent of a release that does not say.
            (3, None, None),
            // It waits for its first certificate, and has none.
            (0, None, None),
            (0, Some([9; 32]), None),
        ] {
            let said = SaidRoot { version, digest };
            assert_eq!(judge(&said, 3, made), expected, "{said:?}");
        }
    }
}
