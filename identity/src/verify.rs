//! Verification of certificates: whether a chain proves who a peer is, at a time.
//!
//! Sans IO and total: any bytes give a refusal, never a panic. It does itself what rustls's own verifier cannot: the URI
//! name constraint of a site's authority. Must not decide what a peer may do; it says who it is.
//!
//! Rules: RFC 5280 §6 for the path, X509-SVID §5 for the leaf, and the shape of Skerry's own trees: a workload is vouched
//! for by the authority of its site, that by the mesh root; a peer of the link by the transport authority directly.

use rustls::pki_types::CertificateDer;
use skerry_core::id::{InvalidId, SiteId, Timestamp};

use crate::certificate::Certificate;
use crate::malformed::Malformed;
use crate::spiffe_id::{MeshDomain, SpiffeId};
use crate::thumbprint::Thumbprint;

pub use peer::{VerifiedPeer, verify_peer, verify_pinned_core};
pub use svid::{VerifiedSvid, verify_site_ca, verify_svid};

mod names;
mod parsed;
mod path;
mod peer;
mod svid;
pub mod tls;

/// The roots that a verifier trusts, and the mesh that they speak for. Several while a root is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    /// The mesh.
    pub mesh: MeshDomain,
    /// The roots: of the mesh for workloads, of the transport authority for the link. Never both in one value.
    pub roots: Vec<Certificate>,
}

/// The most certificates of a chain that are looked at: a leaf, an authority, and the root if it is sent along.
pub const MAX_CHAIN: usize = 4;

/// Which certificate of a chain it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The peer's own.
    Leaf,
    /// An authority's, counted from the leaf, from 1.
    Authority(usize),
    /// A root that is trusted here.
    Root,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Leaf => f.write_str("the leaf"),
            Self::Authority(1) => f.write_str("the authority"),
            Self::Authority(number) => write!(f, "authority {number}"),
            Self::Root => f.write_str("the root"),
        }
    }
}

/// Why a chain proves nothing. The text goes into reports and logs; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No certificate, or too many.
    #[error("a chain of {0} certificates; 1 to {MAX_CHAIN} are read")]
    Length(usize),
    /// One cannot be read.
    #[error("{0}: {1}")]
    Malformed(Place, Malformed),
    /// It has a critical extension that is not known here (RFC 5280 §4.2), or one twice.
    #[error("{0} has an extension that cannot be taken into account: {1}")]
    Extension(Place, String),
    /// Nobody in the chain and no root signed it.
    #[error("{0} is issued by nobody that is trusted here")]
    UnknownIssuer(Place),
    /// Its signature is wrong, or by an algorithm that is not known here.
    #[error("the signature of {0} is not by its issuer")]
    BadSignature(Place),
    /// It is not valid yet.
    #[error("{} is valid from {}, and it is {}", .0, Timestamp::from_seconds(*.1), Timestamp::from_seconds(*.2))]
    NotYetValid(Place, u64, u64),
    /// It is over.
    #[error("{} was valid until {}, and it is {}", .0, Timestamp::from_seconds(*.1), Timestamp::from_seconds(*.2))]
    Expired(Place, u64, u64),
    /// It signs others and may not.
    #[error("{0} may not sign certificates")]
    NotAnAuthority(Place),
    /// More authorities follow it than it allows.
    #[error("{place} allows {most} authorities below it, and {found} follow")]
    PathTooLong {
        /// Whose limit it is.
        place: Place,
        /// The limit.
        most: u32,
        /// How many there are.
        found: u32,
    },
    /// A name lies outside of what an authority may name.
    #[error("{place} may not name `{name}`")]
    OutsideConstraint {
        /// Whose constraint it is.
        place: Place,
        /// The name.
        name: String,
    },
    /// A name constraint of a kind that is not known here.
    #[error("{0} has a name constraint that is not understood")]
    UnknownConstraint(Place),
    /// The chain has another shape than Skerry's.
    #[error("{0}")]
    Shape(&'static str),
    /// The leaf breaks a rule of the X509-SVID specification.
    #[error("the leaf is no X509-SVID: {0}")]
    NotAnSvid(&'static str),
    /// It has not exactly one URI.
    #[error("{0} has {1} URIs, and an SVID has one (X509-SVID §2)")]
    Uris(Place, usize),
    /// Its URI is not a SPIFFE ID.
    #[error("{0}: {1}")]
    Name(Place, InvalidId),
    /// It is of another mesh, or not of a kind that is expected here.
    #[error("`{id}` is not {expected} of mesh `{mesh}`")]
    OtherName {
        /// Who it says it is.
        id: SpiffeId,
        /// What was expected, in words.
        expected: &'static str,
        /// The mesh that is trusted here.
        mesh: String,
    },
    /// Its site was cut off: key thumbprint of an authority that is revoked.
    #[error("the authority of site `{0}` is revoked (key {1})")]
    Revoked(SiteId, Thumbprint),
    /// Another peer was expected.
    #[error("`{0}` is not who is expected here")]
    Unexpected(SpiffeId),
    /// The core has another key than the one that the join token pins.
    #[error("no authority in the chain has the key that is pinned ({0}): wrong core, or an old token")]
    OtherPin(Thumbprint),
}

fn seconds(now: Timestamp) -> u64 {
    now.0 / 1000
}

/// Names the certificates of a chain.
fn place(index: usize) -> Place {
    if index == 0 { Place::Leaf } else { Place::Authority(index) }
}

fn other_name(mesh: &MeshDomain, id: &SpiffeId, expected: &'static str) -> Refusal {
    Refusal::OtherName { id: id.clone(), expected, mesh: mesh.as_str().to_owned() }
}

/// Chains as rustls and stores hold them.
pub type Chain<'a> = [CertificateDer<'a>];

#[cfg(test)]
mod tests;
