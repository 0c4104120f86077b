//! `Fleet`: what `skerry status` and friends ask.

use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::{SiteId, Timestamp};
use skerry_core::selector::Selector;
use skerry_proto::limits::{MAX_EVENTS, MAX_SITES_A_PAGE};
use skerry_proto::v1::fleet_server::Fleet;
use skerry_proto::v1::{
    AttachPolicyRequest, AttachPolicyResponse, ConfirmSourceRequest, ConfirmSourceResponse,
    CreateOperatorRequest, CreateOperatorResponse, CreateTokenRequest, CreateTokenResponse,
    DeliverAuthoritiesRequest, DeliverAuthoritiesResponse, FleetStatus, GetFleetRequest, GetSiteRequest,
    GetTrustRequest, GetTrustResponse, GetTrustRootRequest, ListOperatorsRequest, ListOperatorsResponse,
    ListSigningRequestsRequest, ListSigningRequestsResponse, RevokeOperatorRequest, RevokeOperatorResponse,
    RevokeSiteRequest, RevokeSiteResponse, RotateKeyRequest, RotateKeyResponse, SetPolicyKeysRequest,
    SiteDetail, SiteSummary, TrustRootResponse,
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::Core;
use super::failure::Failure;
use super::incoming::Handshake;
use super::site_sync::is_known;
use crate::identity::operators::May;
use crate::publish::World;
use crate::report::{self, Event};
use crate::status::{self, SiteFacts};
use crate::store::{StateStore, StoreError};

/// The service.
#[derive(Debug)]
pub(super) struct FleetService<S>(pub(super) Arc<Core<S>>);

#[tonic::async_trait]
impl<S: StateStore> Fleet for FleetService<S> {
    async fn get_fleet(&self, request: Request<GetFleetRequest>) -> Result<Response<FleetStatus>, Status> {
        Handshake::check_operator(&request, &self.0.desk, May::Look)?;
        let core = Arc::clone(&self.0);
        read(move || core.fleet(&request.into_inner())).await
    }

    async fn get_site(&self, request: Request<GetSiteRequest>) -> Result<Response<SiteDetail>, Status> {
        Handshake::check_operator(&request, &self.0.desk, May::Look)?;
        let core = Arc::clone(&self.0);
        read(move || core.site(request.into_inner())).await
    }

    async fn confirm_source(
        &self,
        request: Request<ConfirmSourceRequest>,
    ) -> Result<Response<ConfirmSourceResponse>, Status> {
        Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let confirmed = self.0.source.confirm(&request.into_inner().revision).await;
        confirmed.map_err(Failure::NotConfirmed)?;
        Ok(Response::new(ConfirmSourceResponse {}))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.create_token(request.into_inner(), &name)).await
    }

    async fn revoke_site(
        &self,
        request: Request<RevokeSiteRequest>,
    ) -> Result<Response<RevokeSiteResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.revoke_site(&request.into_inner(), &name)).await
    }

    async fn get_trust(
        &self,
        request: Request<GetTrustRequest>,
    ) -> Result<Response<GetTrustResponse>, Status> {
        Handshake::check_operator(&request, &self.0.desk, May::Look)?;
        let core = Arc::clone(&self.0);
        read(move || core.trust()).await
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.rotate_key(&request.into_inner(), &name)).await
    }

    async fn attach_policy(
        &self,
        request: Request<AttachPolicyRequest>,
    ) -> Result<Response<AttachPolicyResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.attach_policy(request.into_inner(), &name)).await
    }

    async fn get_trust_root(
        &self,
        request: Request<GetTrustRootRequest>,
    ) -> Result<Response<TrustRootResponse>, Status> {
        Handshake::check_operator(&request, &self.0.desk, May::Look)?;
        let core = Arc::clone(&self.0);
        read(move || core.trust_root()).await
    }

    async fn set_policy_keys(
        &self,
        request: Request<SetPolicyKeysRequest>,
    ) -> Result<Response<TrustRootResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.set_policy_keys(&request.into_inner(), &name)).await
    }

    async fn list_signing_requests(
        &self,
        request: Request<ListSigningRequestsRequest>,
    ) -> Result<Response<ListSigningRequestsResponse>, Status> {
        Handshake::check_operator(&request, &self.0.desk, May::Look)?;
        let core = Arc::clone(&self.0);
        read(move || core.signing_requests(&request.into_inner())).await
    }

    async fn deliver_authorities(
        &self,
        request: Request<DeliverAuthoritiesRequest>,
    ) -> Result<Response<DeliverAuthoritiesResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.deliver_authorities(request.into_inner(), &name)).await
    }

    async fn create_operator(
        &self,
        request: Request<CreateOperatorRequest>,
    ) -> Result<Response<CreateOperatorResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.create_operator(&request.into_inner(), &name)).await
    }

    async fn list_operators(
        &self,
        request: Request<ListOperatorsRequest>,
    ) -> Result<Response<ListOperatorsResponse>, Status> {
        let (_, key) = Handshake::check_operator(&request, &self.0.desk, May::Look)?;
        Ok(Response::new(self.0.list_operators(key)))
    }

    async fn revoke_operator(
        &self,
        request: Request<RevokeOperatorRequest>,
    ) -> Result<Response<RevokeOperatorResponse>, Status> {
        let (name, _) = Handshake::check_operator(&request, &self.0.desk, May::Change)?;
        let core = Arc::clone(&self.0);
        read(move || core.revoke_operator(&request.into_inner(), &name)).await
    }
}

