//! What both ends of a connection can do: TLS 1.3 with X25519, and signatures by P-256, which is what every key here is.
//!
//! A small choice on purpose. All of it is offered in every handshake and built into every agent, and nothing else is ever
//! chosen between ends that are both ours. Bytes of the link are few, so there is no hybrid key exchange: X25519MLKEM768 has
//! keys of more than 1 KB, each way.

use std::sync::Arc;

use rustls::Error;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group, sign};
use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

/// The provider of both ends. ChaCha20 is for boxes whose processor has no AES.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256],
        kx_groups: vec![kx_group::X25519],
        signature_verification_algorithms: signatures(),
        secure_random: &Random,
        key_provider: &Keys,
    })
}

/// Signatures that are taken.
pub(super) fn signatures() -> WebPkiSupportedAlgorithms {
    let all = default_provider().signature_verification_algorithms;
    let is_ours = |scheme: &SignatureScheme| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256;
    let ours = all.mapping.iter().find(|(scheme, _)| is_ours(scheme));
    let (mapping, all) = ours.map_or((&[][..], &[][..]), |ours| (std::slice::from_ref(ours), ours.1));
    WebPkiSupportedAlgorithms { all, mapping }
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        sign::any_ecdsa_type(&der)
    }
}
