//! What happens to simulated agents, and when: one mark for each, and counts of what went wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an agent is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// It is told that it runs what it shall run, or runs something newer.
    Current,
    /// It runs what this revision gave it, and the core has its reports of that.
    Reported(String),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("are current"),
            Self::Reported(revision) => write!(f, "run and have reported {revision}"),
        }
    }
}

/// How long each agent took, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Half of them took no longer.
    pub fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// 99 % of them took no longer.
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// None took longer.
    pub fn last(&self) -> Duration {
        self.percentile(100)
    }

    /// By nearest rank; zero when there are none.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

/// What has happened to all agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often one said hello to a core that answered.
    pub greeted: u64,
    /// How often one was given a time to come back, by reason.
    pub come_back: BTreeMap<String, u64>,
    /// How often a connection failed or ended, by what it was.
    pub lost: BTreeMap<String, u64>,
    /// How often reports were not taken.
    pub reports_lost: u64,
    /// What the core said that no core may say, first words first; at most ten.
    pub faults: Vec<String>,
}

impl Counts {
    /// What has happened since earlier counts.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let less = |(what, count): (&String, &u64)| (what.clone(), count - then.get(what).unwrap_or(&0));
            now.iter().map(less).filter(|(_, count)| *count > 0).collect()
        };
        Self {
            greeted: self.greeted - earlier.greeted,
            come_back: less(&self.come_back, &earlier.come_back),
            lost: less(&self.lost, &earlier.lost),
            reports_lost: self.reports_lost - earlier.reports_lost,
            faults: self.faults.get(earlier.faults.len()..).unwrap_or_default().to_vec(),
        }
    }

    /// How often an agent was told to stay away for good: the call is wrong, not the moment.
    pub fn refused(&self) -> u64 {
        let is_final =
            |what: &str| ["InvalidArgument", "FailedPrecondition", "Unimplemented"].contains(&what);
        self.lost.iter().filter(|(what, _)| is_final(what)).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { greeted, come_back, lost, reports_lost, faults } = self;
        write!(f, "greeted {greeted}, told to come back {come_back:?}, lost {lost:?}, ")?;
        write!(f, "reports not taken {reports_lost}, faults {faults:?}")
    }
}

/// What is known of one agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark {
    /// Its own start.
    pub(super) arrived: Option<Instant>,
    /// When it was last told to be current, or ran something new.
    pub(super) current: Option<Instant>,
    /// The revision that it runs.
    pub(super) revision: Arc<str>,
    /// When the core had all its reports; `None` while some wait or are due.
    pub(super) reported: Option<Instant>,
}

impl Mark {
    fn reached(&self, goal: &Goal) -> Option<Instant> {
        match goal {
            Goal::Current => self.current,
            Goal::Reported(revision) => self.reported.filter(|_| *self.revision == **revision),
        }
    }
}

/// All marks and counts.
#[derive(Debug)]
pub(super) struct Tally {
    marks: Mutex<Vec<Mark>>,
    counts: Mutex<Counts>,
}

impl Tally {
    pub(super) fn new(agents: usize) -> Self {
        Self { marks: Mutex::new(vec![Mark::default(); agents]), counts: Mutex::default() }
    }

    /// Changes the mark of one agent.
    pub(super) fn mark(&self, agent: usize, change: impl FnOnce(&mut Mark)) {
        if let Some(mark) = self.marks.lock().unwrap_or_else(PoisonError::into_inner).get_mut(agent) {
            change(mark);
        }
    }

    /// Changes the counts.
    pub(super) fn count(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        self.count().clone()
    }

    /// How many have not reached a goal since `start`: asked again and again, so it sorts nothing.
    pub(super) fn late(&self, goal: &Goal, start: Instant) -> usize {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.iter().filter(|mark| mark.reached(goal).is_none_or(|at| at < start)).count()
    }

    /// How long those took that reached a goal since `start`.
    pub(super) fn times(&self, goal: &Goal, start: Instant) -> Times {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let took = |mark: &Mark| {
            let reached = mark.reached(goal).filter(|at| *at >= start)?;
            let began = mark.arrived.map_or(start, |arrived| arrived.max(start));
            Some(reached.saturating_duration_since(began))
        };
        let mut times: Vec<Duration> = marks.iter().filter_map(took).collect();
        times.sort_unstable();
        Times(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times = Times((1..=200).map(Duration::from_secs).collect());
        assert_eq!((times.p50(), times.p99(), times.last()), (100 * SECOND, 198 * SECOND, 200 * SECOND));
        assert_eq!(Times(vec![SECOND]).p50(), SECOND);
        assert_eq!(Times(Vec::new()).last(), Duration::ZERO);
    }

    #[test]
    fn time_counts_from_the_storm_or_from_the_own_start() {
        let (tally, start) = (Tally::new(3), Instant::now());
        tally.mark(0, |mark| mark.current = Some(start + 3 * SECOND));
        tally.mark(1, |mark| (mark.arrived, mark.current) = (Some(start + SECOND), Some(start + 2 * SECOND)));
        assert_eq!(tally.times(&Goal::Current, start), Times(vec![SECOND, 3 * SECOND]));
        assert_eq!(tally.late(&Goal::Current, start), 1);
        assert_eq!(tally.late(&Goal::Current, start + 3 * SECOND), 2, "what was before does not count");
    }

    #[test]
    fn who_runs_the_revision_is_there_once_it_has_reported_it() {
        let (tally, start) = (Tally::new(1), Instant::now());
        let goal = Goal::Reported("main@sha1:1".to_owned());
        tally.mark(0, |mark| (mark.revision, mark.reported) = ("main@sha1:0".into(), Some(start)));
        assert_eq!(tally.late(&goal, start), 1);
        tally.mark(0, |mark| (mark.revision, mark.reported) = ("main@sha1:1".into(), None));
        assert_eq!(tally.late(&goal, start), 1);
        tally.mark(0, |mark| mark.reported = Some(start));
        assert_eq!(tally.late(&goal, start), 0);
    }
}
