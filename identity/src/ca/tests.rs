//! What each certificate says, read by another library than wrote it.

use rustls::pki_types::ServerName;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage, NameConstraints};
use x509_parser::prelude::X509Certificate;

use super::*;
use crate::certificate::parse;
use crate::csr::{self, ProvenKey};
use crate::fixture::{NOW, at, hours, lasting, mesh, root, site, site_ca, transport};
use crate::lifetimes::{ROOT, Validity};
use crate::spiffe_id::MeshDomain;

/// Authority with path length, critical key usage, extended key usage, names, in one line each.
fn facts(certificate: &Certificate) -> [String; 4] {
    let parsed = parse(certificate.der()).unwrap();
    let basic = parsed.basic_constraints().unwrap().unwrap();
    assert!(basic.critical);
    let usage = parsed.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let names: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
    [
        format!("{} {:?}", basic.value.ca, basic.value.path_len_constraint),
        format!("{}", KeyUsage { flags: usage.value.flags }),
        extended(&parsed),
        names.join(" "),
    ]
}

fn extended(parsed: &X509Certificate<'_>) -> String {
    let Some(extended) = parsed.extended_key_usage().unwrap() else { return String::new() };
    let ExtendedKeyUsage { any, server_auth, client_auth, .. } = extended.value;
    assert!(!any && extended.value.other.is_empty());
    [(server_auth, "server"), (client_auth, "client")]
        .iter()
        .filter(|(is_set, _)| **is_set)
        .map(|(_, name)| *name)
        .collect::<Vec<_>>()
        .join(" ")
}

fn names(list: &[&str]) -> Vec<ServerName<'static>> {
    list.iter().map(|name| ServerName::try_from((*name).to_owned()).unwrap()).collect()
}

fn key() -> EcdsaKey {
    EcdsaKey::generate().unwrap()
}

#[test]
fn each_kind_of_certificate_says_what_it_is_for() {
    let (root, transport) = (root(), transport());
    let oslo = site_ca(&root, "oslo");
    let svid = oslo.mint("shop", "checkout", &lasting(24)).unwrap();
    let proven = ProvenKey::from(&key());
    let core =
        transport.sign_core(&names(&["core.example", "10.0.0.1", "::1"]), &proven, &lasting(24)).unwrap();
    let agent = transport.sign_agent(&site("oslo"), &proven, &lasting(24)).unwrap();
    let operator = transport.sign_operator("ada", &proven, &lasting(24)).unwrap();
    let signs = "Key Cert Sign, CRL Sign";
    let table = [
        (root.certificate(), ["true Some(1)", signs, "", "URI(spiffe://mesh.local)"]),
        (oslo.certificate(), ["true Some(0)", signs, "", "URI(spiffe://oslo.mesh.local)"]),
        (
            svid.certificate(),
            [
                "false None",
                "Digital Signature",
                "server client",
                "URI(spiffe://oslo.mesh.local/ns/shop/sa/checkout)",
            ],
        ),
        (transport.certificate(), ["true Some(0)", signs, "", "URI(spiffe://mesh.local)"]),
        (
            &core,
            [
                "false None",
                "Digital Signature",
                "server",
                "URI(spiffe://mesh.local/skerry/core) DNSName(core.example) IPAddress(0a:00:00:01) \
                 IPAddress(00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01)",
            ],
        ),
        (&agent, ["false None", "Digital Signature", "client", "URI(spiffe://mesh.local/skerry/site/oslo)"]),
        (
            &operator,
            ["false None", "Digital Signature", "client", "URI(spiffe://mesh.local/skerry/operator/ada)"],
        ),
    ];
    table.into_iter().for_each(|(certificate, expected)| assert_eq!(facts(certificate), expected));
}

