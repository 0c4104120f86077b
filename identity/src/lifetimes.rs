//! How long certificates last: from a site's declared offline budget to lifetimes, rotation and runway.
//!
//! Arithmetic only. A budget that cannot be covered is an error here and a diagnostic to whoever asks.
//!
//! The rule: a certificate is renewed when a third of its life is over, so while the link is up two thirds are left at any
//! time. A site authority that lasts one and a half times the budget, and a little more for renewals that are late, so
//! outlives a cut of the whole budget, whenever that begins.

use std::time::Duration;

use skerry_core::id::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How far back a certificate begins to be valid: peers whose clocks are behind take it at once. An hour covers a clock
/// that was set to the time of the next zone. It gives nothing away: the key did not exist then.
pub const BACKDATE: Duration = HOUR;

/// How long the mesh root and the transport authority last: ten years. They end long after the sites' authorities
/// ([`MAX_SITE_CA`]) if they are rotated once they are half over.
pub const ROOT: Duration = Duration::from_secs(3650 * 24 * 3600);

/// The offline budget of a site that declares none: a week, which covers a line that is repaired on Monday.
pub const DEFAULT_BUDGET: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest offline budget: half a year, a ship at sea or a polar winter. A stolen box speaks for its own site for
/// [`MAX_SITE_CA`] where news of its revocation does not reach: longer budgets make that longer.
pub const MAX_BUDGET: Duration = Duration::from_secs(180 * 24 * 3600);

/// The shortest life of a site's authority: renewed every 8 hours, 10,000 sites ask 21 times a minute.
pub const MIN_SITE_CA: Duration = DAY;

/// The longest life of a site's authority, which is what [`MAX_BUDGET`] comes to: 1.5 × (180 d + 18 d + 1 h), 297 days.
pub const MAX_SITE_CA: Duration = site_ca(MAX_BUDGET);

/// The longest life of a workload's certificate. Renewed after 8 hours, so an agent may be away for 16.
pub const MAX_SVID: Duration = DAY;

/// How long the agent's certificate lasts, in lives of its site's authority: a site that comes back late, but within this,
/// needs no enrolment.
const AGENT_LIVES: u32 = 2;

/// The jitter of rotation: up to a fifth earlier, so that sites that were enrolled together do not renew together.
const JITTER: f64 = 0.2;

/// How long the certificates of a site last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// The site's authority.
    pub site_ca: Duration,
    /// Each workload's certificate; never beyond its authority's end.
    pub svid: Duration,
    /// The agent's certificate for the core.
    pub agent: Duration,
}

/// What is left of those who sign: nothing lasts longer than its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Of the mesh root.
    pub mesh_root: Duration,
    /// Of the transport authority.
    pub transport: Duration,
}

impl Ceilings {
    /// What new authorities have: for a check where there are none yet.
    pub const NEW: Self = Self { mesh_root: ROOT, transport: ROOT };
}

/// Why an offline budget cannot be covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// It is longer than any may be.
    #[error("an offline budget of {} is over the limit of {}", words(*.budget), words(MAX_BUDGET))]
    TooLong {
        /// The budget.
        budget: Duration,
    },
    /// The mesh root ends before the site's authority would.
    #[error(
        "an offline budget of {} needs a site authority of {}, and the mesh root ends in {}: rotate the root first",
        words(*.budget), words(*.needed), words(*.left)
    )]
    RootEnds {
        /// The budget.
        budget: Duration,
        /// How long the site's authority would last.
        needed: Duration,
        /// What is left of the root.
        left: Duration,
    },
    /// The transport authority ends before the agent's certificate would.
    #[error(
        "an offline budget of {} needs an agent certificate of {}, and the transport authority ends in {}: rotate it first",
        words(*.budget), words(*.needed), words(*.left)
    )]
    TransportEnds {
        /// The budget.
        budget: Duration,
        /// How long the agent's certificate would last.
        needed: Duration,
        /// What is left of the transport authority.
        left: Duration,
    },
}

/// One and a half times: the budget, a tenth of it for renewals that are late, and an hour for budgets that are short.
const fn site_ca(budget: Duration) -> Duration {
    let late = Duration::from_secs(budget.as_secs() / 10 + HOUR.as_secs());
    let needed = budget.as_secs() + late.as_secs();
    Duration::from_secs(needed + needed / 2)
}

impl Lifetimes {
    /// Works out the lifetimes that cover a budget: the time that the site shall go on for with no link.
    pub fn for_budget(budget: Duration, ceilings: &Ceilings) -> Result<Self, BudgetError> {
        if budget > MAX_BUDGET {
            return Err(BudgetError::TooLong { budget });
        }
        let site_ca = site_ca(budget).max(MIN_SITE_CA);
        let agent = site_ca * AGENT_LIVES;
        if site_ca > ceilings.mesh_root {
            return Err(BudgetError::RootEnds { budget, needed: site_ca, left: ceilings.mesh_root });
        }
        if agent > ceilings.transport {
            return Err(BudgetError::TransportEnds { budget, needed: agent, left: ceilings.transport });
        }
        Ok(Self { site_ca, svid: MAX_SVID.min(site_ca / 3), agent })
    }
}

/// When a certificate was issued and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it is issued; it is backdated from here by [`BACKDATE`].
    pub issued: Timestamp,
    /// The last moment at which it is valid.
    pub until: Timestamp,
}

impl Validity {
    /// Begins now and lasts so long.
    pub fn starting(now: Timestamp, lasts: Duration) -> Self {
        Self { issued: now, until: after(now, lasts) }
    }

    /// Ends no later than that.
    #[must_use]
    pub fn ending_by(self, end: Timestamp) -> Self {
        Self { until: self.until.min(end), ..self }
    }

    /// Says when to renew: after a third of the life, and up to a fifth of that earlier. `jitter` is a random number from
    /// 0 to 1, drawn once for each certificate.
    pub fn rotate_at(&self, jitter: f64) -> Timestamp {
        let third = left(self.until, self.issued) / 3;
        let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        after(self.issued, third.mul_f64(1.0 - JITTER * jitter))
    }
}

/// How long a site can go on renewing identity with no link, against what it shall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runway {
    /// At least the budget.
    Covered(Duration),
    /// Less than the budget: the link is down, or renewal fails.
    Short(Duration),
    /// The site's authority is over: no certificate is valid any more.
    Over,
}

impl Runway {
    /// Reckons the runway. `ends` are the ends of everything that the chain needs: the site's authority and its root.
    pub fn at(now: Timestamp, ends: impl IntoIterator<Item = Timestamp>, budget: Duration) -> Self {
        let end = ends.into_iter().min().unwrap_or_default();
        match left(end, now) {
            Duration::ZERO => Self::Over,
            runway if runway < budget => Self::Short(runway),
            runway => Self::Covered(runway),
        }
    }

    /// Returns what is left.
    pub fn left(self) -> Duration {
        match self {
            Self::Covered(left) | Self::Short(left) => left,
            Self::Over => Duration::ZERO,
        }
    }
}

/// The time from `now` until `end`; zero if it is over.
pub fn left(end: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(end.0.saturating_sub(now.0))
}

fn after(start: Timestamp, lasts: Duration) -> Timestamp {
    Timestamp(start.0.saturating_add(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)))
}

/// A duration as people say it: the two largest units.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units =
        [(seconds / 86_400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let shown = units.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    let text = shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
