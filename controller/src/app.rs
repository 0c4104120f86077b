//! The core as a whole: makes every part, then runs the table of its tasks.
//!
//! Must not decide anything. The first task that ends by itself ends the core, and a cancelled
//! token ends all of them.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use skerry_core::id::Epoch;
use skerry_core::index::Index;
use skerry_core::ledger::Ledger;
use skerry_gitops::mirror::Mirror;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::clock::Clock;
use crate::config::Config;
use crate::epoch::Place;
use crate::files;
use crate::grpc::{self, BACKLOG, Core, Room};
use crate::planner::{Planner, Surroundings};
use crate::presence::Presence;
use crate::publish::Published;
use crate::seen;
use crate::source::event::SourceEvent;
use crate::source::follower::Follower;
use crate::source::status::{SourceBoard, SourceView};
use crate::source::{self, Inbox};
use crate::store::redb::RedbStore;
use crate::store::{Restored, StateStore as _, StoreError};
use crate::tasks::Tasks;
use crate::webhook::{self, Webhook};
use crate::writer::{self, ReportQueue};

/// How many changes of the source may wait for the planner: the source's thread holds the next one
/// back, and by then it is the newest.
const EVENTS: usize = 1;

/// The core was started in a way in which it cannot run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(String);

/// A core that is ready to run: its store is open and its addresses are bound.
pub struct App {
    follower: Follower<RedbStore>,
    inbox: Inbox,
    planner: Planner<RedbStore>,
    core: Arc<Core<RedbStore>>,
    queue: ReportQueue,
    webhook: Webhook,
    listener: TcpListener,
    webhook_listener: TcpListener,
}

impl App {
    /// Opens the store and the mirror, and binds the addresses.
    ///
    /// Needs a runtime of tokio.
    ///
    /// # Errors
    /// Another core uses the folder, something in it is damaged, or an address is taken.
    pub fn build(config: Config, clock: Clock, cancel: CancellationToken) -> Result<Self> {
        let data_dir = &config.data_dir;
        fs_err::create_dir_all(data_dir)?;
        let first_epoch = Epoch(clock.now().0 / 1000);
        let store =
            RedbStore::open(&data_dir.join("state.redb"), first_epoch).map_err(|error| to_error(&error))?;
        let mirror = Mirror::open_or_create(&data_dir.join("mirror"), &config.source.remote)
            .map_err(|error| with_help(&error, &error.help()))?;
        let listener = bind(config.listen, &data_dir.join("listen"))?;
        let webhook_listener = bind(config.webhook_listen, &data_dir.join("webhook"))?;
        let store = Arc::new(store);
        let restored = store.restore().map_err(|error| to_error(&error))?;
        info!(epoch = restored.epoch.0, generation = %restored.generation, sites = restored.rows.len(), "restored");
        Ok(wire(config, (store, restored), mirror, (listener, webhook_listener), clock, cancel))
    }

    /// Returns the address for agents and the CLI.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns the address for push notifications and probes.
    pub fn webhook_address(&self) -> std::io::Result<SocketAddr> {
        self.webhook_listener.local_addr()
    }

    /// Runs until the token is cancelled, or until a task ends by itself.
    ///
    /// # Errors
    /// A task ended by itself.
    pub async fn run(self) -> Result<()> {
        let Self { follower, inbox, planner, core, queue, webhook, listener, webhook_listener } = self;
        let (send, receive) = mpsc::channel::<SourceEvent>(EVENTS);
        let (cancel, store) = (core.cancel.clone(), Arc::clone(&core.store));
        let mut tasks = Tasks::new(cancel.clone());
        tasks.spawn_thread("source", move |cancel| source::run(follower, inbox, &send, cancel));
        tasks.spawn_thread("planner", move |cancel| planner.run(receive, cancel));
        let board = Arc::clone(&core.board);
        tasks.spawn_thread("reports", move |cancel| writer::run(&*store, &board, queue, cancel));
        tasks.spawn("seen", seen::run(Arc::clone(&core.presence), Arc::clone(&core.store), cancel.clone()));
        tasks.spawn("webhook", webhook::serve(webhook, webhook_listener, cancel));
        tasks.spawn("grpc", grpc::serve(core, listener));
        tasks.run().await
    }
}

fn wire(
    config: Config,
    (store, mut restored): (Arc<RedbStore>, Restored),
    mirror: Mirror,
    (listener, webhook_listener): (TcpListener, TcpListener),
    clock: Clock,
    cancel: CancellationToken,
) -> App {
    let (rows, limits) = (std::mem::take(&mut restored.rows), config.limits);
    let given = Place { epoch: restored.epoch, generation: restored.generation };
    let ledger = Ledger::restore(restored.generation, rows);
    let published = Arc::new(Published::restore(given, ledger.rows().clone()));
    let index = Index::new(skerry_crds::decode, std::mem::take(&mut restored.indexes));
    let presence = Arc::new(Presence::default());
    let board = Arc::new(SourceBoard::new(to_view(&config)));
    let (source, inbox) = source::channel();
    let (reports, queue) = writer::channel();
    let webhook = Webhook {
        source: source.clone(),
        reference: config.source.reference.clone(),
        secret: config.source.webhook_secret.clone(),
        published: Arc::clone(&published),
    };
    let around = Surroundings {
        store: Arc::clone(&store),
        published: Arc::clone(&published),
        presence: Arc::clone(&presence),
        board: Arc::clone(&board),
        clock: clock.clone(),
    };
    let planner = Planner::new(index, ledger, around);
    let follower = Follower::new(
        config.source,
        mirror,
        (Arc::clone(&store), restored),
        Arc::clone(&board),
        clock.clone(),
    );
    let room = Room::new(limits, files::raise(grpc::files(limits)));
    let core = Arc::new(Core { published, presence, store, reports, source, board, clock, room, cancel });
    App { follower, inbox, planner, core, queue, webhook, listener, webhook_listener }
}

/// Two cores on one folder are a wrong usage, which the program's exit code tells from other failures.
fn to_error(error: &StoreError) -> anyhow::Error {
    let words = with_help(error, error.help());
    if matches!(error, StoreError::InUse(_)) {
        anyhow::Error::new(WrongUsage(words.to_string()))
    } else {
        words
    }
}

fn with_help(error: &dyn fmt::Display, help: &str) -> anyhow::Error {
    anyhow!("{error} (help: {help})")
}

fn to_view(config: &Config) -> SourceView {
    SourceView {
        url: config.source.remote.to_string(),
        reference: config.source.reference.to_string(),
        path: config.source.path.clone(),
        ..SourceView::default()
    }
}

/// As `TcpListener::bind`, with a longer queue: what `SO_REUSEADDR` allows is to start again at once.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds an address and writes it where others look for it.
fn bind(address: SocketAddr, file: &Path) -> Result<TcpListener> {
    let listener = listen(address).with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    let unfinished = file.with_extension("new");
    fs_err::write(&unfinished, format!("{bound}\n"))?;
    fs_err::rename(&unfinished, file)?;
    info!(%bound, file = %file.display(), "listening");
    Ok(listener)
}
