//! Tables of manifests and of rotations.

use proptest::prelude::*;

use super::*;
use crate::fixture::{NOW, at, mesh};
use crate::key::SigningKey;

const MANIFEST: &[u8] = b"the bytes of a manifest";

fn keys<const N: usize>() -> [SigningKey; N] {
    std::array::from_fn(|_| SigningKey::generate().unwrap())
}

fn role(threshold: u8, keys: &[&SigningKey]) -> Role {
    Role::new(threshold, keys.iter().map(|key| key.public()))
}

fn root(version: u64, core: Role, policy: Option<Role>) -> TrustRoot {
    let (expires, require_policy) = (at(1000).0 / 1000, policy.is_some());
    TrustRoot { mesh: mesh(), version, expires, core, policy, require_policy }
}

fn signed(root: &TrustRoot, by: &[&SigningKey]) -> SignedRoot {
    let mut signed = SignedRoot::new(root).unwrap();
    by.iter().for_each(|key| signed.sign(key).unwrap());
    signed
}

fn trusted(root: &TrustRoot, by: &[&SigningKey]) -> TrustedRoot {
    TrustedRoot::first(signed(root, by)).unwrap()
}

fn sign(by: &[&SigningKey]) -> Signatures {
    by.iter().map(|key| envelope::sign(PayloadType::Manifest, MANIFEST, key).unwrap()).collect()
}

