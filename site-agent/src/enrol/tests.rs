//! What a box takes from a core when it is enrolled.

use skerry_identity::ca::{Authority as _, MeshRoot, TransportCa};
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::SigningKey;
use skerry_identity::lifetimes::{ROOT, Validity};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::token::TokenSecret;
use skerry_identity::trust_root::{Role, TrustRoot};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: u64 = 3_600_000;

fn first_root(mesh: &MeshDomain) -> Vec<u8> {
    let key = SigningKey::generate().unwrap();
    let root = TrustRoot {
        mesh: mesh.clone(),
        version: 1,
        expires: 1_900_000_000,
        core: Role::new(1, [key.public()]),
        policy: None,
        require_policy: false,
    };
    let mut signed = SignedRoot::new(&root).unwrap();
    signed.sign(&key).unwrap();
    serde_json::to_vec(&signed).unwrap()
}

/// A box that waited for an offline root has an authority of the ceremony's date, a certificate of later, and a time that was read when
/// it began to wait: on its clock, or in its token where that has ended.
#[test]
fn a_box_that_waited_for_days_takes_what_was_signed_meanwhile() {
    let (mesh, site) = (MeshDomain::new("mesh.local").unwrap(), SiteId::new("oslo").unwrap());
    let lasts =
        |hours: u64| Validity::starting(Timestamp(NOW.0 + hours * HOUR), Duration::from_secs(30 * 86_400));
    let root = MeshRoot::create(&mesh, &Validity::starting(NOW, ROOT)).unwrap();
    let transport = TransportCa::create(&mesh, &Validity::starting(NOW, ROOT)).unwrap();
    let token = JoinToken {
        site: site.clone(),
        mesh: mesh.clone(),
        core: None,
        pin: transport.certificate().thumbprint(),
        issued: NOW,
        expires: Timestamp(NOW.0 + 24 * HOUR),
        secret: TokenSecret::generate().unwrap(),
    };
    for time in [EnrolTime::Clock(NOW), EnrolTime::Suspect(NOW)] {
        let (agent, authority) = (EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
        let credentials = Credentials {
            authority: root
                .sign_site(&site, &ProvenKey::from(&authority), &lasts(48))
                .unwrap()
                .der()
                .to_vec(),
            agent: transport.sign_agent(&site, &ProvenKey::from(&agent), &lasts(72)).unwrap().der().to_vec(),
            trust: Some(Trust {
                mesh_roots: vec![root.certificate().der().to_vec()],
                link_roots: vec![transport.certificate().der().to_vec()],
                trust_roots: vec![first_root(&mesh)],
                ..Trust::default()
            }),
            ..Credentials::default()
        };
        let keys = Keys { agent, authority, are_old: true };
        let taken =
            take(&token, "https://core:1".to_owned(), keys, credentials, transport.certificate(), time);
        assert_eq!(*taken.unwrap().site(), site);
    }
}
