//! A core in this process, with its own folder and ports, that can be stopped and started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
use tonic::transport::{Channel, Endpoint};

use super::{until, within};

/// The webhook's secret.
pub(crate) const SECRET: &str = "push-secret";

/// The folders of a core and its source file.
pub(crate) struct Home {
    folder: Arc<TempDir>,
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
        Self { folder, source }
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
        Self::run(self.config(), clock, Arc::clone(&self.folder)).await
    }

    /// Starts a core that takes on so much at once, and waits until it has compiled something.
    pub(crate) async fn start_limited(&self, limits: Limits) -> TestCore {
        let config = Config { limits, ..self.config() };
        Self::run(config, Clock::system(), Arc::clone(&self.folder)).await.ready().await
    }

    #[expect(clippy::unused_async, reason = "it needs a runtime, as all that starts something")]
    async fn run(config: Config, clock: Clock, folder: Arc<TempDir>) -> TestCore {
        let cancel = CancellationToken::new();
        let app = App::build(config, clock, cancel.clone()).expect("a core can be built");
        let address = app.address().expect("the address is bound");
        let webhook = app.webhook_address().expect("the address is bound");
        let mut running = JoinSet::new();
        running.spawn(app.run());
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a URL");
        TestCore { channel: endpoint.connect_lazy(), webhook, cancel, running, _folder: folder, address }
    }

    /// Starts a core and waits until it has compiled something.
    pub(crate) async fn start_ready(&self) -> TestCore {
        self.start().await.ready().await
    }
}

/// A running core.
pub(crate) struct TestCore {
    pub(crate) channel: Channel,
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
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a URL");
        Self {
            channel: endpoint.connect_lazy(),
            webhook,
            cancel: CancellationToken::new(),
            running: JoinSet::new(),
            _folder: Arc::clone(&home.folder),
            address,
        }
    }

    /// Waits until it has compiled something.
    async fn ready(self) -> Self {
        self.source_when("the first revision", |source| !source.revision.is_empty()).await;
        self
    }

    /// The same core for somebody who comes on a connection of their own.
    pub(crate) fn anew(&self) -> Self {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.address)).expect("an address is a URL");
        Self {
            channel: endpoint.connect_lazy(),
            cancel: CancellationToken::new(),
            running: JoinSet::new(),
            _folder: Arc::clone(&self._folder),
            ..*self
        }
    }

    pub(crate) fn sites(&self) -> SiteSyncClient<Channel> {
        SiteSyncClient::new(self.channel.clone())
    }

    pub(crate) fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel.clone())
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
