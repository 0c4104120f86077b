//! A core in this process, with its own folder and ports, that can be stopped and started again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use skerry_controller::admission::Limits;
use skerry_controller::app::App;
use skerry_controller::args::Args;
use skerry_controller::clock::Clock;
use skerry_controller::config::Config;
use skerry_proto::v1::fleet_client::FleetClient;
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use skerry_proto::v1::{
    ConfirmSourceRequest, FleetStatus, GetFleetRequest, GetSiteRequest, SiteDetail, SourceStatus,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

use super::papers::{self, Papers};
use super::{until, within};

/// The webhook's secret.
pub(crate) const SECRET: &str = "push-secret";

/// The folders of a core and its source file.
pub(crate) struct Home {
    folder: Arc<TempDir>,
    papers: Arc<Papers>,
    source: String,
}

impl Home {
    /// Follows branch `main` of a repository, at the top.
    pub(crate) fn of(repository: &Path) -> Self {
        Self::with(repository, "")
    }

    /// The same with more lines of `spec`, each with its line break.
    pub(crate) fn with(repository: &Path, spec: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        fs_err::write(folder.path().join("secret"), SECRET).expect("a file can be written");
        let url = repository.display();
        let source = format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: PolicySource\nmetadata: {{name: policies}}\nspec:\n  \
             url: {url}\n  interval: 1h\n  timeout: 10s\n  webhook: {{secretFile: secret}}\n{spec}"
        );
        Self { folder, papers: Arc::default(), source }
    }

    /// Changes the source file for the next start.
    pub(crate) fn edit(&mut self, from: &str, to: &str) {
        assert!(self.source.contains(from));
        self.source = self.source.replace(from, to);
    }

    pub(crate) fn source_file(&self) -> PathBuf {
        let path = self.folder.path().join("source.yaml");
        fs_err::write(&path, &self.source).expect("a file can be written");
        path
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn config(&self) -> Config {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let args = Args {
            source: self.source_file(),
            data_dir: self.data_dir(),
            listen: any_port,
            webhook_listen: any_port,
            trust_domain: "mesh.local".to_owned(),
            new_mesh: false,
            seal_key_file: None,
            offline_root: None,
            root_signs_within: 30,
            max_sites: 20_000,
            log: "info".to_owned(),
        };
        Config::resolve(args, |path| std::fs::read(path)).expect("a test's source file is good")
    }

    /// Starts a core in these folders.
    pub(crate) async fn start(&self) -> TestCore {
        self.start_with(Clock::system()).await
    }

    /// Starts a core with a clock of its own.
    pub(crate) async fn start_with(&self, clock: Clock) -> TestCore {
        self.run(self.config(), clock).await
    }

    /// Starts a core that takes on so much at once, and waits until it has compiled something.
    pub(crate) async fn start_limited(&self, limits: Limits) -> TestCore {
        let config = Config { limits, ..self.config() };
        self.run(config, Clock::system()).await.ready().await
    }

    #[expect(clippy::unused_async, reason = "it needs a runtime, as all that starts something")]
    async fn run(&self, config: Config, clock: Clock) -> TestCore {
        let data = config.data_dir.clone();
        let cancel = CancellationToken::new();
        let app = App::build(config, clock, cancel.clone()).expect("a core can be built");
        let address = app.address().expect("the address is bound");
        let webhook = app.webhook_address().expect("the address is bound");
        let mut running = JoinSet::new();
        running.spawn(app.run());
        let mut core = TestCore::at(self, address, data);
        (core.webhook, core.cancel, core.running) = (webhook, cancel, running);
        core
    }

    /// Starts a core and waits until it has compiled something.
    pub(crate) async fn start_ready(&self) -> TestCore {
        self.start().await.ready().await
    }
}

/// A running core.
pub(crate) struct TestCore {
    operator: OnceLock<Channel>,
    agents: tokio::sync::Mutex<BTreeMap<String, Channel>>,
    papers: Arc<Papers>,
    /// Where its data folder is seen from here.
    data: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) webhook: SocketAddr,
    cancel: CancellationToken,
    running: JoinSet<anyhow::Result<()>>,
    _folder: Arc<TempDir>,
}

impl Drop for TestCore {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl TestCore {
    /// A core that is a program of its own, in these folders.
    pub(crate) async fn of_program(home: &Home) -> Self {
        Self::of_program_at(home, &home.data_dir()).await
    }

