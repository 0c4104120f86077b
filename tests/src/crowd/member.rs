//! The loop around one simulated agent: connects, talks, reports, and comes back by the agent's own rules.
//!
//! Settings of the connection and deadlines are those of `skerry-agent`'s link. Must not know what messages mean.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use skerry_agent::link::backoff::Backoff;
use skerry_core::pace::next_beat;
use skerry_proto::limits::{MAX_MESSAGE_BYTES, REPORT_INTERVAL_SECONDS};
use skerry_proto::tls::Connector;
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use skerry_proto::v1::{SyncRequest, SyncResponse};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Status, Streaming};

use super::AGENTS_OF_ADDRESS;
use super::agent::{Agent, Heard};
use super::pool::Pool;
use super::tally::Tally;

/// As the agent has them.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
const CALL_DEADLINE: Duration = Duration::from_secs(20);
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
const SETTLE: Duration = Duration::from_millis(300);
const HEARTBEAT: Duration = Duration::from_secs(REPORT_INTERVAL_SECONDS as u64);
const REQUESTS: usize = 16;

const WINDOW: u32 = 65_535;

/// How messages reach the stream. Boxed: a channel has room for 32 from the beginning.
type Requests = mpsc::Sender<Box<SyncRequest>>;

/// What all agents share.
#[derive(Debug)]
pub(super) struct Ground {
    core: SocketAddr,
    /// Where agents come from.
    addresses: Vec<IpAddr>,
    pool: Pool,
    pub(super) tally: Tally,
}

impl Ground {
    pub(super) fn new(core: SocketAddr, addresses: Vec<IpAddr>, agents: usize) -> Self {
        Self { core, addresses, pool: Pool::default(), tally: Tally::new(agents) }
    }

    /// The address that an agent comes from; `None` where the kernel chooses.
    fn address(&self, place: usize) -> Option<IpAddr> {
        self.addresses.get(place / AGENTS_OF_ADDRESS).or(self.addresses.last()).copied()
    }
}

/// One agent with its place among the others.
#[derive(Debug)]
pub(super) struct Member {
    agent: Agent,
    /// What it shows, and its session.
    tls: Arc<ClientConfig>,
    place: usize,
    ground: Arc<Ground>,
    /// When it began, and where in the interval its reports of no change are: 0 to 1.
    born: Instant,
    share: f64,
    /// When the next state is due.
    state_due: Instant,
    /// When reports are sent again that the core said nothing about.
    report_again: Instant,
}

/// Why a connection ended, by a word to count by.
#[derive(Debug)]
enum End {
    Lost(String),
    ComeBack(Duration, String),
    /// The core said what no core may say.
    Fault(String),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Lost(format!("{:?}", status.code()))
    }
}

type Client = SiteSyncClient<Channel>;

impl Member {
    pub(super) fn new(agent: Agent, place: usize, tls: Arc<ClientConfig>, ground: Arc<Ground>) -> Self {
        let now = Instant::now();
        Self {
            agent,
            tls,
            place,
            ground,
            born: now,
            share: rand::random(),
            state_due: now,
            report_again: now + HEARTBEAT,
        }
    }

    fn beat_after(&self, now: Instant) -> Instant {
        self.born + next_beat(now - self.born, HEARTBEAT, self.share)
    }

    /// Runs until it is to leave; `after` this time.
    pub(super) async fn run(mut self, after: Duration, leave: CancellationToken) -> Self {
        let life = async {
            sleep(after).await;
            let now = Instant::now();
            self.ground.tally.mark(self.place, |mark| mark.arrived = Some(now));
            self.state_due = now + SETTLE;
            self.keep_up().await;
        };
        leave.run_until_cancelled(life).await;
        self.agent.handle_link_down();
        self
    }

