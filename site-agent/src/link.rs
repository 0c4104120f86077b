//! The link to the core: comes and goes, and nothing that runs depends on it.
//!
//! Carries messages between the core and `site`, and reports out of the store. Decides nothing but
//! when to try again.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use skerry_core::id::{Digest, SiteId};
use skerry_core::pace::Pace;
use skerry_identity::trust_root::PolicyDemand;
use skerry_proto::limits::{BOOT_BYTES, PROTOCOL};
use skerry_proto::tls::VOUCHED_FOR_BY_NOBODY;
use skerry_proto::v1::{Chunk, Hello, Need, Offer, TrustNews};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::args::LinkMode;
use crate::clock::share;
use crate::enrolment::Enrolment;
use crate::mailbox;
use crate::store::Store;

pub mod backoff;
mod batch;
mod dial;
mod early;
mod events;
mod failure;
mod news;
mod pull;
mod renew;
mod reports;
pub mod secure;
mod spool;
mod stream;

use backoff::Backoff;
pub(crate) use batch::Batch;
use dial::{Client, dial};
use events::Alarm;
pub(crate) use failure::explain;
pub(crate) use news::Heard;
pub(crate) use renew::Renewal;
use secure::{LinkTime, Showing};

/// How long the core may take to answer a call, or to say the first word on a stream.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// How long a connection goes on after a bundle has given the link another pace: what was said of that bundle goes
/// first.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many commands wait for the link: `site` sends one for an offer or a batch of fragments.
pub(crate) const COMMANDS: usize = 64;

/// What comes from the core.
#[derive(Debug)]
pub(crate) enum Event {
    /// The core answers.
    Up,
    /// It does not any more.
    Down,
    /// The site runs the newest manifest.
    Current,
    /// There is a newer one.
    Offer(Box<Offer>),
    /// A part of a fragment that was asked for.
    Chunk(Chunk),
}

/// What goes to the core.
#[derive(Debug)]
pub(crate) enum Command {
    /// Ask for fragments.
    Need(Need),
    /// Tell what became of an offer.
    Answer {
        /// The manifest that was offered.
        manifest: Digest,
        /// Empty: it runs. Else why it was refused.
        refused: String,
    },
    /// Hang up and say hello again after this pause.
    Restart(Duration),
}

/// What the site runs, for the hello and for the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Digest of its manifest.
    pub(crate) manifest: Option<Digest>,
    /// Digest of its fragment list.
    pub(crate) list: Option<Digest>,
    /// Digest of the manifest that it refused last.
    pub(crate) refused: Option<Digest>,
    /// How it treats its link.
    pub(crate) pace: Pace,
    /// Digest of the manifest of the offer that it is fetching.
    pub(crate) pending: Option<Digest>,
}

/// What the link works with.
pub(crate) struct Link {
    /// The site.
    pub(crate) site: SiteId,
    /// The core's address.
    pub(crate) core: String,
    /// What the agent shows, and whom it believes.
    pub(crate) enrolment: watch::Receiver<Option<Arc<Enrolment>>>,
    /// The time.
    pub(crate) time: Arc<dyn LinkTime>,
    /// Told when the core does not know the agent.
    pub(crate) not_known: Arc<Notify>,
    /// Told what the core says of the version of trust.
    pub(crate) heard: watch::Sender<Heard>,
    /// TLS as of an enrolment.
    pub(crate) tls: Option<(Arc<Enrolment>, Arc<ClientConfig>)>,
    /// Stream or pull.
    pub(crate) mode: LinkMode,
    /// Time between two pulls.
    pub(crate) pull_interval: Duration,
    /// What the site asks for of policy keys.
    pub(crate) demand: PolicyDemand,
    /// The id of this run.
    pub(crate) boot: [u8; BOOT_BYTES],
    /// What the site runs.
    pub(crate) identity: watch::Receiver<Identity>,
    /// From `site`.
    pub(crate) commands: mpsc::Receiver<Command>,
    /// To `site`.
    pub(crate) mailbox: mailbox::Sender,
    /// Holds the reports.
    pub(crate) store: Arc<Store>,
    /// Changes when a report is added.
    pub(crate) outbox: watch::Receiver<u64>,
    /// How often it said hello.
    pub(crate) attempt: u32,
    /// How long batches of reports may be.
    pub(crate) batch: Batch,
}

