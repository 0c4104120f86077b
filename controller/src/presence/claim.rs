//! Which of several agents that claim one site is served. Pure: a table of cases, see the tests.
//!
//! An agent shows itself by its boot id: a part of it names the data folder, another the run. One folder has one agent at a
//! time (the store is locked), so another run of the same folder is the same agent, restarted, and an older connection
//! of it hangs half-open. An agent of another folder is another agent; and so is a run that comes back after it was
//! followed by another one of its folder: the folder was copied. A run counts its connections: one that was held up on
//! its way and comes after a newer one is dead, and takes the place of nobody.
//!
//! How long somebody has been silent is told by the monotonic clock: a wall clock that jumps lets nobody in and keeps nobody out.

use std::net::SocketAddr;
use std::time::Duration;

use skerry_core::pace::Pace;
use skerry_proto::limits::{BOOT_BYTES, BOOT_FOLDER_BYTES, REPORT_SLACK_SECONDS};
use skerry_proto::v1;

use crate::clock::Moment;

/// How long an agent may be away whose stream has ended, before another takes its place: one that lost its link is
/// back within 30 s.
const ABSENCE: Duration = Duration::from_secs(30);

/// When an agent that is not served may ask again: seconds. Another agent has to go first.
const FENCED_RETRY: u32 = 30;

/// When a connection may come again that a newer one of the same run has overtaken: seconds. Nobody listens at its other
/// end, most likely.
const LATE_RETRY: u32 = 1;

/// How many earlier runs of a folder are remembered: two agents of one copied folder take turns, so one would do.
const FORMER: usize = 4;

/// How long somebody who is sent away is shown after the last try; there is one every half minute.
pub(super) const SHOWN: Duration = Duration::from_secs(3_600);

/// What names an agent and its run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boot([u8; BOOT_BYTES]);

impl Boot {
    /// Takes what a hello says; one of another length is cut or filled up.
    pub fn of(bytes: &[u8]) -> Self {
        let mut boot = [0; BOOT_BYTES];
        boot.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(boot)
    }

    fn folder(&self) -> &[u8] {
        &self.0[..BOOT_FOLDER_BYTES]
    }
}

/// An agent, as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claimant {
    /// Its id.
    pub boot: Boot,
    /// Which connection of this run it is, counted from 1; 0: it does not count.
    pub attempt: u32,
    /// Where it came from.
    pub peer: Option<SocketAddr>,
    /// How often it says something.
    pub pace: Pace,
}

impl Claimant {
    /// How long it may be silent that has a stream or comes by pull, before another takes its place: it says
    /// something at least as often as its uplink lets it report.
    fn silence(&self) -> Duration {
        Duration::from_secs(u64::from(self.pace.report_seconds) + u64::from(REPORT_SLACK_SECONDS))
    }

    /// After how long a silence its stream is taken for half-open: two reports are missing.
    pub(super) fn absence(&self) -> Duration {
        self.silence() + Duration::from_secs(self.pace.report_seconds.into())
    }
}

/// An agent with the times at which it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The agent.
    pub by: Claimant,
    /// When it came first.
    pub first: Moment,
    /// When it was last heard from.
    pub last: Moment,
}

impl Claim {
    /// Writes it for people.
    pub fn to_wire(self) -> v1::Claimant {
        v1::Claimant {
            boot: self.by.boot.0.to_vec(),
            peer: self.by.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            first_seen_ms: self.first.wall.0,
            last_seen_ms: self.last.wall.0,
        }
    }
}

/// Whether the agent that is served is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It has a stream, or comes by pull: silence alone tells that it is gone.
    Held,
    /// Its stream has ended.
    Left,
}

/// Somebody else is served: come back later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced {
    /// When: seconds.
    pub seconds: u32,
    /// Why, for the agent's log.
    pub reason: String,
}

/// Who is served of a site's agents, and who is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    holder: Option<Claim>,
    /// Earlier runs of the holder's folder.
    former: Vec<Boot>,
    rival: Option<Box<Claim>>,
}

impl Claims {
    /// Judges a newcomer, and notes it.
    ///
    /// # Errors
    /// Another agent is served, or a newer connection of this one.
    pub fn claim(&mut self, by: Claimant, place: Place, now: Moment) -> Result<(), Fenced> {
        let Some(holder) = self.holder.as_mut() else {
            self.holder = Some(Claim { by, first: now, last: now });
            return Ok(());
        };
        if holder.by.boot == by.boot {
            if by.attempt != 0 && by.attempt < holder.by.attempt {
                return Err(late(by, holder.by));
            }
            (holder.by, holder.last) = (by, now);
            return Ok(());
        }
        let is_restarted = holder.by.boot.folder() == by.boot.folder() && !self.former.contains(&by.boot);
        let budget = if place == Place::Held { holder.by.silence() } else { ABSENCE };
        let is_gone = now.at.saturating_duration_since(holder.last.at) > budget;
        if !is_restarted && !is_gone {
            return Err(self.fence(by, now));
        }
        if is_restarted {
            self.former.truncate(FORMER - 1);
            self.former.insert(0, holder.by.boot);
        } else {
            self.former.clear();
        }
        *holder = Claim { by, first: now, last: now };
        Ok(())
    }

    fn fence(&mut self, by: Claimant, now: Moment) -> Fenced {
        let first =
            self.rival.as_ref().filter(|rival| rival.by.boot == by.boot).map_or(now, |rival| rival.first);
        self.rival = Some(Box::new(Claim { by, first, last: now }));
        let peer = self.holder.and_then(|holder| holder.by.peer);
        let peer = peer.map(|peer| format!(", from {peer},")).unwrap_or_default();
        let reason =
            format!("two agents claim this site: another agent{peer} is served; stop one of the two");
        Fenced { seconds: FENCED_RETRY, reason }
    }

    /// Notes that the agent that is served was heard from.
    pub fn heard(&mut self, now: Moment) {
        if let Some(holder) = &mut self.holder {
            holder.last = now;
        }
    }

    /// The agent that is served.
    pub fn holder(&self) -> Option<Claim> {
        self.holder
    }

    /// The other agent, as long as it tries.
    pub fn rival(&self, now: Moment) -> Option<Claim> {
        let is_recent = |rival: &Claim| now.at.saturating_duration_since(rival.last.at) <= SHOWN;
        self.rival.as_deref().copied().filter(is_recent)
    }
}

fn late(by: Claimant, served: Claimant) -> Fenced {
    let (late, newer) = (by.attempt, served.attempt);
    let reason = format!("connection {late} of this agent came late: its connection {newer} is served");
    Fenced { seconds: LATE_RETRY, reason }
}

#[cfg(test)]
mod tests;
