//! The apply machine: when a candidate becomes current, and when the site goes back.
//!
//! A candidate that `site` has accepted, verified, lowered and kept is published to the proxies.
//! Once each live one has acknowledged it, it is committed; a proxy that refuses it, or dies of it,
//! or says nothing, takes the whole site back. Pure: time is an argument, outputs are data.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use skerry_core::id::{Digest, NamespacedName};

use crate::clock::Now;

mod proxies;

pub(crate) use proxies::{Phase, Proxies, StreamId};

/// How often a proxy may lose its connection during a trial: once may be chance, twice is a crash loop.
const DEPARTURES: u32 = 2;

/// How long to wait before a step is tried again that the disk refused.
const RETRY: Duration = Duration::from_secs(5);

/// Which bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that is being tried.
    Candidate,
    /// The one that runs.
    Current,
}

/// What to do. Each is one step that `site` carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Hand this bundle's resources to all proxies; `handle_published` follows.
    Publish(Which),
    /// Make the candidate current, in the store and in memory; `handle_not_kept` if the store fails.
    Commit,
    /// Drop the candidate; `handle_not_kept` if the store fails.
    Rollback(Cause),
}

/// Why the site goes back. The words are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A proxy refused the candidate, or ended of it: it is not tried again.
    Refused(String),
    /// A proxy said nothing. That may be the proxy's own fault, so the candidate is tried once more, and by then the
    /// proxy decides no more.
    Silent(String),
}

impl Cause {
    /// Returns the words.
    #[cfg(test)]
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Refused(words) | Self::Silent(words) => words,
        }
    }
}

/// How a trial began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The link brought the candidate: proxies that are not connected are not waited for.
    Offered,
    /// The agent was restarted in the middle of it, or just before: all proxies are given until the deadline to
    /// come back, since the one that refused it may not have had the time to say so.
    Resumed,
}

#[derive(Debug)]
enum State {
    /// Nothing is tried.
    Steady,
    /// The candidate is published.
    Trying(Trial),
    /// It was decided, and the store has yet to keep the step.
    Keeping { step: Command, at: Now },
}

#[derive(Debug)]
struct Trial {
    deadline: Now,
    origin: Origin,
    /// Proxies that had refused something before, or said nothing in the trial before: they can neither confirm nor
    /// condemn.
    excused: BTreeSet<NamespacedName>,
    /// The proxies that decide, with their departures; `None` until it is published.
    jury: Option<BTreeMap<NamespacedName, u32>>,
}

/// The apply machine of a site.
#[derive(Debug)]
pub(crate) struct Machine {
    confirm: Duration,
    proxies: Proxies,
    state: State,
    commands: VecDeque<Command>,
}

impl Machine {
    /// Starts with nothing under way; `confirm` is how long the proxies may take.
    pub(crate) fn new(confirm: Duration) -> Self {
        Self { confirm, proxies: Proxies::default(), state: State::Steady, commands: VecDeque::new() }
    }

    /// What is known about the proxies.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Says whether a candidate can be taken now.
    pub(crate) fn is_steady(&self) -> bool {
        matches!(self.state, State::Steady)
    }

    /// Which bundle the proxies are to have now.
    pub(crate) fn published(&self) -> Which {
        match &self.state {
            State::Trying(_) | State::Keeping { step: Command::Commit, .. } => Which::Candidate,
            State::Steady | State::Keeping { .. } => Which::Current,
        }
    }

