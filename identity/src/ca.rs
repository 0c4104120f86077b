//! Certificate authorities: the mesh root, each site's authority below it, and the transport authority beside them.
//!
//! Two trees, since they answer two questions. The mesh root's answers "which workload is this", and a site's authority
//! can name workloads of its own site only; the transport authority's answers "is this the core, or the agent of this
//! site". See docs/adr/0011. Names and rights are given here and never taken from a request. Whether the budget of a site
//! is covered is for [`crate::lifetimes`]; this module only refuses what outlives its issuer.

use skerry_core::id::{InvalidId, Timestamp};

use crate::certificate::Certificate;
use crate::key::{EcdsaKey, ProviderFailed};
use crate::malformed::Malformed;

pub use root::MeshRoot;
pub use site::{SiteCa, Svid};
pub use transport::{Peer, TransportCa};

mod authority;
mod constraint;
mod root;
mod site;
mod template;
mod transport;

/// Why a certificate is not issued, or an authority is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderFailed),
    /// The authority's own certificate or key cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// It would be valid for longer than its issuer.
    #[error(
        "it would last until {}, and its issuer ends at {}",
        Timestamp::from_seconds(*.wanted),
        Timestamp::from_seconds(*.end)
    )]
    Outlives {
        /// When it would end.
        wanted: u64,
        /// When the issuer does.
        end: u64,
    },
    /// The issuer is over.
    #[error("the issuer has ended at {}", Timestamp::from_seconds(*.0))]
    Over(u64),
    /// The authority's certificate is not what it should be.
    #[error("this is not the certificate of {expected}: {reason}")]
    OtherAuthority {
        /// What was expected.
        expected: String,
        /// Why it is not that.
        reason: &'static str,
    },
    /// A certificate cannot say this: a date after the year 9999, a name that is not ASCII.
    #[error("it cannot be written as a certificate: {0}")]
    Unwritable(String),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Unwritable(error.to_string())
    }
}

/// What of an authority is kept and shown, whichever it is.
pub trait Authority {
    /// Returns its certificate.
    fn certificate(&self) -> &Certificate;

    /// Returns its key: to be stored, sealed ([`crate::sealed`]) or with mode 0600.
    fn key(&self) -> &EcdsaKey;
}

fn seconds(time: Timestamp) -> u64 {
    time.0 / 1000
}

#[cfg(test)]
mod tests;
