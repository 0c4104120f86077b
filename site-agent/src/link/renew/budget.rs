//! Another offline budget: when to renew because the bundle says another one than the certificates were made for.
//!
//! A commit may give every site of a fleet another one at once, so that is spread; what is too much for the core all the same it sends
//! away with a time to come back. Pure: time and chance are arguments.

use std::time::Duration;

use crate::clock::Elapsed;

/// Over how long the renewals of a fleet are spread.
const SPREAD: Duration = Duration::from_secs(10);

/// When to renew because of the budget.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget {
    wanted: Option<Duration>,
    due: Option<Elapsed>,
    /// What was asked for last: a core that gives another one than the bundle says, since it has a later one, is not asked again.
    asked: Option<Duration>,
}

impl Budget {
    /// Takes what the bundle says, to a site that has one.
    pub(super) fn handle_wanted(
        &mut self,
        wanted: Option<Duration>,
        has: Duration,
        now: Elapsed,
        share: f64,
    ) {
        self.wanted = wanted;
        if wanted.is_none_or(|wanted| wanted == has) {
            *self = Self { wanted, ..Self::default() };
        } else if wanted == self.asked {
            self.due = None;
        } else if self.due.is_none() {
            self.due = Some(now + SPREAD.mul_f64(share.clamp(0.0, 1.0)));
        }
    }

    /// The site has renewed, for whatever reason.
    pub(super) fn handle_renewed(&mut self) {
        self.due = None;
        self.asked = self.wanted;
    }

    /// Returns how long it is until a renewal is due.
    pub(super) fn until_due(&self, now: Elapsed) -> Option<Duration> {
        self.due.map(|due| due.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn another_budget_is_asked_for_once_and_spread() {
        let (mut budget, now) = (Budget::default(), Elapsed::default());
        for wanted in [None, Some(DAY)] {
            budget.handle_wanted(wanted, DAY, now, 0.5);
            assert_eq!(budget.until_due(now), None, "{wanted:?}");
        }
        budget.handle_wanted(Some(2 * DAY), DAY, now, 0.5);
        budget.handle_wanted(Some(2 * DAY), DAY, now, 1.0);
        assert_eq!(budget.until_due(now), Some(SPREAD / 2), "what is due stays due");
        budget.handle_renewed();
        budget.handle_wanted(Some(2 * DAY), 3 * DAY, now, 0.0);
        assert_eq!(budget.until_due(now), None, "the core has a later one, and says so with the next bundle");
        budget.handle_wanted(Some(3 * DAY), 3 * DAY, now, 0.0);
        budget.handle_wanted(Some(2 * DAY), 3 * DAY, now, 0.0);
        assert_eq!(budget.until_due(now), Some(Duration::ZERO), "back again");
    }
}
