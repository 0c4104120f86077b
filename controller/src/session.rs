//! One site's side of `Sync` and `Pull`, as a synchronous state machine.
//!
//! Messages and wakes go in by `handle_*`, what is to be sent comes out of `poll_response`, one
//! message at a time. At most one offer is under way; what is published meanwhile is not queued but
//! looked up when the offer is settled. Must not read a clock, wait, or know of streams.

use std::collections::{HashMap, VecDeque};

use prost::Message as _;
use skerry_core::bundle::v1::Manifest;
use skerry_core::id::{Digest, SiteId};
use skerry_proto::codec::chunk_at;
use skerry_proto::limits::{MAX_INLINE_BYTES, MAX_WANTS};
use skerry_proto::v1::{
    Applied, Chunk, Current, FragmentWant, Hello, Need, Offer, RetryAfter, SyncResponse,
    sync_response::Message,
};

use crate::policy::Vouched;
use crate::publish::delta::Inline;
use crate::publish::{Lookup, Published, Target};

mod greeting;
pub mod pull;
mod refusal;

pub use greeting::Greeting;
pub use refusal::Refusal;

/// When a site that nobody knows may ask again: seconds. Somebody has to commit it first.
pub const UNKNOWN_SITE_RETRY: u32 = 30;

/// When a site may ask again that came before the source was read, and has waited for it: seconds.
pub const STARTING_RETRY: u32 = 1;

/// A site and what it has, as far as it said.
#[derive(Debug)]
pub struct Session {
    /// Who it is, what it runs, and what it refused last, which is not offered again.
    has: Greeting,
    /// Whether fragments ride in offers.
    inline: Inline,
    /// How many offers were made.
    offers: u32,
    phase: Phase,
    /// Something was published that was not looked at yet.
    is_stale: bool,
    /// What it shall run waits for a policy signature.
    is_withheld: bool,
    /// The next message.
    next: Option<Message>,
}

#[derive(Debug)]
enum Phase {
    /// It has what there is.
    Idle,
    /// An offer is out, and these parts of it were asked for.
    Offered(Target, VecDeque<Want>),
    /// It was told to come back later.
    Over,
}

/// What was asked for of the contents that were offered.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The list itself.
    List,
    /// The fragment at this place of it.
    Fragment(usize),
}

/// A part of an offer that was asked for.
#[derive(Debug, Clone, Copy)]
struct Want {
    place: Place,
    /// The next byte of its encoded form.
    offset: u64,
}

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The site runs it.
    Runs(Digest),
    /// The site does not, and says why.
    Refused(Digest, String),
    /// It is about no offer that is under way.
    Stray,
}

impl Session {
    /// Begins with the first message of a site.
    ///
    /// # Errors
    /// As [`Greeting::of`].
    pub fn handle_hello(hello: &Hello, published: &Published) -> Result<Self, Refusal> {
        Ok(Self::begin(Greeting::of(hello)?, published, Inline::Fragments))
    }

    /// Begins with what a site has.
    pub fn begin(has: Greeting, published: &Published, inline: Inline) -> Self {
        let (phase, is_stale, is_withheld, next) = (Phase::Idle, false, false, None);
        let mut session = Self { has, inline, offers: 0, phase, is_stale, is_withheld, next };
        session.look_up(published);
        if session.next.is_none() && (session.has.runs.is_some() || session.is_withheld) {
            session.next = Some(Message::Current(Current {}));
        }
        session
    }

    /// Returns the site.
    pub fn site(&self) -> &SiteId {
        &self.has.site
    }

    /// Says whether the next message is an offer that starts from nothing: a whole bundle is to be sent.
    pub fn is_starting_anew(&self) -> bool {
        let list = |offer: &Offer| offer.list.as_ref().is_none_or(|list| list.base.is_empty());
        matches!(&self.next, Some(Message::Offer(offer)) if list(offer))
    }

    /// Says whether an offer is out.
    pub fn is_offering(&self) -> bool {
        matches!(self.phase, Phase::Offered(..))
    }

    /// Says whether parts of an offer are to be sent that were asked for.
    pub fn is_sending(&self) -> bool {
        matches!(&self.phase, Phase::Offered(_, wants) if !wants.is_empty())
    }

    /// Says whether the site is told to come back later: nothing follows the next message.
    pub fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Says whether the site was told to come back later: nothing follows.
    pub fn is_over(&self) -> bool {
        self.is_ending() && self.next.is_none()
    }

    /// Takes the list of fragments that the site lacks; each is sent once. What is not part of the
    /// offer is passed over: the request may have crossed a newer offer.
    ///
    /// # Errors
    /// More fragments than a bundle has.
    pub fn handle_need(&mut self, need: &Need) -> Result<(), Refusal> {
        if need.fragments.len() > MAX_WANTS {
            return Err(Refusal::TooManyWants { wants: need.fragments.len() });
        }
        if let Phase::Offered(target, wants) = &mut self.phase {
            let fragments = target.contents.fragments.iter().enumerate();
            let mut places: HashMap<&[u8], Place> =
                fragments.map(|(at, fragment)| (&fragment.id.as_bytes()[..], Place::Fragment(at))).collect();
            places.insert(target.contents.digest.as_bytes(), Place::List);
            let mut want = |wanted: &FragmentWant| {
                let place = places.remove(wanted.id.as_slice())?;
                Some(Want { place, offset: wanted.offset })
            };
            *wants = need.fragments.iter().filter_map(&mut want).collect();
        }
        Ok(())
    }

