//! Tables of chains: what is taken, and what each rule refuses. The wrong ones are forged with the authorities' own keys.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rustls::pki_types::CertificateDer;

use super::*;
use crate::ca::{Authority as _, MeshRoot, SiteCa};
use crate::fixture::{NOW, anchors, at, lasting, mesh, root, site, site_ca, transport};
use crate::key::EcdsaKey;
use forge::Forgery;

mod forge;
mod link;

const CHECKOUT: &str = "spiffe://oslo.mesh.local/ns/shop/sa/checkout";

/// A mesh with the authority of site `oslo`.
struct World {
    root: MeshRoot,
    oslo: SiteCa,
}

impl World {
    fn new() -> Self {
        let root = root();
        let oslo = site_ca(&root, "oslo");
        Self { root, oslo }
    }

    /// A leaf and the authority of `oslo`.
    fn chain(&self, leaf: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        vec![leaf, self.oslo.certificate().der().clone()]
    }

    /// Signs with the key of `oslo`'s authority, whatever it is.
    fn forged(&self, forgery: &Forgery) -> Vec<CertificateDer<'static>> {
        self.chain(forgery.sign(&self.oslo))
    }

    fn good(&self) -> Vec<CertificateDer<'static>> {
        let svid = self.oslo.mint("shop", "checkout", &lasting(24)).unwrap();
        svid.chain.iter().map(|certificate| certificate.der().clone()).collect()
    }

    fn verify(&self, chain: &Chain<'_>) -> Result<VerifiedSvid, Refusal> {
        verify_svid(chain, &anchors(&self.root), &BTreeSet::new(), NOW)
    }

    fn refusal(&self, chain: &Chain<'_>) -> Refusal {
        self.verify(chain).expect_err("a refusal")
    }
}

#[test]
fn a_minted_chain_says_who_it_is_and_who_vouches() {
    let world = World::new();
    let found = world.verify(&world.good()).unwrap();
    assert_eq!(found.id.as_str(), CHECKOUT);
    assert_eq!(found.workload.site, site("oslo"));
    assert_eq!((&*found.workload.namespace, &*found.workload.service_account), ("shop", "checkout"));
    assert_eq!(found.authority, world.oslo.certificate().thumbprint());
    assert_eq!(found.until, at(24));
}

#[test]
fn what_the_rules_allow_is_taken() {
    let world = World::new();
    let with_root = [world.good(), vec![world.root.certificate().der().clone()]].concat();
    let allowed = [
        ("as it is minted", world.good()),
        ("with the root sent along", with_root),
        ("forged, but right", world.forged(&Forgery::workload(&[CHECKOUT]))),
        ("no extended key usage (SHOULD)", world.forged(&Forgery::workload(&[CHECKOUT]).extended(&[]))),
        ("no subject, so critical names", world.forged(&Forgery::workload(&[CHECKOUT]).no_subject())),
        ("an e-mail address besides", world.forged(&Forgery::workload(&[CHECKOUT]).email("a@example.com"))),
    ];
    for (name, chain) in allowed {
        assert_eq!(world.verify(&chain).map(|svid| svid.id.to_string()), Ok(CHECKOUT.to_owned()), "{name}");
    }
}

/// Each forgery, signed by the authority of `oslo`, is refused with this message.
fn check_leaves<const N: usize>(cases: [(Forgery, &str); N]) {
    let world = World::new();
    for (index, (forgery, message)) in cases.into_iter().enumerate() {
        let found = world.refusal(&world.forged(&forgery)).to_string();
        assert!(found.contains(message), "case {index}, `{message}`: {found}");
    }
}

