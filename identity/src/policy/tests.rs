//! The table of acceptance, as far as policy keys have a say.

use super::*;
use crate::fixture::{at, mesh};
use crate::key::SigningKey;
use crate::trust_root::{Role, SignedRoot, TrustRoot};

const COMMIT: &str = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";
const OTHER_COMMIT: &str = "5e6f7a8b5e6f7a8b5e6f7a8b5e6f7a8b5e6f7a8b";

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn role(threshold: u8, keys: &[&SigningKey]) -> Role {
    Role::new(threshold, keys.iter().map(|key| key.public()))
}

fn trusted(core: &SigningKey, policy: Option<Role>, require_policy: bool, by: &[&SigningKey]) -> TrustedRoot {
    let (version, expires) = (1, at(1000).0 / 1000);
    let root = TrustRoot { mesh: mesh(), version, expires, core: role(1, &[core]), policy, require_policy };
    let mut signed = SignedRoot::new(&root).unwrap();
    by.iter().chain([&core]).for_each(|key| signed.sign(key).unwrap());
    TrustedRoot::first(signed).unwrap()
}

#[test]
fn a_statement_has_one_form_that_people_can_read() {
    let (site, policy) = (SiteId::new("oslo").unwrap(), Digest::of(b"policy"));
    let statement = Statement { mesh: &mesh(), site: &site, number: 7, commit: COMMIT, policy: &policy };
    let expected = format!(
        r#"{{"mesh":"mesh.local","site":"oslo","number":7,"commit":"{COMMIT}","policy":"{policy}"}}"#
    );
    assert_eq!(String::from_utf8(statement.to_bytes()).unwrap(), expected);
}

/// What was signed, and by whom; then what came, and to whom.
struct Case<'a> {
    name: &'a str,
    root: &'a TrustedRoot,
    by: Vec<&'a SigningKey>,
    mesh: &'a str,
    site: &'a str,
    number: u64,
    commit: &'a str,
    policy: &'a [u8],
    payload_type: PayloadType,
    /// What the proof says, where it is not what was signed.
    claims: Option<(u64, &'a str)>,
    is_there: bool,
    floor: u64,
    demand: PolicyDemand,
    expected: Result<Option<u64>, PolicyRefusal>,
}

/// Signed as it came, for site `oslo` in `mesh.local`, which was offered `policy` and has accepted number 7.
fn case<'a>(
    name: &'a str,
    root: &'a TrustedRoot,
    by: &[&'a SigningKey],
    expected: Result<Option<u64>, PolicyRefusal>,
) -> Case<'a> {
    Case {
        name,
        root,
        by: by.to_vec(),
        mesh: "mesh.local",
        site: "oslo",
        number: 7,
        commit: COMMIT,
        policy: b"policy",
        payload_type: PayloadType::Policy,
        claims: None,
        is_there: true,
        floor: 7,
        demand: PolicyDemand::AsRoot,
        expected,
    }
}

fn few(found: usize, needed: u8) -> Result<Option<u64>, PolicyRefusal> {
    Err(PolicyRefusal::NotSigned(TooFew { role: RoleName::Policy, found, needed, version: 1 }))
}

fn hold(cases: &[Case<'_>]) {
    for case in cases {
        assert_eq!(accept(case), case.expected, "{}", case.name);
    }
}

#[test]
fn a_table_of_acceptance() {
    let (core, p, q, stranger) = (key(), key(), key(), key());
    let root = trusted(&core, Some(role(1, &[&p, &q])), true, &[&p]);
    let good = |name| case(name, &root, &[&p], Ok(Some(7)));
    let wrong = |name| case(name, &root, &[&p], few(0, 1));
    let older = Err(PolicyRefusal::Older { number: 6, floor: 7 });
    hold(&[
        good("signed"),
        case("by the other key", &root, &[&q], Ok(Some(7))),
        case("and by a stranger besides", &root, &[&stranger, &p], Ok(Some(7))),
        Case { floor: 0, ..good("the first one") },
        Case { number: u64::MAX, expected: Ok(Some(u64::MAX)), ..good("the highest") },
        Case { is_there: false, ..case("unsigned", &root, &[], Err(PolicyRefusal::Unsigned(1))) },
        case("no signature in it", &root, &[], few(0, 1)),
        case("by a stranger", &root, &[&stranger], few(0, 1)),
        case("by the core's own key", &root, &[&core], few(0, 1)),
        Case { site: "bergen", ..wrong("for another site") },
        Case { mesh: "other.local", ..wrong("for another mesh") },
        Case { policy: b"another", ..wrong("other fragments") },
        Case { commit: OTHER_COMMIT, claims: Some((7, COMMIT)), ..wrong("another revision") },
        Case { number: 6, claims: Some((7, COMMIT)), ..wrong("a number made up") },
        Case { payload_type: PayloadType::Manifest, ..wrong("another purpose") },
        Case { number: 6, expected: older, ..good("older") },
    ]);
}

#[test]
fn a_table_of_who_asks() {
    let (core, p, q, stranger) = (key(), key(), key(), key());
    let two = trusted(&core, Some(role(2, &[&p, &q])), true, &[&p, &q]);
    let optional = trusted(&core, Some(role(1, &[&p])), false, &[&p]);
    let none = trusted(&core, None, false, &[]);
    let demand = PolicyDemand::Always;
    let unsigned = |name, expected| Case { is_there: false, ..case(name, &optional, &[], expected) };
    let nobody = Err(PolicyRefusal::NoPolicyKeys(1));
    hold(&[
        case("two of two", &two, &[&p, &q], Ok(Some(7))),
        case("one of two", &two, &[&p], few(1, 2)),
        case("one key twice", &two, &[&p, &p], few(1, 2)),
        case("not required, and there", &optional, &[&p], Ok(Some(7))),
        case("not required, and wrong", &optional, &[&stranger], Ok(None)),
        unsigned("not required, and not there", Ok(None)),
        Case { number: 6, ..case("not required, and older", &optional, &[&p], Ok(None)) },
        Case { demand, ..unsigned("required by the site", Err(PolicyRefusal::Unsigned(1))) },
        Case { demand, ..case("required by the site, and there", &optional, &[&p], Ok(Some(7))) },
        case("nobody to sign", &none, &[&p], Ok(None)),
        Case { demand, ..case("nobody to sign, and the site requires it", &none, &[&p], nobody) },
    ]);
}

fn accept(case: &Case<'_>) -> Result<Option<u64>, PolicyRefusal> {
    let (mesh, site) = (MeshDomain::new(case.mesh).unwrap(), SiteId::new(case.site).unwrap());
    let (signed, offered) = (Digest::of(case.policy), Digest::of(b"policy"));
    let statement =
        Statement { mesh: &mesh, site: &site, number: case.number, commit: case.commit, policy: &signed };
    let sign = |key: &&SigningKey| envelope::sign(case.payload_type, &statement.to_bytes(), key).unwrap();
    let (number, commit) = case.claims.unwrap_or((case.number, case.commit));
    let signatures = case.by.iter().map(sign).collect();
    let proof = PolicyProof { number, commit: commit.to_owned(), signatures };
    let own = SiteId::new("oslo").unwrap();
    let terms = PolicyTerms { site: &own, policy: &offered, floor: case.floor, demand: case.demand };
    case.root.accept_policy(case.is_there.then_some(&proof), &terms)
}
