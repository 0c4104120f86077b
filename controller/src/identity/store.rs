//! What of identity is kept over a restart, and the store that keeps it.
//!
//! `store/redb` of the crate writes it to disk. Must not decide anything of what it keeps.

use skerry_core::id::{SiteId, Timestamp};

use super::authority::AuthorityRecord;
use super::offline::Asked;
use super::operators::Operator;
use super::roll::{Enrolled, Revoked, Token};
use crate::store::StoreError;

/// What of identity is kept over a restart. Blocking; every write is all or nothing, and on disk when the call returns.
pub trait IdentityStore: Send + Sync + 'static {
    /// Reads the authorities.
    fn authority(&self) -> Result<Option<AuthorityRecord>, StoreError>;

    /// Keeps the authorities.
    fn keep_authority(&self, record: &AuthorityRecord) -> Result<(), StoreError>;

    /// Reads who is enrolled, what is revoked, and the tokens.
    fn roll(&self) -> Result<Kept, StoreError>;

    /// Keeps a new token; those that ended before a time are forgotten.
    fn keep_token(&self, token: &Token, before: Timestamp) -> Result<(), StoreError>;

    /// Keeps changes of sites.
    fn keep_entries(&self, entries: &[Entry<'_>]) -> Result<(), StoreError>;

    /// Keeps the version of trust, and with it the authorities if they are others, and what that changes with sites.
    fn keep_trust(
        &self,
        version: u64,
        authority: Option<&AuthorityRecord>,
        entries: &[Entry<'_>],
    ) -> Result<(), StoreError>;

    /// Reads what an offline root is asked for a site.
    fn asked(&self, site: &SiteId) -> Result<Option<Asked>, StoreError>;

    /// Reads what waits for an offline root, of so many sites after one, by name.
    fn all_waiting(&self, after: &str, most: usize) -> Result<Vec<(SiteId, Asked)>, StoreError>;

    /// Keeps what an offline root is asked, or has signed.
    fn keep_asked(&self, asked: &[(SiteId, Asked)]) -> Result<(), StoreError>;

    /// Reads the operators.
    fn operators(&self) -> Result<Vec<Operator>, StoreError>;

    /// Keeps the operators, in the place of those of before.
    fn keep_operators(&self, operators: &[Operator]) -> Result<(), StoreError>;
}

/// What was kept of the roll.
#[derive(Debug, Default)]
pub struct Kept {
    /// The boxes of sites.
    pub sites: Vec<(SiteId, Enrolled)>,
    /// What is revoked.
    pub revoked: Vec<Revoked>,
    /// Join tokens.
    pub tokens: Vec<Token>,
    /// The version of trust; 0: there is none yet.
    pub trust_version: u64,
}

/// What changes with one site.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The site.
    pub site: &'a SiteId,
    /// Its box; `None`: that stays as it is.
    pub enrolled: Option<&'a Enrolled>,
    /// The token that was used.
    pub token: Option<&'a Token>,
    /// Whether every other token of the site ends.
    pub ends_tokens: bool,
    /// Everything that is revoked, if that changed.
    pub revoked: Option<&'a [Revoked]>,
    /// The version of trust, if the change makes another one.
    pub trust_version: Option<u64>,
}

impl<'a> Entry<'a> {
    /// A site with which nothing changes.
    pub fn of(site: &'a SiteId) -> Self {
        Self { site, enrolled: None, token: None, ends_tokens: false, revoked: None, trust_version: None }
    }
}
