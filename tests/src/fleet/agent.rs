//! A real `skerry-agent` with its site's workloads, and the Envoys that it runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use skerry_agent::enrolment::Enrolment;

use super::{Doom, Workload, trust};
use crate::clock::Clocks;
use crate::process::{self, Process, Seen};
use crate::run::Run;

/// Which form of xDS the agent's proxies speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdsMode {
    /// Incremental.
    Delta,
    /// State of the world.
    Sotw,
}

impl XdsMode {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Sotw => "sotw",
        }
    }
}

/// The file of an identity in a data folder.
const IDENTITY: &str = "identity.json";

/// An agent with its folders; it can be stopped and started again.
#[derive(Debug)]
pub struct Agent {
    run: Arc<Run>,
    name: String,
    site: String,
    core: SocketAddr,
    mode: XdsMode,
    data: PathBuf,
    workloads: PathBuf,
    envoy: PathBuf,
    arguments: Vec<&'static str>,
    clocks: Option<Clocks>,
    process: Option<Process>,
}

impl Agent {
    /// Prepares the agent of a site; `core` may be a link in front of the core.
    pub fn new(run: &Arc<Run>, site: &str, core: SocketAddr, mode: XdsMode) -> Result<Self> {
        Self::named(run, site, site, core, mode)
    }

    /// The same with folders and a log of another name: for a second agent of a site.
    pub fn named(run: &Arc<Run>, name: &str, site: &str, core: SocketAddr, mode: XdsMode) -> Result<Self> {
        let data = run.make_folder(name)?;
        let workloads = run.make_folder(&format!("{name}-workloads"))?;
        let envoy = run.binaries().envoy()?.to_owned();
        let (run, name, site) = (Arc::clone(run), name.to_owned(), site.to_owned());
        let (arguments, clocks) = (Vec::new(), None);
        Ok(Self { run, name, site, core, mode, data, workloads, envoy, arguments, clocks, process: None })
    }

    /// Adds options to its command line.
    pub fn add_arguments(&mut self, arguments: &[&'static str]) {
        self.arguments.extend(arguments);
    }

    /// Gives it, and the Envoys that it starts, clocks of their own.
    pub fn set_clocks(&mut self, clocks: &Clocks) {
        self.clocks = Some(clocks.clone());
    }

    /// Lets it start another program as Envoy.
    pub fn set_envoy(&mut self, program: PathBuf) {
        self.envoy = program;
    }

    /// Adds a workload's file, or replaces it.
    pub fn add(&self, workload: &Workload) -> Result<()> {
        // Moved into place, as the agent watches the folder and must not read half a file.
        let path = self.workloads.join(format!("{}.yaml", workload.name));
        let draft = self.data.join("workload.draft");
        fs_err::write(&draft, workload.to_file())?;
        Ok(fs_err::rename(draft, path)?)
    }

    /// Starts it. It is of use some time later: wait for what is to be seen.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(self.run.binaries().ours("skerry-agent")?);
        self.spawn(command.arg("run"))
    }

    /// Starts it to die at a step.
    pub fn start_doomed(&mut self, doom: &Doom) -> Result<()> {
        self.spawn(doom.command(&self.run)?.arg("agent"))
    }

    /// Enrols it, as its first start does. A second agent of a site has a copy of the first one's identity.
    pub fn enrol(&self) -> Result<()> {
        let (own, first) = (self.data.join(IDENTITY), self.run.folder().join(&self.site).join(IDENTITY));
        if own.exists() {
            return Ok(());
        }
        if self.name != self.site && first.exists() {
            let enrolment = Enrolment::load(&first)?.context("the first one is enrolled")?;
            return Ok(enrolment.save(&own)?);
        }
        trust::enrol(&self.run, &self.site, self.core, &self.data)
    }

    fn spawn(&mut self, command: &mut Command) -> Result<()> {
        self.enrol()?;
        command.args(["--site", &self.site, "--xds", self.mode.as_str()]);
        command.arg("--core").arg(format!("https://{}", self.core));
        command.arg("--data-dir").arg(&self.data).arg("--workloads").arg(&self.workloads);
        command.arg("--envoy").arg(&self.envoy).args(&self.arguments);
        command.envs(self.clocks.iter().flat_map(Clocks::variables));
        self.process = Some(self.run.spawn(&format!("agent-{}", self.name), command)?);
        Ok(())
    }

    /// The site's name.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// The agent's own folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The folder of its workloads' files.
    pub fn workloads(&self) -> &Path {
        &self.workloads
    }

    /// The folder of one workload's proxy.
    pub fn proxy(&self, workload: &Workload) -> PathBuf {
        self.data.join("proxies").join(format!("{}.{}", workload.namespace, workload.name))
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Fails, with the log's last lines, when it has ended by itself.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.as_mut().context("the agent was not started")?.must_run()
    }

    /// Says whether it was killed (SIGKILL); fails when it ended in another way.
    pub fn was_killed(&mut self) -> Result<bool> {
        self.process.as_mut().context("the agent was not started")?.was_killed()
    }

    /// Everything that it has written, over all its lives.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// What `skerry-agent show` prints of its folder.
    pub fn show(&self) -> Result<serde_json::Value> {
        let mut command = Command::new(self.run.binaries().ours("skerry-agent")?);
        let output = command.args(["show", "-o", "json", "--data-dir"]).arg(&self.data).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`skerry-agent show` failed: {errors}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Kills it (SIGKILL); its Envoys go on.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.take().context("the agent does not run")?.kill().await
    }

    /// Asks it to end and waits for that.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.take().context("the agent does not run")?.terminate(Duration::from_secs(60)).await
    }

    /// The site's Envoys and their launchers: every process of the run, save the agent, that names the agent's folder.
    pub fn data_plane(&self) -> Vec<Seen> {
        let folder = self.data.to_string_lossy().into_owned();
        let mut seen = self.run.processes();
        seen.retain(|process| Some(process.id) != self.id());
        seen.retain(|process| process.arguments.iter().any(|argument| argument.contains(&folder)));
        seen
    }

    /// The site's Envoys alone.
    pub fn envoys(&self) -> Vec<Seen> {
        let name =
            self.run.binaries().envoy().ok().and_then(Path::file_name).map(|name| name.to_string_lossy());
        let mut seen = self.data_plane();
        seen.retain(|process| name.as_deref() == Some(process.program.as_str()));
        seen
    }

    /// Kills the site's Envoys with their launchers (SIGKILL), by id.
    pub fn kill_data_plane(&self) -> Result<usize> {
        let seen = self.data_plane();
        seen.iter().try_for_each(|process| process::kill_and_reap(process.id))?;
        Ok(seen.len())
    }
}
