//! One connection with a stream: hello, then whatever either side has to say.
//!
//! What is to be said at one time is said in one message: each costs a packet and its acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::Digest;
use skerry_proto::v1::sync_request::Message as Request;
use skerry_proto::v1::sync_response::Message as Response;
use skerry_proto::v1::{Applied, Offer, SyncRequest, SyncResponse};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::backoff::Backoff;
use super::spool::Spool;
use super::{CALL_DEADLINE, Client, Command, End, Event, Link, retry_after};
use crate::clock::{Stamp, share};
use crate::enrolment::Enrolment;

/// How many requests wait for the connection to take them.
const REQUESTS: usize = 16;

/// How long the queue may be full: the longest request, 20 KiB, takes 17 s at 9.6 kbit/s.
const SAY_DEADLINE: Duration = Duration::from_secs(60);

/// A stream that is up.
struct Talk {
    requests: mpsc::Sender<SyncRequest>,
    spool: Spool,
    /// Raised when reports were added.
    added: watch::Receiver<u64>,
    /// The offer that came last.
    offer: Option<Offered>,
    /// What the site has, and what of it the core was told.
    trust: Told,
    /// An offer was answered, or reports were kept.
    has_progress: bool,
}

/// The version of what the site believes, as the core knows it of this stream.
struct Told {
    enrolment: watch::Receiver<Option<Arc<Enrolment>>>,
    version: u64,
}

/// What is to be known of an offer to speak of it.
struct Offered {
    number: u32,
    manifest: Vec<u8>,
    digest: Digest,
}

