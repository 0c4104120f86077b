//! The enrolment desk: makes tokens, enrols and renews boxes, revokes them. Keeps each decision before it is acted on.
//!
//! Blocking: it writes to the store and signs. Decides nothing that `roll` and the token's record do not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::{self, ProvenKey};
use skerry_identity::envelope::Signatures;
use skerry_identity::key::ProviderFailed;
use skerry_identity::malformed::Malformed;
use skerry_identity::sealed::SealKey;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::token::{Claim, TokenSecret};
use skerry_identity::trust_root::{MAX_STEPS, SignedRoot, TrustedRoot};
use tokio::sync::watch;
use tracing::{debug, error, info};

use super::astray::SaidRoot;
use super::authority::{Authority, NotGiven};
use super::offline::Undelivered;
use super::operators::Operators;
use super::roll::{Enrolled, Refused, Roll, Stranger};
use super::standing::{Standing, next_version, spread_seconds};
use super::store::IdentityStore;
use super::time::IdentityTime;
use crate::store::StoreError;

mod astray;
mod change;
mod offline;
mod operators;
mod roots;
mod rotation;
mod tokens;

pub use change::{Change, MAX_REVOKED};
pub use offline::Waiting;
pub use rotation::{KeyFacts, NotRotated, Rotated};
pub use tokens::MAX_TOKEN_LIFE;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Where they come from.
    pub peer: Option<SocketAddr>,
    /// When.
    pub now: Timestamp,
    /// How long the site shall go on with no link.
    pub budget: Duration,
}

/// The keys that a box has shown.
struct Keys<'a> {
    agent: ProvenKey,
    authority: ProvenKey,
    /// The request for its authority.
    request: &'a [u8],
}

impl<'a> Keys<'a> {
    fn read((agent, authority): (&[u8], &'a [u8])) -> Result<Self, Malformed> {
        Ok(Self { agent: csr::verify(agent)?, authority: csr::verify(authority)?, request: authority })
    }
}

/// What a box is given.
#[derive(Debug)]
pub struct Handed {
    /// The certificate of the agent.
    pub agent: Certificate,
    /// That of the site's authority; `None`: it waits for the offline root.
    pub authority: Option<Certificate>,
    /// Whom it believes.
    pub trust: Trust,
    /// How long it shall go on with no link.
    pub budget: Duration,
    /// It took the place of another box.
    pub has_replaced: bool,
}

/// Whom a site believes.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The roots of the mesh.
    pub mesh_roots: Vec<Certificate>,
    /// The transport authorities.
    pub link_roots: Vec<Certificate>,
    /// The versions of the trust root that the site does not have.
    pub trust_roots: Vec<SignedRoot>,
    /// Keys of site authorities that are revoked.
    pub revoked: Vec<Thumbprint>,
    /// Sites that are revoked, with no other box in their place.
    pub revoked_sites: Vec<SiteId>,
    /// The number of all this.
    pub version: u64,
}

/// Why nothing is handed out.
#[derive(Debug, thiserror::Error)]
pub enum NotHanded {
    /// A request is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The caller is not who they would have to be.
    #[error(transparent)]
    Stranger(#[from] Stranger),
    /// It cannot be signed.
    #[error(transparent)]
    NotGiven(#[from] NotGiven),
    /// What comes from the offline root is not what was asked for.
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderFailed),
    /// What was asked for is not possible.
    #[error("{0}")]
    Invalid(String),
}

/// The desk.
pub struct Desk {
    store: Arc<dyn IdentityStore>,
    /// Another one after each step of a rotation.
    authority: ArcSwap<Authority>,
    /// What the authorities are kept under.
    seal: SealKey,
    time: IdentityTime,
    /// The newest trust root, as it was last asked for.
    trusted: RwLock<Arc<TrustedRoot>>,
    /// Held for moments: each call of each site looks at it.
    roll: RwLock<Roll>,
    /// Each call of an operator looks at it.
    operators: RwLock<Operators>,
    /// Held by who changes the roll, for as long as the disk takes.
    writers: Mutex<()>,
    /// Counts how often somebody has lost a place.
    changes: watch::Sender<u64>,
    /// The version of whom sites shall believe.
    trust: watch::Sender<u64>,
    /// Which version each site has.
    standing: Mutex<Standing>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("authority", &self.authority()).finish_non_exhaustive()
    }
}

