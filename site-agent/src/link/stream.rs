//! One connection with a stream: hello, then whatever either side has to say.

use skerry_proto::v1::sync_request::Message as Request;
use skerry_proto::v1::sync_response::Message as Response;
use skerry_proto::v1::{SyncRequest, SyncResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::backoff::Backoff;
use super::{CALL_DEADLINE, Client, Command, End, Event, Link, reports, retry_after};

/// How many requests wait for the connection to take them.
const REQUESTS: usize = 16;

impl Link {
    /// Talks until the stream ends.
    pub(super) async fn stream(&mut self, client: Client, backoff: &mut Backoff) -> End {
        let reports = reports::Reports::new(self, client.clone());
        let over = CancellationToken::new();
        tokio::select! {
            end = self.talk(client, backoff, over.clone()) => end,
            // Reports wait for the core's first word: it may send the site away.
            end = async { over.cancelled().await; reports.run().await } => end,
        }
    }

    async fn talk(&mut self, mut client: Client, backoff: &mut Backoff, up: CancellationToken) -> End {
        let (requests, queue) = mpsc::channel(REQUESTS);
        let hello = SyncRequest { message: Some(Request::Hello(self.hello())) };
        let opened = async {
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
        let first = match first {
            Some(SyncResponse { message: Some(Response::RetryAfter(retry)) }) => {
                return retry_after(retry.seconds, &retry.reason);
            }
            other => other,
        };
        backoff.handle_success();
        let up_and_first = async {
            self.tell(Event::Up).await?;
            up.cancel();
            self.hear(first).await
        };
        if let Err(end) = up_and_first.await {
            return end;
        }
        self.converse(&requests, &mut stream).await
    }

    async fn converse(
        &mut self,
        requests: &mpsc::Sender<SyncRequest>,
        stream: &mut Streaming<SyncResponse>,
    ) -> End {
        loop {
            let outcome = tokio::select! {
                heard = stream.message() => match heard {
                    Ok(message) => self.hear(message).await,
                    Err(status) => Err(status.into()),
                },
                command = self.commands.recv() => say(requests, command).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Hands on what the core said. What a newer core says beside that is passed over.
    async fn hear(&self, response: Option<SyncResponse>) -> Result<(), End> {
        let Some(response) = response else { return Err(End::Lost("the core hung up".to_owned())) };
        match response.message {
            Some(Response::Current(_)) => self.tell(Event::Current).await,
            Some(Response::Offer(offer)) => self.tell(Event::Offer(Box::new(offer))).await,
            Some(Response::Chunk(chunk)) => self.tell(Event::Chunk(chunk)).await,
            Some(Response::RetryAfter(retry)) => Err(retry_after(retry.seconds, &retry.reason)),
            None => Ok(()),
        }
    }
}

async fn say(requests: &mpsc::Sender<SyncRequest>, command: Option<Command>) -> Result<(), End> {
    let message = match command {
        None => return Err(End::Closed),
        Some(Command::Restart(pause)) => return Err(End::Pause(pause, "the agent starts over".to_owned())),
        Some(Command::Need(need)) => Request::Need(need),
        Some(Command::Applied(applied)) => Request::Applied(applied),
    };
    let request = SyncRequest { message: Some(message) };
    requests.send(request).await.map_err(|_| End::Lost("the core takes no more".to_owned()))
}
