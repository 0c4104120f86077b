//! Rotation of the core's keys: which step comes next, and whom it waits for. Pure; time is an argument.
//!
//! **Begin**: a new key is made beside the old one. Everybody is told to believe both, and the old one still signs. **Switch**: every
//! site knows the new one, and it signs from now on. **End**: every site has what the new one signs, and the old one is
//! believed no more. A step is taken when an operator says so, and never by itself. Must not know what the keys are.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};

pub use waits::Waits;

mod waits;

/// How long a site has to have known a new mesh root before anybody shows what it signed: its proxies may take 10 s to learn of it
/// (`skerry_agent::identity`), and a handshake that began before may still go by the roots of then.
const SETTLE: Duration = Duration::from_secs(15);

/// For how long after the end of a rotation the next call is taken for one too many: whoever takes three steps and types a fourth call,
/// or a script that tries again what it had no answer to, notices within a day. Another rotation sooner has to be asked for by name.
const LATELY: Duration = Duration::from_secs(24 * 3_600);

/// A key of the core's that can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TrustKey {
    /// It signs the authorities of sites.
    MeshRoot,
    /// It signs what core, agents and operators show each other: the transport authority.
    LinkRoot,
    /// It signs manifests.
    ManifestKey,
}

/// Where a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is one key, and no rotation.
    Steady,
    /// The new key is believed beside the old one, which signs.
    Begun,
    /// The new key signs, and the old one is believed still.
    Switched,
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From [`Stage::Steady`].
    Begin,
    /// From [`Stage::Begun`].
    Switch,
    /// From [`Stage::Switched`].
    End,
    /// A new key signs, and the old one is believed no more, at once.
    Replace,
}

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The next step, once nobody is harmed by it.
    Next,
    /// The next step, without the sites that are dark.
    LeaveBehind,
    /// The old key is in wrong hands: it is to be believed no more, whatever else that does.
    Now,
}

/// An order, and the step that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The order.
    pub order: Order,
    /// `None`: whichever is next.
    pub named: Option<Step>,
}

impl From<Order> for Ask {
    fn from(order: Order) -> Self {
        Self { order, named: None }
    }
}

/// What is known of a site that is enrolled and not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFacts {
    /// The site.
    pub site: SiteId,
    /// It is connected, or was heard from as lately as it should be.
    pub is_live: bool,
    /// It has another trust root than the core, and so nothing that a step tells is of use to it, whatever it says that it has.
    pub has_other_root: bool,
    /// Since when it is known to have what was told at the step before; `None`: it is not known to have it.
    pub knows_since: Option<Timestamp>,
}

/// What is known of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which key it is.
    pub key: TrustKey,
    /// Where it is.
    pub stage: Stage,
    /// When the last rotation of it ended.
    pub ended: Option<Timestamp>,
    /// Every site.
    pub sites: Vec<SiteFacts>,
    /// The sites with join tokens that nobody has used and that have not ended.
    pub tokens: Vec<SiteId>,
    /// Policy keys have to sign each version of the trust root.
    pub policy_signs: bool,
    /// The mesh root is kept offline.
    pub root_is_away: bool,
}

/// The sites that a step would leave behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behind {
    /// Those that will know in a moment.
    pub live: Vec<SiteId>,
    /// Those that nobody has heard from for long.
    pub dark: Vec<SiteId>,
    /// Those that have another trust root than the core: they never will.
    pub astray: Vec<SiteId>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A step is to be taken.
    Take {
        /// The step.
        step: Step,
        /// The sites that do not know yet, which it leaves behind.
        left: Vec<SiteId>,
    },
    /// Nothing: the step that is meant was taken already.
    Taken(Step),
}

impl fmt::Display for TrustKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MeshRoot => "mesh root",
            Self::LinkRoot => "link root",
            Self::ManifestKey => "manifest key",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "begin",
            Self::Switch => "switch",
            Self::End => "end",
            Self::Replace => "replace",
        })
    }
}

impl TrustKey {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MeshRoot, Self::LinkRoot, Self::ManifestKey];

    /// How long a site has to have known before it counts.
    fn settle(self) -> Duration {
        match self {
            Self::MeshRoot => SETTLE,
            Self::LinkRoot | Self::ManifestKey => Duration::ZERO,
        }
    }

    /// Says whether sites are told something by a step. Who signs manifests shows by the manifests.
    pub fn tells(self, step: Step) -> bool {
        self != Self::ManifestKey || step != Step::Switch
    }

    /// What happens with sites that a step leaves behind.
    fn then(self, step: Step) -> &'static str {
        match (self, step) {
            (Self::ManifestKey, _) => {
                "they go on with what they run, and when they are back they learn of the new key before they take anything that it signed"
            }
            (Self::MeshRoot, _) => {
                "their workloads go on among themselves, are not believed at other sites, and when they are back they are given what they lack"
            }
            (Self::LinkRoot, Step::End) => {
                "they renew by their keys when they are back, if they know the new root"
            }
            (Self::LinkRoot, _) => {
                "those that have not heard of the new root do not know the core any more, and have to be enrolled anew (`skerry site enroll SITE --replace`)"
            }
        }
    }
}