/// Why a connection ended, and what that means for the next one.
#[derive(Debug)]
enum End {
    /// It failed, or the core hung up.
    Lost(String),
    /// The core does not take the agent for who it says it is. It may be that its certificate is over.
    NotKnown(Duration, String),
    /// The core, or `site`, wants a pause of this length: it is kept, whatever happens.
    Pause(Duration, String),
    /// All is said, and the next connection is due after this time, or when a link comes up that had gone.
    Done(Duration),
    /// The process is about to end.
    Closed,
}

/// Whether a link event ends a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It does.
    Light,
    /// It does not: somebody asked for the whole of it.
    Sound,
}

impl Link {
    /// Keeps the link up until the process ends.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let (mut backoff, mut alarm, mut is_said) = (Backoff::default(), Alarm::set(), false);
        loop {
            let end = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                end = self.connect(&mut backoff, &mut alarm) => end,
            };
            if self.mailbox.send(mailbox::Mail::Link(Event::Down)).await.is_err() {
                return Ok(());
            }
            alarm.handle_end(matches!(end, End::Done(_)));
            let (pause, rest, words) = match end {
                End::Closed => return Ok(()),
                End::Pause(pause, words) => (backoff.spread(pause, share()), Rest::Sound, words),
                End::Done(pause) => {
                    (backoff.spread(pause, share()), Rest::Light, "waiting for the next pull".to_owned())
                }
                End::Lost(words) => (backoff.next_pause(share()), Rest::Light, words),
                End::NotKnown(pause, words) => {
                    self.not_known.notify_one();
                    (backoff.next_pause(share()).max(backoff.spread(pause, share())), Rest::Light, words)
                }
            };
            say(&self.core, pause, &words, &mut is_said);
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = self.rest(pause, rest, &mut alarm) => {}
            }
        }
    }

    async fn connect(&mut self, backoff: &mut Backoff, alarm: &mut Alarm) -> End {
        let pace = self.identity.borrow().pace;
        let tls = match self.tls() {
            Ok(tls) => tls,
            Err(error) => return End::Lost(format!("no TLS: {error:#}")),
        };
        let client = match self.open(pace, &tls, alarm).await {
            Ok(client) => client,
            Err(words) => return End::Lost(words),
        };
        while self.commands.try_recv().is_ok() {}
        let identity = self.identity.clone();
        match self.mode {
            LinkMode::Stream => tokio::select! {
                end = self.stream(client, backoff) => end,
                end = pace_changes(identity, pace) => end,
            },
            LinkMode::Pull => self.pull(client, backoff).await,
        }
    }

    /// TLS as the enrolment says: the same for as long as that is the same, so that sessions are resumed.
    fn tls(&mut self) -> anyhow::Result<Arc<ClientConfig>> {
        let enrolment = self.enrolment.borrow_and_update().clone();
        let enrolment = enrolment.ok_or_else(|| anyhow::anyhow!("this site is not enrolled"))?;
        if let Some((of, config)) = &self.tls
            && Arc::ptr_eq(of, &enrolment)
        {
            return Ok(Arc::clone(config));
        }
        let config = secure::configure(&enrolment, Showing::Itself, Arc::clone(&self.time))?;
        self.tls = Some((enrolment, Arc::clone(&config)));
        Ok(config)
    }

    /// Dials; begins anew when a link comes up meanwhile, since the kernel asks a far end that it could not
    /// reach at longer and longer intervals.
    async fn open(&self, pace: Pace, tls: &Arc<ClientConfig>, alarm: &mut Alarm) -> Result<Client, String> {
        loop {
            alarm.handle_try();
            tokio::select! {
                opened = dial(&self.core, tls, pace) => return opened,
                () = alarm.due() => info!("a link came up: dials anew"),
            }
        }
    }

    /// Waits; what `site` says meanwhile goes nowhere, and it says it again after the next hello.
    async fn rest(&mut self, pause: Duration, rest: Rest, alarm: &mut Alarm) {
        let sleep = tokio::time::sleep(pause);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return,
                () = alarm.due(), if rest == Rest::Light => return info!("a link came up: the pause ends"),
                command = self.commands.recv() => if command.is_none() { return sleep.await },
            }
        }
    }

    fn hello(&mut self) -> Hello {
        // A store that cannot be read says so elsewhere; the core learns of the floor another time.
        let floor = self.store.floors().ok().and_then(|floors| floors.floor);
        let Identity { manifest, list, refused, pending, .. } = *self.identity.borrow();
        let bytes = |digest: Option<Digest>| {
            digest.map(|digest| digest.prefix().as_bytes().to_vec()).unwrap_or_default()
        };
        let accepted = floor.map(|floor| floor.manifest).filter(|accepted| Some(*accepted) != manifest);
        self.attempt = self.attempt.wrapping_add(1);
        Hello {
            protocol: PROTOCOL,
            site: self.site.to_string(),
            manifest: bytes(manifest),
            list: bytes(list),
            schema: skerry_core::bundle::SCHEMA,
            boot: self.boot.to_vec(),
            epoch: floor.map_or(0, |floor| floor.epoch),
            generation: floor.map_or(0, |floor| floor.generation),
            refused: bytes(refused),
            attempt: self.attempt,
            accepted: bytes(accepted),
            pending: bytes(pending),
            requires_policy: self.demand == PolicyDemand::Always,
            policy_number: self.store.policy_floor().unwrap_or_default(),
            trust_version: self.trust_version(),
        }
    }

    /// The version of what the site believes.
    fn trust_version(&self) -> u64 {
        self.enrolment.borrow().as_ref().map_or(0, |enrolment| enrolment.trust_version)
    }

    /// Hands on that the core has another version.
    fn hear_of_trust(&self, news: Option<TrustNews>) {
        if let Some(news) = news {
            self.heard.send_replace(Heard::of(news));
        }
    }

    /// Hands an event to `site`; an end when the process is about to end.
    async fn tell(&self, event: Event) -> Result<(), End> {
        self.mailbox.send(mailbox::Mail::Link(event)).await.map_err(|_| End::Closed)
    }
}

