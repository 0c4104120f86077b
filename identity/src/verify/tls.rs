//! The verifiers for rustls: SVIDs of workloads, peers of the link, and a core that is known by its pin.
//!
//! The time is rustls's argument. A name or address that was dialled decides nothing: identities are URIs. Must not look
//! into what is authorized beyond "is this one of those that I talk to".

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ResolvesServerCert;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ServerConfig, SignatureScheme,
};
use skerry_core::id::Timestamp;

use super::{
    Anchors, Chain, Place, Refusal, VerifiedPeer, VerifiedSvid, verify_peer, verify_pinned_core, verify_svid,
};
use crate::ca::Peer;
use crate::certificate::Certificate;
use crate::key::{EcdsaKey, ProviderFailed};
use crate::spiffe_id::MeshDomain;
use crate::thumbprint::Thumbprint;

mod crypto;
mod sessions;

use sessions::Sessions;

/// What a verifier asks about a chain.
type Question = dyn Fn(&Chain<'_>, Timestamp) -> Result<(), Refusal> + Send + Sync;

/// A verifier for both ends of a connection.
pub struct Verifier {
    question: Box<Question>,
    algorithms: WebPkiSupportedAlgorithms,
    strangers: Strangers,
}

/// Whether a server takes clients without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// It takes none.
    Refused,
    /// It takes them: for enrolment, where a token says who it is. A certificate that is shown has to be right all the same.
    Taken,
}

impl Verifier {
    fn new(
        strangers: Strangers,
        question: impl Fn(&Chain<'_>, Timestamp) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let algorithms = crypto::signatures();
        Arc::new(Self { question: Box::new(question), algorithms, strangers })
    }

    /// Takes workloads of the mesh that `allows` lets in.
    pub fn svid(
        anchors: Anchors,
        revoked: BTreeSet<Thumbprint>,
        allows: impl Fn(&VerifiedSvid) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(Strangers::Refused, move |chain, now| {
            let svid = verify_svid(chain, &anchors, &revoked, now)?;
            if allows(&svid) { Ok(()) } else { Err(Refusal::Unexpected(svid.id)) }
        })
    }

    /// Takes peers of the link that `allows` lets in: by who they are, and by key.
    pub fn peer(
        anchors: Anchors,
        strangers: Strangers,
        allows: impl Fn(&VerifiedPeer) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(strangers, move |chain, now| {
            let found = verify_peer(chain, &anchors, now)?;
            let id =
                found.peer.to_spiffe_id(&anchors.mesh).map_err(|error| Refusal::Name(Place::Leaf, error))?;
            if allows(&found) { Ok(()) } else { Err(Refusal::Unexpected(id)) }
        })
    }

    /// Takes the core, as an agent or a person does. `now` of the handshake is a time that has certainly been; a certificate
    /// that is not valid yet by it was signed later, so it is later than that. What is over is over, unless `wall` says that it
    /// is not: a core whose clock was ahead for a while would else be refused by everyone who has believed it. `found` is told
    /// the time that a certificate vouches for.
    pub fn core(
        anchors: Anchors,
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        found: impl Fn(Timestamp) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(Strangers::Refused, move |chain, now| {
            let began = not_before(chain).unwrap_or(now);
            let verified = match verify_peer(chain, &anchors, now.max(began)) {
                Err(Refusal::Expired(..)) => verify_peer(chain, &anchors, wall()),
                verified => verified,
            };
            let peer = verified?.peer;
            if peer != Peer::Core {
                let id = peer.to_spiffe_id(&anchors.mesh);
                return Err(Refusal::Unexpected(id.map_err(|error| Refusal::Name(Place::Leaf, error))?));
            }
            found(began);
            Ok(())
        })
    }

    /// Takes peers of the link as the core does, and those who show nothing. A certificate that is not valid yet is one of its
    /// own of a time when its clock was ahead.
    pub fn client(anchors: Anchors) -> Arc<Self> {
        Self::new(Strangers::Taken, move |chain, now| verify_client(chain, &anchors, now).map(drop))
    }

    /// Takes the core whose transport authority has the pinned key. What it found is in the second value after the
    /// handshake: the anchor for every later connection.
    pub fn pinned_core(mesh: MeshDomain, pin: Thumbprint) -> (Arc<Self>, Arc<OnceLock<Certificate>>) {
        let found = Arc::new(OnceLock::new());
        let keep = Arc::clone(&found);
        let verifier = Self::new(Strangers::Refused, move |chain, now| {
            let root = verify_pinned_core(chain, &mesh, pin, now)?;
            // A second handshake finds the same key; the first certificate stays.
            let _ = keep.set(root);
            Ok(())
        });
        (verifier, found)
    }

    fn ask(&self, leaf: &CertificateDer<'_>, rest: &Chain<'_>, now: UnixTime) -> Result<(), Error> {
        let chain: Vec<CertificateDer<'_>> =
            std::iter::once(leaf).chain(rest).map(|der| CertificateDer::from(der.as_ref())).collect();
        let now = Timestamp(now.as_secs().saturating_mul(1000));
        (self.question)(&chain, now).map_err(to_rustls)
    }
}

/// Verifies what a client shows, as [`Verifier::client`] does: for sessions that are resumed, where no handshake does.
pub fn verify_client(chain: &Chain<'_>, anchors: &Anchors, now: Timestamp) -> Result<VerifiedPeer, Refusal> {
    verify_peer(chain, anchors, now.max(not_before(chain).unwrap_or(now)))
}

fn not_before(chain: &Chain<'_>) -> Option<Timestamp> {
    chain.first().and_then(|leaf| Certificate::from_der(leaf).ok()).map(|leaf| leaf.not_before())
}

/// The protocol that the link speaks inside of TLS.
const ALPN: &[u8] = b"h2";

/// How who asks is set up: TLS 1.3, and the core as `verifier` knows it, whatever address it has. `own` is what it shows, once
/// it has been given something. Keep the value: sessions are resumed from it.
pub fn client_config(
    verifier: Arc<Verifier>,
    own: Option<Arc<CertifiedKey>>,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_details(crypto::provider(), time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match own {
        Some(own) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(own))))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    // The core is known by its key, so its name need not be told to whoever listens.
    config.enable_sni = false;
    config.resumption = Resumption::in_memory_sessions(CORES);
    Ok(config)
}