#[test]
fn a_site_s_authority_alone_is_constrained_critically_to_its_host() {
    let (root, transport) = (root(), transport());
    let oslo = site_ca(&root, "oslo");
    let parsed = parse(oslo.certificate().der()).unwrap();
    let constraints = parsed.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    let NameConstraints { permitted_subtrees, excluded_subtrees } = constraints.value;
    let permitted: Vec<_> = permitted_subtrees.iter().flatten().map(|subtree| &subtree.base).collect();
    assert_eq!(permitted, [&GeneralName::URI("oslo.mesh.local")], "no leading dot: that host alone");
    assert_eq!(excluded_subtrees.as_ref().map(Vec::len), Some(3), "no DNS names, no addresses");
    for free in [root.certificate(), transport.certificate()] {
        assert!(parse(free.der()).unwrap().name_constraints().unwrap().is_none());
    }
}

#[test]
fn certificates_chain_by_name_key_identifier_and_signature() {
    let root = root();
    let oslo = site_ca(&root, "oslo");
    let svid = oslo.mint("shop", "checkout", &lasting(24)).unwrap();
    for (subject, issuer) in
        [(svid.certificate(), oslo.certificate()), (oslo.certificate(), root.certificate())]
    {
        let (subject, issuer) = (parse(subject.der()).unwrap(), parse(issuer.der()).unwrap());
        assert_eq!(subject.issuer().as_raw(), issuer.subject().as_raw());
        assert!(subject.verify_signature(Some(issuer.public_key())).is_ok());
        let found = |parsed: &X509Certificate<'_>, oid: &str| {
            let extension = parsed.iter_extensions().find(|extension| extension.oid.to_id_string() == oid);
            extension.unwrap().value.to_vec()
        };
        // An octet string of 20 bytes, and the same behind the head of a sequence.
        assert_eq!(found(&subject, "2.5.29.35")[4..], found(&issuer, "2.5.29.14")[2..]);
    }
    let renewed = MeshRoot::create(&mesh(), &lasting(9)).unwrap();
    let subject = |root: &MeshRoot| parse(root.certificate().der()).unwrap().subject().as_raw().to_vec();
    assert_ne!(subject(&root), subject(&renewed), "an old and a new root differ by name");
}

#[test]
fn they_are_backdated_by_an_hour_and_never_before_1970() {
    let root = root();
    assert_eq!(root.certificate().not_before(), at(-1));
    assert_eq!(root.certificate().validity(), Validity::starting(NOW, ROOT));
    let old = MeshRoot::create(&mesh(), &Validity::starting(Timestamp(5_000), hours(2))).unwrap();
    assert_eq!(old.certificate().not_before(), Timestamp(0));
    assert_eq!(old.certificate().not_after(), Timestamp(5_000 + 7_200_000));
}

#[test]
fn nothing_outlives_its_issuer() {
    let root = MeshRoot::create(&mesh(), &lasting(100)).unwrap();
    let proven = ProvenKey::from(&key());
    assert!(root.sign_site(&site("oslo"), &proven, &lasting(100)).is_ok());
    let refused = root.sign_site(&site("oslo"), &proven, &lasting(101)).unwrap_err();
    assert!(matches!(refused, CaError::Outlives { .. }), "{refused}");
    let oslo = site_ca(&crate::fixture::root(), "oslo");
    let end = oslo.certificate().not_after();
    let late = oslo.mint("shop", "checkout", &Validity::starting(at(299), hours(24))).unwrap();
    assert_eq!(late.certificate().not_after(), end, "a workload's is cut to its authority's end");
    let over = oslo.mint("shop", "checkout", &Validity::starting(at(301), hours(24))).unwrap_err();
    assert_eq!(over, CaError::Over(end.0 / 1000));
}

