//! The ceremony of a mesh root that is kept offline: what the core asks for, what comes back, and what the one who signs
//! remembers.
//!
//! Three files, JSON: the core writes [`SigningRequests`], the machine with the root's key answers with [`SignedAuthorities`]
//! and keeps a [`Ledger`] of the keys that it has signed for. A core that is broken into can ask for anything; that a site has
//! another key than last time is seen by the ledger, and by nothing else. Must not decide who is accepted: people do.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};

use crate::ca::{Authority as _, CaError, MeshRoot};
use crate::csr::{self, ProvenKey};
use crate::lifetimes::{MAX_SITE_CA, Validity};
use crate::malformed::Malformed;
use crate::pem::{Label, decode, encode};
use crate::spiffe_id::MeshDomain;
use crate::thumbprint::Thumbprint;

/// The most requests in a file: a fleet of 10,000 sites at once. More come with the next file.
pub const MAX_REQUESTS: usize = 10_000;

/// The longest file that is read: a certificate takes about 1 KiB, so 10,000 take 10 MiB.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// The shortest life that is signed for: the shortest offline budget.
const MIN_LIFE: Duration = Duration::from_secs(3_600);

/// What a core asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningRequests {
    /// The mesh.
    pub mesh: MeshDomain,
    /// The key of the root that shall sign.
    pub root: Thumbprint,
    /// By site; each once.
    pub requests: Vec<SigningRequest>,
}

/// What is asked for one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningRequest {
    /// The site.
    pub site: SiteId,
    /// A request by the key of the site's authority (PKCS#10), PEM.
    pub request: String,
    /// How long the certificate shall last.
    pub lasts_seconds: u64,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedAuthorities {
    /// The mesh.
    pub mesh: MeshDomain,
    /// The key of the root that signed.
    pub root: Thumbprint,
    /// By site.
    pub certificates: Vec<SignedAuthority>,
}

/// The certificate of one site's authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedAuthority {
    /// The site.
    pub site: SiteId,
    /// The certificate, PEM.
    pub certificate: String,
}

/// The keys that a root has signed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ledger {
    /// The mesh.
    pub mesh: MeshDomain,
    /// The root.
    pub root: Thumbprint,
    /// The key of each site's authority that was signed for last.
    pub sites: BTreeMap<SiteId, Thumbprint>,
}

/// How a request stands to what was signed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The same key again.
    Renewal,
    /// The site was never signed for.
    New,
    /// The site had another key: its box was replaced, or somebody wants to pose as it.
    Changed {
        /// The key of before.
        before: Thumbprint,
    },
}

/// A request that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The site.
    pub site: SiteId,
    /// The key of its authority.
    pub key: ProvenKey,
    /// How long the certificate shall last.
    pub lasts: Duration,
    /// How it stands to what was signed before.
    pub standing: Standing,
}

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// It is of another mesh, or for another root.
    #[error("the requests are for root {wanted} of mesh `{asks}`, and this is root {root} of mesh `{mesh}`")]
    OtherRoot {
        /// The mesh that asks.
        asks: String,
        /// The root that it means.
        wanted: String,
        /// The mesh of the root at hand.
        mesh: String,
        /// The root at hand.
        root: String,
    },
    /// There are too many.
    #[error("{0} requests, and a file has {MAX_REQUESTS} at most")]
    TooMany(usize),
    /// A site is there twice.
    #[error("site `{0}` is there twice")]
    Twice(SiteId),
    /// It would last for no time that is of use.
    #[error("the certificate of site `{site}` would last {seconds} seconds, and an hour is the least")]
    TooShort {
        /// The site.
        site: SiteId,
        /// How long.
        seconds: u64,
    },
    /// Each box makes keys of its own.
    #[error(
        "site `{site}` asks with the key that site `{other}` has: a name in the file was changed, or a disk copied"
    )]
    SharedKey {
        /// The site.
        site: SiteId,
        /// The site that has it.
        other: SiteId,
    },
    /// It would last too long.
    #[error("the certificate of site `{site}` would last {days} days, and {most} are the most")]
    TooLong {
        /// The site.
        site: SiteId,
        /// How long.
        days: u64,
        /// The limit.
        most: u64,
    },
    /// A request is none.
    #[error("site `{0}`: {1}")]
    Malformed(SiteId, Malformed),
}

