//! The link between a site and the core, as a test wants it: a TCP proxy that can be cut, swallow
//! everything, be slow or narrow, leave one end in the belief that all is well, and let a later
//! connection overtake an earlier one; and that counts what crosses it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

mod pump;

/// What the link lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Up,
    /// Nothing: connections are closed and new ones refused, as when the far end is down.
    Cut,
    /// Nothing, silently: connections stay open and new ones are accepted, but no byte moves.
    BlackHole,
}

/// How the link is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    state: State,
    /// Added to every byte, each way.
    delay: Duration,
    /// Bytes in a second, each way and for each connection; `None` is no limit.
    rate: Option<u64>,
    /// Bytes that a connection carries, both ways together, before it breaks; `None` is no limit.
    allowance: Option<u64>,
    /// The number of a connection that is held: none of its bytes move.
    held: Option<u64>,
    /// Connections up to this number have lost one end.
    orphans: u64,
    /// The end that the orphans have kept.
    kept: Kept,
}

impl Settings {
    fn lets_through(&self, connection: u64) -> bool {
        self.state == State::Up && self.held != Some(connection)
    }
}

/// The end of a half-open connection that does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The site's end stays open, and is silent.
    Site,
    /// The core's.
    Core,
}

/// What has crossed the link: the payload of TCP, without its headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the site to the core.
    pub up: u64,
    /// Bytes from the core to the site.
    pub down: u64,
    /// Connections that were accepted.
    pub connections: u64,
}

impl Traffic {
    /// Both ways together.
    pub fn bytes(self) -> u64 {
        self.up + self.down
    }

    /// What has crossed since an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            up: self.up - earlier.up,
            down: self.down - earlier.down,
            connections: self.connections - earlier.connections,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    accepted: Mutex<Option<Instant>>,
}

impl Counters {
    /// Returns the connection's number, from 1.
    fn count_connection(&self) -> u64 {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A running link; its connections end when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    settings: watch::Sender<Settings>,
    /// Whether the listener is there: a cut is done when it is closed.
    listening: watch::Receiver<bool>,
    counters: Arc<Counters>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// Listens for the site and connects to the core.
    pub async fn start(listen: SocketAddr, core: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let (settings, seen) = watch::channel(Settings {
            state: State::Up,
            delay: Duration::ZERO,
            rate: None,
            allowance: None,
            held: None,
            orphans: 0,
            kept: Kept::Site,
        });
        let (tell, listening) = watch::channel(true);
        let counters = Arc::new(Counters::default());
        let mut tasks = JoinSet::new();
        let runner =
            Runner { address, core, settings: seen, listening: tell, counters: Arc::clone(&counters) };
        tasks.spawn(runner.run(listener));
        Ok(Self { address, settings, listening, counters, _tasks: tasks })
    }

    /// Where the site connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and refuses new ones; returns when that is so.
    pub async fn cut(&mut self) {
        self.set_state(State::Cut).await;
    }

    /// Holds all connections silently, and accepts new ones that it holds as well.
    pub async fn black_hole(&mut self) {
        self.set_state(State::BlackHole).await;
    }

    /// Lets everything through again; returns when a connection is accepted.
    pub async fn restore(&mut self) {
        self.set_state(State::Up).await;
    }

    async fn set_state(&mut self, state: State) {
        self.settings.send_modify(|settings| settings.state = state);
        // An error means that the runner is gone, and the listener with it.
        let _ = self.listening.wait_for(|listening| *listening == (state != State::Cut)).await;
    }

    /// Delays every byte, each way.
    pub fn set_delay(&self, delay: Duration) {
        self.settings.send_modify(|settings| settings.delay = delay);
    }

    /// Limits each connection, each way, to so many bytes in a second.
    pub fn set_rate(&self, rate: Option<u64>) {
        self.settings.send_modify(|settings| settings.rate = rate);
    }

    /// Breaks each connection when it has carried so many bytes, both ways together.
    pub fn set_allowance(&self, allowance: Option<u64>) {
        self.settings.send_modify(|settings| settings.allowance = allowance);
    }

    /// Makes every connection that there is half-open: one end stays open and silent, the other is closed.
    /// New connections are as the link's state says.
    pub fn half_open(&self, kept: Kept) {
        let orphans = self.traffic().connections;
        self.settings.send_modify(|settings| (settings.orphans, settings.kept) = (orphans, kept));
    }

    /// Holds the newest connection, as it is: those that come after it overtake it.
    pub fn hold_newest(&self) {
        self.hold(self.traffic().connections);
    }

    /// Holds the connection that comes next before it reaches the core: one after it overtakes it.
    pub fn hold_next(&self) {
        self.hold(self.traffic().connections + 1);
    }

    fn hold(&self, connection: u64) {
        self.settings.send_modify(|settings| settings.held = Some(connection));
    }

    /// Lets the connection go on that was held.
    pub fn release(&self) {
        self.settings.send_modify(|settings| settings.held = None);
    }

    /// When the newest connection was accepted.
    pub fn connected_at(&self) -> Option<Instant> {
        *self.counters.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has crossed so far.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            up: read(&self.counters.up),
            down: read(&self.counters.down),
            connections: read(&self.counters.connections),
        }
    }
}

