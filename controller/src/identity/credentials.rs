//! The credentials that the core writes for whoever can read its data folder: at its start, anew before they end, and when the link
//! root is rotated.

use std::path::PathBuf;
use std::sync::Arc;

use skerry_core::id::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::authority::FIRST_OPERATOR;
use super::desk::Desk;
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
    /// Writes it; returns when it is due again.
    ///
    /// # Errors
    /// It cannot be signed or written.
    pub fn write(&self) -> anyhow::Result<Timestamp> {
        let operator = self.desk.authority().operator(FIRST_OPERATOR, self.core.clone(), self.desk.now())?;
        write_private(&self.path, &operator.to_json()?)?;
        Ok(operator.certificate.validity().rotate_at(0.0))
    }

    /// Keeps it good until the token is cancelled.
    ///
    /// # Errors
    /// None; it is one of the tasks that may fail.
    pub async fn keep(self, mut due: Timestamp, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut versions = self.desk.trust_versions();
        let mut roots = self.desk.authority().link_roots();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
                // The desk has the sending end.
                Ok(()) = versions.changed() => {}
            }
            let now = self.desk.authority().link_roots();
            if self.desk.now() < due && roots == now {
                continue;
            }
            match self.write() {
                Ok(next) => {
                    (due, roots) = (next, now);
                    info!(path = %self.path.display(), "the credentials of operators are written anew");
                }
                Err(error) => warn!("the credentials of operators are not written anew yet: {error:#}"),
            }
        }
    }
}
