//! Handshakes in memory, with a clock that stands still; and what rustls's own verifier says to the same chains.

use rustls::client::WebPkiServerVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};

use super::*;
use crate::ca::{Authority as _, MeshRoot, Peer, SiteCa, TransportCa};
use crate::csr::ProvenKey;
use crate::fixture::{NOW, anchors, lasting, mesh, root, site, site_ca, transport};

/// A chain and its key.
type Credentials = (Vec<Certificate>, EcdsaKey);

#[derive(Debug)]
struct Stopped;

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_millis(NOW.0)))
    }
}

/// Shakes hands in memory; says what each end thinks of it. rustls's own check that a key fits its certificate is passed
/// by, as a thief would.
fn handshake(
    client: (Arc<Verifier>, Credentials),
    server: (Arc<Verifier>, Credentials),
) -> Result<(), Error> {
    let provider = crypto::provider();
    let resolver = |(chain, key): Credentials| {
        let shown = credentials(&chain, &key).unwrap();
        Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(shown)))
    };
    let (verifier, shown) = client;
    let client = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(Stopped));
    let client =
        client.with_safe_default_protocol_versions()?.dangerous().with_custom_certificate_verifier(verifier);
    let client = match shown {
        (chain, _) if chain.is_empty() => client.with_no_client_auth(),
        shown => client.with_client_cert_resolver(resolver(shown)),
    };
    let (verifier, shown) = server;
    let server = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Stopped));
    let server = server.with_safe_default_protocol_versions()?.with_client_cert_verifier(verifier);
    let server = server.with_cert_resolver(resolver(shown));
    let name = ServerName::try_from("any.example").unwrap();
    exchange(
        &mut ClientConnection::new(Arc::new(client), name)?,
        &mut ServerConnection::new(Arc::new(server))?,
    )
    .map(drop)
}

