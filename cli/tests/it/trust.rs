//! `skerry trust`: the core's keys, and the steps of rotations, against a core in this process.

use skerry_proto::v1::key_status::Stage;
use skerry_proto::v1::rotate_key_response::Step;
use skerry_proto::v1::{GetTrustResponse, KeyStatus, RotateKeyResponse, ShownKey, TrustKey};
use tonic::Status;

use crate::core::{Core, Known, NOW, ago};
use crate::folder::Folder;
use crate::run::{Ran, skerry};

fn key(name: TrustKey, stage: Stage) -> KeyStatus {
    let is_steady = stage == Stage::Steady;
    let shown = |id: &str| ShownKey { id: id.to_owned(), until_ms: NOW + 86_400_000 * 365 };
    KeyStatus {
        key: name.into(),
        stage: stage.into(),
        since_ms: if is_steady { 0 } else { ago(90) },
        signs: Some(shown("0102030405ff")),
        beside: (!is_steady).then(|| shown("a1a2a3a4a5a6")),
        sites: 12,
        ..KeyStatus::default()
    }
}

fn waiting() -> KeyStatus {
    let (waits_for, dark) = (vec!["oslo".to_owned()], vec!["far".to_owned(), "lisbon".to_owned()]);
    let begun = key(TrustKey::MeshRoot, Stage::Begun);
    KeyStatus { waits_for, waits_for_sites: 1, dark, dark_sites: 5, ..begun }
}

fn core() -> Core {
    let keys =
        vec![waiting(), key(TrustKey::LinkRoot, Stage::Steady), key(TrustKey::ManifestKey, Stage::Switched)];
    let trust = GetTrustResponse {
        version: 3_580_001,
        trust_root_version: 4,
        keys,
        now_ms: NOW,
        ..GetTrustResponse::default()
    };
    let rotated = RotateKeyResponse {
        step: Step::Switch.into(),
        left: vec!["far".to_owned()],
        left_sites: 1,
        key: Some(key(TrustKey::MeshRoot, Stage::Switched)),
        was_taken: false,
        ..RotateKeyResponse::default()
    };
    Core::knowing(Known { trust, rotated, ..Known::default() })
}

fn ask(core: &Core, args: &[&str]) -> Ran {
    skerry(Folder::empty().path(), &[&["trust"], args, &core.arguments()].concat())
}

#[test]
fn where_rotations_are() {
    let core = core();
    insta::assert_snapshot!(ask(&core, &["show"]));
    let json: serde_json::Value = serde_json::from_str(&ask(&core, &["show", "-o", "json"]).stdout).unwrap();
    assert_eq!((&json["version"], &json["trustRootVersion"]), (&3_580_001.into(), &4.into()));
    let first = &json["keys"][0];
    assert_eq!(
        (&first["key"], &first["stage"], &first["ready"]),
        (&"mesh-root".into(), &"Begun".into(), &6.into())
    );
    assert_eq!((&first["darkSites"], &first["dark"][1]), (&5.into(), &"lisbon".into()));
    assert!(json["keys"][1]["beside"].is_null());
}

#[test]
fn a_step_says_what_it_did() {
    let core = core();
    insta::assert_snapshot!(ask(&core, &["rotate", "mesh-root", "--leave-behind"]));
    ask(&core, &["rotate", "link-root"]);
    ask(&core, &["rotate", "manifest-key", "--now"]);
    assert_eq!(
        core.asked(),
        [
            "rotate MeshRoot step=Unknown leave_behind=true now=false",
            "rotate LinkRoot step=Unknown leave_behind=false now=false",
            "rotate ManifestKey step=Unknown leave_behind=false now=true"
        ]
    );
}

/// A script may ask again for what it has: that is no error, and says so.
#[test]
fn a_step_that_is_named_and_was_taken_is_no_error() {
    let step = Step::Switch.into();
    let key = Some(key(TrustKey::MeshRoot, Stage::Switched));
    let rotated = RotateKeyResponse { step, key, was_taken: true, ..RotateKeyResponse::default() };
    let core = Core::knowing(Known { rotated, ..Known::default() });
    let again = ask(&core, &["rotate", "mesh-root", "--step", "switch"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "mesh-root: the step was taken already, and nothing is changed; the rotation is Switched\n"),
        "{again}"
    );
    assert_eq!(core.asked(), ["rotate MeshRoot step=Switch leave_behind=false now=false"]);
    let both = ask(&core, &["rotate", "mesh-root", "--now", "--step", "end"]);
    assert_eq!((both.code, core.asked().len()), (2, 1), "{both}");
}

#[test]
fn a_step_that_waits_says_for_whom() {
    let words = "the mesh root waits for 1 dark site to have what was told last (far): have them back";
    let core = Core::knowing(Known { refusal: Some(Status::failed_precondition(words)), ..Known::default() });
    insta::assert_snapshot!(ask(&core, &["rotate", "mesh-root"]));
    let both = ask(&core, &["rotate", "mesh-root", "--now", "--leave-behind"]);
    assert_eq!((both.code, core.asked().len()), (2, 1), "{both}");
}