#[test]
fn a_leaf_has_another_name() {
    let ids = Forgery::workload;
    let right = || ids(&[CHECKOUT]);
    check_leaves([
        (
            ids(&["spiffe://bergen.mesh.local/ns/shop/sa/checkout"]),
            "the authority may not name `spiffe://bergen.mesh",
        ),
        (ids(&["spiffe://x.oslo.mesh.local/ns/shop/sa/checkout"]), "the authority may not name"),
        (ids(&["spiffe://mesh.local/skerry/core"]), "the authority may not name"),
        (ids(&["https://oslo.mesh.local/ns/shop/sa/checkout"]), "the leaf: `https://oslo"),
        (ids(&[CHECKOUT, "spiffe://oslo.mesh.local/ns/shop/sa/cart"]), "the leaf has 2 URIs"),
        (ids(&[CHECKOUT, CHECKOUT]), "the leaf has 2 URIs"),
        (
            ids(&[CHECKOUT, "spiffe://bergen.mesh.local/ns/a/sa/b"]),
            "the authority may not name `spiffe://bergen.mesh",
        ),
        (ids(&[]), "the leaf has 0 URIs"),
        (ids(&["spiffe://oslo.mesh.local"]), "no path (§3.1)"),
        (ids(&["spiffe://oslo.mesh.local/"]), "the leaf: `spiffe://oslo.mesh.local/` is not a SPIFFE ID"),
        (ids(&["spiffe://OSLO.mesh.local/ns/shop/sa/checkout"]), "is not a SPIFFE ID"),
        (ids(&["spiffe://oslo.mesh.local:443/ns/shop/sa/checkout"]), "is not a SPIFFE ID"),
        (
            ids(&["spiffe://oslo.mesh.local/something/else"]),
            "is not the workload of a site of mesh `mesh.local`",
        ),
        (right().dns("core.example.com"), "the authority may not name `core.example.com`"),
        (right().address([10, 0, 0, 1]), "the authority may not name `IPAddress(0a:00:00:01)`"),
    ]);
}

#[test]
fn a_leaf_has_other_rights() {
    let ids = Forgery::workload;
    let right = || ids(&[CHECKOUT]);
    check_leaves([
        (right().authority(0), "it is an authority (§4.1)"),
        (right().usage(&[]), "no critical key usage (§4.3)"),
        (right().usage(&[forge::SIGN, forge::CERT_SIGN]), "may sign certificates or revocation lists"),
        (right().usage(&[forge::SIGN, forge::CRL_SIGN]), "may sign certificates or revocation lists"),
        (right().usage(&[forge::AGREEMENT]), "its key may not sign"),
        (right().extended(&[forge::CLIENT]), "not for clients and servers both (§4.4)"),
        (right().extended(&[forge::SERVER]), "not for clients and servers both (§4.4)"),
        (right().valid(-9, -1), "the leaf was valid until"),
        (right().valid(1, 9), "the leaf is valid from"),
        (right().extension(&[1, 2, 3, 4], true, b"\x05\x00"), "1.2.3.4 is critical and not known"),
        (right().extension(forge::NAMES, false, forge::OTHER_NAMES), "2.5.29.17 is there twice"),
        (
            ids(&[]).extension(forge::NAMES, false, b"\x30\x02\x86\x00\x30\x00"),
            "2.5.29.17 has bytes behind it",
        ),
        (ids(&[]).extension(forge::NAMES, false, b"\x30\x03\x86\x01\xff"), "one of its names cannot be read"),
        (ids(&[]).extension(forge::NAMES, false, b"\x30\x02\x16\x00"), "2.5.29.17 cannot be read"),
        (ids(&[]).extension(forge::NAMES, false, b"\x30\x05\x86"), "2.5.29.17"),
    ]);
}

#[test]
fn an_authority_breaks_a_rule() {
    let world = World::new();
    let (root, oslo) = (&world.root, || Forgery::site_authority("oslo"));
    // The forged authority, signed by the mesh root, and a right leaf by it.
    let below = |forgery: Forgery| {
        let key = EcdsaKey::generate().unwrap();
        let authority = forgery.sign_for(&key, root.certificate(), root.key());
        let leaf = Forgery::workload(&[CHECKOUT]).sign_by(&authority, &key);
        world.refusal(&[leaf, authority]).to_string()
    };
    let cases = [
        (oslo().unconstrained(), "not confined to the trust domain of its site"),
        (oslo().constraint(false, "oslo.mesh.local"), "not confined to the trust domain of its site"),
        (oslo().constraint(true, ".mesh.local"), "not confined to the trust domain of its site"),
        (oslo().constraint(true, ".oslo.mesh.local"), "the authority may not name"),
        (oslo().constraint(true, "bergen.mesh.local"), "the authority may not name"),
        (oslo().constraint_for_email(), "name constraint that is not understood"),
        (oslo().ids(&["spiffe://bergen.mesh.local"]), "is not the authority of that site"),
        (oslo().ids(&[]), "the authority has 0 URIs"),
        (oslo().no_authority(), "the authority may not sign certificates"),
        (oslo().usage(&[forge::SIGN]), "the authority may not sign certificates"),
        (oslo().usage(&[]), "the authority may not sign certificates"),
        (oslo().valid(-9, -1), "the authority was valid until"),
        (oslo().valid(1, 9), "the authority is valid from"),
        (oslo().extension(&[1, 2, 3, 4], true, b"\x05\x00"), "critical and not known"),
    ];
    for (index, (forgery, message)) in cases.into_iter().enumerate() {
        let found = below(forgery);
        assert!(found.contains(message), "case {index}, `{message}`: {found}");
    }
}

