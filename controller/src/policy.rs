//! Policy signatures: made by a key that the core does not have, kept here, and offered beside manifests.
//!
//! Whether a site needs them, and whether what there is will do, is said by the trust root in force, with the function that
//! sites decide by. Keeps nothing that no policy key has signed. Attaching blocks: it verifies, and writes to the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use skerry_core::bundle::Contents;
use skerry_core::id::{Digest, SiteId};
use skerry_identity::envelope::{self, PayloadType, Signature, Signatures};
use skerry_identity::policy::{PolicyTerms, Statement};
use skerry_identity::trust_root::{PolicyDemand, Role, TrustedRoot};
use skerry_proto::limits::MAX_ATTACHED_SITES;
use skerry_proto::v1;

use crate::publish::cache::Cache;
use crate::store::StoreError;

mod kept;

pub use kept::Kept;
use kept::fold;

/// For how many sites signatures are kept: those of the largest core (`--max-sites`).
const MAX_SITES: usize = 1_000_000;

/// For how many fragment lists the policy digest is remembered, 64 B each: those of 4,096 classes of sites.
const MAX_DIGEST_BYTES: usize = 4_096 * DIGEST_BYTES;
const DIGEST_BYTES: usize = 64;

/// Keeps policy signatures over a restart. Blocking; every write is all or nothing, and on disk when the call returns.
pub trait PolicyStore: Send + Sync + 'static {
    /// Reads all of them.
    fn policy_signatures(&self) -> Result<Vec<(SiteId, Vec<Kept>)>, StoreError>;

    /// Keeps those of some sites in the place of what there was of them.
    fn keep_policy_signatures(&self, rows: &[(SiteId, Vec<Kept>)]) -> Result<(), StoreError>;
}

/// Whether a site is offered what it shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouched {
    /// Nobody asks for a policy signature, and there is none.
    NotRequired,
    /// Policy keys have signed it.
    Signed(Kept),
    /// They have not, and the site would refuse it.
    Missing,
}

/// What a site asks for of policy keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asks {
    /// Whether it runs nothing that none has signed, whatever its trust root says.
    pub demand: PolicyDemand,
    /// The highest number that it has accepted, as far as that is known: it takes none below.
    pub floor: u64,
}

impl Asks {
    /// Reads what a site says of itself.
    pub fn of(hello: &v1::Hello) -> Self {
        let demand = if hello.requires_policy { PolicyDemand::Always } else { PolicyDemand::AsRoot };
        Self { demand, floor: hello.policy_number }
    }
}

/// Why signatures are not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotAttached {
    /// The request is none.
    #[error("{0}")]
    Invalid(String),
    /// They do not fit the trust root.
    #[error("{0}")]
    Unfit(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the trust root in force.
type InForce = Box<dyn Fn() -> Arc<TrustedRoot> + Send + Sync>;

/// All policy signatures that are kept.
pub struct PolicyBoard {
    store: Arc<dyn PolicyStore>,
    in_force: InForce,
    /// Held for moments: each offer looks at it.
    by_site: RwLock<BTreeMap<SiteId, Vec<Kept>>>,
    /// Held by who attaches, for as long as the disk takes.
    writers: Mutex<()>,
    /// What sites asked for last, since the core started.
    asked: RwLock<BTreeMap<SiteId, Asks>>,
    /// Policy digests by fragment list; `None`: it has none.
    digests: Cache<Digest, Option<Digest>>,
}

impl std::fmt::Debug for PolicyBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyBoard").finish_non_exhaustive()
    }
}

