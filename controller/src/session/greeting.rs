//! A hello that was looked over: who is there, and what it has.

use skerry_core::bundle::SCHEMA;
use skerry_core::id::{DigestPrefix, SiteId};
use skerry_proto::limits::{BOOT_BYTES, OLDEST_PROTOCOL};
use skerry_proto::v1::Hello;

use super::Refusal;
use crate::policy::Asks;

/// What a site says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The site.
    pub site: SiteId,
    /// The manifest that it runs.
    pub runs: Option<DigestPrefix>,
    /// The fragment list that it has.
    pub list: Option<DigestPrefix>,
    /// The manifest that it accepted last.
    pub accepted: Option<DigestPrefix>,
    /// The manifest that it refuses.
    pub refused: Option<DigestPrefix>,
    /// The manifest whose offer it is fetching: it has what comes beside it.
    pub pending: Option<DigestPrefix>,
    /// What it asks for of policy keys.
    pub asks: Asks,
}

impl Greeting {
    /// Reads the first message of a site.
    ///
    /// # Errors
    /// The agent speaks an older protocol, cannot lower what would be offered, or the message is not one.
    pub fn of(hello: &Hello) -> Result<Self, Refusal> {
        if hello.protocol < OLDEST_PROTOCOL {
            return Err(Refusal::OldProtocol { protocol: hello.protocol });
        }
        if hello.schema < SCHEMA {
            return Err(Refusal::OldSchema { schema: hello.schema });
        }
        if hello.boot.len() != BOOT_BYTES {
            let found = hello.boot.len();
            return Err(Refusal::Malformed(format!("`boot` has {found} bytes, not {BOOT_BYTES}")));
        }
        let malformed = |error: skerry_core::id::InvalidId| Refusal::Malformed(error.to_string());
        let runs = prefix(&hello.manifest)?;
        Ok(Self {
            site: SiteId::new(hello.site.clone()).map_err(malformed)?,
            runs,
            accepted: prefix(&hello.accepted)?.or(runs),
            list: prefix(&hello.list)?,
            refused: prefix(&hello.refused)?,
            pending: prefix(&hello.pending)?,
            asks: Asks::of(hello),
        })
    }
}

fn prefix(bytes: &[u8]) -> Result<Option<DigestPrefix>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    DigestPrefix::from_slice(bytes).map(Some).map_err(|error| Refusal::Malformed(error.to_string()))
}