fn retry_after(seconds: u32, reason: &str) -> End {
    End::Pause(
        Duration::from_secs(seconds.into()),
        format!("the core says come back in {seconds} s: {reason}"),
    )
}

/// Waits until the bundle that runs gives the link another pace than its connection has.
async fn pace_changes(mut identity: watch::Receiver<Identity>, pace: Pace) -> End {
    while identity.wait_for(|identity| identity.pace != pace).await.is_ok() {
        tokio::time::sleep(LAST_WORDS).await;
        if identity.borrow().pace != pace {
            return End::Pause(Duration::ZERO, "the link has another pace from now on".to_owned());
        }
    }
    End::Closed
}

/// Says why there is no link. That the core is another one ends by no waiting: somebody has to do something, and is told so once.
fn say(core: &str, pause: Duration, words: &str, is_said: &mut bool) {
    let (pause_ms, is_stranger) = (pause.as_millis(), words.contains(VOUCHED_FOR_BY_NOBODY));
    if is_stranger && !*is_said {
        warn!(
            core,
            pause_ms,
            "no link: {words} (help: see that nothing else answers in the core's place; bring the newest `identity.redb` of the core back, if an \
             older copy is in its place; where its link root was rotated without this box, enrol it anew: `skerry site enroll SITE --replace`)"
        );
    } else {
        info!(core, pause_ms, "no link: {words}");
    }
    *is_said = is_stranger;
}
