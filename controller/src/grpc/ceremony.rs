//! What waits for an offline mesh root, and what comes back from it.

use skerry_core::id::SiteId;
use skerry_identity::certificate::Certificate;
use skerry_identity::thumbprint::Thumbprint;
use skerry_proto::v1::{
    DeliverAuthoritiesRequest, DeliverAuthoritiesResponse, ListSigningRequestsRequest,
    ListSigningRequestsResponse, SignedAuthority, SigningRequest, Undelivered,
};
use tracing::info;

use super::Core;
use super::failure::Failure;
use crate::identity::desk::NotHanded;
use crate::store::StateStore;

/// The most certificates that are taken in one call: 1,000 of 1.2 KiB, a third of a message.
const MAX_DELIVERED: usize = 1_000;

impl<S: StateStore> Core<S> {
    pub(super) fn signing_requests(
        &self,
        request: &ListSigningRequestsRequest,
    ) -> Result<ListSigningRequestsResponse, Failure> {
        let waiting = self.desk.waiting(&request.after)?;
        let Some(root) = waiting.root else {
            let words = "the mesh root of this core is not kept offline: it signs by itself";
            return Err(Failure::Conflict(words.to_owned()));
        };
        let to_wire = |request: skerry_identity::ceremony::SigningRequest| SigningRequest {
            site: request.site.to_string(),
            request: request.request,
            lasts_seconds: request.lasts_seconds,
        };
        Ok(ListSigningRequestsResponse {
            mesh: self.desk.authority().mesh().as_str().to_owned(),
            root: root.as_bytes().to_vec(),
            requests: waiting.requests.into_iter().map(to_wire).collect(),
            more_after: waiting.more_after.map(|site| site.to_string()).unwrap_or_default(),
        })
    }

    /// Each for itself: one that is not taken hurts no other (invariant 7). A store that fails ends it.
    pub(super) fn deliver_authorities(
        &self,
        request: DeliverAuthoritiesRequest,
        by: &str,
    ) -> Result<DeliverAuthoritiesResponse, Failure> {
        let count = request.authorities.len();
        if count > MAX_DELIVERED {
            return Err(Failure::Invalid(format!("{count} certificates, and {MAX_DELIVERED} are the most")));
        }
        if !request.mesh.is_empty() || !request.root.is_empty() {
            let root = Thumbprint::from_slice(&request.root)?;
            self.desk.check_signed(&request.mesh, root).map_err(NotHanded::from)?;
        }
        let mut answer = DeliverAuthoritiesResponse::default();
        for signed in request.authorities {
            match self.deliver(&signed) {
                Ok(()) => answer.taken += 1,
                Err(NotHanded::Store(error)) => return Err(error.into()),
                Err(error) => {
                    answer.refused.push(Undelivered { site: signed.site, reason: error.to_string() });
                }
            }
        }
        info!(by, taken = answer.taken, refused = answer.refused.len(), "authorities of sites are delivered");
        Ok(answer)
    }

    fn deliver(&self, signed: &SignedAuthority) -> Result<(), NotHanded> {
        let site = SiteId::new(&*signed.site).map_err(|error| NotHanded::Invalid(error.to_string()))?;
        let certificate = Certificate::from_pem(&signed.certificate)?;
        self.desk.deliver(&site, &certificate, self.desk.now())
    }
}
