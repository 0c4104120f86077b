//! What is kept of a rotation, and what is not.

use skerry_identity::sealed::SealKey;
use skerry_identity::spiffe_id::MeshDomain;

use super::*;
use crate::identity::authority::AuthorityRecord;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn kept(authority: &Authority) -> (serde_json::Value, Authority) {
    let seal = SealKey::new(&[1; 32]).unwrap();
    let json = serde_json::to_value(authority.to_record(&seal).unwrap()).unwrap();
    let record: AuthorityRecord = serde_json::from_value(json.clone()).unwrap();
    (json, Authority::open(&record, authority.mesh(), None, &seal).unwrap())
}

#[test]
fn a_rotation_is_kept_at_each_stage_and_the_old_private_key_is_not() {
    for key in TrustKey::ALL {
        let mut authority = Authority::create(&MeshDomain::new("mesh.local").unwrap(), None, NOW).unwrap();
        let first = authority.shown(key).0;
        for (number, step, stage) in [
            (1, Step::Begin, Stage::Begun),
            (2, Step::Switch, Stage::Switched),
            (3, Step::End, Stage::Steady),
        ] {
            let turn = Turn { version: number, at: Timestamp(NOW.0 + number * 60_000) };
            let stepped = authority.step(key, step, turn).unwrap();
            let (json, opened) = kept(&stepped);
            assert_eq!((opened.stage(key), opened.shown(key)), (stage, stepped.shown(key)), "{key} {step:?}");
            assert_eq!(opened.turn(key), (stage != Stage::Steady).then_some(turn), "{key} {step:?}");
            assert_eq!(opened.mesh_roots(), stepped.mesh_roots());
            assert_eq!(opened.link_roots(), stepped.link_roots());
            assert_eq!(opened.trust_root_version(), opened.newest_trust_root().unwrap().version);
            let is_last =
                |name: &str| json[name]["Last"]["public"].is_string() && json[name]["Last"]["key"].is_null();
            let lasts = ["beside_root", "beside_transport", "beside_signing"].map(is_last);
            assert_eq!(
                lasts.iter().filter(|is_last| **is_last).count(),
                usize::from(stage == Stage::Switched)
            );
            authority = opened;
        }
        assert_ne!(authority.shown(key), (first, None), "{key}");
    }
}

#[test]
fn a_step_that_there_is_nothing_for_changes_nothing() {
    let authority = Authority::create(&MeshDomain::new("mesh.local").unwrap(), None, NOW).unwrap();
    let turn = Turn { version: 1, at: NOW };
    for key in [TrustKey::MeshRoot, TrustKey::LinkRoot] {
        for step in [Step::Switch, Step::End] {
            let stepped = authority.step(key, step, turn).unwrap();
            assert_eq!((stepped.stage(key), stepped.shown(key)), (Stage::Steady, authority.shown(key)));
        }
    }
}

/// A store that an older core has written has nothing of rotations.
#[test]
fn what_was_kept_before_there_were_rotations_is_opened() {
    let authority = Authority::create(&MeshDomain::new("mesh.local").unwrap(), None, NOW).unwrap();
    let (mut json, _) = kept(&authority);
    let fields = json.as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("beside"));
    let record: AuthorityRecord = serde_json::from_value(json).unwrap();
    let opened = Authority::open(&record, authority.mesh(), None, &SealKey::new(&[1; 32]).unwrap()).unwrap();
    assert!(TrustKey::ALL.iter().all(|key| opened.stage(*key) == Stage::Steady));
}
