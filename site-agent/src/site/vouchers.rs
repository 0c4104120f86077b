//! Who vouches for what a site is offered: core keys for its manifest, policy keys for what that names, as far as they have a
//! say. By the trust root that the site has at the time.

use std::sync::Arc;

use skerry_core::id::{Digest, Timestamp};
use skerry_identity::policy::PolicyProof;
use skerry_identity::trust_root::PolicyDemand;
use skerry_proto::v1::{self, Offer};
use tokio::sync::watch;

use crate::enrolment::Enrolment;

/// Says whether an offer is signed by those who are believed, at a time; else why not.
pub(crate) type VouchOffer = Box<dyn Fn(&Offer, Timestamp) -> Result<(), String> + Send>;

/// Works out the policy digest of what was fetched, where somebody asks.
pub(crate) type FindDigest<'a> = &'a dyn Fn() -> Result<Digest, String>;

/// Says whether policy keys have signed a policy digest, above the number that was accepted last; else why it is not run.
/// Returns the number that they signed.
pub(crate) type VouchPolicy =
    Box<dyn Fn(Option<&PolicyProof>, FindDigest<'_>, u64) -> Result<Option<u64>, String> + Send>;

/// Who vouches for what a site is offered.
pub(crate) struct Vouchers {
    pub(super) offer: VouchOffer,
    pub(super) policy: VouchPolicy,
    /// What policy keys say of the last offer that was followed, and the digest of its manifest.
    pub(super) proof: Option<(Digest, v1::PolicyProof)>,
}

impl Vouchers {
    /// Those that these functions ask.
    pub(crate) fn new(offer: VouchOffer, policy: VouchPolicy) -> Self {
        Self { offer, policy, proof: None }
    }

    /// Those whom a site's trust root names, which is another one after each renewal.
    pub(crate) fn of(enrolment: watch::Receiver<Option<Arc<Enrolment>>>, demand: PolicyDemand) -> Self {
        const NOBODY: &str = "this site is not enrolled";
        let same = enrolment.clone();
        let offer: VouchOffer = Box::new(move |offer, now| match &*enrolment.borrow() {
            Some(enrolment) => enrolment.vouch(offer, demand, now),
            None => Err(NOBODY.to_owned()),
        });
        let policy: VouchPolicy = Box::new(move |proof, digest, floor| match &*same.borrow() {
            Some(enrolment) if enrolment.has_policy(demand) => {
                enrolment.vouch_policy(proof, &digest()?, floor, demand)
            }
            Some(_) => Ok(None),
            None => Err(NOBODY.to_owned()),
        });
        Self::new(offer, policy)
    }
}
