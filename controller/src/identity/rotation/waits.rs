//! Why no step of a rotation is taken, in words for whoever has asked for it. Must not decide that.

use std::fmt;
use std::time::Duration;

use skerry_core::id::SiteId;

use super::{Step, TrustKey};

/// The most sites that a message names.
const NAMED: usize = 8;

/// Why no step is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Waits {
    /// Another step is next.
    #[error("step `{named}` of the {key} does not come next, `{next}` does: nothing is changed")]
    OutOfTurn {
        /// Which key it is.
        key: TrustKey,
        /// What was meant.
        named: Step,
        /// What is next.
        next: Step,
    },
    /// It would begin another rotation, and nobody said so.
    #[error(
        "the last rotation of the {key} ended {} ago, and this call would begin another one: nothing is changed; if that is meant, say so with \
         --step begin",
        minutes(*.ago)
    )]
    EndedLately {
        /// Which key it is.
        key: TrustKey,
        /// How long ago.
        ago: Duration,
    },
    /// Sites are about to know.
    #[error(
        "the {key} waits for {} to have what was told last ({}): ask again in a moment, or in five minutes where much was rotated in a row",
        count(sites, "site"),
        Names(sites)
    )]
    Live {
        /// Which key it is.
        key: TrustKey,
        /// The sites.
        sites: Vec<SiteId>,
    },
    /// Sites are dark.
    #[error(
        "the {key} waits for {} to have what was told last ({}): have them back, or go on without them with --leave-behind; then {then}",
        count(sites, "dark site"),
        Names(sites)
    )]
    Dark {
        /// Which key it is.
        key: TrustKey,
        /// The sites.
        sites: Vec<SiteId>,
        /// What happens with them.
        then: &'static str,
    },
    /// Sites have another trust root than the core.
    #[error(
        "the {key} waits for {} whose trust root is not this core's ({}), as when an old copy of identity.redb was put back: bring the \
         newest copy back, or enrol them anew (`skerry site enroll SITE --replace`), or go on without them with --leave-behind",
        count(sites, "site"),
        Names(sites)
    )]
    Astray {
        /// Which key it is.
        key: TrustKey,
        /// The sites.
        sites: Vec<SiteId>,
    },
    /// Join tokens pin the old key.
    #[error(
        "there are unused join tokens for {} ({}), and a box that comes with one knows the core by the old key: wait until they are used or over, or \
         withdraw them with --leave-behind",
        count(sites, "site"),
        Names(sites)
    )]
    Tokens {
        /// The sites that they are for.
        sites: Vec<SiteId>,
    },
    /// The core cannot make a version of the trust root by itself.
    #[error(
        "the trust root has policy keys, and no site believes a version of it that they have not signed: the core cannot rotate the manifest key by itself"
    )]
    PolicySigns,
    /// The core has no key of the mesh root, and makes none.
    #[error("the mesh root is kept offline, and the core cannot exchange it")]
    RootIsAway,
    /// No site could reach the core any more.
    #[error(
        "sites know the core by the link root: dropped at once, every site would have to be enrolled anew. Take the steps one after the other; with \
         sites that are connected each takes a moment"
    )]
    NotAtOnce,
}

fn minutes(ago: Duration) -> String {
    match ago.as_secs() / 60 {
        0 => "less than a minute".to_owned(),
        minutes @ 1..120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

fn count(sites: &[SiteId], what: &str) -> String {
    if sites.len() == 1 { format!("1 {what}") } else { format!("{} {what}s", sites.len()) }
}

struct Names<'a>(&'a [SiteId]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, site) in self.0.iter().take(NAMED).enumerate() {
            write!(f, "{}{site}", if place == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
