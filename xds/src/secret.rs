//! `Secret` (SDS): what a proxy proves itself with, and whom it believes.
//!
//! Two of them, the same two names in every proxy: its own workload's chain and key, and the roots of the mesh. They are
//! never lowered from a bundle; who has them adds them to a set that names them. Nothing here prints one.

use std::fmt;
use std::sync::Arc;

use prost::Message as _;

use crate::envoy::core::data_source::Specifier;
use crate::envoy::core::{DataSource, TypedExtensionConfig};
use crate::envoy::tls::secret::Type;
use crate::envoy::tls::spiffe_cert_validator_config::TrustDomain;
use crate::envoy::tls::{
    CertificateValidationContext, Secret as EnvoySecret, SpiffeCertValidatorConfig, TlsCertificate,
};
use crate::envoy::{Any, discovery, pack};
use crate::resource::{Named, Resource};

/// The secret with the workload's chain and key.
pub const WORKLOAD: &str = "workload";

/// The secret with the roots of the mesh.
pub const MESH_ROOTS: &str = "mesh-roots";

/// An encoded secret. Cheap to clone; its text is not shown by `Debug`.
#[derive(Clone)]
pub struct Secret(Named);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {}", self.0.name())
    }
}

/// Whether peers' certificates must be in force by the proxy's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// They must.
    Checked,
    /// The clock of the host is known to be wrong: dates decide nothing.
    Ignored,
}

impl Secret {
    /// Makes the secret of a workload: its chain, leaf first, and its key, both as PEM.
    pub fn workload(chain_pem: &str, key_pem: &str) -> Self {
        let certificate = TlsCertificate {
            certificate_chain: Some(inline(chain_pem)),
            private_key: Some(inline(key_pem)),
            ..Default::default()
        };
        Self::of(WORKLOAD, Type::TlsCertificate(certificate))
    }

    /// Makes the secret with the roots of the mesh, as PEM, and the trust domains whose workloads are believed.
    ///
    /// Envoy's own validator takes an authority's certificate for a workload's (X509-SVID §5.2 forbids that); its SPIFFE
    /// validator does not, and asks for each trust domain by name. Both hold peers to name constraints.
    pub fn mesh_roots(roots_pem: &str, domains: &[String], dates: Dates) -> Self {
        let domain = |name: &String| TrustDomain {
            name: name.clone(),
            trust_bundle: Some(inline(roots_pem)),
            ..Default::default()
        };
        let validator = SpiffeCertValidatorConfig {
            trust_domains: domains.iter().map(domain).collect(),
            ..Default::default()
        };
        let context = CertificateValidationContext {
            custom_validator_config: Some(TypedExtensionConfig {
                name: "envoy.tls.cert_validator.spiffe".to_owned(),
                typed_config: Some(pack(&validator)),
            }),
            allow_expired_certificate: dates == Dates::Ignored,
            ..Default::default()
        };
        Self::of(MESH_ROOTS, Type::ValidationContext(context))
    }

    fn of(name: &str, kind: Type) -> Self {
        Self::from(&EnvoySecret { name: name.to_owned(), r#type: Some(kind) })
    }

    pub(crate) fn named(&self) -> &Named {
        &self.0
    }
}

impl From<&EnvoySecret> for Secret {
    fn from(secret: &EnvoySecret) -> Self {
        Self(Named::secret(secret))
    }
}

/// Encodes a secret as the file that Envoy reads it from when nobody serves it: see
/// [`BootstrapOptions::secrets`](crate::bootstrap::BootstrapOptions).
pub fn to_file(secret: &Arc<Resource>) -> Vec<u8> {
    let response = discovery::DiscoveryResponse {
        version_info: secret.version().to_owned(),
        resources: vec![Any::clone(secret.any())],
        ..Default::default()
    };
    response.encode_to_vec()
}

/// Names that file.
pub fn file_name(secret: &str) -> String {
    format!("{secret}.secret.pb")
}

fn inline(text: &str) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineString(text.to_owned())), ..Default::default() }
}
