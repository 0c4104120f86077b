//! `skerry-agent run`: builds the parts, runs the tasks of one table, ends with the first that ends.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::Context as _;
use skerry_core::id::NamespacedName;
use skerry_proto::limits::BOOT_BYTES;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::ads;
use crate::args::RunArgs;
use crate::clock::{Clock, SharedTime, boot_id, moves};
use crate::config::{self, Config, ConfigError, Launcher};
use crate::enrolment::{self, Enrolment};
use crate::identity::Issued;
use crate::link::secure::LinkTime;
use crate::link::{self, Link, Renewal};
use crate::machine::Machine;
use crate::mailbox::{self, Mail};
use crate::site::{Desired, Feed, Outlets, Parts, Publisher, Site, Vouchers};
use crate::snapshot::Snapshots;
use crate::store::{self, Store};
use crate::supervise::Supervisor;
use crate::{counts, workload_api, workloads};

mod again;

type Enrolled = Option<Arc<Enrolment>>;
type Feeds = BTreeMap<NamespacedName, Feed>;
type Task = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// An agent, ready to run.
pub struct App {
    cancel: CancellationToken,
    /// Ends this agent and not the process: another one begins.
    life: CancellationToken,
    enrolment: watch::Sender<Enrolled>,
    tasks: Vec<(&'static str, Task)>,
}

/// The exit code for a wrong command line, as that of the argument parser.
const WRONG_USAGE: u8 = 2;

/// Runs `skerry-agent run` to its end.
#[expect(clippy::print_stderr, reason = "this is the program's own voice")]
pub(crate) fn main(args: &RunArgs) -> ExitCode {
    let agent = std::env::current_exe().unwrap_or_else(|_| "skerry-agent".into());
    let launcher = Launcher::beside(agent, Path::is_file);
    let resolve = || Config::resolve(args.clone(), launcher.clone(), config::Enrolled::read);
    let config = match resolve() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return WRONG_USAGE.into();
        }
    };
    match start(config, resolve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one agent after another until it is asked to end. What the data folder says may be new for the next one.
fn start(mut config: Config, resolve: impl Fn() -> Result<Config, ConfigError>) -> anyhow::Result<()> {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(Targets::from_str(&config.log)?).with(layer).init();
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(end_on_signal(cancel.clone())?);
        loop {
            App::build(config, cancel.clone())?.run().await?;
            if cancel.is_cancelled() {
                return Ok(());
            }
            info!("starts over");
            config = resolve()?;
        }
    })
}

fn end_on_signal(cancel: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("asked to end");
        cancel.cancel();
    })
}

impl App {
    /// Opens the store, starts with what it holds, and prepares every task; serves nothing yet.
    ///
    /// Call it inside a tokio runtime; one thread is enough. `cancel` ends the agent.
    ///
    /// # Errors
    /// A data folder that cannot be used: in use, of another site, unwritable, too long a path.
    pub fn build(config: Config, cancel: CancellationToken) -> anyhow::Result<Self> {
        let life = cancel.child_token();
        config.layout.prepare()?;
        let (store, damaged) = open_store(&config)?;
        let clock = Clock::start();
        let time = SharedTime::new(store.floors()?.trusted_ms, clock);
        let enrolment::Start { enrolment, troubles } = enrolment::Start::of(&config.site, &config.layout)?;
        let lost = enrolment.is_none().then(|| config.layout.clone());
        let lines = Lines::new(enrolment);
        let (files, mut doubt) = (store.workload_files()?, workloads::Doubt::default());
        let seen = doubt.judge(clock.now(), workloads::scan(&config.workloads), &files);
        let loaded = workloads::fold(seen.clone(), &files);
        let start = workloads::Start { kept: loaded.files.clone(), seen, doubt, clock };
        let parts = lines.site_parts(&config, &store, clock, (time.clone(), lines.enrolment.1.clone()));
        let site = Site::boot(Parts { damaged, identity_troubles: troubles, ..parts }, loaded)?;
        let watch = workloads::run(config.workloads.clone(), start, lines.mailbox.clone(), life.clone());
        let ads = ads::run(lines.feeds.1.clone(), lines.mailbox.clone(), life.clone());
        let enrolment = watch_enrolment(lines.enrolment.1.clone(), lines.mailbox.clone(), life.clone());
        let counts = counts::run(lines.feeds.1.clone(), lines.mailbox.clone(), life.clone());
        let enrolled = lines.enrolment.0.clone();
        let supervisor = lines.supervisor(&config, &cancel).run(life.clone());
        let api = workload_api::run(lines.api(&config), life.clone());
        let disk = again::await_disk(Arc::clone(&store), life.clone());
        let boot = boot_id(config.layout.folder_id(), store.id()?);
        let not_known = Arc::new(Notify::new());
        let mut tasks = lines.by_clock(&config, (time.clone(), clock), Arc::clone(&not_known), &life);
        let (link, mail) = lines.link(config, store, boot, (Arc::new(time), not_known));
        let others: [(&'static str, Task); 10] = [
            ("site", Box::pin(on_own_thread(move |cancel| own(site, mail, clock, cancel), life.clone()))),
            ("link", Box::pin(link.run(life.clone()))),
            ("workloads", Box::pin(watch)),
            ("ads", Box::pin(ads)),
            ("counts", Box::pin(counts)),
            ("enrolment", Box::pin(enrolment)),
            ("workload-api", Box::pin(api)),
            ("supervise", Box::pin(supervisor)),
            ("disk", Box::pin(disk)),
            ("identity", Box::pin(again::await_identity(lost, life.clone()))),
        ];
        tasks.extend(others);
        Ok(Self { cancel, life, enrolment: enrolled, tasks })
    }

    /// Returns where what the site has is put when it was renewed; the file is written by who renews it.
    pub fn enrolment(&self) -> watch::Sender<Option<Arc<Enrolment>>> {
        self.enrolment.clone()
    }

    /// Runs until it is cancelled, until a task ends that should not, or until the disk can be written that could not be
    /// when it was built: then it is to be built anew, and the token is not cancelled.
    ///
    /// # Errors
    /// The first task that failed.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut set = JoinSet::new();
        for (name, task) in self.tasks {
            set.spawn(async move { (name, task.await) });
        }
        let mut outcome = Ok(());
        while let Some(ended) = set.join_next().await {
            let (name, result) = ended.unwrap_or_else(|error| ("a task", Err(error.into())));
            let result = result.with_context(|| format!("{name} failed"));
            if !self.life.is_cancelled() {
                outcome = result.and_then(|()| anyhow::bail!("{name} ended by itself"));
                self.cancel.cancel();
            }
        }
        outcome
    }
}

