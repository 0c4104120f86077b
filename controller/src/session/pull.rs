//! `Pull`: the exchange of a session in one request and one answer.

use skerry_core::id::SiteId;
use skerry_proto::v1::{
    Hello, Need, PullRequest, PullResponse, pull_response::Outcome, sync_response::Message,
};

use super::{Greeting, Refusal, Session};
use crate::publish::Published;
use crate::publish::delta::Inline;

/// A pull that is to be answered.
#[derive(Debug)]
pub struct Pull(Session);

impl Pull {
    /// Begins with a request. With a `need` the offer comes without fragments of its own: the site has them or
    /// has named them.
    ///
    /// # Errors
    /// As [`Session::handle_hello`] and [`Session::handle_need`].
    pub fn handle_request(request: &PullRequest, published: &Published) -> Result<Self, Refusal> {
        let need = request.need.as_ref().filter(|need| !need.fragments.is_empty());
        let inline = if need.is_some() { Inline::Nothing } else { Inline::Fragments };
        let mut session = Session::begin(Greeting::of(hello(request)?)?, published, inline);
        need.map_or(Ok(()), |need: &Need| session.handle_need(need))?;
        Ok(Self(session))
    }

    /// Returns the site.
    pub fn site(&self) -> &SiteId {
        self.0.site()
    }

    /// Says whether the answer is part of a whole bundle that is to be sent: an offer that starts from nothing, or
    /// parts that were asked for.
    pub fn is_of_whole_bundle(&self) -> bool {
        self.0.is_starting_anew() || self.0.is_sending()
    }

    /// Returns the answer, with at most `room` bytes of what was asked for.
    pub fn into_response(self, published: &Published, mut room: usize) -> PullResponse {
        let Self(mut session) = self;
        let message = session.poll_response(published, room).and_then(|response| response.message);
        let mut response =
            PullResponse { outcome: message.and_then(to_outcome), chunks: Vec::new(), trust: None };
        while room > 0
            && let Some(chunk) = session.poll_chunk(published, room)
        {
            room -= chunk.data.len();
            response.chunks.push(chunk);
        }
        response
    }
}

/// Who pulls.
///
/// # Errors
/// It does not say.
pub fn hello(request: &PullRequest) -> Result<&Hello, Refusal> {
    request.hello.as_ref().ok_or_else(|| Refusal::Malformed("there is no `hello`".to_owned()))
}

fn to_outcome(message: Message) -> Option<Outcome> {
    match message {
        Message::Current(current) => Some(Outcome::Current(current)),
        Message::Offer(offer) => Some(Outcome::Offer(offer)),
        Message::RetryAfter(retry) => Some(Outcome::RetryAfter(retry)),
        Message::Chunk(_) => None,
    }
}