/// The task of a link.
struct Runner {
    address: SocketAddr,
    core: SocketAddr,
    settings: watch::Receiver<Settings>,
    listening: watch::Sender<bool>,
    counters: Arc<Counters>,
}

impl Runner {
    async fn run(mut self, first: TcpListener) {
        let mut listener = Some(first);
        loop {
            let open = match listener.take() {
                Some(open) => open,
                None => match TcpListener::bind(self.address).await {
                    Ok(open) => open,
                    // The address is ours alone, so this is the machine's trouble: tests see refused connections.
                    Err(_) => return,
                },
            };
            self.listening.send_replace(true);
            self.accept_until_cut(open).await;
            self.listening.send_replace(false);
            if self.settings.wait_for(|settings| settings.state != State::Cut).await.is_err() {
                return;
            }
        }
    }

    /// Returns when the link is cut; listener and connections are closed by then.
    async fn accept_until_cut(&self, listener: TcpListener) {
        let mut settings = self.settings.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                // An error means that the link was dropped.
                _ = settings.wait_for(|settings| settings.state == State::Cut) => break,
                accepted = listener.accept() => {
                    if let Ok((site, _)) = accepted {
                        connections.spawn(self.connect(site, self.counters.count_connection()));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        connections.shutdown().await;
    }

    fn connect(&self, mut site: TcpStream, number: u64) -> impl Future<Output = ()> + use<> {
        let (core, mut settings, counters) = (self.core, self.settings.clone(), Arc::clone(&self.counters));
        async move {
            // A black hole swallows the greeting too: the core must not see this connection yet.
            if settings.wait_for(|settings| settings.lets_through(number)).await.is_err() {
                return;
            }
            let Ok(mut core) = TcpStream::connect(core).await else { return };
            // Small messages must not wait for each other: that would be measured as the link's delay.
            let _ = (site.set_nodelay(true), core.set_nodelay(true));
            let (from_site, to_site) = site.split();
            let (from_core, to_core) = core.split();
            let mut orphaned = settings.clone();
            let spent = pump::Spent::default();
            let up = pump::run(from_site, to_core, (settings.clone(), number), &spent, |bytes| {
                counters.up.fetch_add(bytes, Ordering::Relaxed);
            });
            let down = pump::run(from_core, to_site, (settings, number), &spent, |bytes| {
                counters.down.fetch_add(bytes, Ordering::Relaxed);
            });
            tokio::select! {
                _ = async { tokio::join!(up, down) } => return,
                seen = orphaned.wait_for(|settings| settings.orphans >= number) => match seen.map(|seen| seen.kept) {
                    Ok(Kept::Site) => drop(core),
                    Ok(Kept::Core) => drop(site),
                    Err(_) => return,
                },
            }
            // What is kept is held until the link is cut or dropped.
            std::future::pending::<()>().await;
        }
    }
}
