//! The core's keys as a table, and the steps of a rotation in words.

use skerry_proto::v1::rotate_key_response::Step;

use super::paint::Paint;
use super::table::{Cell, Tone, table};
use crate::fleet::astray::AstrayView;
use crate::fleet::trust::{KeyView, TakenView, TrustView};
use crate::output::age::{Moment, age_or_never};

/// How many sites a cell names.
const NAMED: usize = 3;

/// Renders the keys.
pub fn keys(view: &TrustView, paint: Paint) -> String {
    let heading = ["KEY", "STAGE", "SIGNS", "UNTIL", "BESIDE", "SINCE", "SITES", "WAITS FOR"];
    let text = table(paint, &heading, view.keys.iter().map(row));
    let versions = format!("version {} of trust, trust root {}\n", view.version, view.trust_root_version);
    format!("{text}\n{versions}{}", astray(view, paint))
}

/// Sites for which somebody has to do something, or they never get on.
fn astray(view: &TrustView, paint: Paint) -> String {
    if view.astray.is_empty() {
        return String::new();
    }
    let row = |site: &AstrayView| -> Vec<Cell> {
        vec![
            site.site.as_str().into(),
            age_or_never(site.seen.as_ref()).into(),
            Cell::toned(site.kind, Tone::Error),
            site.detail.as_str().into(),
        ]
    };
    let text = table(paint, &["SITE", "AGE", "PROBLEM", "DETAIL"], view.astray.iter().map(row));
    let shown = u32::try_from(view.astray.len()).unwrap_or(u32::MAX);
    match view.astray_sites.saturating_sub(shown) {
        0 => format!("\n{text}"),
        more => format!("\n{text}  … and {more} more: skerry status\n"),
    }
}

fn row(key: &KeyView) -> Vec<Cell> {
    let is_steady = key.stage == "Steady";
    let until = key.signs.until.as_deref().and_then(|until| until.split('T').next()).unwrap_or("-");
    let beside = key.beside.as_ref().map_or("-", |beside| beside.id.as_str());
    let sites = if is_steady { key.sites.to_string() } else { format!("{}/{}", key.ready, key.sites) };
    vec![
        key.key.into(),
        Cell::toned(key.stage, if is_steady { Tone::Good } else { Tone::Warning }),
        key.signs.id.as_str().into(),
        until.into(),
        beside.into(),
        key.since.as_ref().map_or_else(|| "-".to_owned(), Moment::age).into(),
        sites.into(),
        waits_for(key).into(),
    ]
}

fn waits_for(key: &KeyView) -> String {
    let dark = key.dark.iter().map(|site| format!("{site} (dark)"));
    let astray = key.astray.iter().map(|site| format!("{site} (other trust root)"));
    let tokens = key.tokens.iter().map(|site| format!("{site} (join token)"));
    let named: Vec<String> = key.waits_for.iter().cloned().chain(dark).chain(astray).chain(tokens).collect();
    let all = key.sites.saturating_sub(key.ready).saturating_add(key.tokens_sites);
    let shown = named.len().min(NAMED);
    let more = usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(shown);
    match (named[..shown].join(", "), more) {
        (names, 0) if names.is_empty() => "-".to_owned(),
        (names, 0) => names,
        (names, more) => format!("{names} and {more} more"),
    }
}

/// Says what was done, and what comes next.
pub fn taken(taken: &TakenView) -> String {
    let (key, signs) = (taken.key.key, &taken.key.signs.id);
    if taken.was_taken {
        let stage = taken.key.stage;
        return format!(
            "{key}: the step was taken already, and nothing is changed; the rotation is {stage}\n"
        );
    }
    let beside = taken.key.beside.as_ref().map_or("", |beside| beside.id.as_str());
    let done = match taken.step {
        Step::Begin => format!("{key}: {beside} is believed beside {signs} from now on, which still signs"),
        Step::Switch => format!("{key}: {signs} signs from now on; {beside} is believed still"),
        Step::End => format!("{key}: {signs} alone is believed from now on; the rotation is over"),
        Step::Replace => format!("{key}: {signs} signs and alone is believed from now on"),
        Step::Unknown => format!("{key}: the core took a step that this version of skerry does not know"),
    };
    let next = match taken.step {
        Step::Begin => "; when all sites have it, go on with --step switch",
        Step::Switch => "; when all sites have it, go on with --step end",
        Step::End | Step::Replace | Step::Unknown => "",
    };
    let left = sites("left behind", &taken.left, taken.left_sites);
    let withdrawn = sites("join tokens withdrawn, make others", &taken.withdrawn, taken.withdrawn_sites);
    format!("{done}{next}\n{left}{withdrawn}")
}

