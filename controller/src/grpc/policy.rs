//! What `Fleet` does with policy signatures and policy keys.

use skerry_identity::trust_root::{SignedRoot, TrustedRoot};
use skerry_proto::v1::{AttachPolicyRequest, AttachPolicyResponse, SetPolicyKeysRequest, TrustRootResponse};
use tracing::info;

use super::Core;
use super::failure::Failure;
use super::site_sync::is_known;
use crate::identity::authority::FIRST_OPERATOR;
use crate::policy::NotAttached;
use crate::store::StateStore;

impl<S: StateStore> Core<S> {
    /// Keeps policy signatures, and wakes the sites that they are for.
    pub(super) fn attach_policy(
        &self,
        request: AttachPolicyRequest,
        by: &str,
    ) -> Result<AttachPolicyResponse, Failure> {
        let signatures = request.signatures.unwrap_or_default();
        let news = self.policy.attach(&signatures)?;
        self.presence.wake_those(|site| news.contains(site));
        let unknown = news.iter().filter(|site| !is_known(site, &self.published)).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (revision, number) = (&signatures.revision, signatures.number);
        info!(by, revision, number, sites = news.len(), "policy signatures are attached");
        Ok(AttachPolicyResponse { attached: count(news.len()), unknown_sites: count(unknown) })
    }

    /// Tells the trust root in force.
    pub(super) fn trust_root(&self) -> Result<TrustRootResponse, Failure> {
        to_response(&self.desk.trusted_root())
    }

    /// Puts the next version of the trust root into force, and wakes the sites: what they shall run may wait now, or wait no
    /// more.
    pub(super) fn set_policy_keys(
        &self,
        request: &SetPolicyKeysRequest,
        by: &str,
    ) -> Result<TrustRootResponse, Failure> {
        let signed: SignedRoot = serde_json::from_str(&request.trust_root)
            .map_err(|error| Failure::Invalid(format!("the trust root cannot be read: {error}")))?;
        let has_none = self.desk.trusted_root().root().policy.is_none();
        if has_none && by != FIRST_OPERATOR {
            // Nobody but they can take it back, and no site runs anything else from then on.
            let words = "the first policy keys are put into force with the credentials of `admin`, which the core's own folder has";
            return Err(Failure::Forbidden(words.to_owned()));
        }
        let root = self.desk.set_policy_keys(signed).map_err(Failure::of_operator)?;
        let keys = root.root().policy.as_ref().map_or(0, |role| role.keys.len());
        let (version, required) = (root.root().version, root.root().require_policy);
        info!(by, version, keys, required, "the policy keys are others");
        self.presence.wake_those(|_| true);
        to_response(&root)
    }
}

fn to_response(root: &TrustedRoot) -> Result<TrustRootResponse, Failure> {
    let trust_root = serde_json::to_string(root.signed());
    let trust_root = trust_root.map_err(|error| Failure::NotGiven(error.to_string()))?;
    Ok(TrustRootResponse { trust_root })
}

impl From<NotAttached> for Failure {
    fn from(why: NotAttached) -> Self {
        match why {
            NotAttached::Invalid(reason) => Self::Invalid(reason),
            NotAttached::Unfit(reason) => Self::Conflict(reason),
            NotAttached::Store(error) => Self::Store(error),
        }
    }
}
