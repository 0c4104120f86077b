//! The core as a whole: makes every part, then runs the table of its tasks.
//!
//! Must not decide anything. The first task that ends by itself ends the core, and a cancelled
//! token ends all of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use skerry_core::id::{Epoch, Timestamp};
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
use crate::folder;
use crate::grpc::{self, BACKLOG, Core, Room};
use crate::identity::authority::Authority;
use crate::identity::credentials::{self, CredentialsFile};
use crate::identity::desk::Desk;
use crate::identity::seal;
use crate::identity::store::IdentityStore;
use crate::planner::{Planner, Surroundings};
use crate::policy::PolicyBoard;
use crate::presence::Presence;
use crate::publish::Published;
use crate::seen;
use crate::source::event::SourceEvent;
use crate::source::follower::Follower;
use crate::source::status::{SourceBoard, SourceView};
use crate::source::{self, Inbox};
use crate::store::redb::{RedbStore, SeldomOpen};
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
    /// And when they are due.
    credentials: Option<(CredentialsFile, Timestamp)>,
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
        folder::prepare(data_dir)?;
        let first_epoch = Epoch(clock.now().0 / 1000);
        let store =
            RedbStore::open(&data_dir.join("state.redb"), first_epoch).map_err(|error| to_error(&error))?;
        let mirror = Mirror::open_or_create(&data_dir.join("mirror"), &config.source.remote)
            .map_err(|error| with_help(&error, &error.help()))?;
        let listener = bind(config.listen)?;
        let webhook_listener = bind(config.webhook_listen)?;
        let store = Arc::new(store);
        // A file of its own: a state store that was lost is made anew from the source and from the sites; this one is not.
        let restored = store.restore().map_err(|error| to_error(&error))?;
        let identity =
            SeldomOpen::new(&data_dir.join("identity.redb")).map_err(|error| to_identity_error(&error))?;
        let desk = open_desk(&config, identity, &clock, !restored.rows.is_empty())?;
        let core = format!("https://{}", reachable(listener.local_addr()?));
        let desk = Arc::new(desk);
        let policy = open_policy(&store, &desk).map_err(|error| to_error(&error))?;
        let path = data_dir.join(credentials::FILE);
        let credentials = CredentialsFile { desk: Arc::clone(&desk), path, core };
        let due = credentials.ensure()?;
        // Last: who finds an address finds the rest.
        announce(&listener, &data_dir.join("listen"))?;
        announce(&webhook_listener, &data_dir.join("webhook"))?;
        info!(epoch = restored.epoch.0, generation = %restored.generation, sites = restored.rows.len(), "restored");
        let listeners = (listener, webhook_listener);
        let credentials = Some((credentials, due));
        Ok(Self {
            credentials,
            ..wire(config, (store, restored), (desk, policy), mirror, listeners, clock, cancel)
        })
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
        let Self { follower, inbox, planner, core, queue, webhook, listener, webhook_listener, credentials } =
            self;
        let (send, receive) = mpsc::channel::<SourceEvent>(EVENTS);
        let (cancel, store) = (core.cancel.clone(), Arc::clone(&core.store));
        let mut tasks = Tasks::new(cancel.clone());
        tasks.spawn_thread("source", move |cancel| source::run(follower, inbox, &send, cancel));
        tasks.spawn_thread("planner", move |cancel| planner.run(receive, cancel));
        let board = Arc::clone(&core.board);
        tasks.spawn_thread("reports", move |cancel| writer::run(&*store, &board, queue, cancel));
        tasks.spawn("seen", seen::run(Arc::clone(&core.presence), Arc::clone(&core.store), cancel.clone()));
        if let Some((credentials, due)) = credentials {
            tasks.spawn("credentials", credentials.keep(due, cancel.clone()));
        }
        tasks.spawn("webhook", webhook::serve(webhook, webhook_listener, cancel));
        tasks.spawn("grpc", grpc::serve(core, listener));
        tasks.run().await
    }
}