/// A line of sites, if there are any.
fn sites(what: &str, names: &[String], count: u32) -> String {
    match count {
        0 => String::new(),
        1 => format!("{what}: {}\n", names.join(", ")),
        count => format!("{what}, {count} sites: {}\n", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::v1::{
        GetTrustResponse, KeyStatus, RotateKeyResponse, ShownKey, TrustKey, key_status::Stage,
    };

    fn key(name: TrustKey, stage: Stage) -> KeyStatus {
        let shown = |id: &str, until_ms| Some(ShownKey { id: id.to_owned(), until_ms });
        KeyStatus {
            key: name.into(),
            stage: stage.into(),
            since_ms: if stage == Stage::Steady { 0 } else { 1_000 },
            signs: shown("aaaa", 1_800_000_000_000),
            beside: if stage == Stage::Steady { None } else { shown("bbbb", 0) },
            sites: 9,
            ..KeyStatus::default()
        }
    }

    fn view() -> TrustView {
        let waits = KeyStatus {
            waits_for: vec!["a".to_owned(), "b".to_owned()],
            waits_for_sites: 2,
            dark: vec!["c".to_owned(), "d".to_owned()],
            dark_sites: 3,
            ..key(TrustKey::MeshRoot, Stage::Begun)
        };
        let keys = vec![waits, key(TrustKey::ManifestKey, Stage::Steady)];
        TrustView::of(GetTrustResponse {
            version: 7,
            trust_root_version: 3,
            keys,
            now_ms: 121_000,
            ..GetTrustResponse::default()
        })
    }

    #[test]
    fn the_table_says_where_a_rotation_is_and_whom_it_waits_for() {
        assert_eq!(
            keys(&view(), Paint::Plain),
            "KEY           STAGE   SIGNS  UNTIL       BESIDE  SINCE  SITES  WAITS FOR\n\
             mesh-root     Begun   aaaa   2027-01-15  bbbb    2m     4/9    a, b, c (dark) and 2 more\n\
             manifest-key  Steady  aaaa   2027-01-15  -       -      9      -\n\
             \n\
             version 7 of trust, trust root 3\n"
        );
    }

    #[test]
    fn join_tokens_that_are_waited_for_are_named() {
        let tokens = ["a", "b", "c"].map(str::to_owned).to_vec();
        let status = KeyStatus { tokens, tokens_sites: 5, ..key(TrustKey::LinkRoot, Stage::Begun) };
        let view = TrustView::of(GetTrustResponse { keys: vec![status], ..GetTrustResponse::default() });
        let text = keys(&view, Paint::Plain);
        assert!(text.contains("9/9"), "every site has what it needs: {text}");
        assert!(text.contains("a (join token), b (join token), c (join token) and 2 more"), "{text}");
    }

    #[test]
    fn sites_that_cannot_get_on_are_listed_with_what_to_do() {
        use skerry_proto::v1::{Astray, AstraySite, astray::Kind};
        let astray = Astray { kind: Kind::LeftBehind.into(), at_ms: 61_000, ..Astray::default() };
        let status = KeyStatus {
            astray: vec!["oslo".to_owned()],
            astray_sites: 1,
            ..key(TrustKey::LinkRoot, Stage::Steady)
        };
        let view = TrustView::of(GetTrustResponse {
            keys: vec![status],
            now_ms: 121_000,
            astray: vec![AstraySite { site: "lisbon".to_owned(), astray: Some(astray) }],
            astray_sites: 3,
            ..GetTrustResponse::default()
        });
        let text = keys(&view, Paint::Plain);
        assert!(text.contains("oslo (other trust root)"), "{text}");
        let (_, list) = text.split_once("trust root 0\n\n").unwrap();
        assert_eq!(
            list,
            "SITE    AGE  PROBLEM     DETAIL\n\
             lisbon  1m   LeftBehind  the link root was switched without it (help: if it does not come back by itself, enrol it anew: \
             `skerry site enroll lisbon --replace`)\n  … and 2 more: skerry status\n"
        );
    }

    #[test]
    fn a_step_says_what_it_did_and_whom_it_left_behind() {
        let said = |step: Step, left: &[&str]| {
            taken(&TakenView::of(RotateKeyResponse {
                step: step.into(),
                left: left.iter().map(|site| (*site).to_owned()).collect(),
                left_sites: u32::try_from(left.len()).unwrap(),
                key: Some(key(TrustKey::LinkRoot, Stage::Switched)),
                withdrawn: left.iter().take(1).map(|_| "e".to_owned()).collect(),
                withdrawn_sites: u32::from(!left.is_empty()),
                ..RotateKeyResponse::default()
            }))
        };
        assert_eq!(
            said(Step::Switch, &["c", "d"]),
            "link-root: aaaa signs from now on; bbbb is believed still; when all sites have it, go on with --step end\n\
             left behind, 2 sites: c, d\n\
             join tokens withdrawn, make others: e\n"
        );
        assert!(said(Step::End, &[]).ends_with("the rotation is over\n"));
    }
}
