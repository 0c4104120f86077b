//! The credentials that the core writes for whoever can read its data folder: at its start if those that are there do not count,
//! anew before they end, and when the link root is rotated.

use std::path::PathBuf;
use std::sync::Arc;

use skerry_core::id::Timestamp;
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::EcdsaKey;
use skerry_identity::operator::{LIFE, OperatorCredentials};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::authority::FIRST_OPERATOR;
use super::desk::Desk;
use super::operators::{CORE, May};
use super::seal::write_private;

/// The file's name in the data folder.
pub const FILE: &str = "operator.json";

/// How often it is looked whether the file is due: much less than the third of a month after which it is.
const LOOK: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The file.
#[derive(Debug)]
pub struct CredentialsFile {
    /// Who signs them.
    pub desk: Arc<Desk>,
    /// Where they are.
    pub path: PathBuf,
    /// Where the core is: `https://HOST:PORT`.
    pub core: String,
}

impl CredentialsFile {
    /// Writes it, if what is there does not count or is due; returns when it is due again.
    ///
    /// # Errors
    /// It cannot be signed or written.
    pub fn ensure(&self) -> anyhow::Result<Timestamp> {
        let kept = fs_err::read(&self.path).ok().and_then(|file| OperatorCredentials::from_json(&file).ok());
        if let Some(due) = kept.and_then(|kept| self.good_until(&kept)) {
            return Ok(due);
        }
        let key = EcdsaKey::generate()?;
        let certificate =
            self.desk.add_operator(FIRST_OPERATOR, &ProvenKey::from(&key), LIFE, May::Change, CORE)?;
        let authority = self.desk.authority();
        let operator = OperatorCredentials {
            core: self.core.clone(),
            mesh: authority.mesh().clone(),
            roots: authority.link_roots(),
            certificate,
            key,
        };
        write_private(&self.path, &operator.to_json()?)?;
        info!(path = %self.path.display(), "the credentials of operators are written");
        Ok(operator.certificate.validity().rotate_at(0.0))
    }

    /// Says until when what is there is what would be written; `None`: it is not.
    fn good_until(&self, kept: &OperatorCredentials) -> Option<Timestamp> {
        let (authority, now) = (self.desk.authority(), self.desk.now());
        let due = kept.certificate.validity().rotate_at(0.0);
        let is_known = self.desk.judge_operator(FIRST_OPERATOR, kept.certificate.thumbprint()).is_ok();
        let is_of_now = kept.core == self.core && kept.roots == authority.link_roots();
        (is_known && is_of_now && now < due).then_some(due)
    }

    /// Keeps it good until the token is cancelled, also when its operator is revoked: who can read the folder may ask.
    ///
    /// # Errors
    /// None; it is one of the tasks that may fail.
    pub async fn keep(self, mut due: Timestamp, cancel: CancellationToken) -> anyhow::Result<()> {
        let (mut changes, mut versions) = (self.desk.changes(), self.desk.trust_versions());
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => if self.desk.now() < due { continue },
                // The desk has the sending ends, and is held here.
                _ = changes.changed() => {}
                _ = versions.changed() => {}
            }
            match self.ensure() {
                Ok(next) => due = next,
                Err(error) => warn!("the credentials of operators are not written anew yet: {error:#}"),
            }
        }
    }
}