fn wire(
    config: Config,
    (store, mut restored): (Arc<RedbStore>, Restored),
    (desk, policy): (Arc<Desk>, Arc<PolicyBoard>),
    mirror: Mirror,
    (listener, webhook_listener): (TcpListener, TcpListener),
    clock: Clock,
    cancel: CancellationToken,
) -> App {
    let (rows, limits) = (std::mem::take(&mut restored.rows), config.limits);
    let given = Place { epoch: restored.epoch, generation: restored.generation };
    let ledger = Ledger::restore(restored.generation, rows);
    let signer = Arc::clone(&desk);
    let published = Published::restore(given, ledger.rows().clone());
    let published = published.signed_by(move |manifest| signer.sign_manifest(manifest));
    let voucher = Arc::clone(&policy);
    let published = published.vouched_by(move |site, contents, asks| voucher.vouch(site, contents, asks));
    let published = Arc::new(published);
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
    let core = Core { published, presence, store, desk, policy, reports, source, board, clock, room, cancel };
    let core = Arc::new(core);
    let credentials = None;
    App { follower, inbox, planner, core, queue, webhook, listener, webhook_listener, credentials }
}

fn open_policy(store: &Arc<RedbStore>, desk: &Arc<Desk>) -> Result<Arc<PolicyBoard>, StoreError> {
    let (store, desk) = (Arc::clone(store), Arc::clone(desk));
    Ok(Arc::new(PolicyBoard::open(store, move || desk.trusted_root())?))
}

/// Where people on this machine reach an address that is listened on.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let host = match bound.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, bound.port())
}

/// Opens the authorities that were kept, or makes them at the first start.
fn open_desk(config: &Config, store: SeldomOpen, clock: &Clock, has_sites: bool) -> Result<Desk> {
    let store: Arc<dyn IdentityStore> = Arc::new(store);
    let kept = store.authority().map_err(|error| to_identity_error(&error))?;
    if kept.is_none() && has_sites && !config.new_mesh {
        return Err(anyhow::Error::new(WrongUsage(LOST.to_owned())));
    }
    let variable = std::env::var_os(seal::VARIABLE);
    let file = config.seal_key_file.as_deref();
    let seal = seal::find(file, variable.as_deref(), &config.data_dir, kept.is_none());
    let seal = seal.map_err(|error| anyhow::Error::new(WrongUsage(error.to_string())))?;
    let offline = config.offline_root.clone();
    let authority = match kept {
        Some(record) => Authority::open(&record, &config.mesh, offline, &seal).map_err(|error| {
            let help = "give the sealing key, the trust domain and the offline root of the first start";
            anyhow::Error::new(WrongUsage(format!("{error} (help: {help})")))
        })?,
        None => {
            let authority = Authority::create(&config.mesh, offline, clock.now())
                .map_err(|error| WrongUsage(error.to_string()))?;
            store.keep_authority(&authority.to_record(&seal)?).map_err(|error| to_error(&error))?;
            info!(mesh = config.mesh.as_str(), "the authorities of the mesh are made");
            authority
        }
    };
    Desk::open(store, authority, seal, clock.now()).map_err(|error| to_error(&error))
}

/// What a core says whose identities are gone although it has sites: a wrong mount is enough for that.
const LOST: &str = "identity.redb is not there, and this core has sites that know it by the keys in it (help: bring the file back from \
                    a backup, or see what is mounted; to begin a new mesh, in which every site is enrolled anew, start once with \
                    --new-mesh)";

/// The file of identities is not made anew from anything.
fn to_identity_error(error: &StoreError) -> anyhow::Error {
    match error {
        StoreError::Open { .. } | StoreError::Damaged { .. } => {
            let help =
                "bring identity.redb back from a backup: without it every site has to be enrolled anew";
            with_help(error, help)
        }
        error => to_error(error),
    }
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

fn bind(address: SocketAddr) -> Result<TcpListener> {
    listen(address).with_context(|| format!("cannot listen on {address}"))
}

/// Writes an address where others look for it.
fn announce(listener: &TcpListener, file: &Path) -> Result<()> {
    let bound = listener.local_addr()?;
    let unfinished = file.with_extension("new");
    fs_err::write(&unfinished, format!("{bound}\n"))?;
    fs_err::rename(&unfinished, file)?;
    info!(%bound, file = %file.display(), "listening");
    Ok(())
}