impl Link {
    /// Talks until the stream ends.
    pub(super) async fn stream(&mut self, mut client: Client, backoff: &mut Backoff) -> End {
        let (requests, queue) = mpsc::channel(REQUESTS);
        let hello = self.hello();
        let said = hello.trust_version;
        let hello = Request::Hello(hello);
        let opened = async {
            let hello = SyncRequest { message: Some(hello), ..SyncRequest::default() };
            requests.send(hello).await.map_err(|_| End::Closed)?;
            let mut stream = client.sync(ReceiverStream::new(queue)).await?.into_inner();
            let first = stream.message().await?;
            Ok::<_, End>((stream, first))
        };
        let (mut stream, first) = match tokio::time::timeout(CALL_DEADLINE, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(end)) => return end,
            Err(_) => return End::Lost(format!("the core said nothing for {} s", CALL_DEADLINE.as_secs())),
        };
        if let Some(SyncResponse { message: Some(Response::RetryAfter(retry)), .. }) = first {
            return retry_after(retry.seconds, &retry.reason);
        }
        let since = Instant::now();
        let mut talk = self.talk(requests, said);
        let up = async {
            self.tell(Event::Up).await?;
            self.hear(&mut talk, first).await
        };
        let end = match up.await {
            Ok(()) => self.converse(&mut talk, &mut stream).await,
            Err(end) => end,
        };
        self.batch = talk.spool.batch();
        backoff.handle_end(talk.has_progress, since.elapsed());
        end
    }

    /// Begins to talk, with reports that wait; the hello has said which version of trust the site has.
    fn talk(&self, requests: mpsc::Sender<SyncRequest>, said: u64) -> Talk {
        let mut talk = Talk {
            requests,
            spool: Spool::new(Arc::clone(&self.store), self.batch),
            added: self.outbox.clone(),
            offer: None,
            trust: Told { enrolment: self.enrolment.clone(), version: said },
            has_progress: false,
        };
        talk.added.mark_changed();
        talk.trust.enrolment.mark_changed();
        talk
    }

    async fn converse(&mut self, talk: &mut Talk, stream: &mut Streaming<SyncResponse>) -> End {
        loop {
            let again = talk.spool.poll_timeout();
            let outcome = tokio::select! {
                heard = stream.message() => match heard {
                    Ok(message) => self.hear(talk, message).await,
                    Err(status) => {
                        talk.spool.handle_refusal(&status).await;
                        Err(status.into())
                    }
                },
                command = self.commands.recv() => talk.say(command).await,
                added = talk.added.changed() => match added {
                    Ok(()) => talk.send(None).await,
                    Err(_) => Err(End::Closed),
                },
                renewed = talk.trust.enrolment.changed() => match renewed {
                    Ok(()) => talk.send(None).await,
                    Err(_) => Err(End::Closed),
                },
                () = sleep_until(again) => {
                    talk.spool.handle_timeout();
                    talk.send(None).await
                }
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Hands on what the core said. What a newer core says beside that is passed over.
    async fn hear(&self, talk: &mut Talk, response: Option<SyncResponse>) -> Result<(), End> {
        let Some(response) = response else { return Err(End::Lost("the core hung up".to_owned())) };
        self.hear_of_trust(response.trust);
        talk.hear_of_reports(&response).await?;
        match response.message {
            Some(Response::Current(_)) => self.tell(Event::Current).await,
            Some(Response::Offer(offer)) => {
                talk.offer = Some(Offered::of(&offer));
                self.tell(Event::Offer(Box::new(offer))).await
            }
            Some(Response::Chunk(chunk)) => self.tell(Event::Chunk(chunk)).await,
            Some(Response::RetryAfter(retry)) => Err(retry_after(retry.seconds, &retry.reason)),
            None => Ok(()),
        }
    }
}

impl Told {
    /// The version of what the site believes, if the core has not been told; else 0.
    fn take_news(&mut self) -> u64 {
        let has = self.enrolment.borrow_and_update().as_ref().map_or(0, |enrolment| enrolment.trust_version);
        if std::mem::replace(&mut self.version, has) == has { 0 } else { has }
    }
}

impl Offered {
    fn of(offer: &Offer) -> Self {
        let digest = Digest::of(&offer.manifest);
        Self { number: offer.number, manifest: offer.manifest.clone(), digest }
    }
}

impl Talk {
    async fn say(&mut self, command: Option<Command>) -> Result<(), End> {
        match command {
            None => Err(End::Closed),
            Some(Command::Restart(pause)) => Err(End::Pause(pause, "the agent starts over".to_owned())),
            Some(Command::Need(need)) => self.send(Some(Request::Need(need))).await,
            Some(Command::Answer { manifest, refused }) => {
                // The word on an offer that was replaced is of no interest to the core.
                let offer = self.offer.as_ref().filter(|offer| offer.digest == manifest);
                let applied = offer.map(|offer| Applied { offer: offer.number, refused });
                self.has_progress |= applied.is_some();
                self.send(applied.map(Request::Applied)).await
            }
        }
    }

    /// Sends a message, and with it the reports that wait.
    async fn send(&mut self, message: Option<Request>) -> Result<(), End> {
        let runs = matches!(&message, Some(Request::Applied(applied)) if applied.refused.is_empty());
        let manifest = self.offer.as_ref().filter(|_| runs).map(|offer| offer.manifest.as_slice());
        self.added.mark_unchanged();
        let reports =
            self.spool.poll_packed(manifest, Instant::now(), Stamp::now(), share()).await.unwrap_or_default();
        let trust_version = self.trust.take_news();
        if message.is_none() && reports.is_empty() && trust_version == 0 {
            return Ok(());
        }
        let request = SyncRequest { message, reports, trust_version };
        match tokio::time::timeout(SAY_DEADLINE, self.requests.send(request)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Lost("the core takes no more".to_owned())),
        }
    }

    /// Takes what a response says of reports; then the next ones may follow.
    async fn hear_of_reports(&mut self, response: &SyncResponse) -> Result<(), End> {
        if response.reports_retry_seconds > 0 {
            self.spool.handle_not_kept(response.reports_retry_seconds, Instant::now(), share());
        }
        if response.acknowledged > 0 {
            self.has_progress = true;
            let forgotten = self.spool.handle_acknowledged(response.acknowledged).await;
            forgotten.map_err(|error| End::Lost(error.to_string()))?;
            return self.send(None).await;
        }
        Ok(())
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