/// Runs what reads the store where waiting for a disk hurts nobody.
async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<Response<T>, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => Ok(Response::new(answer?)),
        Err(_) => Err(Failure::Stopping.into()),
    }
}

impl<S: StateStore> Core<S> {
    fn fleet(&self, request: &GetFleetRequest) -> Result<FleetStatus, Failure> {
        let selector = Selector::parse(&request.selector).map_err(Failure::Invalid)?;
        let limit = match usize::try_from(request.limit) {
            Ok(limit @ 1..MAX_SITES_A_PAGE) => limit,
            _ => MAX_SITES_A_PAGE,
        };
        let world = self.published.world();
        let sites = self.sites(world.as_deref()).into_iter();
        let rows = sites
            .filter(|site| site.as_str() > request.after.as_str())
            .map(|site| (self.labels(world.as_deref(), &site), site))
            .filter(|(labels, _)| selector.matches(labels))
            .map(|(labels, site)| self.summary(&site, labels));
        let (sites, more) = status::page(rows, limit);
        Ok(FleetStatus {
            source: Some(status::to_source_status(self.board.view(), world.as_deref())),
            sites,
            more,
            strangers: match request.selector.as_str() {
                "" => self.presence.strangers(self.clock.moment(), |site| is_known(site, &self.published)),
                _ => Vec::new(),
            },
            now_ms: self.clock.now().0,
        })
    }

    fn site(&self, request: GetSiteRequest) -> Result<SiteDetail, Failure> {
        let site = SiteId::new(request.site)?;
        let entry = self.published.entry(&site);
        let Some(entry) = entry else {
            return Err(Failure::NotFound(format!("there is no site `{site}` in the policy repository")));
        };
        let labels = self.labels(self.published.world().as_deref(), &site);
        let events = self.store.events(&site)?.into_iter().take(MAX_EVENTS);
        // A row that cannot be read is said in the summary.
        let events_older = self.store.report(&site).ok().flatten().map_or(0, |row| row.first_event);
        Ok(SiteDetail {
            summary: Some(self.summary(&site, labels)),
            events: events.map(status::to_event_row).collect(),
            fragments: status::to_fragment_rows(&entry),
            now_ms: self.clock.now().0,
            events_older,
        })
    }

    fn create_token(&self, request: CreateTokenRequest, by: &str) -> Result<CreateTokenResponse, Failure> {
        let site = SiteId::new(request.site)?;
        let (life, now) = (Duration::from_secs(request.life_seconds), self.desk.now());
        let core = Some(request.core).filter(|core| !core.is_empty());
        let made = self.desk.make_token(&site, life, core, request.replace, now);
        let (token, expires) = made.map_err(Failure::of_operator)?;
        let is_known = is_known(&site, &self.published);
        info!(%site, by, expires_ms = expires.0, replace = request.replace, "a join token is made");
        Ok(CreateTokenResponse {
            token: token.to_string(),
            expires_at_ms: expires.0,
            unknown_site: !is_known,
        })
    }

    fn revoke_site(&self, request: &RevokeSiteRequest, by: &str) -> Result<RevokeSiteResponse, Failure> {
        let site = SiteId::new(&*request.site)?;
        let gone = self.desk.revoke(&site, self.desk.now()).map_err(Failure::of_operator)?;
        info!(%site, by, "revoked");
        let (key, authority_until_ms) = (gone.key.as_bytes().to_vec(), gone.authority_until.0);
        Ok(RevokeSiteResponse { key, authority_until_ms })
    }

    /// The sites of the repository; before it was read after a start, those that were told something.
    fn sites(&self, world: Option<&World>) -> Vec<SiteId> {
        world.map_or_else(|| self.published.sites(), |world| world.compiled.sites().cloned().collect())
    }

    fn labels(&self, world: Option<&World>, site: &SiteId) -> skerry_core::selector::Labels {
        world.and_then(|world| world.compiled.labels(site)).cloned().unwrap_or_default()
    }

    /// Describes a site, whatever can be read of it: nothing of one site may hide another one (invariant 7).
    fn summary(&self, site: &SiteId, labels: skerry_core::selector::Labels) -> SiteSummary {
        let stored = self.store.seen(site).and_then(|seen| Ok((seen, self.store.report(site)?)));
        let now = self.clock.moment();
        let (stored_seen, report, unreadable) = match stored {
            Ok((seen, report)) => (seen, report, None),
            // What sites shall run and who is there is known without the store, and that it fails is shown.
            Err(StoreError::Failed(_)) if self.board.is_store_failing() => (None, None, None),
            Err(error) => (None, None, Some(unreadable(&error, now.wall))),
        };
        let entry = self.published.entry(site);
        let seen = self.presence.seen(site, now);
        let (enrolled, refused) = self.desk.entry(site);
        let facts = SiteFacts { labels, entry, seen, stored_seen, report, unreadable, enrolled, refused };
        status::to_summary(site, facts, &self.published)
    }
}

fn unreadable(error: &StoreError, now: Timestamp) -> Event {
    report::unreadable(&format!("the core cannot read what this site reported: {error}"), now)
}