    async fn keep_up(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let end = self.connect(&mut backoff).await;
            self.agent.handle_link_down();
            let pause = match &end {
                End::ComeBack(pause, _) => backoff.spread(*pause, rand::random()),
                End::Lost(_) | End::Fault(_) => backoff.next_pause(rand::random()),
            };
            self.count(end);
            sleep(pause).await;
        }
    }

    fn count(&self, end: End) {
        let mut counts = self.ground.tally.count();
        match end {
            End::Lost(what) => *counts.lost.entry(what).or_default() += 1,
            End::ComeBack(_, reason) => *counts.come_back.entry(reason).or_default() += 1,
            End::Fault(what) if counts.faults.len() < 10 => counts.faults.push(what),
            End::Fault(_) => {}
        }
    }

    async fn connect(&mut self, backoff: &mut Backoff) -> End {
        let Ok(mut client) = self.open().await else { return End::Lost("no connection".to_owned()) };
        let (requests, queue) = mpsc::channel(REQUESTS);
        let hello = self.agent.hello();
        let opened = async {
            requests.send(Box::new(hello)).await.map_err(|_| End::Lost("closed".to_owned()))?;
            let mut stream =
                client.sync(ReceiverStream::new(queue).map(|request| *request)).await?.into_inner();
            let first = stream.message().await?;
            Ok::<_, End>((stream, first))
        };
        let (mut stream, first) = match timeout(CALL_DEADLINE, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(end)) => return end,
            Err(_) => return End::Lost("silence".to_owned()),
        };
        self.ground.tally.count().greeted += 1;
        if let Err(end) = self.hear(first, &requests, backoff).await {
            return end;
        }
        self.converse(&requests, &mut stream, backoff).await
    }

    async fn open(&self) -> Result<Client, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.ground.core))?
            .origin(Uri::from_static("http://core"))
            .connect_timeout(CONNECT_DEADLINE)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let connector = Connector::new(Arc::clone(&self.tls)).from(self.ground.address(self.place));
        let client = SiteSyncClient::new(endpoint.connect_with_connector(connector).await?);
        Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Takes what the core says, and says what waits, until the stream ends.
    async fn converse(
        &mut self,
        requests: &Requests,
        stream: &mut Streaming<SyncResponse>,
        backoff: &mut Backoff,
    ) -> End {
        loop {
            if let Some(reports) = self.agent.poll_reports() {
                self.report_again = Instant::now() + CALL_DEADLINE;
                if requests.send(Box::new(reports)).await.is_err() {
                    return End::Lost("closed".to_owned());
                }
            }
            let due = self.state_due.min(self.report_again);
            tokio::select! {
                heard = stream.message() => {
                    let outcome = match heard {
                        Ok(message) => self.hear(message, requests, backoff).await,
                        Err(status) => Err(status.into()),
                    };
                    if let Err(end) = outcome {
                        return end;
                    }
                }
                () = sleep_until(due.into()) => self.handle_due(Instant::now()),
            }
        }
    }

    /// All reports are with the core. A state that is due soon belongs to what was just applied.
    fn handle_kept(&mut self, now: Instant) {
        self.report_again = now + HEARTBEAT;
        if !self.agent.has_reports() && self.state_due > now + SETTLE {
            self.ground.tally.mark(self.place, |mark| mark.reported = Some(now));
        }
    }

    fn handle_due(&mut self, now: Instant) {
        if self.state_due <= now {
            self.agent.handle_state_due();
            self.state_due = self.beat_after(now);
        }
        if self.report_again <= now {
            self.report_again = now + HEARTBEAT;
            if self.agent.has_reports() {
                self.ground.tally.count().reports_lost += 1;
                self.agent.handle_report_again();
            }
        }
    }

    async fn hear(
        &mut self,
        response: Option<SyncResponse>,
        requests: &Requests,
        backoff: &mut Backoff,
    ) -> Result<(), End> {
        let Some(response) = response else { return Err(End::Lost("hung up".to_owned())) };
        let heard = self.agent.handle_response(response, &self.ground.pool);
        let now = Instant::now();
        let answer = match heard.map_err(|error| End::Fault(format!("{error:#}")))? {
            Heard::ComeBack(pause, reason) => return Err(End::ComeBack(pause, reason)),
            Heard::Nothing => None,
            Heard::Kept => {
                backoff.handle_success();
                self.handle_kept(now);
                None
            }
            Heard::NotKept(pause) => {
                self.report_again = now + backoff.spread(pause, rand::random());
                None
            }
            Heard::Current => {
                self.ground.tally.mark(self.place, |mark| mark.current = Some(now));
                None
            }
            Heard::Say(request) => Some(request),
            Heard::Runs(request) => {
                backoff.handle_success();
                (self.state_due, self.report_again) = (self.beat_after(now), now + CALL_DEADLINE);
                let revision = self.agent.revision().into();
                self.ground.tally.mark(self.place, |mark| {
                    (mark.current, mark.revision, mark.reported) = (Some(now), revision, None);
                });
                Some(request)
            }
        };
        match answer {
            Some(request) => {
                requests.send(Box::new(request)).await.map_err(|_| End::Lost("closed".to_owned()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_spread_over_addresses() {
        let core = SocketAddr::from(([127, 0, 0, 1], 7443));
        let addresses: Vec<IpAddr> = vec![[127, 0, 0, 2].into(), [127, 0, 0, 3].into()];
        let ground = Ground::new(core, addresses.clone(), 20_001);
        let of = |place| addresses.iter().position(|address| ground.address(place) == Some(*address));
        assert_eq!([0, 9_999, 10_000, 19_999, 20_000].map(of), [0, 0, 1, 1, 1].map(Some));
        assert_eq!(Ground::new(core, Vec::new(), 1).address(0), None);
    }
}