    /// Returns the next step.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Returns when `handle_timeout` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        match &self.state {
            State::Steady => None,
            State::Trying(trial) => Some(trial.deadline),
            State::Keeping { at, .. } => Some(*at),
        }
    }

    /// A candidate is complete, verified, lowered and kept. Only while steady.
    pub(crate) fn handle_candidate(&mut self, now: Now, origin: Origin) {
        if !self.is_steady() {
            return;
        }
        let excused = self.proxies.phases().map(|(name, ..)| name);
        let is_excused =
            |name: &&NamespacedName| self.proxies.has_refused(name) || self.proxies.is_doubted(name);
        let excused = excused.filter(is_excused).cloned().collect();
        self.state = State::Trying(Trial { deadline: now + self.confirm, origin, excused, jury: None });
        self.commands.push_back(Command::Publish(Which::Candidate));
    }

    /// Every proxy's resources, by hash, as they are published now. Proxies that are not named are gone.
    pub(crate) fn handle_published(&mut self, hashes: &BTreeMap<NamespacedName, Digest>) {
        self.proxies.set_wanted(hashes);
        if let State::Trying(trial) = &mut self.state {
            let proxies = &self.proxies;
            let decides = |name: &&NamespacedName| {
                !trial.excused.contains(*name)
                    && (trial.origin == Origin::Resumed || proxies.is_connected(name))
            };
            let fresh = || hashes.keys().filter(decides).map(|name| (name.clone(), 0)).collect();
            trial.jury.get_or_insert_with(fresh).retain(|name, _| hashes.contains_key(name));
        }
        self.decide();
    }

    /// A proxy opened a stream.
    pub(crate) fn handle_connected(&mut self, name: &NamespacedName, stream: StreamId) {
        self.proxies.connect(name, stream);
    }

    /// A proxy has acknowledged everything of the resources with this hash.
    pub(crate) fn handle_acked(&mut self, name: &NamespacedName, stream: StreamId, hash: Digest) {
        self.proxies.ack(name, stream, hash);
        self.decide();
    }

    /// A proxy has refused something of the resources with this hash.
    pub(crate) fn handle_refused(
        &mut self,
        name: &NamespacedName,
        stream: StreamId,
        hash: Digest,
        detail: &str,
    ) {
        self.proxies.refuse(name, stream, hash, detail);
        let State::Trying(trial) = &self.state else { return };
        if self.proxies.wanted(name) == Some(hash) && !trial.excused.contains(name) {
            self.go_back(Cause::Refused(format!("proxy {name} refused it: {detail}")));
        }
    }

    /// A stream closed.
    pub(crate) fn handle_gone(&mut self, name: &NamespacedName, stream: StreamId) {
        self.proxies.disconnect(name, stream);
        let State::Trying(Trial { jury: Some(jury), .. }) = &mut self.state else { return };
        let Some(departures) = jury.get_mut(name).filter(|_| !self.proxies.is_connected(name)) else {
            return;
        };
        *departures += 1;
        if *departures >= DEPARTURES {
            let words = format!("proxy {name} ended again and again after it was published");
            self.go_back(Cause::Refused(words));
        }
    }

    /// The store could not keep the step that was asked for last: it is asked for again.
    pub(crate) fn handle_not_kept(&mut self, now: Now, step: Command) {
        self.state = State::Keeping { step, at: now + RETRY };
    }

    /// The store has kept the step, or no more is to be kept.
    pub(crate) fn handle_kept(&mut self) {
        self.state = State::Steady;
    }

    /// The time of `poll_timeout` has come.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match &mut self.state {
            State::Steady => {}
            State::Trying(_) => self.judge(),
            State::Keeping { step, at } => {
                *at = now + RETRY;
                self.commands.push_back(step.clone());
            }
        }
    }

    /// Commits as soon as every proxy that decides has acknowledged.
    fn decide(&mut self) {
        let State::Trying(Trial { jury: Some(jury), .. }) = &self.state else { return };
        if jury.keys().all(|name| self.proxies.is_ready(name)) {
            self.keep(Command::Commit);
        }
    }

    /// The deadline has come.
    fn judge(&mut self) {
        let State::Trying(Trial { jury: Some(jury), origin, .. }) = &self.state else { return };
        let seconds = self.confirm.as_secs_f64();
        let not_ready = || jury.iter().filter(|(name, _)| !self.proxies.is_ready(name));
        let gone = not_ready().find(|(name, departures)| {
            let is_forgiven = *origin == Origin::Resumed && **departures == 0;
            !self.proxies.is_connected(name) && !is_forgiven
        });
        let gone = gone.map(|(name, _)| {
            format!("proxy {name} ended after it was published and did not come back within {seconds} s")
        });
        let silent = not_ready().map(|(name, _)| name).filter(|name| self.proxies.is_connected(name));
        let silent: Vec<NamespacedName> = silent.cloned().collect();
        self.proxies.doubt(&silent);
        match (gone, silent.first()) {
            (Some(words), _) => self.go_back(Cause::Refused(words)),
            (None, Some(name)) => {
                let words = format!("proxy {name} did not acknowledge it within {seconds} s");
                self.go_back(Cause::Silent(words));
            }
            (None, None) => self.keep(Command::Commit),
        }
    }

    fn go_back(&mut self, cause: Cause) {
        if let State::Trying(trial) = &self.state {
            self.proxies.forget_refusals(&trial.excused);
        }
        self.keep(Command::Rollback(cause));
        self.commands.push_back(Command::Publish(Which::Current));
    }

    /// Asks for a step; the machine is steady again once it is kept.
    fn keep(&mut self, step: Command) {
        self.state = State::Keeping { step: step.clone(), at: Now::MAX };
        self.commands.push_back(step);
    }
}

#[cfg(test)]
mod tests;
