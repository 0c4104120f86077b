//! `skerry operator`: credentials that work, who has some, and what is taken back.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use skerry_identity::operator::OperatorCredentials;

use crate::core::{Core, Known};
use crate::folder::Folder;
use crate::run::{Ran, skerry};

fn run(core: &Core, folder: &Folder, args: &[&str]) -> Ran {
    skerry(folder.path(), &[&["operator"], args, &core.arguments()].concat())
}

#[test]
fn what_is_printed_is_what_the_new_operator_asks_with() {
    let (core, folder) = (Core::knowing(Known::default()), Folder::empty());
    let made = run(&core, &folder, &["create", "bob", "--expires", "90d"]);
    assert_eq!(made.code, 0, "{made}");
    assert!(made.stderr.starts_with("give it to `bob`: ") && made.stderr.ends_with("Z\n"), "{made}");
    let credentials = OperatorCredentials::from_json(made.stdout.as_bytes()).unwrap();
    let validity = credentials.certificate.validity();
    assert_eq!((validity.until.0 - validity.issued.0) / 86_400_000, 90);
    assert_eq!(credentials.core, format!("https://{}", core.address()));

    folder.write("bob.json", &made.stdout);
    fs_err::set_permissions(folder.path().join("bob.json"), Permissions::from_mode(0o600)).unwrap();
    let asked = skerry(folder.path(), &["operator", "list", "--credentials", "bob.json"]);
    assert_eq!(asked.code, 0, "{asked}");
    assert_eq!(core.asked(), ["operator `bob` for 7776000 s, read_only=false", "operators"]);
}

#[test]
fn who_is_only_to_look_is_asked_for_so() {
    let (core, folder) = (Core::knowing(Known::default()), Folder::empty());
    let made = run(&core, &folder, &["create", "dashboard", "--read-only"]);
    assert_eq!(made.code, 0, "{made}");
    assert_eq!(core.asked(), ["operator `dashboard` for 2592000 s, read_only=true"]);
    let full = run(&core, &folder, &["create", "old-core", "--read-only"]);
    assert!(full.code == 6 && full.stdout.is_empty(), "a core that knows no such thing: {full}");
    assert!(full.stderr.contains("`skerry operator revoke old-core` takes them back"), "{full}");
}

#[test]
fn they_are_listed_with_what_is_left() {
    let (core, folder) = (Core::knowing(Known::default()), Folder::empty());
    let listed = run(&core, &folder, &["list"]);
    insta::assert_snapshot!(listed.stdout);
    insta::assert_snapshot!(run(&core, &folder, &["list", "-o", "yaml"]).stdout);
}

#[test]
fn what_is_taken_back_is_counted_and_what_is_wrong_is_said() {
    let (core, folder) = (Core::knowing(Known::default()), Folder::empty());
    assert_eq!(run(&core, &folder, &["revoke", "ada"]).stdout, "operator ada: 2 keys are revoked\n");
    assert_eq!(run(&core, &folder, &["revoke", "bob"]).stdout, "operator bob: 1 key is revoked\n");
    let long = run(&core, &folder, &["create", "ada", "--expires", "367d"]);
    assert_eq!(long.code, 2, "{long}");
    assert!(long.stderr.contains("at most 366 days"), "{long}");
    assert_eq!(core.asked(), ["revoke operator `ada`", "revoke operator `bob`"]);
}
