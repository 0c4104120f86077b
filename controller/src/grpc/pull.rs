//! Answers pulls, under the same bounds as streams.
//!
//! What one who pulls has in hand is seen only by its connection: an answer that was given waits in the kernel or in
//! the connection's buffers. So its places are those of the connection, and its pulls are answered one after the
//! other. Must not decide what is offered.

use std::net::SocketAddr;

use skerry_proto::limits::MAX_PULL_CHUNK_BYTES;
use skerry_proto::v1::{PullRequest, PullResponse, RetryAfter, pull_response::Outcome};

use super::Core;
use super::failure::Failure;
use super::places::{self, BundlePlace, StreamPlace};
use super::site_sync::{claimant, is_known};
use crate::admission::Way;
use crate::session::pull::{self, Pull};
use crate::store::StateStore;

/// The places of a connection that is pulled over, given back when it ends.
#[derive(Debug, Default)]
pub(super) struct Visit {
    place: Option<StreamPlace>,
    /// From the first part of a whole bundle on, until the site has nothing to fetch.
    bundle: Option<BundlePlace>,
}

impl<S: StateStore> Core<S> {
    /// Answers a pull, or says when there will be room for that.
    pub(super) async fn pull(
        &self,
        request: &PullRequest,
        peer: Option<SocketAddr>,
        visit: &mut Visit,
    ) -> Result<PullResponse, Failure> {
        if let Err(seconds) = take(&mut visit.place, || self.room.places.stream()) {
            return Ok(retry(places::come_back(seconds)));
        }
        let hello = pull::hello(request)?;
        self.await_source(hello).await.map_err(|failure| self.turn_away(hello, peer, failure))?;
        self.note_stranger(hello, peer);
        let pull = Pull::handle_request(request, &self.published)?;
        if is_known(pull.site(), &self.published) {
            let by = claimant(hello, peer, &self.published);
            if let Err(fenced) = self.presence.pull(pull.site(), by, self.clock.moment()) {
                return Ok(retry(RetryAfter { seconds: fenced.seconds, reason: fenced.reason }));
            }
        }
        if !pull.is_of_whole_bundle() {
            visit.bundle = None;
        } else if let Err(seconds) = take(&mut visit.bundle, || self.room.places.bundle(Way::Pull)) {
            return Ok(retry(places::come_back(seconds)));
        }
        let room = self.room.places.chunk_room(MAX_PULL_CHUNK_BYTES);
        Ok(pull.into_response(&self.published, room))
    }
}

/// Takes a place if there is none yet.
fn take<P>(place: &mut Option<P>, find: impl FnOnce() -> Result<P, u32>) -> Result<(), u32> {
    if place.is_none() {
        *place = Some(find()?);
    }
    Ok(())
}

fn retry(retry: RetryAfter) -> PullResponse {
    PullResponse { outcome: Some(Outcome::RetryAfter(retry)), chunks: Vec::new(), trust: None }
}
