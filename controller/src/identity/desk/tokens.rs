//! Join tokens: made for a site, and ended with what they were for.

use std::time::Duration;

use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::token::{DEFAULT_LIFE, JoinToken, MAX_CORE_BYTES, TokenRecord, TokenSecret};
use skerry_proto::tls::is_core_url;
use zeroize::Zeroizing;

use super::{Desk, NotHanded};
use crate::identity::roll::{Stranger, Token};
use crate::identity::store::Entry;
use crate::store::StoreError;

/// The longest life of a token: a box that is shipped overseas.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a token is kept after its end, so that a clock that was ahead for a while ends none for good: milliseconds.
const KEPT_AFTER_ITS_END: u64 = 30 * 24 * 3_600_000;

impl Desk {
    /// Makes a token for a site. Its text is in what is returned and nowhere else.
    pub fn make_token(
        &self,
        site: &SiteId,
        life: Duration,
        core: Option<String>,
        replace: bool,
        now: Timestamp,
    ) -> Result<(Zeroizing<String>, Timestamp), NotHanded> {
        if core.as_ref().is_some_and(|core| !is_core_url(core)) {
            return Err(NotHanded::Invalid("the core's address is `https://HOST:PORT`".to_owned()));
        }
        let life = if life.is_zero() { DEFAULT_LIFE } else { life };
        if life > MAX_TOKEN_LIFE {
            return Err(NotHanded::Invalid("a token lasts 30 days at most".to_owned()));
        }
        let _writing = self.writers.lock();
        let enrolled = self.roll.read().enrolled(site).filter(|enrolled| enrolled.revoked.is_none()).cloned();
        let replaces = match (enrolled, replace) {
            (Some(enrolled), false) => {
                return Err(Stranger::OtherBox { site: site.clone(), enrolled: enrolled.key }.into());
            }
            (enrolled, _) => enrolled.map(|enrolled| enrolled.key),
        };
        let secret = TokenSecret::generate()?;
        let expires = Timestamp(now.0 + u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        let record = TokenRecord::new(site.clone(), &secret, expires);
        let (kept, forget) =
            (Token { record, replaces }, Timestamp(now.0.saturating_sub(KEPT_AFTER_ITS_END)));
        self.store.keep_token(&kept, forget)?;
        self.roll.write().note_token(kept, forget);
        let authority = self.authority();
        let token = JoinToken {
            site: site.clone(),
            mesh: authority.mesh().clone(),
            core,
            pin: authority.pin(),
            issued: now,
            expires,
            secret,
        };
        let too_long =
            || NotHanded::Invalid(format!("the core's address is longer than {MAX_CORE_BYTES} bytes"));
        Ok((token.to_text().ok_or_else(too_long)?, expires))
    }

    /// Ends every token of a site; its box stays.
    pub(super) fn end_tokens(&self, site: &SiteId) -> Result<(), StoreError> {
        self.roll.write().end_tokens(site);
        self.store.keep_entries(&[Entry { ends_tokens: true, ..Entry::of(site) }])
    }
}