    /// Returns the manifest that a word of the site is about, when it says that it runs. (A newer offer is made before
    /// the word on the one before only while that cannot run yet.)
    pub fn runs_now(&self, applied: &Applied) -> Option<&[u8]> {
        match &self.phase {
            Phase::Offered(target, _) if applied.offer == self.offers && applied.refused.is_empty() => {
                Some(&target.manifest)
            }
            _ => None,
        }
    }

    /// Takes the word of the site on an offer.
    pub fn handle_applied(&mut self, applied: &Applied) -> Settled {
        let Phase::Offered(target, _) = &self.phase else { return Settled::Stray };
        if applied.offer != self.offers {
            return Settled::Stray;
        }
        let (digest, list) = (target.digest, target.contents.digest);
        self.phase = Phase::Idle;
        // What was published while the offer was out counts now.
        self.is_stale = true;
        if applied.refused.is_empty() {
            let has = &mut self.has;
            (has.runs, has.list, has.refused) = (Some(digest.prefix()), Some(list.prefix()), None);
            Settled::Runs(digest)
        } else {
            self.has.refused = Some(digest.prefix());
            Settled::Refused(digest, applied.refused.clone())
        }
    }

    /// Takes notice that something was published for the site.
    pub fn handle_published(&mut self) {
        self.is_stale = true;
    }

    /// Ends the session: the site is to come back later.
    pub fn handle_stop(&mut self, seconds: u32, reason: &str) {
        self.retry_after(seconds, reason.to_owned());
    }

    /// Returns the next message, if there is one now; a chunk of at most `room` bytes.
    pub fn poll_response(&mut self, published: &Published, room: usize) -> Option<SyncResponse> {
        if self.next.is_none() && self.is_stale && self.may_offer() {
            self.look_up(published);
        }
        let message = self.next.take().or_else(|| self.poll_chunk(published, room).map(Message::Chunk))?;
        Some(SyncResponse { message: Some(message), ..SyncResponse::default() })
    }

    /// Returns the next chunk of at most `room` bytes.
    pub fn poll_chunk(&mut self, published: &Published, room: usize) -> Option<Chunk> {
        let Phase::Offered(target, wants) = &mut self.phase else { return None };
        let want = wants.front_mut()?;
        let (id, encoded) = match want.place {
            Place::List => (&target.contents.digest, published.encoded_list(&target.contents)),
            Place::Fragment(at) => {
                let fragment = &target.contents.fragments[at];
                (&fragment.id, published.encoded(fragment))
            }
        };
        let chunk = chunk_at(id, &encoded, want.offset, room);
        want.offset = chunk.offset + chunk.data.len() as u64;
        if chunk.last {
            wants.pop_front();
        }
        Some(chunk)
    }

    /// Says whether a newer offer may be made now: none is out, or the site cannot have applied it
    /// yet since parts of it are not sent. (Otherwise its word may be on the way, and with it another
    /// list to start from.)
    fn may_offer(&self) -> bool {
        match &self.phase {
            Phase::Idle => true,
            Phase::Offered(_, wants) => !wants.is_empty(),
            Phase::Over => false,
        }
    }

    /// Compares what there is with what the site has.
    fn look_up(&mut self, published: &Published) {
        self.is_stale = false;
        match published.lookup(&self.has.site) {
            Lookup::Unknown => {
                let reason = format!("site {} is not in the policy repository", self.has.site);
                self.retry_after(UNKNOWN_SITE_RETRY, reason);
            }
            Lookup::Starting(newest)
                if newest.is_some_and(|newest| self.has.runs == Some(newest.prefix())) => {}
            Lookup::Starting(_) => {
                self.retry_after(STARTING_RETRY, "the core has not read its policy source yet".to_owned());
            }
            Lookup::Known(target) => self.offer(target, published),
        }
    }

    fn offer(&mut self, target: Target, published: &Published) {
        let is_under_way =
            matches!(&self.phase, Phase::Offered(offered, _) if offered.digest == target.digest);
        let prefix = Some(target.digest.prefix());
        if is_under_way || self.has.refused == prefix {
            return;
        }
        if self.has.runs == prefix {
            // An offer that is under way has come to nothing.
            if matches!(self.phase, Phase::Offered(..)) {
                self.next = Some(Message::Current(Current {}));
            }
            self.phase = Phase::Idle;
            return;
        }
        let vouched = published.vouch(&self.has.site, &target.contents, Some(self.has.asks));
        self.is_withheld = vouched == Vouched::Missing;
        if self.is_withheld {
            // It would be refused. What is under way was signed, and goes on; whoever attaches the signature wakes the site.
            return;
        }
        let base = published.base(self.has.list, &target.contents);
        let step = published.delta(base, &target.contents, self.inline);
        self.offers = self.offers.wrapping_add(1);
        let (manifest, signatures) = (target.manifest.clone(), published.sign(&target.manifest));
        let mut offer = Offer { manifest, signatures, number: self.offers, ..Offer::default() };
        if let Vouched::Signed(kept) = vouched {
            let manifest = Manifest::decode(&*target.manifest).unwrap_or_default();
            self.has.asks.floor = self.has.asks.floor.max(kept.number);
            offer.policy = Some(kept.to_wire(&manifest.revision));
        }
        let is_short = step.list.encoded_len() <= MAX_INLINE_BYTES;
        let is_known = self.has.pending.take() == prefix;
        if is_short && !is_known {
            (offer.list, offer.fragments) = (Some(step.list.clone()), step.fragments.clone());
        }
        self.next = Some(Message::Offer(offer));
        self.phase = Phase::Offered(target, VecDeque::new());
    }

    fn retry_after(&mut self, seconds: u32, reason: String) {
        self.next = Some(Message::RetryAfter(RetryAfter { seconds, reason }));
        self.phase = Phase::Over;
    }
}

#[cfg(test)]
mod tests;