    /// The same where its data folder is seen from here at another path.
    pub(crate) async fn of_program_at(home: &Home, data_dir: &Path) -> Self {
        let read = async |name: &str| {
            until("the program listens", || async {
                let text = fs_err::read_to_string(data_dir.join(name)).ok()?;
                text.trim().parse::<SocketAddr>().ok()
            })
            .await
        };
        let (address, webhook) = (read("listen").await, read("webhook").await);
        let mut core = Self::at(home, address, data_dir.to_owned());
        core.webhook = webhook;
        core
    }

    /// Something at an address, that is said to be the core of these folders.
    fn at(home: &Home, address: SocketAddr, data: PathBuf) -> Self {
        Self {
            operator: OnceLock::new(),
            agents: tokio::sync::Mutex::default(),
            papers: Arc::clone(&home.papers),
            data,
            address,
            webhook: address,
            cancel: CancellationToken::new(),
            running: JoinSet::new(),
            _folder: Arc::clone(&home.folder),
        }
    }

    /// Waits until it has compiled something.
    async fn ready(self) -> Self {
        self.source_when("the first revision", |source| !source.revision.is_empty()).await;
        // Now, while there is room, and on a connection that is gone afterwards.
        for site in ["s1", "s2", "s3"] {
            drop(self.papers.agent(site, self.address, &self.data).await);
        }
        self
    }

    /// The same core for somebody who comes on a connection of their own.
    pub(crate) fn anew(&self) -> Self {
        Self {
            operator: OnceLock::new(),
            agents: tokio::sync::Mutex::default(),
            papers: Arc::clone(&self.papers),
            data: self.data.clone(),
            cancel: CancellationToken::new(),
            running: JoinSet::new(),
            _folder: Arc::clone(&self._folder),
            ..*self
        }
    }

    /// The connection of a site's agent.
    pub(crate) async fn agent(&self, site: &str) -> Channel {
        let mut agents = self.agents.lock().await;
        if let Some(channel) = agents.get(site) {
            return channel.clone();
        }
        let channel = self.papers.agent(site, self.address, &self.data).await;
        agents.entry(site.to_owned()).or_insert(channel).clone()
    }

    /// What the agent of a site goes on from, from one connection to the next.
    pub(crate) fn agent_config(&self, site: &str) -> Arc<ClientConfig> {
        self.papers.agent_config(site, &self.data)
    }

    pub(crate) async fn sites(&self, site: &str) -> SiteSyncClient<Channel> {
        SiteSyncClient::new(self.agent(site).await)
    }

    pub(crate) fn fleet(&self) -> FleetClient<Channel> {
        let channel = self.operator.get_or_init(|| papers::operator(self.address, &self.data));
        FleetClient::new(channel.clone())
    }

    /// As an operator who may look and change nothing.
    pub(crate) async fn viewer(&self) -> FleetClient<Channel> {
        FleetClient::new(papers::viewer(self.address, &self.data).await)
    }

    /// Asks for a fetch as a Git host does.
    pub(crate) async fn notify(&self) {
        let status = crate::webhook::push(self.webhook, SECRET, b"{}").await;
        assert_eq!(status, 202);
    }

    pub(crate) async fn status(&self) -> FleetStatus {
        self.fleet().get_fleet(GetFleetRequest::default()).await.expect("the core answers").into_inner()
    }

    pub(crate) async fn source(&self) -> SourceStatus {
        self.status().await.source.expect("a status has a source")
    }

    /// Waits until the source is in a state.
    pub(crate) async fn source_when(&self, what: &str, is: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
        until(what, || async { Some(self.source().await).filter(|source| is(source)) }).await
    }

    /// Waits until a commit is compiled.
    pub(crate) async fn compiled(&self, commit: &str) -> SourceStatus {
        let revision = format!("main@sha1:{commit}");
        self.source_when("the commit", |source| source.revision == revision).await
    }

    pub(crate) async fn site(&self, site: &str) -> SiteDetail {
        let request = GetSiteRequest { site: site.to_owned() };
        self.fleet().get_site(request).await.expect("the core answers").into_inner()
    }

    pub(crate) async fn confirm(&self, revision: &str) -> Result<(), Status> {
        let request = ConfirmSourceRequest { revision: revision.to_owned() };
        self.fleet().confirm_source(request).await.map(drop)
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        let ended = within("the core ends", self.running.join_next()).await.expect("it was running");
        ended.expect("it does not panic").expect("it ends well");
    }
}