/// The channels between the tasks: every one bounded, or a watch that holds one value.
struct Lines {
    mailbox: mailbox::Sender,
    mail: mpsc::Receiver<Mail>,
    commands: (mpsc::Sender<link::Command>, mpsc::Receiver<link::Command>),
    identity: (watch::Sender<link::Identity>, watch::Receiver<link::Identity>),
    outbox: (watch::Sender<u64>, watch::Receiver<u64>),
    feeds: (watch::Sender<Feeds>, watch::Receiver<Feeds>),
    desired: (watch::Sender<Desired>, watch::Receiver<Desired>),
    /// What the site has; the sender is that of its renewal.
    enrolment: (watch::Sender<Enrolled>, watch::Receiver<Enrolled>),
    /// What the core says of the version of whom the site believes.
    heard: watch::Sender<link::Heard>,
    issued: watch::Sender<Arc<Issued>>,
}

impl Lines {
    fn new(enrolment: Enrolled) -> Self {
        let (mailbox, mail) = mpsc::channel(mailbox::CAPACITY);
        Self {
            mailbox,
            mail,
            commands: mpsc::channel(link::COMMANDS),
            identity: watch::channel(link::Identity::default()),
            outbox: watch::channel(0),
            feeds: watch::channel(Feeds::new()),
            desired: watch::channel(Desired::default()),
            enrolment: watch::channel(enrolment),
            heard: watch::Sender::default(),
            issued: watch::Sender::default(),
        }
    }

    fn site_parts(
        &self,
        config: &Config,
        store: &Arc<Store>,
        clock: Clock,
        (time, enrolment): (SharedTime, watch::Receiver<Option<Arc<Enrolment>>>),
    ) -> Parts {
        let snapshots = Snapshots::new(config.site.clone(), config.xds);
        let (feeds, desired) = (self.feeds.0.clone(), self.desired.0.clone());
        Parts {
            id: config.site.clone(),
            store: Arc::clone(store),
            clock,
            time,
            vouchers: Vouchers::of(enrolment, config.policy),
            machine: Machine::new(config.confirm_deadline),
            returning: config.confirm_deadline,
            publisher: Publisher::new(config.layout.clone(), snapshots, feeds, desired),
            out: Outlets {
                link: self.commands.0.clone(),
                identity: self.identity.0.clone(),
                outbox: self.outbox.0.clone(),
                issued: self.issued.clone(),
            },
            status_file: config.layout.status(),
            envoy: config.envoy.clone(),
            enrolment: self.enrolment.1.borrow().clone(),
            identity_troubles: Vec::new(),
            damaged: None,
        }
    }

