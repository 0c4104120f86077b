//! The loop around a session: takes what comes, sends what the session has to say.
//!
//! A message is made when the transport has room for it, so a slow site costs one message and
//! nothing waits in line.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use futures::stream::{self, StreamExt as _};
use skerry_proto::limits::MAX_CHUNK_BYTES;
use skerry_proto::v1::{SyncRequest, SyncResponse, sync_request, sync_response};
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};

use super::Core;
use super::failure::Failure;
use super::places::{self, BundlePlace, StreamPlace};
use super::reports::{Intake, News};
use super::trust::TrustLine;
use crate::presence::{Connection, Wake};
use crate::session::{Refusal, Session, Settled};
use crate::store::StateStore;

/// When a site may come back to a core that is being restarted: seconds. The agent adds jitter.
const STOPPING_RETRY: u32 = 1;

/// When the older one of two streams of one site may come back: seconds.
const REPLACED_RETRY: u32 = 30;

/// When a site may come back whose stream was taken for half-open: seconds. If it hears this, it was not.
const SILENT_RETRY: u32 = 1;

/// What `Sync` answers with.
pub(super) type SyncStream = Pin<Box<dyn Stream<Item = Result<SyncResponse, Status>> + Send>>;

/// Everything that one stream holds.
pub(super) struct Line<S> {
    pub(super) core: Arc<Core<S>>,
    pub(super) session: Session,
    pub(super) incoming: Streaming<SyncRequest>,
    pub(super) connection: Connection,
    /// The reports that come with the stream.
    pub(super) intake: Intake,
    /// What the site is to be told of them.
    pub(super) news: Option<News>,
    /// What the site is to be told of whom it shall believe.
    pub(super) trust: TrustLine,
    /// Room for the whole bundle that is being sent, until the site has it.
    pub(super) bundle: Option<BundlePlace>,
    /// Gives the stream's room back.
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) place: StreamPlace,
}

/// Answers a site that there is no room for now.
pub(super) fn come_back(seconds: u32) -> SyncStream {
    let message = Some(sync_response::Message::RetryAfter(places::come_back(seconds)));
    once(Some(SyncResponse { message, ..SyncResponse::default() }))
}

/// Answers with one message and hangs up.
pub(super) fn once(response: Option<SyncResponse>) -> SyncStream {
    stream::iter(response.map(Ok)).boxed()
}

impl<S: StateStore> Line<S> {
    /// Runs the session as a stream of its messages.
    pub(super) fn into_stream(self) -> SyncStream {
        // In a box of its own: a future has room for each place that a value is moved through.
        stream::unfold(Some(Box::new(self)), |line| async move { line?.next().await }).boxed()
    }

    /// Waits for the next message; the stream goes on with the line that is returned.
    async fn next(mut self: Box<Self>) -> Option<(Result<SyncResponse, Status>, Option<Box<Self>>)> {
        loop {
            let room = self.core.room.places.chunk_room(MAX_CHUNK_BYTES);
            let response = self.session.poll_response(&self.core.published, room);
            let trust = self.trust.poll_news(&self.core.desk);
            if response.is_some() || self.news.is_some() || trust.is_some() {
                let News { acknowledged, retry_seconds } = self.news.take().unwrap_or_default();
                let message = response.and_then(|response| response.message);
                let reports_retry_seconds = retry_seconds;
                let response = SyncResponse { message, acknowledged, reports_retry_seconds, trust };
                return Some((Ok(response), Some(self)));
            }
            if self.session.is_over() {
                return None;
            }
            match self.step().await {
                Ok(Flow::On) => {}
                Ok(Flow::End) => return None,
                Err(failure) => return Some((Err(failure.into()), None)),
            }
        }
    }

    /// Waits until something happens and hands it to the session.
    async fn step(&mut self) -> Result<Flow, Failure> {
        tokio::select! {
            biased;
            () = self.core.cancel.cancelled() => {
                self.session.handle_stop(STOPPING_RETRY, "the core is stopping");
                Ok(Flow::On)
            }
            wake = self.connection.woken() => {
                self.handle_wake(wake);
                Ok(Flow::On)
            }
            () = self.trust.changed() => Ok(Flow::On),
            news = self.intake.news() => {
                self.news = Some(news);
                Ok(Flow::On)
            }
            message = self.incoming.message() => match message {
                Ok(Some(request)) => self.handle_request(request),
                Ok(None) => {
                    self.connection.touch(self.core.clock.moment());
                    Ok(Flow::End)
                }
                Err(status) => {
                    debug!(site = %self.session.site(), %status, "the stream broke");
                    Ok(Flow::End)
                }
            },
        }
    }

    fn handle_wake(&mut self, wake: Wake) {
        match wake {
            Wake::Published => self.session.handle_published(),
            Wake::Replaced => {
                warn!(site = %self.session.site(), "a newer stream of the same site takes the place of this one");
                self.session
                    .handle_stop(REPLACED_RETRY, "a newer stream of this site took the place of this one");
            }
            Wake::Silent => {
                info!(site = %self.session.site(), "nothing was heard of this site for too long: its stream ends");
                self.session.handle_stop(SILENT_RETRY, "nothing was heard of this site for too long");
            }
        }
    }

    fn handle_request(&mut self, request: SyncRequest) -> Result<Flow, Failure> {
        self.connection.touch(self.core.clock.moment());
        self.trust.handle_said(&self.core.desk, self.session.site(), request.trust_version);
        if !request.reports.is_empty() {
            let manifest = match &request.message {
                Some(sync_request::Message::Applied(applied)) => self.session.runs_now(applied),
                _ => None,
            };
            self.intake.take(&self.core, self.session.site(), &request.reports, manifest)?;
        }
        match request.message {
            Some(sync_request::Message::Hello(_)) => {
                Err(Refusal::Malformed("`hello` came twice".to_owned()).into())
            }
            Some(sync_request::Message::Need(need)) => {
                self.session.handle_need(&need)?;
                Ok(Flow::On)
            }
            Some(sync_request::Message::Applied(applied)) => {
                let site = self.session.site().clone();
                match self.session.handle_applied(&applied) {
                    Settled::Runs(manifest) => debug!(%site, %manifest, "applied"),
                    Settled::Refused(manifest, reason) => {
                        info!(%site, %manifest, reason, "refused by the site");
                    }
                    Settled::Stray => debug!(%site, "a word on no offer of ours"),
                }
                if !self.session.is_offering() {
                    self.bundle = None;
                }
                Ok(Flow::On)
            }
            // A newer agent's message.
            None => Ok(Flow::On),
        }
    }
}

/// Whether a stream goes on.
enum Flow {
    On,
    End,
}