impl Desk {
    /// Opens the desk with what was kept.
    pub fn open(
        store: Arc<dyn IdentityStore>,
        authority: Authority,
        seal: SealKey,
        wall: Timestamp,
    ) -> Result<Self, StoreError> {
        let kept = store.roll()?;
        let operators = RwLock::new(Operators::restore(store.operators()?));
        // When somebody was enrolled last is a time that has been.
        let enrolled = kept.sites.iter().map(|(_, enrolled)| enrolled.at).max().unwrap_or_default();
        let time = IdentityTime::start(wall, authority.signed_at().max(enrolled));
        let version = match kept.trust_version {
            0 => next_version(0, time.now()),
            version => version,
        };
        if version != kept.trust_version {
            store.keep_trust(version, None, &[])?;
        }
        let trusted = RwLock::new(Arc::new(roots::newest(&authority)?));
        Ok(Self {
            store,
            authority: ArcSwap::from_pointee(authority),
            seal,
            time,
            trusted,
            roll: RwLock::new(Roll::restore(kept)),
            operators,
            writers: Mutex::new(()),
            changes: watch::Sender::new(0),
            trust: watch::Sender::new(version),
            standing: Mutex::default(),
        })
    }

    /// The version of whom sites shall believe: changes with every root, key and revocation.
    pub fn trust_versions(&self) -> watch::Receiver<u64> {
        self.trust.subscribe()
    }

    /// Notes which version a site says that it has; 0: it does not say.
    pub fn note_trust(&self, site: &SiteId, version: u64) {
        if version != 0 {
            self.standing.lock().note(site, version, self.now());
        }
    }

    /// Within how many seconds sites are to renew that hear of a new version at once.
    pub fn spread_seconds(&self) -> u32 {
        spread_seconds(self.roll.read().count_sites())
    }

    /// Tells the time by which certificates and tokens are made and judged.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Returns the authorities.
    pub fn authority(&self) -> Arc<Authority> {
        self.authority.load_full()
    }

    /// Signs a manifest. Without a signature no site believes it, and the log says why there is none.
    pub fn sign_manifest(&self, manifest: &[u8]) -> Vec<u8> {
        match self.authority().sign_manifest(manifest) {
            Ok(signature) => Signatures::from_iter([signature]).to_bytes(),
            Err(error) => {
                error!(%error, "a manifest is not signed");
                Vec::new()
            }
        }
    }

    /// Changes whenever somebody has lost a place: a site's box, or an operator.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says whether a key is that of a site's box.
    pub fn judge(&self, site: &SiteId, key: Thumbprint) -> Result<(), Stranger> {
        self.roll.read().judge(site, key).map(drop)
    }

    /// Returns the box of a site, and who was refused.
    pub fn entry(&self, site: &SiteId) -> (Option<Enrolled>, Vec<Refused>) {
        let roll = self.roll.read();
        (roll.enrolled(site).cloned(), roll.refused(site).to_vec())
    }

    /// Enrols a box.
    pub fn enrol(
        &self,
        site: &SiteId,
        secret: &TokenSecret,
        requests: (&[u8], &[u8]),
        caller: Caller,
    ) -> Result<Handed, NotHanded> {
        let keys = Keys::read(requests)?;
        self.enrol_proven(site, secret, &keys, caller)
            .inspect_err(|error| self.note_refused(site, keys.agent.public().thumbprint(), error, caller))
    }

