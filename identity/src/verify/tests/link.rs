//! Peers of the link, and the core that is known by its pin alone.

use rustls::pki_types::{CertificateDer, ServerName};

use super::forge::{self, Forgery};
use crate::ca::{Authority as _, Peer, TransportCa};
use crate::certificate::Certificate;
use crate::csr::ProvenKey;
use crate::fixture::{NOW, anchors, at, lasting, mesh, root, site, site_ca, transport};
use crate::key::EcdsaKey;
use crate::verify::{Place, Refusal, VerifiedPeer, verify_peer, verify_pinned_core};

const CORE: &str = "spiffe://mesh.local/skerry/core";
const AGENT: &str = "spiffe://mesh.local/skerry/site/oslo";

fn key() -> ProvenKey {
    ProvenKey::from(&EcdsaKey::generate().unwrap())
}

fn core(link: &TransportCa) -> CertificateDer<'static> {
    let name = ServerName::try_from("core.example").unwrap();
    link.sign_core(&[name], &key(), &lasting(24)).unwrap().der().clone()
}

#[test]
fn a_peer_is_who_its_certificate_says() {
    let link = transport();
    let agent = link.sign_agent(&site("oslo"), &key(), &lasting(24)).unwrap();
    let operator = link.sign_operator("ada", &key(), &lasting(24)).unwrap();
    let cases = [
        (core(&link), Peer::Core),
        (agent.der().clone(), Peer::Agent(site("oslo"))),
        (operator.der().clone(), Peer::Operator("ada".to_owned())),
    ];
    for (leaf, peer) in cases {
        let with_root = [leaf.clone(), link.certificate().der().clone()];
        let key = Certificate::from_der(&leaf).unwrap().thumbprint();
        let expected = VerifiedPeer { peer, key, until: at(24) };
        assert_eq!(verify_peer(&[leaf], &anchors(&link), NOW).as_ref(), Ok(&expected));
        assert_eq!(verify_peer(&with_root, &anchors(&link), NOW), Ok(expected));
    }
}

#[test]
fn what_is_no_peer_is_refused() {
    let link = transport();
    let forged =
        |forgery: Forgery| verify_peer(&[forgery.sign(&link)], &anchors(&link), NOW).unwrap_err().to_string();
    let agent = || Forgery::workload(&[AGENT]).extended(&[forge::CLIENT]);
    let cases = [
        (Forgery::workload(&["spiffe://oslo.mesh.local/ns/shop/sa/checkout"]), "is not a peer of the link"),
        (
            Forgery::workload(&["spiffe://other.local/skerry/core"]),
            "is not a peer of the link of mesh `mesh.local`",
        ),
        (Forgery::workload(&[AGENT, CORE]), "the leaf has 2 URIs"),
        (agent().extended(&[forge::SERVER]), "for the other end of the link"),
        (agent().extended(&[]), "for the other end of the link"),
        (agent().ids(&[CORE]), "for the other end of the link"),
        (agent().authority(0), "an authority is no peer"),
        (agent().usage(&[]), "may not sign"),
        (agent().valid(-9, -1), "the leaf was valid until"),
        (agent().extension(&[1, 2, 3], true, b"\x05\x00"), "critical and not known"),
    ];
    for (index, (forgery, message)) in cases.into_iter().enumerate() {
        let found = forged(forgery);
        assert!(found.contains(message), "case {index}, `{message}`: {found}");
    }
}

#[test]
fn the_two_trees_do_not_mix() {
    let (link, root) = (transport(), root());
    let by_root = Forgery::workload(&[AGENT]).sign(&root);
    let found = verify_peer(&[by_root], &anchors(&link), NOW);
    assert_eq!(found, Err(Refusal::UnknownIssuer(Place::Leaf)));
    // Even where a mesh root was configured as the transport authority by mistake.
    let oslo = site_ca(&root, "oslo");
    let chain = [Forgery::workload(&[AGENT]).sign(&oslo), oslo.certificate().der().clone()];
    assert!(matches!(verify_peer(&chain, &anchors(&root), NOW), Err(Refusal::OutsideConstraint { .. })));
    let svid = oslo.mint("shop", "checkout", &lasting(1)).unwrap();
    let chain = svid.chain.map(|certificate| certificate.der().clone());
    assert!(matches!(verify_peer(&chain, &anchors(&root), NOW), Err(Refusal::Shape(_))));
}

#[test]
fn a_pin_finds_the_core_and_gives_the_anchor() {
    let link = transport();
    let chain = [core(&link), link.certificate().der().clone()];
    let found = verify_pinned_core(&chain, &mesh(), link.pin(), NOW);
    assert_eq!(found.as_ref(), Ok(link.certificate()));
}

#[test]
fn a_pin_is_not_met_by_others() {
    let (link, other) = (transport(), transport());
    let authority = |link: &TransportCa| link.certificate().der().clone();
    let agent = link.sign_agent(&site("oslo"), &key(), &lasting(24)).unwrap().der().clone();
    // The pinned key in a certificate that its holder never signed: no limits, valid for ever.
    let thief = EcdsaKey::generate().unwrap();
    let made_up = Forgery::named_as(&link).valid(-1, 9_000_000).sign_self(&thief);
    let mut with_pinned_key = made_up.to_vec();
    let spki = thief.public().to_spki();
    let place = with_pinned_key.windows(spki.len()).position(|window| window == spki).unwrap();
    with_pinned_key[place..place + spki.len()].copy_from_slice(&link.key().public().to_spki());
    let check =
        |chain: &[CertificateDer<'_>], now| verify_pinned_core(chain, &mesh(), link.pin(), now).unwrap_err();
    assert_eq!(check(&[], NOW), Refusal::OtherPin(link.pin()));
    assert_eq!(check(&[core(&link)], NOW), Refusal::OtherPin(link.pin()));
    assert_eq!(check(&[core(&other), authority(&other)], NOW), Refusal::OtherPin(link.pin()));
    assert_eq!(check(&[core(&other), authority(&link)], NOW), Refusal::UnknownIssuer(Place::Leaf));
    let made_up = [core(&link), CertificateDer::from(with_pinned_key)];
    assert_eq!(check(&made_up, NOW), Refusal::BadSignature(Place::Root));
    assert!(matches!(check(&[agent, authority(&link)], NOW), Refusal::OtherName { .. }));
    assert!(matches!(check(&[core(&link), authority(&link)], at(25)), Refusal::Expired(Place::Leaf, ..)));
    assert!(matches!(check(&[core(&link), authority(&link)], at(200_000)), Refusal::Expired(..)));
}
