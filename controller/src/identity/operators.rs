//! Who may ask as an operator: by name and key, until it ends or somebody takes it back. Pure; time is an argument.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skerry_core::id::Timestamp;
use skerry_identity::thumbprint::Thumbprint;

use super::rotation::Stage;

/// The most keys of operators: 1,000 of 250 B are 250 kB, which is read at a start and written with each change.
pub const MAX_OPERATORS: usize = 1_000;

/// The most keys of one name: a person with a machine or two, each a few times anew before the old ones end. Of those that the core makes
/// itself the oldest goes first; nobody else's goes unasked.
const MAX_OF_A_NAME: usize = 16;

/// Who makes what the core makes itself. Nobody else is called so.
pub const CORE: &str = "core";

/// The longest that a certificate of an operator may last: a pipeline that is looked after once a year.
pub const MAX_LIFE: Duration = Duration::from_secs(366 * 24 * 3_600);

/// How long one is kept after its end, so that a clock that was ahead for a while ends none for good: milliseconds.
const KEPT_AFTER_ITS_END: u64 = 30 * 24 * 3_600_000;

/// What an operator may. The order counts: each may what the one before it may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum May {
    /// See everything, and change nothing: for who watches, and for pages that show the fleet.
    Look,
    /// All that people may.
    #[default]
    Change,
}

/// A key with which an operator may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Their name.
    pub name: String,
    /// The key.
    pub key: Thumbprint,
    /// When it was signed.
    pub since: Timestamp,
    /// When its certificate ends.
    pub until: Timestamp,
    /// Who had it made: an operator, or `core`.
    pub by: String,
    /// The key of the transport authority that signed it: a rotation ends what it signed.
    pub root: Thumbprint,
    /// What it is good for.
    #[serde(default)]
    pub may: May,
}

/// How long the authority that signed for an operator is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// Until it is rotated.
    Lasting,
    /// Until the rotation ends that is under way.
    Ending,
    /// No more.
    Gone,
}

impl Backing {
    /// Judges it by the authorities that are believed, by the one that signs, and by where its rotation is.
    pub fn of(root: Thumbprint, believed: &[Thumbprint], signs: Thumbprint, stage: Stage) -> Self {
        match stage {
            _ if !believed.contains(&root) => Self::Gone,
            Stage::Begun if root == signs => Self::Ending,
            Stage::Switched if root != signs => Self::Ending,
            Stage::Steady | Stage::Begun | Stage::Switched => Self::Lasting,
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operators {
    /// By name, then by age.
    keys: Vec<Operator>,
}

/// Somebody shows the certificate of an operator, and is none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the credentials of operator `{name}` (key {}) were revoked, have ended, or are not of this core: have others made with `skerry operator create`",
    .key.short()
)]
pub struct NoOperator {
    name: String,
    key: Thumbprint,
}

/// There is no room for another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// Of all.
    #[error("there are {MAX_OPERATORS} keys of operators: revoke those that nobody uses")]
    Operators,
    /// Of one name.
    #[error("operator `{0}` has {MAX_OF_A_NAME} keys: revoke them all, or wait until some have ended")]
    OfName(String),
}

impl Operators {
    /// Goes on with what was kept.
    pub fn restore(mut keys: Vec<Operator>) -> Self {
        keys.sort_by(|a, b| (&a.name, a.since).cmp(&(&b.name, b.since)));
        Self { keys }
    }

    /// Says what may be done with a key, if it is that of an operator whose certificate has not ended and is by an authority that is believed: a
    /// connection may be older than either.
    pub fn judge(
        &self,
        (name, key): (&str, Thumbprint),
        believed: &[Thumbprint],
        now: Timestamp,
    ) -> Result<May, NoOperator> {
        let found = self.keys.iter().find(|operator| {
            let is_them = operator.key == key && operator.name == name;
            is_them && operator.until >= now && believed.contains(&operator.root)
        });
        found.map(|operator| operator.may).ok_or_else(|| NoOperator { name: name.to_owned(), key })
    }

    /// Returns all, by name and age.
    pub fn all(&self) -> &[Operator] {
        &self.keys
    }

    /// Returns them with one more. Those that ended long ago are forgotten, and the oldest of the core's own if those are too many.
    pub fn with(&self, operator: Operator, now: Timestamp) -> Result<Self, TooMany> {
        let counts = |other: &&Operator| other.until.0.saturating_add(KEPT_AFTER_ITS_END) > now.0;
        let mut keys: Vec<Operator> = self.keys.iter().filter(counts).cloned().collect();
        let is_core_s = operator.by == CORE;
        let is_same = |other: &Operator| other.name == operator.name && (other.by == CORE) == is_core_s;
        if keys.iter().filter(|other| is_same(other)).count() >= MAX_OF_A_NAME {
            // They are sorted by age.
            match keys.iter().position(is_same).filter(|_| is_core_s) {
                Some(oldest) => drop(keys.remove(oldest)),
                None => return Err(TooMany::OfName(operator.name)),
            }
        }
        if keys.len() >= MAX_OPERATORS && !is_core_s {
            return Err(TooMany::Operators);
        }
        keys.push(operator);
        Ok(Self::restore(keys))
    }

