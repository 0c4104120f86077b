//! An enrolled site with real Envoys, and who calls it.

use std::path::Path;

use skerry_identity::ca::SiteCa;

use crate::authority::{Mesh, Proof};
use crate::backend::Backend;
use crate::bundle::Plan;
use crate::caller::call;
use crate::core::Core;
use crate::envoy;
use crate::eventually::eventually;
use crate::http::get;
use crate::inside::Inside;
use crate::site::Site;

/// How the agent of a stage runs.
pub(super) enum Agent {
    /// As a process.
    Apart,
    /// In the test, which can hand it what was renewed.
    Inside(Inside),
}

/// Who stands behind the service of a stage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// A backend that answers over HTTP/1.1.
    Backend,
    /// The core of the test, which speaks gRPC.
    Core,
}

/// An enrolled site with its Envoys: `echo-1` of account `echo` behind a proxy, and the proxies of two clients.
pub(super) struct Stage {
    pub(super) core: Core,
    pub(super) site: Site,
    pub(super) mesh: Mesh,
    /// Keys of the site's authority, as a thief has them.
    pub(super) authority: SiteCa,
    /// Where the proxy of `client-1` (account `client`) has the service.
    pub(super) client: String,
    /// Where that of `other-1` (account `other`) has it.
    pub(super) other: String,
    /// Where the proxy of `echo-1` listens.
    pub(super) echo: String,
    _backend: Backend,
}

/// What an endpoint has that is called by mutual TLS.
pub(super) const MATCH: &str = "envoy.transport_socket_match";

/// One above the ports of workloads that only call.
pub(super) const INBOUND: u16 = 15_406;

/// A port that nobody else takes at 127.0.0.1 for a while.
pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a stage is made of.
pub(super) struct Setting {
    pub(super) plan: Plan,
    pub(super) mesh: Mesh,
    /// Who stands behind the service.
    pub(super) server: Server,
    /// More options of the agent.
    pub(super) arguments: &'static [&'static str],
}

impl Setting {
    pub(super) fn of(plan: Plan) -> Self {
        Self { plan, mesh: Mesh::new("mesh.local"), server: Server::Backend, arguments: &[] }
    }
}

impl Stage {
    pub(super) async fn start(plan: Plan) -> Option<Self> {
        let stage = Self::start_in(Setting::of(plan)).await?;
        stage.await_mutual().await;
        Some(stage)
    }

    /// Starts it, and waits for nothing.
    pub(super) async fn start_in(setting: Setting) -> Option<Self> {
        let run = |site: &mut Site, _: &Core, _: &Path| {
            site.start();
            Agent::Apart
        };
        let (stage, _) = Self::prepare(setting, run).await?;
        Some(stage)
    }

    /// Starts an agent in this process.
    pub(super) async fn start_inside(plan: Plan) -> Option<(Self, Inside)> {
        let run = |site: &mut Site, core: &Core, envoy: &Path| Agent::Inside(site.run_inside(core, envoy));
        match Self::prepare(Setting::of(plan), run).await? {
            (stage, Agent::Inside(inside)) => Some((stage, inside)),
            (_, Agent::Apart) => None,
        }
    }

    pub(super) async fn prepare(
        setting: Setting,
        run: impl FnOnce(&mut Site, &Core, &Path) -> Agent,
    ) -> Option<(Self, Agent)> {
        let Setting { plan, mesh, server, arguments } = setting;
        let envoy = envoy::find()?;
        let (mut core, backend) = (Core::start().await, Backend::start("one").await);
        core.publish(&plan.supervised().publish());
        let mut site = Site::new(&core).with(&["--envoy", envoy.to_str().unwrap()]).with(arguments);
        let enrolment = mesh.enrol(&[]);
        site.enrol(&enrolment);
        let inbound = free_port();
        let behind = match server {
            Server::Backend => backend.address,
            Server::Core => core.listen_plainly().await,
        };
        site.write_account("echo-1", "echo", "echo", behind.port(), inbound);
        let client = site.write_account("client-1", "client", "client", INBOUND - 1, free_port());
        let other = site.write_account("other-1", "other", "other", INBOUND - 2, free_port());
        let agent = run(&mut site, &core, &envoy);
        let echo = format!("127.0.0.1:{inbound}");
        let authority = enrolment.authority;
        Some((Self { core, site, mesh, authority, client, other, echo, _backend: backend }, agent))
    }

    /// Waits until both clients' proxies call by mutual TLS.
    pub(super) async fn await_mutual(&self) {
        for (name, address) in [("client-1", &self.client), ("other-1", &self.other)] {
            let what = format!("{name} calls by mutual TLS; the agent says:\n{}", self.site.log());
            eventually(&what, async || {
                get(address, "/").await.ok().filter(|answer| answer.status == 200 || answer.status == 403)?;
                (self.handshakes(name).await > 0).then_some(())
            })
            .await;
        }
    }

    /// How many handshakes a proxy made as a client.
    pub(super) async fn handshakes(&self, name: &str) -> u64 {
        envoy::stat(&self.site.admin(name, 0), "cluster.shop/echo/8080.ssl.handshake").await.unwrap_or(0)
    }

    /// What the site's proxy says to somebody who calls directly.
    pub(super) async fn call(&self, proof: &Proof) -> Result<u16, String> {
        call(&self.echo, Some(proof)).await
    }
}