/// Returns how many bytes went up and down.
fn exchange(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<[usize; 2], Error> {
    let (mut bytes, mut lengths) = (Vec::new(), [0; 2]);
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        bytes.clear();
        lengths[0] += client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        lengths[1] += server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(lengths)
}

fn svid(authority: &SiteCa, account: &str) -> Credentials {
    let svid = authority.mint("shop", account, &lasting(24)).unwrap();
    (svid.chain.to_vec(), svid.key)
}

fn shop(root: &MeshRoot, account: &'static str) -> Arc<Verifier> {
    Verifier::svid(anchors(root), BTreeSet::new(), move |svid| svid.workload.service_account == account)
}

fn text(result: Result<(), Error>) -> String {
    format!("{:?}", result.expect_err("a refusal"))
}

#[test]
fn workloads_of_two_sites_shake_hands() {
    let root = root();
    let (oslo, bergen) = (site_ca(&root, "oslo"), site_ca(&root, "bergen"));
    let client = (shop(&root, "checkout"), svid(&oslo, "cart"));
    let server = (shop(&root, "cart"), svid(&bergen, "checkout"));
    assert_eq!(handshake(client, server), Ok(()));
}

#[test]
fn another_peer_than_expected_is_refused_at_both_ends() {
    let root = root();
    let oslo = site_ca(&root, "oslo");
    let client = || (shop(&root, "checkout"), svid(&oslo, "cart"));
    let found = text(handshake(client(), (shop(&root, "cart"), svid(&oslo, "billing"))));
    assert!(found.contains("Unexpected") && found.contains("billing"), "{found}");
    let found = text(handshake(client(), (shop(&root, "billing"), svid(&oslo, "checkout"))));
    assert!(found.contains("Unexpected") && found.contains("cart"), "{found}");
}

#[test]
fn another_mesh_and_a_revoked_site_are_refused() {
    let (root, other) = (root(), root());
    let (oslo, stranger) = (site_ca(&root, "oslo"), site_ca(&other, "oslo"));
    let found = text(handshake(
        (shop(&root, "checkout"), svid(&oslo, "cart")),
        (shop(&root, "cart"), svid(&stranger, "checkout")),
    ));
    assert!(found.contains("UnknownIssuer"), "{found}");
    let revoked = BTreeSet::from([oslo.certificate().thumbprint()]);
    let strict = Verifier::svid(anchors(&root), revoked, |_| true);
    let found =
        text(handshake((shop(&root, "checkout"), svid(&oslo, "cart")), (strict, svid(&oslo, "checkout"))));
    assert!(found.contains("Revoked"), "{found}");
}

#[test]
fn a_chain_without_its_key_is_refused_at_both_ends() {
    let root = root();
    let oslo = site_ca(&root, "oslo");
    let stolen = |account| (svid(&oslo, account).0, EcdsaKey::generate().unwrap());
    let client = || shop(&root, "checkout");
    let server = || shop(&root, "cart");
    let found = text(handshake((client(), svid(&oslo, "cart")), (server(), stolen("checkout"))));
    assert!(found.contains("BadSignature"), "{found}");
    let found = text(handshake((client(), stolen("cart")), (server(), svid(&oslo, "checkout"))));
    assert!(found.contains("BadSignature"), "{found}");
}

fn core(link: &TransportCa) -> Credentials {
    let key = EcdsaKey::generate().unwrap();
    let name = ServerName::try_from("any.example").unwrap();
    let leaf = link.sign_core(&[name], &ProvenKey::from(&key), &lasting(24)).unwrap();
    (vec![leaf, link.certificate().clone()], key)
}

fn agent(link: &TransportCa) -> Credentials {
    let key = EcdsaKey::generate().unwrap();
    let leaf = link.sign_agent(&site("oslo"), &ProvenKey::from(&key), &lasting(24)).unwrap();
    (vec![leaf], key)
}

#[test]
fn core_and_agent_shake_hands_first_by_pin_then_by_anchor() {
    let link = transport();
    let agents =
        || Verifier::peer(anchors(&link), Strangers::Refused, |found| matches!(found.peer, Peer::Agent(_)));
    let (pinned, found) = Verifier::pinned_core(mesh(), link.pin());
    assert_eq!(handshake((pinned, agent(&link)), (agents(), core(&link))), Ok(()));
    let root = found.get().cloned().unwrap();
    assert_eq!(root, *link.certificate());
    let roots = Anchors { mesh: mesh(), roots: vec![root] };
    let anchored = Verifier::peer(roots, Strangers::Refused, |found| found.peer == Peer::Core);
    assert_eq!(handshake((anchored, agent(&link)), (agents(), core(&link))), Ok(()));
    let (pinned, found) = Verifier::pinned_core(mesh(), transport().pin());
    let refused = text(handshake((pinned, agent(&link)), (agents(), core(&link))));
    assert!(refused.contains("OtherPin") && found.get().is_none(), "{refused}");
    let no_agents =
        Verifier::peer(anchors(&link), Strangers::Refused, |found| matches!(found.peer, Peer::Operator(_)));
    let (pinned, _) = Verifier::pinned_core(mesh(), link.pin());
    let refused = text(handshake((pinned, agent(&link)), (no_agents, core(&link))));
    assert!(refused.contains("Unexpected"), "{refused}");
}

#[test]
fn a_server_that_enrols_takes_strangers_and_no_wrong_certificates() {
    let (link, other) = (transport(), transport());
    let server = |strangers| Verifier::peer(anchors(&link), strangers, |_| true);
    let pinned = || Verifier::pinned_core(mesh(), link.pin()).0;
    let nobody = || (Vec::new(), EcdsaKey::generate().unwrap());
    let shake = |client, strangers| handshake((pinned(), client), (server(strangers), core(&link)));
    assert_eq!(shake(nobody(), Strangers::Taken), Ok(()));
    assert_eq!(shake(agent(&link), Strangers::Taken), Ok(()));
    assert!(text(shake(nobody(), Strangers::Refused)).contains("NoCertificatesPresented"));
    assert!(text(shake(agent(&other), Strangers::Taken)).contains("UnknownIssuer"));
}

/// A client of the link and its core, as both are set up.
struct Link {
    client: Arc<ClientConfig>,
    core: Arc<ServerConfig>,
}

impl Link {
    fn new(authority: &TransportCa, own: Option<Credentials>) -> Self {
        let shown = |(chain, key): Credentials| credentials(&chain, &key).unwrap();
        let own = own.map(shown);
        let asks = Verifier::core(anchors(authority), || NOW, |_| {});
        let client = client_config(asks, own, Arc::new(Stopped)).unwrap();
        let shown = SingleCertAndKey::from(Arc::unwrap_or_clone(shown(core(authority))));
        let takes = Verifier::client(anchors(authority));
        let core = server_config(takes, Arc::new(shown), Arc::new(Stopped), 8).unwrap();
        Self { client: Arc::new(client), core: Arc::new(core) }
    }

    /// Shakes hands; says how, and how many bytes went up and down.
    fn shake(&self) -> (HandshakeKind, [usize; 2]) {
        let name = format!("{}.example", vec!["a".repeat(60); 3].join("."));
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut core = ServerConnection::new(Arc::clone(&self.core)).unwrap();
        let lengths = exchange(&mut client, &mut core).unwrap();
        assert_eq!(client.handshake_kind(), core.handshake_kind());
        (core.handshake_kind().unwrap(), lengths)
    }
}

/// A return is a few hundred bytes: a session is named, and nobody's certificate crosses the link.
#[test]
fn hands_are_shaken_again_with_few_bytes() {
    let authority = transport();
    let link = Link::new(&authority, Some(agent(&authority)));
    let (first, _) = link.shake();
    assert_eq!(first, HandshakeKind::Full);
    for _ in 0..3 {
        let (again, [up, down]) = link.shake();
        assert_eq!(again, HandshakeKind::Resumed);
        assert!(up < 360 && down < 340, "{up} B up, {down} B down");
    }
}

/// Strangers, as many as like to come and whatever name they send, drive out no session of a site.
#[test]
fn no_session_is_kept_of_who_shows_nothing() {
    let mut link = Link::new(&transport(), None);
    for sends_name in [false, true] {
        Arc::make_mut(&mut link.client).enable_sni = sends_name;
        for _ in 0..2 {
            assert_eq!(link.shake().0, HandshakeKind::Full);
        }
    }
}

/// Why there are two trees (docs/adr/0011): rustls's own verifier refuses what is right below a constrained authority, and
/// takes what the transport authority signs. When this fails, rustls has learned it.
#[test]
fn rustls_alone_refuses_every_svid_and_takes_the_link() {
    let (root, link) = (root(), transport());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let store = |authority: &CertificateDer<'static>| {
        let mut store = RootCertStore::empty();
        store.add(authority.clone()).unwrap();
        Arc::new(store)
    };
    let clients = |authority| {
        WebPkiClientVerifier::builder_with_provider(store(authority), Arc::clone(&provider)).build().unwrap()
    };
    let now = Stopped.current_time().unwrap();
    let (chain, _) = svid(&site_ca(&root, "oslo"), "checkout");
    let der = |chain: &[Certificate]| chain.iter().map(|one| one.der().clone()).collect::<Vec<_>>();
    let chain = der(&chain);
    let refused = clients(root.certificate().der()).verify_client_cert(&chain[0], &chain[1..], now);
    assert!(refused.is_err());
    let (chain, _) = agent(&link);
    let taken = clients(link.certificate().der()).verify_client_cert(chain[0].der(), &[], now);
    assert!(taken.is_ok(), "{taken:?}");
    let servers = WebPkiServerVerifier::builder_with_provider(store(link.certificate().der()), provider);
    let chain = der(&core(&link).0);
    let name = ServerName::try_from("any.example").unwrap();
    let taken = servers.build().unwrap().verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
    assert!(taken.is_ok(), "{taken:?}");
}