impl PolicyBoard {
    /// Opens the board with what was kept.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(
        store: Arc<dyn PolicyStore>,
        in_force: impl Fn() -> Arc<TrustedRoot> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let by_site = RwLock::new(store.policy_signatures()?.into_iter().collect());
        let (in_force, digests) = (Box::new(in_force), Cache::with_room(MAX_DIGEST_BYTES));
        let (writers, asked) = (Mutex::new(()), RwLock::default());
        Ok(Self { store, in_force, by_site, writers, asked, digests })
    }

    /// Says whether a site may be offered contents. What it asks for is remembered for those who do not know it; they say `None`.
    pub fn vouch(&self, site: &SiteId, contents: &Contents, asks: Option<Asks>) -> Vouched {
        let root = (self.in_force)();
        let asks = self.remember(site, asks);
        let is_required = root.requires_policy(asks.demand);
        match self.find(&root, site, contents, asks.floor) {
            Some(kept) => Vouched::Signed(kept),
            None if is_required => Vouched::Missing,
            None => Vouched::NotRequired,
        }
    }

    fn remember(&self, site: &SiteId, asks: Option<Asks>) -> Asks {
        let known = self.asked.read().get(site).copied();
        match asks {
            Some(asks) if known.unwrap_or_default() != asks => {
                self.asked.write().insert(site.clone(), asks);
                asks
            }
            _ => known.unwrap_or_default(),
        }
    }

    /// The newest signatures over these contents that will do.
    fn find(&self, root: &TrustedRoot, site: &SiteId, contents: &Contents, floor: u64) -> Option<Kept> {
        root.root().policy.as_ref()?;
        let digest = |_: &Digest| contents.policy_digest().ok();
        let policy = &self.digests.get(contents.digest, digest, |_| DIGEST_BYTES)?;
        let kept: Vec<Kept> = self.by_site.read().get(site)?.clone();
        let terms = PolicyTerms { site, policy, floor, demand: PolicyDemand::Always };
        let will_do = |kept: &Kept| root.accept_policy(Some(&kept.to_proof()), &terms).is_ok();
        kept.into_iter().filter(|kept| kept.policy == *policy).find(will_do)
    }

    /// Keeps signatures. Returns the sites for which they are new.
    ///
    /// # Errors
    /// See [`NotAttached`]; then none of them is kept.
    pub fn attach(&self, signatures: &v1::PolicySignatures) -> Result<BTreeSet<SiteId>, NotAttached> {
        let root = (self.in_force)();
        let news = check(&root, signatures)?;
        let _writing = self.writers.lock();
        let mut changed: BTreeMap<SiteId, Vec<Kept>> = BTreeMap::new();
        {
            let by_site = self.by_site.read();
            for (site, kept) in news {
                let mut all = changed.get(&site).or_else(|| by_site.get(&site)).cloned().unwrap_or_default();
                if fold(&mut all, kept) {
                    changed.insert(site, all);
                }
            }
            let more = changed.keys().filter(|site| !by_site.contains_key(*site)).count();
            if by_site.len() + more > MAX_SITES {
                return Err(NotAttached::Unfit(format!("signatures of more than {MAX_SITES} sites")));
            }
        }
        let rows: Vec<(SiteId, Vec<Kept>)> = changed.into_iter().collect();
        self.store.keep_policy_signatures(&rows)?;
        let sites = rows.iter().map(|(site, _)| site.clone()).collect();
        self.by_site.write().extend(rows);
        Ok(sites)
    }
}

/// Reads a request, and verifies every signature of it.
fn check(root: &TrustedRoot, signatures: &v1::PolicySignatures) -> Result<Vec<(SiteId, Kept)>, NotAttached> {
    let v1::PolicySignatures { mesh, commit, number, groups, .. } = signatures;
    let own = &root.root().mesh;
    let version = root.root().version;
    let Some(role) = &root.root().policy else {
        let reason = format!("trust root {version} has no policy keys: `skerry trust policy` names them");
        return Err(NotAttached::Unfit(reason));
    };
    if mesh != own.as_str() {
        return Err(NotAttached::Unfit(format!("the signatures are for mesh `{mesh}`, and this is `{own}`")));
    }
    let commit: [u8; 20] =
        commit.as_slice().try_into().map_err(|_| NotAttached::Invalid("a commit has 20 bytes".to_owned()))?;
    let count: usize = groups.iter().map(|group| group.sites.len()).sum();
    if count > MAX_ATTACHED_SITES {
        return Err(NotAttached::Invalid(format!("{count} sites at once, over {MAX_ATTACHED_SITES}")));
    }
    let mut all = Vec::with_capacity(count);
    for group in groups {
        let policy = Digest::from_slice(&group.policy).map_err(invalid)?;
        for one in &group.sites {
            let site = SiteId::new(one.site.clone()).map_err(invalid)?;
            let signatures = Signatures::from_bytes(&one.signatures).map_err(invalid)?;
            let kept = Kept { policy, number: *number, commit, signatures };
            let signatures = by_policy_keys(root, role, &site, &kept);
            if signatures.iter().count() == 0 {
                let reason =
                    format!("what it has for site `{site}` is by no policy key of trust root {version}");
                return Err(NotAttached::Unfit(reason));
            }
            all.push((site, Kept { signatures, ..kept }));
        }
    }
    Ok(all)
}

/// Those of the signatures that are good ones by policy keys.
fn by_policy_keys(root: &TrustedRoot, role: &Role, site: &SiteId, kept: &Kept) -> Signatures {
    let proof = kept.to_proof();
    let (mesh, commit) = (&root.root().mesh, proof.commit.as_str());
    let payload = Statement { mesh, site, number: kept.number, commit, policy: &kept.policy }.to_bytes();
    let is_good = |one: &&Signature| {
        let alone = Signatures::from_iter([**one]);
        !envelope::signers(PayloadType::Policy, &payload, &alone, &role.keys).is_empty()
    };
    kept.signatures.iter().filter(is_good).copied().collect()
}

fn invalid(error: impl std::fmt::Display) -> NotAttached {
    NotAttached::Invalid(error.to_string())
}

#[cfg(test)]
mod tests;