    /// Returns them without those of a name, and how many that were.
    pub fn without(&self, name: &str) -> (Self, usize) {
        let keys: Vec<Operator> = self.keys.iter().filter(|other| other.name != name).cloned().collect();
        let gone = self.keys.len() - keys.len();
        (Self { keys }, gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn key(number: usize) -> Thumbprint {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Thumbprint::from_slice(&bytes).unwrap()
    }

    fn operator(name: &str, number: usize) -> Operator {
        let since = Timestamp(NOW.0 + u64::try_from(number).unwrap());
        let until = Timestamp(NOW.0 + 1_000);
        let (name, by, root) = (name.to_owned(), "core".to_owned(), key(0));
        Operator { name, key: key(number), since, until, by, root, may: May::Change }
    }

    fn of(operators: &[Operator]) -> Operators {
        let mut all = Operators::default();
        for operator in operators {
            all = all.with(operator.clone(), NOW).unwrap();
        }
        all
    }

    fn knows(all: &Operators, name: &str, number: usize) -> bool {
        all.judge((name, key(number)), &[key(0)], NOW).is_ok()
    }

    #[test]
    fn one_is_known_until_its_certificate_or_its_authority_ends() {
        let all = of(&[operator("ada", 1)]);
        let judge = |believed: &[Thumbprint], now| all.judge(("ada", key(1)), believed, now).is_ok();
        assert!(judge(&[key(9), key(0)], Timestamp(NOW.0 + 1_000)));
        assert!(!judge(&[key(0)], Timestamp(NOW.0 + 1_001)), "it has ended");
        assert!(!judge(&[key(9)], NOW), "what signed it was rotated out");
    }

    /// The table of a rotation from key 1 to key 2: what each has signed, at each stage.
    #[test]
    fn what_the_old_root_has_signed_ends_with_the_rotation() {
        let [old, new, other] = [1, 2, 3].map(key);
        for (stage, believed, signs, expected) in [
            (Stage::Steady, &[old][..], old, [Backing::Lasting, Backing::Gone]),
            (Stage::Begun, &[old, new], old, [Backing::Ending, Backing::Lasting]),
            (Stage::Switched, &[new, old], new, [Backing::Ending, Backing::Lasting]),
            (Stage::Steady, &[new], new, [Backing::Gone, Backing::Lasting]),
        ] {
            let found = [old, new].map(|root| Backing::of(root, believed, signs, stage));
            assert_eq!(found, expected, "{stage:?} {signs:?}");
            assert_eq!(Backing::of(other, believed, signs, stage), Backing::Gone);
        }
    }

    /// By key: somebody may have one to look with every day, and one for changes. Those that were kept before there were two kinds
    /// are good for all.
    #[test]
    fn what_may_be_done_goes_with_the_key() {
        let all = of(&[operator("ada", 1), Operator { may: May::Look, ..operator("ada", 2) }]);
        let may = |number| all.judge(("ada", key(number)), &[key(0)], NOW).unwrap();
        assert_eq!([may(1), may(2)], [May::Change, May::Look]);
        let mut kept = serde_json::to_value(operator("ada", 1)).unwrap();
        kept.as_object_mut().unwrap().remove("may").unwrap();
        assert_eq!(serde_json::from_value::<Operator>(kept).unwrap(), operator("ada", 1));
    }

    #[test]
    fn one_is_known_by_name_and_key_until_the_name_is_revoked() {
        let all = of(&[operator("ada", 1), operator("bob", 2), operator("ada", 3)]);
        for (name, number, is_known) in
            [("ada", 1, true), ("ada", 3, true), ("bob", 2, true), ("bob", 1, false), ("eve", 1, false)]
        {
            assert_eq!(knows(&all, name, number), is_known, "{name} {number}");
        }
        let (left, gone) = all.without("ada");
        assert_eq!(gone, 2);
        for (name, number, is_known) in [("ada", 1, false), ("ada", 3, false), ("bob", 2, true)] {
            assert_eq!(knows(&left, name, number), is_known, "{name} {number}");
        }
        assert_eq!(left.without("ada").1, 0);
        assert_eq!(Operators::restore(all.all().iter().rev().cloned().collect()), all, "kept in any order");
    }

    #[test]
    fn there_are_so_many_of_a_name_and_so_many_in_all() {
        let by_bob = |name: &str, number| Operator { by: "bob".to_owned(), ..operator(name, number) };
        let core_s: Vec<Operator> = (0..=MAX_OF_A_NAME).map(|number| operator("admin", number)).collect();
        let all = of(&core_s);
        assert_eq!(all.all().len(), MAX_OF_A_NAME);
        assert!(!knows(&all, "admin", 0), "the oldest is gone");
        assert!(knows(&all, "admin", MAX_OF_A_NAME));
        let others: Vec<Operator> = (20..20 + MAX_OF_A_NAME).map(|number| by_bob("admin", number)).collect();
        let all = others.iter().fold(all, |all, other| all.with(other.clone(), NOW).unwrap());
        assert!(knows(&all, "admin", 1), "the core's own are not among them");
        let refused = all.with(by_bob("admin", 99), NOW).unwrap_err();
        assert_eq!(refused, TooMany::OfName("admin".to_owned()), "and none of somebody's goes unasked");

        let many: Vec<Operator> =
            (0..MAX_OPERATORS).map(|number| by_bob(&format!("o{number}"), number)).collect();
        let full = of(&many);
        assert_eq!(full.with(by_bob("one-more", 9_999), NOW), Err(TooMany::Operators));
        assert!(full.with(operator("admin", 9_999), NOW).is_ok(), "the core's own folder is never locked");
        let later = Timestamp(NOW.0 + 1_000 + KEPT_AFTER_ITS_END);
        assert_eq!(full.with(by_bob("one-more", 9_999), later).unwrap().all().len(), 1);
    }
}