#[test]
fn a_path_has_another_shape() {
    let world = World::new();
    let bergen = site_ca(&world.root, "bergen");
    let leaf = |issuer: &SiteCa| Forgery::workload(&[CHECKOUT]).sign(issuer);
    let by_root = Forgery::workload(&[CHECKOUT]).sign(&world.root);
    let (sub_key, leaf_key) = (EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
    let sub = Forgery::site_authority("oslo").sign_for(&sub_key, world.oslo.certificate(), world.oslo.key());
    let below_sub = Forgery::workload(&[CHECKOUT]).sign_by(&sub, &sub_key);
    let first =
        Forgery::workload(&[CHECKOUT]).sign_for(&leaf_key, world.oslo.certificate(), world.oslo.key());
    let by_leaf = Forgery::workload(&[CHECKOUT]).sign_by(&first, &leaf_key);
    let oslo = world.oslo.certificate().der().clone();
    let root = world.root.certificate().der().clone();
    let cases = [
        (vec![], "a chain of 0 certificates"),
        (vec![oslo.clone(); 5], "a chain of 5 certificates"),
        (vec![by_root], "vouched for by the authority of its site"),
        (vec![root.clone()], "it is an authority (§4.1)"),
        (vec![root.clone(), root], "it is an authority (§4.1)"),
        (vec![oslo.clone()], "it is an authority (§4.1)"),
        (vec![below_sub, sub, oslo.clone()], "authority 2 allows 0 authorities below it, and 1 follow"),
        (vec![by_leaf, first, oslo.clone()], "the authority may not sign certificates"),
        (vec![leaf(&world.oslo)], "the leaf is issued by nobody"),
        (vec![oslo.clone(), leaf(&world.oslo)], "the leaf is issued by nobody"),
        (vec![leaf(&bergen), oslo.clone()], "the leaf is issued by nobody"),
        (vec![leaf(&bergen), bergen.certificate().der().clone()], "the authority may not name"),
        (vec![CertificateDer::from(vec![0x30, 0])], "the leaf: not a X.509 certificate"),
        (vec![leaf(&world.oslo), CertificateDer::from(vec![])], "the authority: not a X.509 certificate"),
    ];
    for (index, (chain, message)) in cases.into_iter().enumerate() {
        match world.verify(&chain) {
            Err(refusal) => {
                assert!(refusal.to_string().contains(message), "case {index}, `{message}`: {refusal}");
            }
            Ok(svid) => panic!("case {index}, `{message}`: {svid:?}"),
        }
    }
}

#[test]
fn another_mesh_proves_nothing_here() {
    let (world, other) = (World::new(), World::new());
    assert_eq!(world.refusal(&other.good()), Refusal::UnknownIssuer(Place::Authority(1)));
    let link = transport();
    let by_transport = Forgery::workload(&[CHECKOUT]).sign(&link);
    assert_eq!(world.refusal(&[by_transport]), Refusal::UnknownIssuer(Place::Leaf));
    // Its root has the same name now, and another key.
    let key = EcdsaKey::generate().unwrap();
    let fake = Forgery::named_as(&world.root).sign_self(&key);
    let authority = Forgery::site_authority("oslo").sign_for_key(&world.oslo, &fake, &key);
    let chain = world.chain(Forgery::workload(&[CHECKOUT]).sign(&world.oslo));
    let forged = [chain[0].clone(), authority, fake];
    assert_eq!(world.refusal(&forged), Refusal::BadSignature(Place::Authority(2)));
    assert_eq!(world.refusal(&forged[..2]), Refusal::BadSignature(Place::Authority(1)));
}

#[test]
fn a_root_that_lives_outside_may_be_on_p_384_and_nothing_else() {
    let keys = [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256];
    for (algorithm, is_taken) in keys.into_iter().zip([true, false, false]) {
        let root_key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let root = Certificate::from_der(&Forgery::root().sign_self(&root_key)).unwrap();
        let key = EcdsaKey::generate().unwrap();
        let authority = Forgery::site_authority("oslo").sign_for(&key, &root, &root_key);
        let chain = [Forgery::workload(&[CHECKOUT]).sign_by(&authority, &key), authority];
        let anchors = Anchors { mesh: mesh(), roots: vec![root] };
        let found = verify_svid(&chain, &anchors, &BTreeSet::new(), NOW).map(|_| ());
        let refused = Err(Refusal::BadSignature(Place::Authority(1)));
        assert_eq!(found, if is_taken { Ok(()) } else { refused }, "{algorithm:?}");
    }
}

#[test]
fn both_roots_count_while_one_is_rotated() {
    let (old, new) = (World::new(), World::new());
    let roots = vec![old.root.certificate().clone(), new.root.certificate().clone()];
    let both = Anchors { mesh: mesh(), roots };
    for world in [&old, &new] {
        assert!(verify_svid(&world.good(), &both, &BTreeSet::new(), NOW).is_ok());
    }
}

#[test]
fn every_certificate_of_the_path_has_its_time() {
    let world = World::new();
    let verify = |now| verify_svid(&world.good(), &anchors(&world.root), &BTreeSet::new(), now);
    assert!(verify(at(-1)).is_ok(), "backdated");
    assert!(verify(at(24)).is_ok(), "the last second belongs to it");
    assert!(matches!(verify(Timestamp(at(24).0 + 1000)), Err(Refusal::Expired(Place::Leaf, ..))));
    assert!(matches!(verify(Timestamp(at(-1).0 - 1)), Err(Refusal::NotYetValid(Place::Leaf, ..))));
    assert!(matches!(verify(Timestamp(0)), Err(Refusal::NotYetValid(..))));
    assert!(matches!(verify(Timestamp(u64::MAX)), Err(Refusal::Expired(..))));
    let short = MeshRoot::create(&mesh(), &lasting(300)).unwrap();
    let long = Forgery::site_authority("oslo").valid(-1, 400);
    let authority = long.sign_for(world.oslo.key(), short.certificate(), short.key());
    let leaf = Forgery::workload(&[CHECKOUT]).valid(-1, 400).sign_by(&authority, world.oslo.key());
    let chain = [leaf, authority];
    let found = verify_svid(&chain, &anchors(&short), &BTreeSet::new(), at(301));
    assert!(matches!(found, Err(Refusal::Expired(Place::Root, ..))), "{found:?}");
}

#[test]
fn a_revoked_authority_speaks_for_nobody() {
    let world = World::new();
    let revoked = BTreeSet::from([world.oslo.certificate().thumbprint()]);
    let found = verify_svid(&world.good(), &anchors(&world.root), &revoked, NOW).unwrap_err();
    assert_eq!(found, Refusal::Revoked(site("oslo"), world.oslo.certificate().thumbprint()));
}

#[test]
fn a_site_checks_the_authority_that_it_is_given() {
    let world = World::new();
    let check = |certificate: &Certificate, name: &str| {
        verify_site_ca(certificate, &site(name), &anchors(&world.root), NOW)
    };
    assert_eq!(check(world.oslo.certificate(), "oslo"), Ok(()));
    assert!(check(world.oslo.certificate(), "bergen").is_err());
    assert!(check(World::new().oslo.certificate(), "oslo").is_err());
    let deep = Forgery::site_authority("oslo").authority(1).sign(&world.root);
    let refused = check(&Certificate::from_der(&deep).unwrap(), "oslo").unwrap_err();
    assert!(refused.to_string().contains("no authority below it"), "{refused}");
    let svid = world.oslo.mint("shop", "checkout", &lasting(1)).unwrap();
    assert!(check(svid.certificate(), "oslo").is_err());
}

#[test]
fn each_flipped_byte_and_each_cut_is_refused() {
    let world = World::new();
    let good = world.good();
    for place in 0..good.len() {
        for index in 0..good[place].len() {
            let mut bytes = good[place].to_vec();
            bytes[index] ^= 1;
            let mut chain = good.clone();
            chain[place] = CertificateDer::from(bytes);
            assert!(world.verify(&chain).is_err(), "byte {index} of certificate {place}");
            chain[place] = CertificateDer::from(good[place][..index].to_vec());
            assert!(world.verify(&chain).is_err(), "certificate {place} cut at {index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused_without_a_panic(chain in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..200), 0..4,
    )) {
        let chain: Vec<CertificateDer<'_>> = chain.into_iter().map(CertificateDer::from).collect();
        let world = World::new();
        prop_assert!(world.verify(&chain).is_err());
        prop_assert!(verify_peer(&chain, &anchors(&world.root), NOW).is_err());
        prop_assert!(verify_pinned_core(&chain, &mesh(), world.oslo.certificate().thumbprint(), NOW).is_err());
    }
}
