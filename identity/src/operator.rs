//! What an operator shows to the core: one file, made by the core, read by the command.
//!
//! It holds a private key: whoever writes it gives it mode 0600. Must not be used by agents, which have an enrolment.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certificate::{Certificate, chain_to_pem};
use crate::key::{EcdsaKey, ProviderFailed};
use crate::malformed::Malformed;
use crate::spiffe_id::MeshDomain;

/// The longest file that is read: a certificate, a key, and a few authorities.
pub const MAX_FILE_BYTES: usize = 64 << 10;

/// How long the certificate of an operator lasts: a month. The core writes the file anew before that ends.
pub const LIFE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

const WHAT: &str = "credentials of an operator";

/// What an operator shows, and whom they believe.
#[derive(Debug)]
pub struct OperatorCredentials {
    /// Where the core is: `https://HOST:PORT`.
    pub core: String,
    /// The mesh.
    pub mesh: MeshDomain,
    /// The certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: EcdsaKey,
    /// The transport authorities that may vouch for the core.
    pub roots: Vec<Certificate>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written<T> {
    core: String,
    mesh: MeshDomain,
    certificate: String,
    key: T,
    roots: String,
}

impl OperatorCredentials {
    /// Writes the file's content; wiped when dropped.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, ProviderFailed> {
        let key = self.key.to_pem()?;
        let written = Written {
            core: self.core.clone(),
            mesh: self.mesh.clone(),
            certificate: self.certificate.to_pem(),
            key: &**key,
            roots: chain_to_pem(&self.roots),
        };
        // Room from the start: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES));
        serde_json::to_writer_pretty(&mut *bytes, &written).map_err(|_| ProviderFailed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads it back. Nothing of it is quoted in an error.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        let fail = |reason: &dyn std::fmt::Display| Malformed::new(WHAT, reason);
        if bytes.len() > MAX_FILE_BYTES {
            return Err(fail(&format_args!("{} bytes, over {MAX_FILE_BYTES}", bytes.len())));
        }
        let written: Written<Zeroizing<String>> = serde_json::from_slice::<Written<String>>(bytes)
            .map(|written| Written {
                core: written.core,
                mesh: written.mesh,
                certificate: written.certificate,
                key: Zeroizing::new(written.key),
                roots: written.roots,
            })
            .map_err(|error| fail(&format_args!("line {}, column {}", error.line(), error.column())))?;
        let (certificate, key) =
            (Certificate::from_pem(&written.certificate)?, EcdsaKey::from_pem(&written.key)?);
        if certificate.thumbprint() != key.thumbprint() {
            return Err(fail(&"the certificate is for another key"));
        }
        let roots = Certificate::chain_from_pem(&written.roots)?;
        Ok(Self { core: written.core, mesh: written.mesh, certificate, key, roots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::Authority as _;
    use crate::csr::ProvenKey;
    use crate::fixture::{lasting, mesh, transport};

    #[test]
    fn what_is_written_is_read_back_and_not_shown() {
        let (authority, key) = (transport(), EcdsaKey::generate().unwrap());
        let certificate = authority.sign_operator("admin", &ProvenKey::from(&key), &lasting(24)).unwrap();
        let core = "https://127.0.0.1:7443".to_owned();
        let roots = vec![authority.certificate().clone()];
        let credentials = OperatorCredentials { core, mesh: mesh(), certificate, key, roots };
        let json = credentials.to_json().unwrap();
        let read = OperatorCredentials::from_json(&json).unwrap();
        assert_eq!(format!("{read:?}"), format!("{credentials:?}"));
        assert_eq!(read.key.thumbprint(), credentials.key.thumbprint());
        let pem = credentials.key.to_pem().unwrap();
        assert!(!format!("{credentials:?}").contains(pem.lines().nth(1).unwrap()));

        let other = OperatorCredentials { key: EcdsaKey::generate().unwrap(), ..credentials };
        let error = OperatorCredentials::from_json(&other.to_json().unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("the certificate is for another key"), "{error}");
        for length in (0..json.len() - 1).step_by(31) {
            let error = OperatorCredentials::from_json(&json[..length]).unwrap_err().to_string();
            assert!(error.len() < 100, "nothing is quoted: {error}");
        }
    }
}