    fn enrol_proven(
        &self,
        site: &SiteId,
        secret: &TokenSecret,
        Keys { agent, authority, request }: &Keys<'_>,
        caller: Caller,
    ) -> Result<Handed, NotHanded> {
        let (key, below) = (agent.public().thumbprint(), authority.public().thumbprint());
        // Most of those who make something up are sent away here, and hold up nobody.
        let claim = Claim { site, secret, key };
        self.roll.read().judge_claim(&claim, below, caller.now)?;
        // One at a time: of two boxes with one token one is too late.
        let _writing = self.writers.lock();
        let (token, gone) = self.roll.read().judge_claim(&claim, below, caller.now)?;
        let given = self.authority().sign_site(site, (agent, authority), caller.budget, caller.now)?;
        let signed = self.authority_of(site, (authority, request), given.authority, caller.now)?;
        let enrolled = Enrolled {
            key,
            authority: below,
            at: caller.now,
            revoked: None,
            agent_until: given.agent.not_after(),
            authority_until: signed.as_ref().map_or(caller.now, Certificate::not_after),
            astray: None,
        };
        let has_replaced = gone.is_some();
        self.keep(site, enrolled, &Change { token: Some(token), gone, ends_tokens: false })?;
        info!(%site, key = key.short(), peer = ?caller.peer, "a site is enrolled");
        let trust = self.trust(0, caller.now);
        Ok(Handed { agent: given.agent, authority: signed, trust, budget: caller.budget, has_replaced })
    }

    /// Signs anew for a box that is enrolled: the request by its key is the proof. Also for one whose trust root is not this core's, so
    /// that it does not die of it.
    pub fn renew(
        &self,
        site: &SiteId,
        requests: (&[u8], &[u8]),
        said: SaidRoot,
        caller: Caller,
    ) -> Result<Handed, NotHanded> {
        let keys = Keys::read(requests)?;
        self.renew_proven(site, &keys, &said, caller)
            .inspect_err(|error| self.note_refused(site, keys.agent.public().thumbprint(), error, caller))
    }

    fn renew_proven(
        &self,
        site: &SiteId,
        Keys { agent, authority, request }: &Keys<'_>,
        said: &SaidRoot,
        caller: Caller,
    ) -> Result<Handed, NotHanded> {
        let key = agent.public().thumbprint();
        self.roll.read().judge(site, key)?;
        let _writing = self.writers.lock();
        let before = self.roll.read().judge(site, key)?.clone();
        if before.authority != authority.public().thumbprint() {
            // Else a revocation would have to name every key that the site ever had.
            let reason = "the site's authority keeps its key for as long as the site is enrolled";
            return Err(NotHanded::Invalid(reason.to_owned()));
        }
        let given = self.authority().sign_site(site, (agent, authority), caller.budget, caller.now)?;
        let signed = self.authority_of(site, (authority, request), given.authority, caller.now)?;
        let until = signed.as_ref().map(Certificate::not_after).unwrap_or_default();
        let enrolled = Enrolled {
            agent_until: given.agent.not_after(),
            // An older certificate may last longer: of a time when the budget was larger, or the clock ahead.
            authority_until: until.max(before.authority_until),
            astray: self.judge_root(site, said, caller.now),
            ..before
        };
        self.keep(site, enrolled, &Change::default())?;
        let trust = self.trust(said.version, caller.now);
        Ok(Handed {
            agent: given.agent,
            authority: signed,
            trust,
            budget: caller.budget,
            has_replaced: false,
        })
    }

    fn trust(&self, version: u64, now: Timestamp) -> Trust {
        let authority = self.authority();
        let trust_roots = authority.trust_roots_after(version);
        Trust {
            mesh_roots: authority.mesh_roots(),
            link_roots: authority.link_roots(),
            trust_roots: trust_roots.iter().take(MAX_STEPS).cloned().collect(),
            revoked: self.roll.read().revoked(now).map(|revoked| revoked.authority).collect(),
            revoked_sites: self.roll.read().revoked_sites(now),
            version: *self.trust.borrow(),
        }
    }

    /// Notes somebody who showed a certificate of the site and is its box no more.
    pub fn note_stranger(
        &self,
        site: &SiteId,
        key: Thumbprint,
        stranger: &Stranger,
        peer: Option<SocketAddr>,
    ) {
        let refused = Refused { peer, key, reason: stranger.to_string(), at: self.now(), times: 1 };
        self.roll.write().note_refused(site, refused);
    }

    fn note_refused(&self, site: &SiteId, key: Thumbprint, error: &NotHanded, caller: Caller) {
        let NotHanded::Stranger(stranger) = error else { return };
        debug!(%site, key = key.short(), peer = ?caller.peer, "refused: {stranger}");
        let (peer, at, reason) = (caller.peer, caller.now, stranger.to_string());
        self.roll.write().note_refused(site, Refused { peer, key, reason, at, times: 1 });
    }
}

#[cfg(test)]
mod tests;