impl Facts {
    /// Returns the sites whose unused join tokens the next step waits for: they pin the link root that signs until its switch.
    pub fn tokens_waited_for(&self) -> &[SiteId] {
        match (self.key, self.stage) {
            (TrustKey::LinkRoot, Stage::Begun) => &self.tokens,
            _ => &[],
        }
    }

    /// Returns how long ago the last rotation ended, if that is not long ago.
    fn ended_ago(&self, now: Timestamp) -> Option<Duration> {
        let ago = Duration::from_millis(now.0.saturating_sub(self.ended?.0));
        (ago < LATELY).then_some(ago)
    }

    /// Says whether a step was taken in the rotation that is under way, or in the one that has just ended.
    fn has_taken(&self, step: Step, now: Timestamp) -> bool {
        match (self.stage, step) {
            (Stage::Begun, Step::Begin) | (Stage::Switched, Step::Begin | Step::Switch) => true,
            (Stage::Steady, Step::Switch | Step::End) => self.ended_ago(now).is_some(),
            _ => false,
        }
    }

    /// Lists those who do not have what they should have.
    pub fn behind(&self, now: Timestamp) -> Behind {
        let settle = u64::try_from(self.key.settle().as_millis()).unwrap_or(u64::MAX);
        let is_behind =
            |site: &&SiteFacts| site.knows_since.is_none_or(|since| since.0.saturating_add(settle) > now.0);
        // One that knows and has yet to settle is waited for, whether it is there or not.
        let is_near = |site: &SiteFacts| site.is_live || site.knows_since.is_some();
        let mut behind = Behind::default();
        for site in self.sites.iter().filter(|site| site.has_other_root || is_behind(site)) {
            let list = match (site.has_other_root, is_near(site)) {
                (true, _) => &mut behind.astray,
                (false, true) => &mut behind.live,
                (false, false) => &mut behind.dark,
            };
            list.push(site.site.clone());
        }
        behind
    }
}

/// Says which step is to be taken now, if one is.
pub fn decide(facts: &Facts, ask: impl Into<Ask>, now: Timestamp) -> Result<Decision, Waits> {
    let Ask { order, named } = ask.into();
    let (key, step) = (facts.key, next(facts.stage, order));
    match (named, facts.ended_ago(now)) {
        (None, Some(ago)) if step == Step::Begin => return Err(Waits::EndedLately { key, ago }),
        (Some(named), _) if named != step && facts.has_taken(named, now) => {
            return Ok(Decision::Taken(named));
        }
        (Some(named), _) if named != step => return Err(Waits::OutOfTurn { key, named, next: step }),
        _ => {}
    }
    judge(facts, order, step, now).map(|left| Decision::Take { step, left })
}

/// Says whether it is time for a step, and whom it leaves behind.
fn judge(facts: &Facts, order: Order, step: Step, now: Timestamp) -> Result<Vec<SiteId>, Waits> {
    let key = facts.key;
    if key == TrustKey::MeshRoot && facts.root_is_away {
        return Err(Waits::RootIsAway);
    }
    if order == Order::Now && key == TrustKey::LinkRoot {
        return Err(Waits::NotAtOnce);
    }
    if key == TrustKey::ManifestKey && step != Step::Switch && facts.policy_signs {
        return Err(Waits::PolicySigns);
    }
    if order == Order::Now {
        // Those that are there hear of it at once.
        let is_left = |site: &&SiteFacts| !site.is_live || site.has_other_root;
        let left = facts.sites.iter().filter(is_left).map(|site| site.site.clone());
        return Ok(left.collect());
    }
    let Behind { live, mut dark, astray } = facts.behind(now);
    if order == Order::Next && !astray.is_empty() {
        // A core that runs on an old copy makes it worse with each key that it makes.
        return Err(Waits::Astray { key, sites: astray });
    }
    if step == Step::Begin {
        return Ok(Vec::new());
    }
    if !live.is_empty() {
        return Err(Waits::Live { key, sites: live });
    }
    if order == Order::Next && !dark.is_empty() {
        return Err(Waits::Dark { key, sites: dark, then: key.then(step) });
    }
    let tokens = facts.tokens_waited_for();
    if order == Order::Next && !tokens.is_empty() {
        return Err(Waits::Tokens { sites: tokens.to_vec() });
    }
    dark.extend(astray);
    Ok(dark)
}

fn next(stage: Stage, order: Order) -> Step {
    match (stage, order) {
        (Stage::Switched, _) => Step::End,
        (_, Order::Now) => Step::Replace,
        (Stage::Steady, _) => Step::Begin,
        (Stage::Begun, _) => Step::Switch,
    }
}

#[cfg(test)]
mod tests;
