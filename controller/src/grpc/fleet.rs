//! `Fleet`: what `skerry status` and friends ask.

use std::sync::Arc;

use skerry_core::id::{SiteId, Timestamp};
use skerry_core::selector::Selector;
use skerry_proto::limits::{MAX_EVENTS, MAX_SITES_A_PAGE};
use skerry_proto::v1::fleet_server::Fleet;
use skerry_proto::v1::{
    ConfirmSourceRequest, ConfirmSourceResponse, FleetStatus, GetFleetRequest, GetSiteRequest, SiteDetail,
    SiteSummary,
};
use tonic::{Request, Response, Status};

use super::Core;
use super::failure::Failure;
use super::site_sync::is_known;
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
        let core = Arc::clone(&self.0);
        read(move || core.fleet(&request.into_inner())).await
    }

    async fn get_site(&self, request: Request<GetSiteRequest>) -> Result<Response<SiteDetail>, Status> {
        let core = Arc::clone(&self.0);
        read(move || core.site(request.into_inner())).await
    }

    async fn confirm_source(
        &self,
        request: Request<ConfirmSourceRequest>,
    ) -> Result<Response<ConfirmSourceResponse>, Status> {
        let confirmed = self.0.source.confirm(&request.into_inner().revision).await;
        confirmed.map_err(Failure::NotConfirmed)?;
        Ok(Response::new(ConfirmSourceResponse {}))
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
        let facts = SiteFacts { labels, entry, seen, stored_seen, report, unreadable };
        status::to_summary(site, facts, &self.published)
    }
}

fn unreadable(error: &StoreError, now: Timestamp) -> Event {
    report::unreadable(&format!("the core cannot read what this site reported: {error}"), now)
}
