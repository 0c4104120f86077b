//! What a publication comes from.

use crate::id::Revision;
use crate::provenance::Provenance;

/// A revision, and who vouches for it.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// The revision.
    pub revision: &'a Revision,
    /// What was found about its signature.
    pub provenance: &'a Provenance,
}

/// A revision whose signature nobody looked at.
impl<'a> From<&'a Revision> for Origin<'a> {
    fn from(revision: &'a Revision) -> Self {
        Self { revision, provenance: &Provenance::Unchecked }
    }
}
