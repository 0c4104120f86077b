//! `Pull`: the exchange of a session in one request and one answer.

use skerry_proto::limits::MAX_PULL_CHUNK_BYTES;
use skerry_proto::v1::{PullRequest, PullResponse, pull_response::Outcome, sync_response::Message};

use super::{Greeting, Refusal, Session};
use crate::publish::Published;
use crate::publish::delta::Inline;

/// Answers a pull. With a `need` the offer comes without fragments of its own: the site has them or
/// has named them.
///
/// # Errors
/// As [`Session::handle_hello`] and [`Session::handle_need`].
pub fn pull(request: &PullRequest, published: &Published) -> Result<PullResponse, Refusal> {
    let hello = request.hello.as_ref().ok_or_else(|| Refusal::Malformed("there is no `hello`".to_owned()))?;
    let need = request.need.as_ref().filter(|need| !need.fragments.is_empty());
    let inline = if need.is_some() { Inline::Nothing } else { Inline::Fragments };
    let mut session = Session::begin(Greeting::of(hello)?, published, inline);
    let message =
        session.poll_response(published, MAX_PULL_CHUNK_BYTES).and_then(|response| response.message);
    let mut response = PullResponse { outcome: message.and_then(to_outcome), chunks: Vec::new() };
    if let Some(need) = need {
        session.handle_need(need)?;
        let mut room = MAX_PULL_CHUNK_BYTES;
        while room > 0
            && let Some(chunk) = session.poll_chunk(published, room)
        {
            room -= chunk.data.len();
            response.chunks.push(chunk);
        }
    }
    Ok(response)
}

fn to_outcome(message: Message) -> Option<Outcome> {
    match message {
        Message::Current(current) => Some(Outcome::Current(current)),
        Message::Offer(offer) => Some(Outcome::Offer(offer)),
        Message::RetryAfter(retry) => Some(Outcome::RetryAfter(retry)),
        Message::Chunk(_) => None,
    }
}
