//! The same exchange in calls: for links that are up for seconds.

use std::time::Duration;

use skerry_proto::v1::pull_response::Outcome;
use skerry_proto::v1::{Need, PullRequest, PullResponse};

use super::backoff::Backoff;
use super::{CALL_DEADLINE, Client, Command, End, Event, Link, reports, retry_after};

/// How long `site` may take to say what it makes of an offer: longer than the proxies may.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

impl Link {
    /// Pulls once, with as many calls as it takes, sends what waits, and asks for a pause.
    pub(super) async fn pull(&mut self, mut client: Client, backoff: &mut Backoff) -> End {
        let mut need = None;
        loop {
            match self.pull_once(&mut client, need.take()).await {
                Ok(Some(more)) => need = Some(more),
                Ok(None) => break,
                Err(end) => return end,
            }
        }
        match reports::Reports::new(self, client).send_all().await {
            Ok(()) => {
                backoff.handle_success();
                End::Done(self.pull_interval)
            }
            Err(end) => end,
        }
    }

    /// One call; returns what to ask for in the next one.
    async fn pull_once(&mut self, client: &mut Client, need: Option<Need>) -> Result<Option<Need>, End> {
        let asked_for_more = need.is_some();
        let request = PullRequest { hello: Some(self.hello()), need };
        let PullResponse { outcome, chunks, trust } =
            match tokio::time::timeout(CALL_DEADLINE, client.pull(request)).await {
                Ok(answer) => answer?.into_inner(),
                Err(_) => {
                    return Err(End::Lost(format!(
                        "the core did not answer within {} s",
                        CALL_DEADLINE.as_secs()
                    )));
                }
            };
        self.hear_of_trust(trust);
        if let Some(Outcome::RetryAfter(retry)) = outcome {
            return Err(retry_after(retry.seconds, &retry.reason));
        }
        // What was said before this answer is about the one before it.
        while self.commands.try_recv().is_ok() {}
        if !asked_for_more {
            self.tell(Event::Up).await?;
        }
        // Fragments first: an offer that is here already is complete with them.
        for chunk in chunks {
            self.tell(Event::Chunk(chunk)).await?;
        }
        match outcome {
            Some(Outcome::Offer(offer)) => self.tell(Event::Offer(Box::new(offer))).await?,
            Some(Outcome::Current(_)) => {
                self.tell(Event::Current).await?;
                return Ok(None);
            }
            Some(Outcome::RetryAfter(_)) | None => return Ok(None),
        }
        self.await_verdict().await
    }

    /// Waits for what `site` makes of the offer: more wants, or a verdict.
    async fn await_verdict(&mut self) -> Result<Option<Need>, End> {
        match tokio::time::timeout(ANSWER_DEADLINE, self.commands.recv()).await {
            Ok(Some(Command::Need(need))) => Ok(Some(need)),
            Ok(Some(Command::Restart(pause))) => Err(End::Pause(pause, "the agent starts over".to_owned())),
            Ok(Some(Command::Answer { .. })) | Err(_) => Ok(None),
            Ok(None) => Err(End::Closed),
        }
    }
}