    fn supervisor(&self, config: &Config, asked: &CancellationToken) -> Supervisor {
        Supervisor {
            asked: asked.clone(),
            layout: config.layout.clone(),
            envoy: config.envoy.clone(),
            launcher: config.launcher.clone(),
            on_exit: config.on_exit,
            desired: self.desired.1.clone(),
            mailbox: self.mailbox.clone(),
        }
    }

    /// What the Workload API is served from.
    fn api(&self, config: &Config) -> (PathBuf, watch::Receiver<Arc<Issued>>, mailbox::Sender) {
        (config.workload_socket.clone(), self.issued.subscribe(), self.mailbox.clone())
    }

    /// The renewal of certificates, and who notices that clocks moved.
    fn by_clock(
        &self,
        config: &Config,
        (time, clock): (SharedTime, Clock),
        not_known: Arc<Notify>,
        life: &CancellationToken,
    ) -> Vec<(&'static str, Task)> {
        let moved = Arc::new(Notify::new());
        let renewal = Renewal {
            core: config.core.clone().unwrap_or_default(),
            layout: config.layout.clone(),
            time: Arc::new(time),
            clock,
            moved: Arc::clone(&moved),
            not_known,
            heard: self.heard.subscribe(),
            demand: config.policy,
            desired: self.desired.1.clone(),
            enrolment: self.enrolment.0.clone(),
        };
        let moves = moves::run(clock, self.mailbox.clone(), moved, life.clone());
        vec![("renewal", Box::pin(renewal.run(life.clone()))), ("moves", Box::pin(moves))]
    }

    fn link(
        self,
        config: Config,
        store: Arc<Store>,
        boot: [u8; BOOT_BYTES],
        (time, not_known): (Arc<dyn LinkTime>, Arc<Notify>),
    ) -> (Link, mpsc::Receiver<Mail>) {
        let link = Link {
            site: config.site,
            // Whoever has an enrolment knows where the core is, and nobody else is called.
            core: config.core.unwrap_or_default(),
            enrolment: self.enrolment.1,
            time,
            not_known,
            heard: self.heard,
            tls: None,
            demand: config.policy,
            mode: config.link,
            pull_interval: config.pull_interval,
            boot,
            identity: self.identity.1,
            commands: self.commands.1,
            mailbox: self.mailbox,
            store,
            outbox: self.outbox.1,
            attempt: 0,
            batch: link::Batch::default(),
        };
        (link, self.mail)
    }
}

fn open_store(config: &Config) -> anyhow::Result<(Arc<Store>, Option<PathBuf>)> {
    let (store, aside) =
        Store::open_patiently(&config.layout.store(), &config.site, store::LOOKS, store::wait)?;
    if let Some(aside) = &aside {
        warn!("the store was damaged; it is kept as {}, and all of it is fetched anew", aside.display());
    }
    if let Some(trouble) = store.trouble() {
        warn!("what was kept is served, and nothing is kept until the disk can be written: {trouble}");
    }
    let boot = store.count_boot()?;
    info!(site = %config.site, boot, "the agent starts");
    Ok((Arc::new(store), aside))
}

/// Tells the site when what it has was renewed.
async fn watch_enrolment(
    mut enrolment: watch::Receiver<Enrolled>,
    mailbox: mailbox::Sender,
    life: CancellationToken,
) -> anyhow::Result<()> {
    // Nobody renews it any more: what the site has is what it keeps.
    while let Some(Ok(())) = life.run_until_cancelled(enrolment.changed()).await {
        let newest = enrolment.borrow_and_update().clone();
        mailbox.send(Mail::Enrolment(newest)).await?;
    }
    life.cancelled().await;
    Ok(())
}

/// Runs a loop on a thread of its own: the one place that waits for the disk and that lowers, so the
/// streams go on meanwhile, and what it allocates stays in one arena.
async fn on_own_thread<F>(
    work: impl FnOnce(CancellationToken) -> F + Send + 'static,
    cancel: CancellationToken,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new().name("site".to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_time().build_local(LocalOptions::default());
        let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work(cancel)));
        let _nobody_waits = done.send(result);
    })?;
    outcome.await.context("the thread panicked")?
}

/// The loop around the site.
async fn own(
    mut site: Site,
    mut mail: mpsc::Receiver<Mail>,
    clock: Clock,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let timer = site.poll_timeout();
        let sleep = tokio::time::sleep_until(clock.instant(timer.unwrap_or_default()));
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(letter) = mail.recv() => site.handle(letter),
            () = sleep, if timer.is_some() => site.handle_timeout(),
        }
    }
    site.handle_end();
    Ok(())
}
