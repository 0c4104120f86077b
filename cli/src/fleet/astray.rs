//! Sites that cannot get on with the core by themselves, and what somebody has to do about them. Must not print.

use serde::Serialize;
use skerry_proto::v1::astray::Kind;
use skerry_proto::v1::{Astray, AstraySite};

use super::problem::Problem;
use crate::output::age::Moment;

/// A site, and what keeps it from getting on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AstrayView {
    /// The site.
    pub site: String,
    /// `OtherTrustRoot` or `LeftBehind`.
    pub kind: &'static str,
    /// When the core saw it last.
    pub seen: Option<Moment>,
    /// What it is, and what to do, in words.
    pub detail: String,
}

impl AstrayView {
    /// Takes the core's word.
    pub(super) fn of(row: AstraySite, now: u64) -> Self {
        let astray = row.astray.unwrap_or_default();
        let (kind, detail) = words(&row.site, &astray);
        Self { kind, seen: Moment::at(astray.at_ms, now), detail, site: row.site }
    }
}

/// Names it as a problem of a site.
pub(super) fn problem(site: &str, astray: &Astray, now: u64) -> Problem {
    let (kind, detail) = words(site, astray);
    Problem {
        kind,
        observed: Moment::at(astray.at_ms, now),
        received: Moment::at(astray.at_ms, now),
        generation: None,
        revision: String::new(),
        detail,
    }
}

fn words(site: &str, astray: &Astray) -> (&'static str, String) {
    let (has, core) = (astray.site_version, astray.core_version);
    let anew = format!("enrol it anew: `skerry site enroll {site} --replace`");
    let back = "takes nothing new (help: bring the newest `identity.redb` back, or";
    match astray.kind() {
        Kind::OtherRoot => (
            "OtherTrustRoot",
            format!("its trust root {has} is not the one of this core, so it {back} {anew})"),
        ),
        Kind::NewerRoot => (
            "OtherTrustRoot",
            format!("it has trust root {has}, and this core's newest is {core}, so it {back} {anew})"),
        ),
        Kind::LeftBehind => (
            "LeftBehind",
            format!(
                "the link root was switched without it (help: if it does not come back by itself, {anew})"
            ),
        ),
        Kind::Unknown => {
            ("Unknown", "the core says something of it that this version of skerry does not know".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_says_what_to_do_about_it() {
        let view = |kind: Kind| {
            let astray = Astray { kind: kind.into(), at_ms: 0, site_version: 3, core_version: 2 };
            AstrayView::of(AstraySite { site: "oslo".to_owned(), astray: Some(astray) }, 0)
        };
        for (kind, name, what) in [
            (Kind::OtherRoot, "OtherTrustRoot", "its trust root 3 is not the one of this core"),
            (Kind::NewerRoot, "OtherTrustRoot", "it has trust root 3, and this core's newest is 2"),
            (Kind::LeftBehind, "LeftBehind", "the link root was switched without it"),
        ] {
            let view = view(kind);
            assert_eq!((view.kind, view.detail.starts_with(what)), (name, true), "{view:?}");
            assert!(view.detail.ends_with("enrol it anew: `skerry site enroll oslo --replace`)"), "{view:?}");
        }
    }
}