impl SigningRequest {
    /// Makes one of a request in DER.
    pub fn new(site: SiteId, request: &[u8], lasts: Duration) -> Self {
        Self { site, request: encode(Label::Request, request).to_string(), lasts_seconds: lasts.as_secs() }
    }

    fn read(&self, ledger: &Ledger) -> Result<Item, CeremonyError> {
        let malformed = |error| CeremonyError::Malformed(self.site.clone(), error);
        let der = decode(Label::Request, self.request.as_bytes()).map_err(malformed)?;
        let key = csr::verify(&der).map_err(malformed)?;
        let lasts = Duration::from_secs(self.lasts_seconds);
        if lasts > MAX_SITE_CA {
            let days = |time: Duration| time.as_secs() / 86_400;
            let site = self.site.clone();
            return Err(CeremonyError::TooLong { site, days: days(lasts), most: days(MAX_SITE_CA) });
        }
        if lasts < MIN_LIFE {
            return Err(CeremonyError::TooShort { site: self.site.clone(), seconds: self.lasts_seconds });
        }
        let own = key.public().thumbprint();
        if let Some((other, _)) =
            ledger.sites.iter().find(|(site, known)| **known == own && **site != self.site)
        {
            return Err(CeremonyError::SharedKey { site: self.site.clone(), other: other.clone() });
        }
        let standing = match ledger.sites.get(&self.site) {
            None => Standing::New,
            Some(before) if *before == own => Standing::Renewal,
            Some(before) => Standing::Changed { before: *before },
        };
        Ok(Item { site: self.site.clone(), key, lasts, standing })
    }
}

impl SigningRequests {
    /// Reads every request against what was signed before. One that is none refuses the file: it is of a core that is not ours.
    pub fn read(&self, ledger: &Ledger) -> Result<Vec<Item>, CeremonyError> {
        if (&self.mesh, self.root) != (&ledger.mesh, ledger.root) {
            return Err(CeremonyError::OtherRoot {
                asks: self.mesh.as_str().to_owned(),
                wanted: self.root.short(),
                mesh: ledger.mesh.as_str().to_owned(),
                root: ledger.root.short(),
            });
        }
        if self.requests.len() > MAX_REQUESTS {
            return Err(CeremonyError::TooMany(self.requests.len()));
        }
        let mut items: BTreeMap<SiteId, Item> = BTreeMap::new();
        for request in &self.requests {
            let item = request.read(ledger)?;
            if items.insert(item.site.clone(), item).is_some() {
                return Err(CeremonyError::Twice(request.site.clone()));
            }
        }
        Ok(items.into_values().collect())
    }
}

impl Ledger {
    /// Begins one for a root.
    pub fn new(mesh: &MeshDomain, root: &MeshRoot) -> Self {
        let root = root.certificate().thumbprint();
        Self { mesh: mesh.clone(), root, sites: BTreeMap::new() }
    }

    /// Signs for items, and remembers their keys. All or nothing: where one cannot be signed nothing is remembered.
    pub fn sign(
        &mut self,
        root: &MeshRoot,
        items: &[Item],
        now: Timestamp,
    ) -> Result<SignedAuthorities, CaError> {
        let sign = |item: &Item| {
            let certificate = root.sign_site(&item.site, &item.key, &Validity::starting(now, item.lasts))?;
            Ok(SignedAuthority { site: item.site.clone(), certificate: certificate.to_pem() })
        };
        let certificates = items.iter().map(sign).collect::<Result<_, CaError>>()?;
        let keys = items.iter().map(|item| (item.site.clone(), item.key.public().thumbprint()));
        self.sites.extend(keys);
        Ok(SignedAuthorities { mesh: self.mesh.clone(), root: self.root, certificates })
    }
}

#[cfg(test)]
mod tests;
