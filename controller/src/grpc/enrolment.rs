//! `Enrolment`: how a site becomes one of the fleet, and renews what it was given.

use std::net::SocketAddr;
use std::sync::Arc;

use skerry_core::id::SiteId;
use skerry_identity::certificate::Certificate;
use skerry_identity::token::TokenSecret;
use skerry_proto::v1::enrolment_server::Enrolment;
use skerry_proto::v1::{
    Credentials, EnrolRequest, EnrolResponse, RenewRequest, RenewResponse, Trust as WireTrust,
};
use tonic::{Request, Response, Status};

use super::Core;
use super::failure::Failure;
use super::incoming::Handshake;
use crate::identity::astray::SaidRoot;
use crate::identity::desk::{Caller, Handed, Trust};
use crate::store::StateStore;

/// The service.
#[derive(Debug)]
pub(super) struct EnrolmentService<S>(pub(super) Arc<Core<S>>);

#[tonic::async_trait]
impl<S: StateStore> Enrolment for EnrolmentService<S> {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let peer = Handshake::of(&request).and_then(|handshake| handshake.peer());
        let request = Handshake::finish(request)?.into_inner();
        let credentials = self.0.hand_out(move |core| core.enrol(&request, peer)).await?;
        Ok(Response::new(EnrolResponse { credentials: Some(credentials) }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let peer = Handshake::of(&request).and_then(|handshake| handshake.peer());
        let request = Handshake::finish(request)?.into_inner();
        let credentials = self.0.hand_out(move |core| core.renew(&request, peer)).await?;
        Ok(Response::new(RenewResponse { credentials: Some(credentials) }))
    }
}

impl<S: StateStore> Core<S> {
    /// Signs and writes where that hurts nobody, a few at once: each writes to disk, and anybody may ask.
    async fn hand_out(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<Handed, Failure> + Send + 'static,
    ) -> Result<Credentials, Failure> {
        let _turn = self.room.desk.try_acquire().map_err(|_| Failure::TooManyAtTheDesk)?;
        let core = Arc::clone(self);
        let handed =
            tokio::task::spawn_blocking(move || work(&core)).await.map_err(|_| Failure::Stopping)??;
        let Handed { agent, authority, trust, budget, .. } = handed;
        Ok(Credentials {
            agent: agent.der().to_vec(),
            authority: authority.map(|authority| authority.der().to_vec()).unwrap_or_default(),
            trust: Some(to_wire(&trust)?),
            offline_budget_seconds: budget.as_secs(),
        })
    }

    fn caller(&self, site: &SiteId, peer: Option<SocketAddr>) -> Caller {
        Caller { peer, now: self.desk.now(), budget: self.published.offline_budget(site) }
    }

    fn enrol(&self, request: &EnrolRequest, peer: Option<SocketAddr>) -> Result<Handed, Failure> {
        let site = SiteId::new(&*request.site)?;
        let secret = TokenSecret::from_slice(&request.secret)
            .ok_or_else(|| Failure::Invalid("`secret` is not that of a join token".to_owned()))?;
        let requests = (&*request.agent, &*request.authority);
        let handed = self.desk.enrol(&site, &secret, requests, self.caller(&site, peer))?;
        if handed.has_replaced {
            // The one that was served is none of the site's any more: nobody waits for it to be gone.
            self.presence.forget_agent(&site);
        }
        Ok(handed)
    }

    fn renew(&self, request: &RenewRequest, peer: Option<SocketAddr>) -> Result<Handed, Failure> {
        let site = SiteId::new(&*request.site)?;
        let requests = (&*request.agent, &*request.authority);
        let said =
            SaidRoot { version: request.trust_root_version, digest: digest(&request.trust_root_digest)? };
        Ok(self.desk.renew(&site, requests, said, self.caller(&site, peer))?)
    }
}

/// Reads a digest that older agents leave out.
fn digest(bytes: &[u8]) -> Result<Option<[u8; 32]>, Failure> {
    let wrong = |_| Failure::Invalid("`trust_root_digest` is not that of SHA-256".to_owned());
    if bytes.is_empty() { Ok(None) } else { bytes.try_into().map(Some).map_err(wrong) }
}

fn to_wire(trust: &Trust) -> Result<WireTrust, Failure> {
    let ders = |certificates: &[Certificate]| certificates.iter().map(|one| one.der().to_vec()).collect();
    let roots = trust.trust_roots.iter().map(serde_json::to_vec).collect::<Result<_, _>>();
    Ok(WireTrust {
        mesh_roots: ders(&trust.mesh_roots),
        link_roots: ders(&trust.link_roots),
        trust_roots: roots.map_err(|error| Failure::NotGiven(error.to_string()))?,
        revoked: trust.revoked.iter().map(|key| key.as_bytes().to_vec()).collect(),
        version: trust.version,
        revoked_sites: trust.revoked_sites.iter().map(ToString::to_string).collect(),
    })
}
