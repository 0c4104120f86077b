//! What processes of the site can ask for: identities by the user that runs them, and whom they can believe. Made anew
//! when something changes, and handed to the Workload API.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// One identity of a user's processes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The SPIFFE ID.
    pub(crate) id: String,
    /// The workload that it is of: tells several of one user apart.
    pub(crate) hint: String,
    /// Certificates in DER, one after the other, leaf first.
    pub(crate) chain: Vec<u8>,
    /// The leaf's key, PKCS#8 in DER.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.hint)
    }
}

/// Everything that can be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Identities by user, each user's by the name of the workload.
    pub(crate) by_uid: BTreeMap<u32, Vec<Entry>>,
    /// The SPIFFE ID of the site's own trust domain; empty where the site is not enrolled.
    pub(crate) own: String,
    /// Roots by the SPIFFE ID of the trust domain: certificates in DER, one after the other.
    pub(crate) roots: BTreeMap<String, Vec<u8>>,
}
