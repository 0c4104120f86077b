//! The fleet as the core shows it: the same answer that `skerry status` prints.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use skerry_proto::v1::fleet_client::FleetClient;
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::{
    Diagnostic, EventRow, FleetStatus, GetFleetRequest, GetSiteRequest, SiteState, SiteSummary, SourceStatus,
};
use tonic::transport::Channel;

use super::trust;

/// Connects to a core as people do.
pub(super) async fn connect(core: SocketAddr) -> Result<FleetClient<Channel>> {
    Ok(FleetClient::new(trust::connect(core).await?))
}

/// One answer of the core.
#[derive(Debug, Clone)]
pub struct FleetView(FleetStatus);

impl FleetView {
    /// Asks a core.
    pub async fn ask(core: SocketAddr) -> Result<Self> {
        let answer = connect(core).await?.get_fleet(GetFleetRequest::default()).await?;
        Ok(Self(answer.into_inner()))
    }

    /// Asks a core for the first sites, so many at most.
    pub async fn ask_for(sites: u32, core: SocketAddr) -> Result<Self> {
        let request = GetFleetRequest { limit: sites, ..GetFleetRequest::default() };
        Ok(Self(connect(core).await?.get_fleet(request).await?.into_inner()))
    }

    /// Asks a core for all sites, page by page.
    pub async fn ask_all(core: SocketAddr) -> Result<Self> {
        let mut client = connect(core).await?;
        let mut all = client.get_fleet(GetFleetRequest::default()).await?.into_inner();
        while all.more {
            let after = all.sites.last().map(|site| site.site.clone()).unwrap_or_default();
            let request = GetFleetRequest { after, ..GetFleetRequest::default() };
            let page = client.get_fleet(request).await?.into_inner();
            all.sites.extend(page.sites);
            all.more = page.more;
        }
        Ok(Self(all))
    }

    /// Asks a core for the events of a site, oldest first: at most the 100 newest.
    pub async fn events(core: SocketAddr, site: &str) -> Result<Vec<EventRow>> {
        let request = GetSiteRequest { site: site.to_owned() };
        let answer = connect(core).await?.get_site(request).await?;
        let mut events = answer.into_inner().events;
        events.reverse();
        Ok(events)
    }

    /// The source.
    pub fn source(&self) -> &SourceStatus {
        static NONE: std::sync::LazyLock<SourceStatus> = std::sync::LazyLock::new(SourceStatus::default);
        self.0.source.as_ref().unwrap_or(&NONE)
    }

    /// What was wrong with the compiled revision.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.source().diagnostics
    }

    /// One site.
    pub fn site(&self, name: &str) -> Result<&SiteSummary> {
        let site = self.0.sites.iter().find(|site| site.site == name);
        site.with_context(|| format!("the core shows no site `{name}`"))
    }

    /// What a site has last said of itself.
    pub fn state(&self, name: &str) -> Result<&SiteState> {
        self.site(name)?.state.as_ref().with_context(|| format!("{name} has not said anything yet"))
    }

    /// Fails unless the site's own report says that it runs what it shall run, that its workloads could be
    /// read, and that its proxies have acknowledged everything.
    pub fn must_be_current(&self, name: &str) -> Result<()> {
        must_be_current(self.site(name)?)
    }

    /// Fails unless there are so many sites, and [`Self::must_be_current`] holds for each.
    pub fn must_all_be_current(&self, sites: usize) -> Result<()> {
        let shown = self.0.sites.len();
        anyhow::ensure!(shown == sites, "the core shows {shown} sites, not {sites}");
        self.0.sites.iter().try_for_each(must_be_current)
    }
}

fn must_be_current(site: &SiteSummary) -> Result<()> {
    let name = &site.site;
    let state = site.state.as_ref().with_context(|| format!("{name} has not said anything yet"))?;
    anyhow::ensure!(site.connected, "{name} is not connected");
    anyhow::ensure!(state.workload_problems.is_empty(), "{name} has {:?}", state.workload_problems);
    let (has, shall) = (state.generation, site.desired_generation);
    anyhow::ensure!(state.manifest == site.desired, "{name} runs generation {has}, not {shall}");
    let late = state.proxies.iter().find(|proxy| proxy.phase() != Phase::Ready);
    anyhow::ensure!(late.is_none(), "{name} has a proxy that is not ready: {late:?}");
    Ok(())
}
