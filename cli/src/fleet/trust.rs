//! What the core says of its keys, as people and programs see it.

use serde::Serialize;
use skerry_proto::v1::rotate_key_response::Step;
use skerry_proto::v1::{GetTrustResponse, KeyStatus, RotateKeyResponse, ShownKey, TrustKey, key_status};

use super::astray::AstrayView;
use crate::output::age::{Moment, rfc3339};

/// All keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustView {
    /// The number of all that sites shall believe.
    pub version: u64,
    /// The newest version of the trust root.
    pub trust_root_version: u64,
    /// The keys.
    pub keys: Vec<KeyView>,
    /// Sites that cannot get on by themselves; the first of them.
    pub astray: Vec<AstrayView>,
    /// How many there are.
    pub astray_sites: u32,
}

/// A key and its rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// As it is written on the command line.
    pub key: &'static str,
    /// `Steady`, `Begun` or `Switched`.
    pub stage: &'static str,
    /// Since when it is there; `None`: it is not rotated.
    pub since: Option<Moment>,
    /// The key that signs.
    pub signs: ShownView,
    /// The key that is believed beside it.
    pub beside: Option<ShownView>,
    /// How many sites there are.
    pub sites: u32,
    /// How many of them have what the next step needs.
    pub ready: u32,
    /// Connected sites that do not yet; the first of them.
    pub waits_for: Vec<String>,
    /// Dark ones; the first of them.
    pub dark: Vec<String>,
    /// How many dark ones there are.
    pub dark_sites: u32,
    /// Those that have another trust root than the core; the first of them.
    pub astray: Vec<String>,
    /// How many of those there are.
    pub astray_sites: u32,
    /// Sites with unused join tokens that the next step waits for; the first of them.
    pub tokens: Vec<String>,
    /// How many of those there are.
    pub tokens_sites: u32,
}

/// A key by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownView {
    /// Its name.
    pub id: String,
    /// When it ends by itself, RFC 3339.
    pub until: Option<String>,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenView {
    /// The step.
    pub step: Step,
    /// It had been taken already.
    pub was_taken: bool,
    /// Sites that it left behind; the first of them.
    pub left: Vec<String>,
    /// How many there are.
    pub left_sites: u32,
    /// Sites whose join tokens it withdrew; the first of them.
    pub withdrawn: Vec<String>,
    /// How many there are.
    pub withdrawn_sites: u32,
    /// The key then.
    pub key: KeyView,
}

impl TrustView {
    /// Takes the core's answer.
    pub fn of(answer: GetTrustResponse) -> Self {
        let now = answer.now_ms;
        Self {
            version: answer.version,
            trust_root_version: answer.trust_root_version,
            keys: answer.keys.into_iter().map(|key| KeyView::of(key, now)).collect(),
            astray: answer.astray.into_iter().map(|site| AstrayView::of(site, now)).collect(),
            astray_sites: answer.astray_sites,
        }
    }
}

impl KeyView {
    fn of(status: KeyStatus, now_ms: u64) -> Self {
        let key = match status.key() {
            TrustKey::MeshRoot => "mesh-root",
            TrustKey::LinkRoot => "link-root",
            TrustKey::ManifestKey => "manifest-key",
            TrustKey::Unknown => "unknown",
        };
        let stage = match status.stage() {
            key_status::Stage::Steady => "Steady",
            key_status::Stage::Begun => "Begun",
            key_status::Stage::Switched => "Switched",
            key_status::Stage::Unknown => "Unknown",
        };
        let behind = status.waits_for_sites.saturating_add(status.dark_sites);
        let behind = behind.saturating_add(status.astray_sites);
        Self {
            key,
            stage,
            since: Moment::at(status.since_ms, now_ms),
            signs: ShownView::of(status.signs.unwrap_or_default()),
            beside: status.beside.map(ShownView::of),
            sites: status.sites,
            ready: status.sites.saturating_sub(behind),
            waits_for: status.waits_for,
            dark: status.dark,
            dark_sites: status.dark_sites,
            astray: status.astray,
            astray_sites: status.astray_sites,
            tokens: status.tokens,
            tokens_sites: status.tokens_sites,
        }
    }
}

impl ShownView {
    fn of(key: ShownKey) -> Self {
        Self { id: key.id, until: (key.until_ms > 0).then(|| rfc3339(key.until_ms)) }
    }
}

impl TakenView {
    /// Takes the core's answer.
    pub fn of(answer: RotateKeyResponse) -> Self {
        let (step, was_taken) = (answer.step(), answer.was_taken);
        let key = KeyView::of(answer.key.unwrap_or_default(), 0);
        let RotateKeyResponse { left, left_sites, withdrawn, withdrawn_sites, .. } = answer;
        Self { step, was_taken, left, left_sites, withdrawn, withdrawn_sites, key }
    }
}