#[test]
fn a_root_has_one_form_that_people_can_read() {
    let [a, b, p] = keys();
    let root = root(3, role(2, &[&a, &b]), Some(role(1, &[&p])));
    let bytes = root.to_bytes().unwrap();
    let mut core = [a.public(), b.public()];
    core.sort();
    let expected = format!(
        r#"{{"mesh":"mesh.local","version":3,"expires":1803600000,"core":{{"threshold":2,"keys":["{}","{}"]}},"policy":{{"threshold":1,"keys":["{}"]}},"requirePolicy":true}}"#,
        core[0],
        core[1],
        p.public()
    );
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(TrustRoot::from_bytes(&bytes).unwrap(), root);
    let others = [
        expected.replace(':', ": "),
        expected.replace("\"version\":3", "\"version\":3.0"),
        expected.replace("\"version\":3,\"expires\":1803600000", "\"expires\":1803600000,\"version\":3"),
        expected.replace("\"version\":3", "\"version\":3,\"more\":1"),
        expected.replace("\"version\":3", "\"version\":3,\"version\":3"),
        expected.replace(&core[0].to_string(), &core[1].to_string()),
        expected.replace(
            &format!("\"{}\",\"{}\"", core[0], core[1]),
            &format!("\"{}\",\"{}\"", core[1], core[0]),
        ),
        format!("{expected} "),
        format!("{expected}{}", " ".repeat(MAX_ROOT_BYTES)),
    ];
    for other in others {
        assert!(TrustRoot::from_bytes(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn a_root_that_makes_no_sense_is_neither_written_nor_read() {
    let many: [SigningKey; MAX_KEYS + 1] = keys();
    let all: Vec<&SigningKey> = many.iter().collect();
    let [a, b] = [all[0], all[1]];
    let good = root(1, role(1, &[a]), None);
    assert!(good.to_bytes().is_ok());
    let cases = [
        (TrustRoot { version: 0, ..good.clone() }, "versions begin at 1"),
        (TrustRoot { core: role(0, &[a]), ..good.clone() }, "a threshold of 0 of 1 core keys"),
        (TrustRoot { core: role(2, &[a]), ..good.clone() }, "a threshold of 2 of 1 core keys"),
        (TrustRoot { core: role(1, &[]), ..good.clone() }, "0 core keys"),
        (TrustRoot { core: role(1, &all), ..good.clone() }, "9 core keys"),
        (TrustRoot { policy: Some(role(2, &[b])), ..good.clone() }, "a threshold of 2 of 1 policy keys"),
        (TrustRoot { policy: Some(role(1, &[a])), ..good.clone() }, "a key has both roles"),
        (TrustRoot { require_policy: true, ..good }, "requires policy signatures and has no policy keys"),
    ];
    for (root, message) in cases {
        let found = root.to_bytes().unwrap_err().to_string();
        assert!(found.contains(message), "{message}: {found}");
        assert!(TrustRoot::from_bytes(&serde_json::to_vec(&root).unwrap()).is_err(), "{message}");
    }
}

/// What it is, who signed; how many core keys, or the refusal.
type Case<'a> = (&'a str, &'a TrustedRoot, &'a [&'a SigningKey], Result<usize, ManifestRefusal>);

#[test]
fn a_table_of_manifests() {
    let [a, b, c, p, q, stranger] = keys();
    let core = trusted(&root(1, role(2, &[&a, &b, &c]), None), &[&a, &b]);
    let both = trusted(&root(2, role(1, &[&a]), Some(role(1, &[&p, &q]))), &[&a, &p]);
    let few = |found, needed, version| {
        Err(ManifestRefusal::NotSigned(TooFew { role: RoleName::Core, found, needed, version }))
    };
    let cases: [Case<'_>; 10] = [
        ("two of three", &core, &[&a, &c], Ok(2)),
        ("more than enough", &core, &[&a, &b, &c], Ok(3)),
        ("a stranger besides", &core, &[&a, &stranger, &c], Ok(2)),
        ("unsigned", &core, &[], few(0, 2, 1)),
        ("one", &core, &[&a], few(1, 2, 1)),
        ("one key twice", &core, &[&a, &a], few(1, 2, 1)),
        ("a key and a stranger", &core, &[&a, &stranger], few(1, 2, 1)),
        ("a policy key beside it is of no use here", &both, &[&a, &q], Ok(1)),
        ("policy keys are no core keys", &both, &[&p, &q], few(0, 1, 2)),
        ("a key that was removed", &both, &[&b, &p], few(0, 1, 2)),
    ];
    for (name, root, by, expected) in cases {
        let found = root.verify_manifest(MANIFEST, &sign(by), NOW);
        assert_eq!(found.map(|keys| keys.len()), expected, "{name}");
    }
}

#[test]
fn a_root_that_is_over_vouches_for_nothing_new() {
    let [a] = keys();
    let trusted = trusted(&root(1, role(1, &[&a]), None), &[&a]);
    let verify = |now| trusted.verify_manifest(MANIFEST, &sign(&[&a]), now);
    assert!(verify(Timestamp(at(1000).0 - 1)).is_ok());
    let over = verify(at(1000)).unwrap_err();
    assert!(over.to_string().contains("until it is rotated"), "{over}");
}

#[test]
fn a_manifest_is_neither_another_payload_nor_of_another_type() {
    let [a] = keys();
    let trusted = trusted(&root(1, role(1, &[&a]), None), &[&a]);
    let verify =
        |payload: &[u8], signatures: &Signatures| trusted.verify_manifest(payload, signatures, NOW).is_ok();
    assert!(verify(MANIFEST, &sign(&[&a])));
    for length in 0..MANIFEST.len() {
        assert!(!verify(&MANIFEST[..length], &sign(&[&a])), "cut at {length}");
    }
    let as_root = envelope::sign(PayloadType::TrustRoot, MANIFEST, &a).unwrap();
    assert!(!verify(MANIFEST, &[as_root].into_iter().collect()));
    let signed = trusted.signed();
    assert!(!verify(&signed.payload, &signed.signatures), "a root is not a manifest");
}

#[test]
fn a_step_is_signed_by_both_versions() {
    let [a, b, n, m, p] = keys();
    let current = trusted(&root(5, role(2, &[&a, &b]), None), &[&a, &b]);
    let renewed = root(6, role(2, &[&n, &m]), None);
    let with_policy = root(6, role(2, &[&n, &m]), Some(role(1, &[&p])));
    let walk = |root: &TrustRoot, by: &[&SigningKey]| current.walk(&[signed(root, by)], PolicyDemand::AsRoot);
    assert_eq!(walk(&renewed, &[&a, &b, &n, &m]).unwrap().root().version, 6);
    assert_eq!(walk(&with_policy, &[&a, &b, &n, &m, &p]).unwrap().root().version, 6);
    let cases: [(&TrustRoot, &[&SigningKey], &str); 5] = [
        (&renewed, &[&n, &m], "0 of the 2 signatures by core keys of trust root 5"),
        (&renewed, &[&a, &n, &m], "1 of the 2 signatures by core keys of trust root 5"),
        (&renewed, &[&a, &a, &n, &m], "1 of the 2 signatures by core keys of trust root 5"),
        (&renewed, &[&a, &b, &n], "1 of the 2 signatures by core keys of trust root 6"),
        (&with_policy, &[&a, &b, &n, &m], "0 of the 1 signatures by policy keys of trust root 6"),
    ];
    for (root, by, message) in cases {
        let found = walk(root, by).unwrap_err().to_string();
        assert!(found.starts_with("trust root 6 has ") && found.contains(message), "{message}: {found}");
    }
}

#[test]
fn a_step_is_one_version_up_in_the_same_mesh() {
    let [a, b] = keys();
    let plain = root(5, role(1, &[&a]), None);
    let current = trusted(&plain, &[&a]);
    let walk = |root: &TrustRoot| current.walk(&[signed(root, &[&a, &b])], PolicyDemand::AsRoot);
    let next = root(6, role(1, &[&b]), None);
    let version = |version| TrustRoot { version, ..next.clone() };
    let cases = [
        (version(7), "trust root 7 does not follow 5"),
        (version(u64::MAX), "does not follow 5"),
        (version(4), "trust root 4 is older than 5"),
        (version(5), "trust root 5 was issued twice"),
        (
            TrustRoot { mesh: MeshDomain::new("other.local").unwrap(), ..next.clone() },
            "for mesh `other.local`",
        ),
    ];
    for (root, message) in cases {
        let found = walk(&root).unwrap_err().to_string();
        assert!(found.contains(message), "{message}: {found}");
    }
    assert_eq!(current.walk(&[], PolicyDemand::AsRoot).unwrap(), current);
    let steps = [current.signed().clone(), signed(&next, &[&a, &b])];
    assert_eq!(
        current.walk(&steps, PolicyDemand::AsRoot).unwrap().root(),
        &next,
        "the current one among them"
    );
    let garbage = SignedRoot { payload: b"{}".to_vec(), signatures: Signatures::default() };
    assert!(matches!(current.walk(&[garbage], PolicyDemand::AsRoot), Err(RootRefusal::Malformed(_))));
}

/// Who breaks into the core has its keys and can make new ones.
#[test]
fn core_keys_alone_change_nothing_where_there_are_policy_keys() {
    let [a, p, own] = keys();
    let policy = Some(role(1, &[&p]));
    let current = trusted(&root(5, role(1, &[&a]), policy.clone()), &[&a, &p]);
    let lax = TrustRoot { require_policy: false, ..root(6, role(1, &[&a]), policy.clone()) };
    let attempts = [
        ("drops them", root(6, role(1, &[&a]), None)),
        ("replaces them", root(6, role(1, &[&a]), Some(role(1, &[&own])))),
        ("adds its own", root(6, role(1, &[&a]), Some(role(1, &[&p, &own])))),
        ("requires them no more", lax),
        ("lasts longer", TrustRoot { expires: u64::MAX, ..root(6, role(1, &[&a]), policy) }),
    ];
    for (name, next) in attempts {
        let by_core =
            current.walk(&[signed(&next, &[&a, &own])], PolicyDemand::AsRoot).unwrap_err().to_string();
        assert!(
            by_core.contains("0 of the 1 signatures by policy keys of trust root 5"),
            "{name}: {by_core}"
        );
        let agreed = current.walk(&[signed(&next, &[&a, &own, &p])], PolicyDemand::AsRoot);
        assert!(agreed.is_ok(), "{name}: {agreed:?}");
    }
}

#[test]
fn a_site_that_requires_policy_takes_no_first_policy_keys_from_the_core() {
    let [a, p] = keys();
    let current = trusted(&root(1, role(1, &[&a]), None), &[&a]);
    let brings = signed(&root(2, role(1, &[&a]), Some(role(1, &[&p]))), &[&a, &p]);
    assert!(current.walk(std::slice::from_ref(&brings), PolicyDemand::AsRoot).is_ok());
    let refused = current.walk(std::slice::from_ref(&brings), PolicyDemand::Always).unwrap_err();
    assert_eq!(refused, RootRefusal::FirstPolicyKeys(2));
    assert!(TrustedRoot::first(brings).is_ok(), "by hand");
}

/// Versions 1 to 9, each with a new key, each signed by the key before.
fn history() -> Vec<SignedRoot> {
    let chain: [SigningKey; 9] = keys();
    let version = |index: usize| root(u64::try_from(index + 1).unwrap(), role(1, &[&chain[index]]), None);
    let sign = |index: usize| match index {
        0 => signed(&version(0), &[&chain[0]]),
        _ => signed(&version(index), &[&chain[index - 1], &chain[index]]),
    };
    (0..9).map(sign).collect()
}

#[test]
fn a_site_that_slept_walks_over_versions_that_are_over() {
    let history = history();
    let asleep = TrustedRoot::first(history[1].clone()).unwrap();
    let walk = |steps: &[SignedRoot]| asleep.walk(steps, PolicyDemand::AsRoot);
    assert_eq!(walk(&history[2..]).unwrap().signed(), &history[8]);
    assert_eq!(walk(&history[1..]).unwrap().signed(), &history[8]);
    let hole = [&history[2..5], &history[6..]].concat();
    assert_eq!(walk(&hole).unwrap_err(), RootRefusal::Gap { offered: 7, current: 5 });
    let mut backwards = history[2..].to_vec();
    backwards.reverse();
    assert_eq!(walk(&backwards).unwrap_err(), RootRefusal::Gap { offered: 9, current: 2 });
    assert_eq!(walk(&history).unwrap_err(), RootRefusal::Rollback { offered: 1, current: 2 });
    assert_eq!(walk(&vec![history[1].clone(); MAX_STEPS + 1]).unwrap_err(), RootRefusal::TooManySteps(65));
    let mut broken = history[2..].to_vec();
    broken[3].signatures = Signatures::default();
    assert!(walk(&broken).is_err(), "one step that does not hold, and none counts");
}

#[test]
fn a_first_root_is_signed_by_itself() {
    let [a, b] = keys();
    let first = root(1, role(1, &[&a]), Some(role(1, &[&b])));
    assert!(TrustedRoot::first(signed(&first, &[&a, &b])).is_ok());
    for by in [&[][..], &[&a], &[&b]] {
        assert!(TrustedRoot::first(signed(&first, by)).is_err());
    }
}

#[test]
fn a_signed_root_travels_as_a_dsse_envelope() {
    let [a] = keys();
    let signed = signed(&root(1, role(1, &[&a]), None), &[&a]);
    let json = serde_json::to_string(&signed).unwrap();
    assert!(
        json.starts_with(r#"{"payloadType":"application/vnd.skerry.trust-root.v1+json","payload":""#),
        "{json}"
    );
    assert!(json.contains(r#""signatures":[{"keyid":""#), "{json}");
    assert_eq!(serde_json::from_str::<SignedRoot>(&json).unwrap(), signed);
    assert!(serde_json::from_str::<SignedRoot>(&json.replace("trust-root", "manifest")).is_err());
    assert!(serde_json::from_str::<SignedRoot>(&json.replace(r#""payload":""#, r#""payload":"!"#)).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(TrustRoot::from_bytes(&bytes).is_err());
        let step = SignedRoot { payload: bytes, signatures: Signatures::default() };
        prop_assert!(TrustedRoot::first(step).is_err());
    }
}
