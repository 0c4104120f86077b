//! `skerry trust policy`: against a core in this process that believes whatever it is handed.

use skerry_identity::envelope::KeyId;
use skerry_identity::key::{SigningKey, VerifyingKey};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot, TrustedRoot};

use crate::bundle::add_key;
use crate::core::{Core, Known};
use crate::folder::Folder;
use crate::run::{Ran, skerry};

fn root(policy: Option<&VerifyingKey>) -> TrustRoot {
    TrustRoot {
        mesh: MeshDomain::new("mesh.local").unwrap(),
        version: 4,
        expires: 2_000_000_000,
        core: Role::new(1, [SigningKey::generate().unwrap().public()]),
        policy: policy.map(|key| Role::new(1, [*key])),
        require_policy: policy.is_some(),
    }
}

fn core(root: &TrustRoot) -> Core {
    let trust_root = serde_json::to_string(&SignedRoot::new(root).unwrap()).unwrap();
    Core::knowing(Known { trust_root, ..Known::default() })
}

/// Runs it; keys are shown by the names of their files.
fn policy(folder: &Folder, core: &Core, args: &[&str], keys: &[(&str, &VerifyingKey)]) -> Ran {
    let ran = skerry(folder.path(), &[&["trust", "policy"], args, &core.arguments()].concat());
    let name = |text: String| {
        keys.iter()
            .fold(text, |text, (name, key)| text.replace(&KeyId::of(key).to_string(), &format!("<{name}>")))
    };
    Ran { stdout: name(ran.stdout), stderr: name(ran.stderr), ..ran }
}

/// What the core was handed: the root, and whether these keys alone make it one that a site believes.
fn handed(core: &Core) -> SignedRoot {
    let asked = core.asked();
    let text = asked.last().unwrap().strip_prefix("policy keys ").unwrap().to_owned();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn policy_keys_are_shown_and_changed() {
    let folder = Folder::empty();
    let (a, b, c) = (add_key(&folder, "a.key"), add_key(&folder, "b.key"), add_key(&folder, "c.key"));
    let names = [("a.key", &a), ("b.key", &b), ("c.key", &c)];
    let (none, held) = (core(&root(None)), core(&root(Some(&a))));
    let quorum = ["--key", "b.key", "--key", "a.key", "--public-key", "c.key.pub", "--threshold", "2"];
    let cases = [
        policy(&folder, &none, &[], &names),
        policy(&folder, &held, &[], &names),
        policy(&folder, &none, &["--key", "a.key"], &names),
        policy(&folder, &none, &["--key", "a.key", "--optional"], &names),
        policy(&folder, &held, &quorum, &names),
        policy(&folder, &held, &["--drop", "--old-key", "a.key"], &names),
    ];
    let shown: Vec<String> = cases.iter().map(|ran| unordered(ran, &names)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

/// Keys are listed in the order of their bytes, which is another one in each run.
fn unordered(ran: &Ran, names: &[(&str, &VerifyingKey)]) -> String {
    let text = ran.to_string();
    let Some((head, tail)) = text.split_once(": <") else { return text };
    let mut listed: Vec<String> = names
        .iter()
        .map(|(name, _)| format!("<{name}>"))
        .filter(|name| format!("<{tail}").contains(name))
        .collect();
    listed.sort();
    format!("{head}: {}\n", listed.join(", "))
}

/// The next version is signed by all of whom a site asks, save the core, which signs it last.
#[test]
fn the_next_version_is_signed_where_the_keys_are() {
    let folder = Folder::empty();
    let (a, b) = (add_key(&folder, "a.key"), add_key(&folder, "b.key"));
    let held = core(&root(Some(&a)));
    assert_eq!(policy(&folder, &held, &["--key", "b.key", "--old-key", "a.key"], &[]).code, 0);
    let signed = handed(&held);
    let root = signed.root().unwrap();
    assert_eq!((root.version, root.require_policy, root.policy), (5, true, Some(Role::new(1, [b]))));
    assert_eq!(signed.signatures.iter().count(), 2);
    let core_missing = TrustedRoot::first(signed).unwrap_err().to_string();
    assert!(core_missing.contains("0 of the 1 signatures by core keys"), "{core_missing}");
}

#[test]
fn what_no_site_would_believe_is_not_sent() {
    let folder = Folder::empty();
    let (a, b) = (add_key(&folder, "a.key"), add_key(&folder, "b.key"));
    let names = [("a.key", &a), ("b.key", &b)];
    let (none, held) = (core(&root(None)), core(&root(Some(&a))));
    let cases = [
        policy(&folder, &held, &["--drop"], &names),
        policy(&folder, &held, &["--key", "b.key"], &names),
        policy(&folder, &none, &["--key", "a.key", "--threshold", "2"], &names),
        policy(&folder, &none, &["--old-key", "a.key"], &names),
        policy(&folder, &none, &["--key", "a.key", "--drop"], &names),
        policy(&folder, &none, &["--public-key", "a.key.pub"], &names),
        policy(&folder, &none, &["--key", "a.key", "--public-key", "b.key"], &names),
    ];
    let shown: Vec<String> = cases.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let sent = |core: &Core| core.asked().iter().filter(|asked| asked.starts_with("policy keys")).count();
    assert_eq!((sent(&none), sent(&held)), (0, 0));
}