/// Of how many names sessions are kept by who asks: there is one core.
const CORES: usize = 1;

/// How the core is set up: TLS 1.3, clients as `verifier` knows them. Sessions of at most `sessions` clients are kept here and named
/// by 32 bytes, since a ticket that holds the client's certificate would cross the link twice at every return. A core that was
/// restarted has none, and shakes hands anew. Whoever accepts looks at the client's certificate again, for sessions outlive
/// revocations.
pub fn server_config(
    verifier: Arc<Verifier>,
    own: Arc<dyn ResolvesServerCert>,
    time: Arc<dyn TimeProvider>,
    sessions: usize,
) -> Result<ServerConfig, Error> {
    let storage = Sessions::new(sessions, Arc::clone(&time));
    let mut config = ServerConfig::builder_with_details(crypto::provider(), time)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(own);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = storage;
    // One is used once; the next connection brings the next.
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// What an end shows: its chain, leaf first, and its key. The core adds its authority to the chain, so that a pin finds it.
pub fn credentials<'a>(
    chain: impl IntoIterator<Item = &'a Certificate>,
    key: &EcdsaKey,
) -> Result<Arc<CertifiedKey>, ProviderFailed> {
    let chain = chain.into_iter().map(|certificate| certificate.der().clone()).collect();
    Ok(Arc::new(CertifiedKey::new(chain, key.to_rustls()?)))
}

/// The alert that the peer gets is rustls's choice for the kind; the text stays at this end.
fn to_rustls(refusal: Refusal) -> Error {
    Error::InvalidCertificate(match refusal {
        Refusal::Malformed(..) => CertificateError::BadEncoding,
        // The peer is told apart from all else: it is not whom this end is looking for.
        Refusal::UnknownIssuer(..) => CertificateError::UnknownIssuer,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.ask(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.strangers == Strangers::Refused
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.ask(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
