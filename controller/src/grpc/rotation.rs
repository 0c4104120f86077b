//! What operators are told of the core's keys, and of the steps of a rotation.
//!
//! Must not decide which step comes next (`identity::rotation`).

use skerry_core::id::SiteId;
use skerry_proto::v1::rotate_key_response::Step as WireStep;
use skerry_proto::v1::{
    AstraySite, GetTrustResponse, KeyStatus, RotateKeyRequest, RotateKeyResponse, ShownKey as WireKey,
    TrustKey as WireName, key_status,
};
use tracing::warn;

use super::Core;
use super::failure::Failure;
use crate::identity::authority::ShownKey;
use crate::identity::desk::{KeyFacts, NotRotated};
use crate::identity::rotation::{Ask, Order, Stage, Step, TrustKey};
use crate::status::{stale_after_seconds, to_astray};
use crate::store::StateStore;

/// The most sites that are named in a list: 64 names of up to 253 B are 16 KB.
const MAX_NAMED: usize = 64;

impl<S: StateStore> Core<S> {
    pub(super) fn trust(&self) -> Result<GetTrustResponse, Failure> {
        let authority = self.desk.authority();
        let newest = authority.newest_trust_root().map_err(NotRotated::from)?;
        let keys = TrustKey::ALL.iter().map(|key| {
            let facts = self.desk.key_facts(*key, |site| self.is_live(site)).map_err(NotRotated::from)?;
            Ok(to_wire(&facts))
        });
        let astray = self.desk.astray();
        let row = |(site, astray): &(SiteId, _)| AstraySite {
            site: site.to_string(),
            astray: Some(to_astray(astray)),
        };
        Ok(GetTrustResponse {
            version: self.desk.trust_version(),
            trust_root_version: newest.version,
            keys: keys.collect::<Result<_, Failure>>()?,
            now_ms: self.clock.now().0,
            mesh_roots: authority.mesh_roots().iter().map(|root| root.der().to_vec()).collect(),
            astray: astray.iter().take(MAX_NAMED).map(row).collect(),
            astray_sites: u32::try_from(astray.len()).unwrap_or(u32::MAX),
        })
    }

    pub(super) fn rotate_key(
        &self,
        request: &RotateKeyRequest,
        by: &str,
    ) -> Result<RotateKeyResponse, Failure> {
        let key = match request.key() {
            WireName::MeshRoot => TrustKey::MeshRoot,
            WireName::LinkRoot => TrustKey::LinkRoot,
            WireName::ManifestKey => TrustKey::ManifestKey,
            WireName::Unknown => return Err(Failure::Invalid("no key of the core is named".to_owned())),
        };
        let order = match (request.now, request.leave_behind) {
            (true, _) => Order::Now,
            (false, true) => Order::LeaveBehind,
            (false, false) => Order::Next,
        };
        let ask = Ask { order, named: meant(request)? };
        let rotated = self.desk.rotate(key, ask, |site| self.is_live(site))?;
        if !rotated.was_taken {
            warn!(%key, step = %rotated.step, by, "an operator rotates a key of the core");
        }
        let (left, left_sites) = named(&rotated.left);
        let (withdrawn, withdrawn_sites) = named(&rotated.withdrawn);
        let step = match rotated.step {
            Step::Begin => WireStep::Begin,
            Step::Switch => WireStep::Switch,
            Step::End => WireStep::End,
            Step::Replace => WireStep::Replace,
        };
        let (key, was_taken) = (Some(to_wire(&rotated.now)), rotated.was_taken);
        let step = step.into();
        Ok(RotateKeyResponse { step, left, left_sites, key, was_taken, withdrawn, withdrawn_sites })
    }

    /// Says whether a site is there to be told something: connected, or one that pulls and came when it should.
    fn is_live(&self, site: &SiteId) -> bool {
        let now = self.clock.moment();
        let seen = self.presence.seen(site, now);
        if seen.connected || !seen.pulls {
            return seen.connected;
        }
        let silent_for = now.wall.0.saturating_sub(seen.last_seen.0);
        let stale_after = self.published.entry(site).map_or(0, |entry| stale_after_seconds(&entry));
        silent_for < u64::from(stale_after) * 1000
    }
}

/// The step that is meant, if one is named.
fn meant(request: &RotateKeyRequest) -> Result<Option<Step>, Failure> {
    let wrong = |words: &str| Err(Failure::Invalid(words.to_owned()));
    match request.step() {
        // A number of a later release must not be taken for no name at all.
        WireStep::Unknown if request.step != 0 => {
            wrong("the step that is named is none that this core knows")
        }
        WireStep::Unknown => Ok(None),
        _ if request.now => wrong("what is to be done at once is no step of a rotation"),
        WireStep::Begin => Ok(Some(Step::Begin)),
        WireStep::Switch => Ok(Some(Step::Switch)),
        WireStep::End => Ok(Some(Step::End)),
        WireStep::Replace => wrong("a key is replaced with `now`, and not as a step"),
    }
}

fn to_wire(facts: &KeyFacts) -> KeyStatus {
    let key = match facts.key {
        TrustKey::MeshRoot => WireName::MeshRoot,
        TrustKey::LinkRoot => WireName::LinkRoot,
        TrustKey::ManifestKey => WireName::ManifestKey,
    };
    let stage = match facts.stage {
        Stage::Steady => key_status::Stage::Steady,
        Stage::Begun => key_status::Stage::Begun,
        Stage::Switched => key_status::Stage::Switched,
    };
    let (waits_for, waits_for_sites) = named(&facts.behind.live);
    let (dark, dark_sites) = named(&facts.behind.dark);
    let (astray, astray_sites) = named(&facts.behind.astray);
    let (tokens, tokens_sites) = named(&facts.tokens);
    KeyStatus {
        key: key.into(),
        stage: stage.into(),
        since_ms: facts.since.unwrap_or_default().0,
        signs: Some(shown(&facts.signs)),
        beside: facts.beside.as_ref().map(shown),
        sites: u32::try_from(facts.sites).unwrap_or(u32::MAX),
        waits_for,
        dark,
        waits_for_sites,
        dark_sites,
        astray,
        astray_sites,
        tokens,
        tokens_sites,
    }
}

fn shown(key: &ShownKey) -> WireKey {
    WireKey { id: key.id.clone(), until_ms: key.until.unwrap_or_default().0 }
}

/// Names some sites, and counts all.
fn named(sites: &[SiteId]) -> (Vec<String>, u32) {
    let names = sites.iter().take(MAX_NAMED).map(ToString::to_string);
    (names.collect(), u32::try_from(sites.len()).unwrap_or(u32::MAX))
}
