//! A real `skerry-controller`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::Method;
use skerry_core::id::SiteId;
use skerry_proto::v1::{ConfirmSourceRequest, GetSiteRequest, SiteDetail};

use super::{Doom, FleetView, Papers, trust};
use crate::http::Request;
use crate::process::Process;
use crate::run::Run;
use crate::wait::eventually;

/// How long a core may take to listen.
const START: Duration = Duration::from_secs(60);

/// What the forge and the core both know.
const SECRET: &str = "tide-table";

/// A core with its folder and addresses; it can be stopped and started again.
#[derive(Debug)]
pub struct Core {
    run: Arc<Run>,
    name: String,
    data: PathBuf,
    source: PathBuf,
    listen: SocketAddr,
    webhook: SocketAddr,
    environment: Vec<(&'static str, PathBuf)>,
    /// The mesh, if it is not the default.
    mesh: Option<&'static str>,
    sites: Option<usize>,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Core {
    /// Prepares a core that reads the branch `main` of a repository, and looks for commits every second.
    pub fn new(run: &Arc<Run>, name: &str, url: &str) -> Result<Self> {
        Self::that_looks_every("1s", run, name, url)
    }

    /// Prepares a core that looks for commits as often as it is told, as `60s`, and when it is notified.
    pub fn that_looks_every(interval: &str, run: &Arc<Run>, name: &str, url: &str) -> Result<Self> {
        let data = run.make_folder(name)?;
        let source = run.folder().join(format!("{name}.yaml"));
        let secret = run.folder().join(format!("{name}.secret"));
        fs_err::write(&secret, SECRET)?;
        fs_err::write(&source, to_source(url, interval, Some(&secret)))?;
        let (listen, webhook) = (run.net().socket(7600), run.net().socket(7601));
        trust::register(listen, &data);
        let (run, name, environment) = (Arc::clone(run), name.to_owned(), Vec::new());
        Ok(Self {
            run,
            name,
            data,
            source,
            listen,
            webhook,
            environment,
            sites: None,
            arguments: Vec::new(),
            mesh: None,
            process: None,
        })
    }

    /// Takes the webhook out of the source: its repository is asked for news, and nobody tells.
    pub fn without_webhook(self, url: &str) -> Result<Self> {
        fs_err::write(&self.source, to_source(url, "1s", None))?;
        Ok(self)
    }

    /// The mesh, if it is not `mesh.local`. Before its first start.
    #[must_use]
    pub fn of_mesh(mut self, trust_domain: &'static str) -> Self {
        self.mesh = Some(trust_domain);
        self
    }

    /// Enrols sites whose agents are simulated. Before its first start.
    pub fn enrol(&self, sites: impl IntoIterator<Item = SiteId>) -> Result<Papers> {
        Papers::make(&self.data, sites)
    }

    /// Sets a variable of the environment that it starts in.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: PathBuf) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Has it serve so many sites at once, instead of as many as it does by itself.
    #[must_use]
    pub fn with_room_for(self, sites: usize) -> Self {
        Self { sites: Some(sites), ..self }
    }

    /// Adds options to its command line.
    #[must_use]
    pub fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it and waits until it listens.
    pub async fn start(&mut self) -> Result<()> {
        self.start_unwatched()?;
        let process = self.process.as_mut().context("the core was started")?;
        let listen = self.listen;
        eventually("the core listens", START, async || {
            process.must_run()?;
            drop(tokio::net::TcpStream::connect(listen).await?);
            Ok(())
        })
        .await
    }

    /// Starts it and waits until it answers people: its credentials are there, and count.
    pub async fn start_and_answer(&mut self) -> Result<()> {
        self.start().await?;
        eventually("the core answers", START, async || self.fleet().await).await.map(drop)
    }

    /// Starts it and does not wait.
    pub fn start_unwatched(&mut self) -> Result<()> {
        let mut command = Command::new(self.run.binaries().ours("skerry-controller")?);
        self.spawn(&mut command)
    }

    /// Starts it to die at a step, and does not wait: that may be one of its first.
    pub fn start_doomed(&mut self, doom: &Doom) -> Result<()> {
        self.spawn(doom.command(&self.run)?.arg("core"))
    }

    fn spawn(&mut self, command: &mut Command) -> Result<()> {
        command.arg("--source").arg(&self.source).arg("--data-dir").arg(&self.data);
        command.arg("--listen").arg(self.listen.to_string());
        command.arg("--webhook-listen").arg(self.webhook.to_string());
        command.args(self.mesh.iter().flat_map(|mesh| ["--trust-domain", mesh]));
        if let Some(sites) = self.sites {
            command.arg("--max-sites").arg(sites.to_string());
        }
        command.args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(self.run.spawn(&self.name, command)?);
        Ok(())
    }

    /// Where sites and people connect to.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// The core's own folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Tells it that something was pushed, as a forge does.
    pub async fn notify(&self) -> Result<()> {
        let body = format!("{{\"ref\": \"refs/heads/{}\"}}", crate::repo::BRANCH);
        let request = Request::new(Method::POST, "/webhook").header("content-type", "application/json");
        let reply = request.header("x-gitlab-token", SECRET).body(body).send(self.webhook).await?;
        anyhow::ensure!(reply.status.is_success(), "the webhook answered {}: {}", reply.status, reply.text());
        Ok(())
    }

    /// Says whether it was killed (SIGKILL); fails when it ended in another way.
    pub fn was_killed(&mut self) -> Result<bool> {
        self.process.as_mut().context("the core was not started")?.was_killed()
    }

    /// Everything that it has written, over all its lives.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Kills it (SIGKILL).
    pub async fn kill(&mut self) -> Result<()> {
        self.process.take().context("the core does not run")?.kill().await
    }

    /// Asks it to end and waits for that.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.take().context("the core does not run")?.terminate(Duration::from_secs(60)).await
    }

    /// `skerry`, as people run it who may ask this core, in the folder of the run.
    pub fn skerry(&self) -> Result<Command> {
        let mut command = trust::skerry(&self.run, self.listen)?;
        command.current_dir(self.run.folder());
        Ok(command)
    }

    /// Asks it for the fleet.
    pub async fn fleet(&self) -> Result<FleetView> {
        FleetView::ask(self.listen).await
    }

    /// Asks it for all that it knows of one site.
    pub async fn site(&self, site: &str) -> Result<SiteDetail> {
        let request = GetSiteRequest { site: site.to_owned() };
        Ok(super::status::connect(self.listen).await?.get_site(request).await?.into_inner())
    }

    /// Confirms a revision, as `skerry source confirm` does.
    pub async fn confirm(&self, revision: &str) -> Result<()> {
        let request = ConfirmSourceRequest { revision: revision.to_owned() };
        super::status::connect(self.listen).await?.confirm_source(request).await?;
        Ok(())
    }

    /// Waits until a revision is compiled.
    pub async fn compiled(&self, revision: &str, deadline: Duration) -> Result<FleetView> {
        eventually("the core has compiled the revision", deadline, async || {
            let view = self.fleet().await?;
            let seen = view.source().revision.clone();
            anyhow::ensure!(
                seen == revision,
                "it is at `{seen}`, not at `{revision}`; {}",
                view.source().error
            );
            Ok(view)
        })
        .await
    }

    /// Waits until all these sites say that they run what they shall run, of a world at this revision.
    pub async fn settled(&self, revision: &str, sites: &[&str], deadline: Duration) -> Result<FleetView> {
        self.compiled(revision, deadline).await?;
        eventually("the sites run what they shall run", deadline, async || {
            let view = self.fleet().await?;
            sites.iter().try_for_each(|site| view.must_be_current(site))?;
            Ok(view)
        })
        .await
    }
}

fn to_source(url: &str, interval: &str, secret: Option<&Path>) -> String {
    let mut object = serde_json::json!({
        "apiVersion": "skerry.dev/v1alpha1",
        "kind": "PolicySource",
        "metadata": {"name": "policy"},
        "spec": {
            "url": url,
            "ref": {"branch": crate::repo::BRANCH},
            "interval": interval,
        },
    });
    if let Some(secret) = secret {
        object["spec"]["webhook"] = serde_json::json!({"secretFile": secret});
    }
    format!("{object:#}\n")
}