#[test]
fn what_was_stored_is_taken_and_what_is_something_else_is_not() {
    let (root, transport) = (root(), transport());
    let (oslo, bergen) = (site_ca(&root, "oslo"), site_ca(&root, "bergen"));
    let copy = |key: &EcdsaKey| EcdsaKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
    let parts = |authority: &dyn Authority| (authority.certificate().clone(), copy(authority.key()));
    let as_root = |authority: &dyn Authority| {
        let (certificate, key) = parts(authority);
        MeshRoot::load(&mesh(), certificate, key).err().map(|error| error.to_string())
    };
    let as_oslo = |authority: &dyn Authority| {
        let (certificate, key) = parts(authority);
        SiteCa::load(&mesh(), &site("oslo"), certificate, key).err().map(|error| error.to_string())
    };
    let as_transport = |authority: &dyn Authority| {
        let (certificate, key) = parts(authority);
        TransportCa::load(&mesh(), certificate, key).err().map(|error| error.to_string())
    };
    assert_eq!((as_root(&root), as_oslo(&oslo), as_transport(&transport)), (None, None, None));
    let not =
        |found: Option<String>, reason: &str| assert!(found.clone().unwrap().ends_with(reason), "{found:?}");
    not(as_root(&transport), "it may not sign authorities below it");
    not(as_transport(&root), "it may sign authorities below it");
    not(as_root(&oslo), "its URI is another one");
    not(as_oslo(&bergen), "its URI is another one");
    let other_mesh = MeshDomain::new("other.local").unwrap();
    assert!(MeshRoot::load(&other_mesh, root.certificate().clone(), copy(root.key())).is_err());
    let mixed = MeshRoot::load(&mesh(), root.certificate().clone(), key()).unwrap_err();
    not(Some(mixed.to_string()), "it is for another key");
    let svid = oslo.mint("shop", "checkout", &lasting(24)).unwrap();
    let leaf = SiteCa::load(&mesh(), &site("oslo"), svid.chain[0].clone(), svid.key).unwrap_err();
    not(Some(leaf.to_string()), "its URI is another one");
}

#[test]
fn names_are_given_by_the_authority_and_checked() {
    let oslo = site_ca(&root(), "oslo");
    for (namespace, account) in [("shop", "../bergen"), ("shop/sa/x", "y"), ("", ""), ("shop", "a b")] {
        let refused = oslo.mint(namespace, account, &lasting(24)).unwrap_err();
        assert!(matches!(refused, CaError::Name(_)), "{refused}");
    }
    let proven = csr::verify(&csr::create(&key()).unwrap()).unwrap();
    assert!(transport().sign_operator("A/../core", &proven, &lasting(1)).is_err());
}

#[test]
fn the_longest_names_fit() {
    let mesh = MeshDomain::new(&["m".repeat(63), "n".repeat(63), "o".repeat(61)].join(".")).unwrap();
    let root = MeshRoot::create(&mesh, &lasting(10)).unwrap();
    let (site, key) = (site(&"s".repeat(63)), key());
    let certificate = root.sign_site(&site, &ProvenKey::from(&key), &lasting(9)).unwrap();
    let authority = SiteCa::load(&mesh, &site, certificate, key).unwrap();
    let svid = authority.mint(&"n".repeat(63), &"a".repeat(253), &lasting(8)).unwrap();
    assert_eq!(svid.certificate().spiffe_id(), Some(&svid.id));
    assert!(svid.id.as_str().len() > 500);
}

#[test]
fn peers_of_the_link_are_named_and_read_back() {
    for peer in [Peer::Core, Peer::Agent(site("oslo")), Peer::Operator("ada.l".to_owned())] {
        assert_eq!(Peer::from_spiffe_id(&mesh(), &peer.to_spiffe_id(&mesh()).unwrap()), Some(peer));
    }
    let others = [
        "spiffe://mesh.local",
        "spiffe://mesh.local/skerry",
        "spiffe://mesh.local/skerry/core/x",
        "spiffe://mesh.local/skerry/site",
        "spiffe://mesh.local/skerry/site/A",
        "spiffe://mesh.local/skerry/site/a/b",
        "spiffe://mesh.local/skerry/operator/A",
        "spiffe://oslo.mesh.local/skerry/core",
        "spiffe://other.local/skerry/core",
    ];
    for id in others {
        assert_eq!(Peer::from_spiffe_id(&mesh(), &id.parse().unwrap()), None, "{id}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let oslo = site_ca(&root(), "oslo");
    let svid = oslo.mint("shop", "checkout", &lasting(24)).unwrap();
    let shown = format!("{oslo:?} {svid:?}");
    for key in [oslo.key(), &svid.key] {
        let pem = key.to_pem().unwrap();
        let line = pem.lines().nth(1).unwrap();
        assert!(!shown.contains(&line[20..40]), "{shown}");
    }
    assert!(shown.len() < 700, "facts, not bytes: {shown}");
}