/// The table of an agent's clock: 1970, behind, right, after the core's certificate is over; and who is not the core.
#[test]
fn an_agent_takes_the_core_whatever_its_clock_shows_until_the_core_is_over() {
    let authority = transport();
    let signed = |peer: &str| {
        let key = EcdsaKey::generate().unwrap();
        let proven = ProvenKey::from(&key);
        let certificate = match peer {
            "core" => authority.sign_core(&[], &proven, &lasting(24)),
            _ => authority.sign_operator(peer, &proven, &lasting(24)),
        };
        [certificate.unwrap().der().clone()]
    };
    let core = signed("core");
    let ask = |chain: &[CertificateDer<'static>], now: Timestamp, wall: Timestamp| {
        let found = Arc::new(std::sync::Mutex::new(Timestamp(0)));
        let note = Arc::clone(&found);
        let verifier =
            Verifier::core(anchors(&authority), move || wall, move |at| *note.lock().unwrap() = at);
        let outcome = (verifier.question)(chain, now);
        let found = *found.lock().unwrap();
        (outcome.is_ok(), found)
    };
    let (begins, late) = (crate::fixture::at(-1), crate::fixture::at(25));
    assert_eq!(ask(&core, Timestamp(0), Timestamp(0)), (true, begins), "a box that boots in 1970");
    assert_eq!(ask(&core, NOW, NOW), (true, begins));
    assert_eq!(ask(&core, NOW, late), (true, begins), "a clock that is ahead voids nothing");
    assert_eq!(ask(&core, late, late), (false, Timestamp(0)), "a stolen key of long ago");
    assert_eq!(ask(&core, late, NOW), (true, begins), "a core was ahead once, and is not any more");
    let ask = |chain: &[CertificateDer<'static>], now| ask(chain, now, now);
    assert_eq!(ask(&signed("ada"), NOW), (false, Timestamp(0)));
}
