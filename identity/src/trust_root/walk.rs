//! From one version of the trust root to later ones (TUF §5.3): each step is one version up, signed by a quorum of the
//! version before and by a quorum of itself.
//!
//! A quorum is the threshold of each role that the version has. So where there are policy keys, core keys alone cannot
//! replace, add or drop any key: whoever breaks into the core cannot rotate policy keys away. Must not look at the clock: a
//! site that slept through several versions walks over ones that are long over.

use super::{PolicyDemand, SignedRoot, TooFew, TrustRoot, TrustedRoot};
use crate::envelope::PayloadType;
use crate::malformed::Malformed;

/// The most versions in one walk: a site that slept for five years of monthly rotation. They take 64 × (4 KiB root +
/// 2.3 KiB signatures) = 403 KiB at most. Later ones are for the next walk.
pub const MAX_STEPS: usize = 64;

/// Why a root is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootRefusal {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is for another mesh.
    #[error("the trust root is for mesh `{0}`")]
    OtherMesh(String),
    /// It is older than the one that is believed.
    #[error("trust root {offered} is older than {current}, which this site believes")]
    Rollback {
        /// What was offered.
        offered: u64,
        /// What is believed.
        current: u64,
    },
    /// It has the version of the one that is believed, and another content.
    #[error("trust root {0} was issued twice with different content")]
    Equivocation(u64),
    /// Versions before it are missing.
    #[error("trust root {offered} does not follow {current}: the versions between are needed")]
    Gap {
        /// What was offered.
        offered: u64,
        /// What is believed.
        current: u64,
    },
    /// A quorum did not sign it.
    #[error("trust root {version} has {too_few}")]
    NotSigned {
        /// What was offered.
        version: u64,
        /// What is missing.
        too_few: TooFew,
    },
    /// It brings policy keys to a site that requires them and knows none: nobody but the core vouches for them.
    #[error(
        "trust root {0} brings the first policy keys, and this site requires policy signatures: enrol it anew, with somebody there \
         who knows these keys"
    )]
    FirstPolicyKeys(u64),
    /// The walk is too long.
    #[error("a walk over {0} trust roots is over the limit of {MAX_STEPS}")]
    TooManySteps(usize),
}

impl TrustedRoot {
    /// Walks over later versions, in order, and believes the last. All of the steps hold or none counts. The version that is
    /// believed already may be among them.
    pub fn walk(&self, steps: &[SignedRoot], demand: PolicyDemand) -> Result<Self, RootRefusal> {
        if steps.len() > MAX_STEPS {
            return Err(RootRefusal::TooManySteps(steps.len()));
        }
        steps.iter().try_fold(self.clone(), |current, next| current.step(next, demand))
    }

    fn step(self, next: &SignedRoot, demand: PolicyDemand) -> Result<Self, RootRefusal> {
        let root = next.root()?;
        let (offered, current) = (root.version, self.root.version);
        if root.mesh != self.root.mesh {
            return Err(RootRefusal::OtherMesh(root.mesh.to_string()));
        }
        if offered < current {
            return Err(RootRefusal::Rollback { offered, current });
        }
        if offered == current {
            let same = next.payload == self.signed.payload;
            return if same { Ok(self) } else { Err(RootRefusal::Equivocation(offered)) };
        }
        if Some(offered) != current.checked_add(1) {
            return Err(RootRefusal::Gap { offered, current });
        }
        check_quorum(&self.root, next)?;
        check_quorum(&root, next)?;
        if demand == PolicyDemand::Always && self.root.policy.is_none() && root.policy.is_some() {
            return Err(RootRefusal::FirstPolicyKeys(offered));
        }
        Ok(Self { root, signed: next.clone() })
    }
}

/// Checks that a quorum of `by` signed it.
pub(super) fn check_quorum(by: &TrustRoot, signed: &SignedRoot) -> Result<(), RootRefusal> {
    let version = signed.root()?.version;
    by.roles().try_for_each(|role| {
        by.check_role(role, PayloadType::TrustRoot, &signed.payload, &signed.signatures)
            .map(|_| ())
            .map_err(|too_few| RootRefusal::NotSigned { version, too_few })
    })
}
