//! Ceremonies: what a file of requests has to be, and what comes of it.

use super::*;
use crate::certificate::Certificate;
use crate::key::EcdsaKey;
use crate::lifetimes::ROOT;
use crate::verify::{Anchors, verify_site_ca};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn mesh() -> MeshDomain {
    MeshDomain::new("mesh.local").unwrap()
}

fn site(name: &str) -> SiteId {
    SiteId::new(name).unwrap()
}

fn request(name: &str, key: &EcdsaKey) -> SigningRequest {
    SigningRequest::new(site(name), &csr::create(key).unwrap(), MONTH)
}

fn root() -> MeshRoot {
    MeshRoot::create(&mesh(), &Validity::starting(NOW, ROOT)).unwrap()
}

fn asks(ledger: &Ledger, requests: Vec<SigningRequest>) -> SigningRequests {
    SigningRequests { mesh: mesh(), root: ledger.root, requests }
}

#[test]
fn what_is_signed_is_a_site_s_authority_and_its_key_is_remembered() {
    let (root, key) = (root(), EcdsaKey::generate().unwrap());
    let mut ledger = Ledger::new(&mesh(), &root);
    let asked = asks(&ledger, vec![request("oslo", &key)]);
    let json = serde_json::to_string(&asked).unwrap();
    let items = serde_json::from_str::<SigningRequests>(&json).unwrap().read(&ledger).unwrap();
    assert_eq!(items[0].standing, Standing::New);
    let signed = ledger.sign(&root, &items, NOW).unwrap();
    let certificate = Certificate::from_pem(&signed.certificates[0].certificate).unwrap();
    let anchors = Anchors { mesh: mesh(), roots: vec![root.certificate().clone()] };
    assert_eq!(verify_site_ca(&certificate, &site("oslo"), &anchors, NOW), Ok(()));
    assert_eq!(certificate.thumbprint(), key.thumbprint());

    assert_eq!(asked.read(&ledger).unwrap()[0].standing, Standing::Renewal);
    let other = asks(&ledger, vec![request("oslo", &EcdsaKey::generate().unwrap())]);
    let changed = other.read(&ledger).unwrap()[0].standing;
    assert_eq!(changed, Standing::Changed { before: key.thumbprint() });
}

#[test]
fn files_that_are_not_for_this_root_or_not_in_order_are_refused_whole() {
    let (root, key) = (root(), EcdsaKey::generate().unwrap());
    let ledger = Ledger::new(&mesh(), &root);
    let good = || request("oslo", &key);
    let other_mesh = MeshDomain::new("other.local").unwrap();
    let mut der = csr::create(&key).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let broken = SigningRequest::new(site("oslo"), &der, Duration::from_secs(86_400));
    let long = SigningRequest { lasts_seconds: MAX_SITE_CA.as_secs() + 1, ..good() };
    type Case = (SigningRequests, fn(&CeremonyError) -> bool);
    let short = SigningRequest { lasts_seconds: 0, ..good() };
    let cases: [Case; 7] = [
        (asks(&ledger, vec![short]), |error| matches!(error, CeremonyError::TooShort { .. })),
        (SigningRequests { mesh: other_mesh, ..asks(&ledger, vec![]) }, |error| {
            matches!(error, CeremonyError::OtherRoot { .. })
        }),
        (SigningRequests { root: key.thumbprint(), ..asks(&ledger, vec![]) }, |error| {
            matches!(error, CeremonyError::OtherRoot { .. })
        }),
        (asks(&ledger, vec![good(); MAX_REQUESTS + 1]), |error| matches!(error, CeremonyError::TooMany(_))),
        (asks(&ledger, vec![good(), good()]), |error| matches!(error, CeremonyError::Twice(_))),
        (asks(&ledger, vec![broken]), |error| matches!(error, CeremonyError::Malformed(..))),
        (asks(&ledger, vec![long]), |error| matches!(error, CeremonyError::TooLong { .. })),
    ];
    for (asked, is_expected) in cases {
        let error = asked.read(&ledger).unwrap_err();
        assert!(is_expected(&error), "{error}");
    }
}

#[test]
fn a_key_is_signed_for_under_one_name() {
    let (root, key) = (root(), EcdsaKey::generate().unwrap());
    let mut ledger = Ledger::new(&mesh(), &root);
    let items = asks(&ledger, vec![request("oslo", &key)]).read(&ledger).unwrap();
    ledger.sign(&root, &items, NOW).unwrap();
    let error = asks(&ledger, vec![request("osla", &key)]).read(&ledger).unwrap_err();
    assert!(matches!(error, CeremonyError::SharedKey { .. }), "{error}");
}

#[test]
fn where_one_cannot_be_signed_nothing_is_remembered() {
    let root = root();
    let mut ledger = Ledger::new(&mesh(), &root);
    let keys = [EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap()];
    let mut items =
        asks(&ledger, vec![request("a", &keys[0]), request("b", &keys[1])]).read(&ledger).unwrap();
    items[1].lasts = ROOT * 2;
    assert!(matches!(ledger.sign(&root, &items, NOW), Err(CaError::Outlives { .. })));
    assert!(ledger.sites.is_empty());
}
