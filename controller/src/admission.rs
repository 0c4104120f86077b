//! How much the core takes on at once, and when those are to come back that it has no room for.
//!
//! Told of what begins and ends, with the time; never waits, and refuses nobody for good: whoever is
//! sent away is given a time at which there will be room. Handshakes are bounded one step earlier, by
//! `grpc::incoming`: a connection that is not accepted yet costs nothing. Must not read a clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is taken on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams of sites.
    pub streams: usize,
    /// Whole bundles that are being sent.
    pub bundles: usize,
    /// Bytes of chunks that were made and that no site has taken yet, of all streams and pulls together.
    pub pending_bytes: usize,
    /// Connections between accept and hello.
    pub handshakes: usize,
    /// How long a connection may take to its first request.
    pub handshake_deadline: Duration,
}

/// For how many sites there is room where nobody says: a core with them takes 1.1 GB.
pub const SITES: u32 = 20_000;

impl Default for Limits {
    /// Room for [`SITES`].
    fn default() -> Self {
        Self::for_sites(SITES)
    }
}

impl Limits {
    /// Makes room for so many sites at once, that all have a stream or pull: 48 KB each, 20,000 are 1 GB. 1,000 whole
    /// bundles of 200 services are 1,000 × (13 KiB list + 16 KiB fragments) = 29 MiB of offers; with more sites they take
    /// turns. 256 MiB of chunks: each of 16,384 streams may have a whole chunk of 16 KiB in its send buffer, and each of
    /// 20,000 a chunk of 13 KiB, however slowly it is read; beyond 32,768 sites the shortest chunk for each. One who
    /// pulls has a stream's place, and up to 64 KiB as long as no more than 4,096 are there.
    ///
    /// With mutual TLS each handshake costs about 1 ms of CPU and 50 KiB: 512 are a quarter of a second of two cores
    /// and 25 MiB, well below the 10 s that an agent waits. A satellite link needs 5 round trips of 0.7 s for one.
    pub fn for_sites(sites: u32) -> Self {
        let streams = usize::try_from(sites).unwrap_or(usize::MAX);
        Self {
            streams,
            bundles: 1_000,
            pending_bytes: (256 << 20).max(streams.saturating_mul(SHORTEST_CHUNK)),
            handshakes: 512,
            handshake_deadline: Duration::from_secs(10),
        }
    }

    /// The most connections at once: one of each site, a tenth more that only report or are told to come back, and
    /// people. Beyond that they wait in the kernel's queue.
    pub fn connections(&self) -> usize {
        self.streams.saturating_add(self.streams / 10 + 48)
    }
}

/// The longest pause that is asked for.
const LONGEST: Duration = Duration::from_secs(300);

/// The shortest chunk: with less than that the frames around it weigh.
const SHORTEST_CHUNK: usize = 8 << 10;

/// How long a bundle keeps its place: a site behind a thin link goes on fetching, and no longer stands in the
/// way of others. What it may have pending is bounded by `pending_bytes`.
const TURN: Duration = Duration::from_secs(60);

/// How long a whole bundle takes to send and apply, before any was sent.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// How a whole bundle is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Over a stream: it is done when the site says what it makes of it.
    Stream,
    /// In calls: its place is kept until the site hangs up, and that tells nothing of how long a bundle takes.
    Pull,
}

/// A whole bundle that is being sent.
#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Instant,
    way: Way,
}

/// What is under way, and who was told to come when.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    streams: usize,
    /// Whole bundles by ticket; tickets count up, so the oldest is the first.
    bundles: BTreeMap<u64, Begun>,
    next_ticket: u64,
    /// How long whole bundles took of late, over streams.
    usual: Duration,
    /// The time that was given to the last one who was sent away.
    slot: Option<Instant>,
}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<T> {
    /// There is; to be given back by the end.
    Go(T),
    /// There is none: come back in so many seconds, 1 to 300.
    ComeBack(u32),
}

impl Admission {
    /// Begins with nothing under way.
    pub fn new(limits: Limits) -> Self {
        let (bundles, usual) = (BTreeMap::new(), FIRST_GUESS);
        Self { limits, streams: 0, bundles, next_ticket: 0, usual, slot: None }
    }

    /// A site wants a stream, or pulls: it has the place of one until it hangs up. Streams last, so those who find no room are spread over the longest pause;
    /// `share` is a random number from 0 to 1.
    pub fn handle_stream(&mut self, share: f64) -> Verdict<()> {
        if self.streams < self.limits.streams {
            self.streams += 1;
            return Verdict::Go(());
        }
        Verdict::ComeBack(seconds(LONGEST.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0)))
    }

    /// A stream ended.
    pub fn handle_stream_end(&mut self) {
        self.streams = self.streams.saturating_sub(1);
    }

    /// A site wants a whole bundle. Those who find no room are queued without waiting: each is given the
    /// time after that of the one before, at the pace at which bundles are done.
    pub fn handle_bundle(&mut self, way: Way, now: Instant) -> Verdict<u64> {
        self.forget_slow(now);
        if self.bundles.len() < self.limits.bundles {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            self.bundles.insert(ticket, Begun { at: now, way });
            return Verdict::Go(ticket);
        }
        let pace = self.usual / u32::try_from(self.limits.bundles.max(1)).unwrap_or(u32::MAX);
        let slot = self.slot.map_or(now, |slot| slot.max(now)) + pace;
        let slot = slot.min(now + LONGEST);
        self.slot = Some(slot);
        Verdict::ComeBack(seconds(slot - now))
    }

    /// A whole bundle is done, one way or the other.
    pub fn handle_bundle_end(&mut self, ticket: u64, now: Instant) {
        if let Some(begun) = self.bundles.remove(&ticket) {
            self.learn(begun, now.saturating_duration_since(begun.at));
        }
    }

    /// Returns how long a chunk may be now, `longest` at most, so that all that are pending stay within bounds.
    pub fn chunk_room(&self, longest: usize) -> usize {
        (self.limits.pending_bytes / self.streams.max(1)).clamp(SHORTEST_CHUNK, longest)
    }

    /// Gives the places of those back that have had their turn.
    fn forget_slow(&mut self, now: Instant) {
        while let Some(oldest) = self.bundles.first_entry()
            && now.saturating_duration_since(oldest.get().at) >= TURN
        {
            let begun = oldest.remove();
            self.learn(begun, TURN);
        }
    }

    fn learn(&mut self, begun: Begun, took: Duration) {
        if begun.way == Way::Stream {
            // The mean of about the last eight.
            self.usual = (self.usual * 7 + took) / 8;
        }
    }
}

/// Full seconds, the next ones up, and never none.
fn seconds(pause: Duration) -> u32 {
    u32::try_from(pause.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
