//! Identities in a redb file: the core's authorities, boxes, tokens, revocations. Their file is apart from the state's, see
//! docs/adr/0016.

use std::fs::Permissions;
use std::ops::Bound;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use parking_lot::Mutex;
use redb::{ReadableTable as _, Table, TableDefinition, WriteTransaction};
use skerry_core::id::{Epoch, SiteId, Timestamp};

use super::{RedbStore, from_json, get_meta, set_meta, to_json};
use crate::identity::authority::AuthorityRecord;
use crate::identity::offline::Asked;
use crate::identity::operators::Operator;
use crate::identity::roll::Token;
use crate::identity::store::{Entry, IdentityStore, Kept};
use crate::store::StoreError;

/// Join tokens, as JSON, by the hash of their secret.
const TOKENS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("tokens");
/// The box of a site, as JSON, by site.
const ENROLLED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("enrolled");
/// What an offline root is asked for a site, as JSON, by site.
const ASKED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("asked");
/// Under which name the version of trust is kept.
const TRUST_VERSION: &str = "trust-version";

/// The same file for what is seldom written: opened for each use and closed again, so that it can be copied at any time, and
/// holds up nobody who wants to do something about its disk.
#[derive(Debug)]
pub struct SeldomOpen {
    store: RedbStore,
    /// Of two who use it at once the first would close it under the second.
    uses: Mutex<()>,
}

impl SeldomOpen {
    /// Opens the file once, or makes it.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn new(path: &Path) -> Result<Self, StoreError> {
        let store = RedbStore::open(path, Epoch::default())?;
        let mode = fs_err::set_permissions(path, Permissions::from_mode(0o600));
        mode.map_err(|error| StoreError::Failed(error.to_string()))?;
        store.inner.lock().database = None;
        Ok(Self { store, uses: Mutex::new(()) })
    }

    fn used<T>(&self, work: impl FnOnce(&RedbStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _one = self.uses.lock();
        let outcome = work(&self.store);
        self.store.inner.lock().database = None;
        outcome
    }
}

impl IdentityStore for SeldomOpen {
    fn authority(&self) -> Result<Option<AuthorityRecord>, StoreError> {
        self.used(IdentityStore::authority)
    }

    fn keep_authority(&self, record: &AuthorityRecord) -> Result<(), StoreError> {
        self.used(|store| store.keep_authority(record))
    }

    fn roll(&self) -> Result<Kept, StoreError> {
        self.used(IdentityStore::roll)
    }

    fn keep_token(&self, token: &Token, now: Timestamp) -> Result<(), StoreError> {
        self.used(|store| store.keep_token(token, now))
    }

    fn keep_entries(&self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        self.used(|store| store.keep_entries(entries))
    }

    fn keep_trust(
        &self,
        version: u64,
        authority: Option<&AuthorityRecord>,
        entries: &[Entry<'_>],
    ) -> Result<(), StoreError> {
        self.used(|store| store.keep_trust(version, authority, entries))
    }

    fn asked(&self, site: &SiteId) -> Result<Option<Asked>, StoreError> {
        self.used(|store| store.asked(site))
    }

    fn all_waiting(&self, after: &str, most: usize) -> Result<Vec<(SiteId, Asked)>, StoreError> {
        self.used(|store| store.all_waiting(after, most))
    }

    fn keep_asked(&self, asked: &[(SiteId, Asked)]) -> Result<(), StoreError> {
        self.used(|store| store.keep_asked(asked))
    }

    fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        self.used(IdentityStore::operators)
    }

    fn keep_operators(&self, operators: &[Operator]) -> Result<(), StoreError> {
        self.used(|store| store.keep_operators(operators))
    }
}

impl IdentityStore for RedbStore {
    fn authority(&self) -> Result<Option<AuthorityRecord>, StoreError> {
        self.write(|write| get_meta(write, "authority"))
    }

    fn keep_authority(&self, record: &AuthorityRecord) -> Result<(), StoreError> {
        self.write(|write| set_meta(write, "authority", record))
    }

    fn roll(&self) -> Result<Kept, StoreError> {
        self.write(|write| {
            let table = write.open_table(ENROLLED).map_err(StoreError::failed)?;
            let sites = table.iter().map_err(StoreError::failed)?.map(|entry| {
                let (site, bytes) = entry.map_err(StoreError::failed)?;
                let site = SiteId::new(site.value())
                    .map_err(|error| StoreError::damaged("a site's name", &error))?;
                Ok((site, from_json("the enrolment of a site", bytes.value())?))
            });
            let tokens = write.open_table(TOKENS).map_err(StoreError::failed)?;
            let tokens = tokens
                .iter()
                .map_err(StoreError::failed)?
                .map(|entry| from_json("a join token", entry.map_err(StoreError::failed)?.1.value()));
            Ok(Kept {
                sites: sites.collect::<Result<_, StoreError>>()?,
                revoked: get_meta(write, "revoked")?.unwrap_or_default(),
                trust_version: get_meta(write, TRUST_VERSION)?.unwrap_or_default(),
                tokens: tokens.collect::<Result<_, StoreError>>()?,
            })
        })
    }

    fn keep_token(&self, token: &Token, before: Timestamp) -> Result<(), StoreError> {
        self.write(|write| {
            let mut tokens = write.open_table(TOKENS).map_err(StoreError::failed)?;
            // One that cannot be read is of no use to anybody.
            let counts =
                |bytes: &[u8]| from_json::<Token>("", bytes).is_ok_and(|token| token.record.expires > before);
            tokens.retain(|_, bytes| counts(bytes)).map_err(StoreError::failed)?;
            insert_token(&mut tokens, token)
        })
    }

    fn keep_entries(&self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        self.write(|write| entries.iter().try_for_each(|entry| keep_entry(write, entry)))
    }

    fn keep_trust(
        &self,
        version: u64,
        authority: Option<&AuthorityRecord>,
        entries: &[Entry<'_>],
    ) -> Result<(), StoreError> {
        self.write(|write| {
            set_meta(write, TRUST_VERSION, &version)?;
            authority.map_or(Ok(()), |record| set_meta(write, "authority", record))?;
            entries.iter().try_for_each(|entry| keep_entry(write, entry))
        })
    }

    fn asked(&self, site: &SiteId) -> Result<Option<Asked>, StoreError> {
        self.write(|write| {
            let table = write.open_table(ASKED).map_err(StoreError::failed)?;
            let row = table.get(site.as_str()).map_err(StoreError::failed)?;
            row.map(|bytes| from_json(ASKED_WHAT, bytes.value())).transpose()
        })
    }

    fn all_waiting(&self, after: &str, most: usize) -> Result<Vec<(SiteId, Asked)>, StoreError> {
        self.write(|write| {
            let table = write.open_table(ASKED).map_err(StoreError::failed)?;
            let behind = (Bound::Excluded(after), Bound::Unbounded);
            let rows = table.range::<&str>(behind).map_err(StoreError::failed)?.map(|entry| {
                let (site, bytes) = entry.map_err(StoreError::failed)?;
                let site = SiteId::new(site.value())
                    .map_err(|error| StoreError::damaged("a site's name", &error))?;
                Ok((site, from_json::<Asked>(ASKED_WHAT, bytes.value())?))
            });
            let waits = |row: &Result<(SiteId, Asked), StoreError>| {
                row.as_ref().map_or(true, |(_, asked)| asked.since.is_some())
            };
            rows.filter(waits).take(most).collect()
        })
    }

    fn keep_asked(&self, asked: &[(SiteId, Asked)]) -> Result<(), StoreError> {
        self.write(|write| {
            let mut table = write.open_table(ASKED).map_err(StoreError::failed)?;
            asked.iter().try_for_each(|(site, asked)| {
                let bytes = to_json(ASKED_WHAT, asked)?;
                table.insert(site.as_str(), &*bytes).map(drop).map_err(StoreError::failed)
            })
        })
    }

    fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        self.write(|write| Ok(get_meta(write, "operators")?.unwrap_or_default()))
    }

    fn keep_operators(&self, operators: &[Operator]) -> Result<(), StoreError> {
        self.write(|write| set_meta(write, "operators", &operators))
    }
}

const ASKED_WHAT: &str = "what an offline root is asked";

fn keep_entry(write: &WriteTransaction, entry: &Entry<'_>) -> Result<(), StoreError> {
    let mut enrolled = write.open_table(ENROLLED).map_err(StoreError::failed)?;
    if let Some(is) = entry.enrolled {
        let bytes = to_json("the enrolment of a site", is)?;
        enrolled.insert(entry.site.as_str(), &*bytes).map_err(StoreError::failed)?;
    }
    let mut tokens = write.open_table(TOKENS).map_err(StoreError::failed)?;
    if entry.ends_tokens {
        let is_other =
            |bytes: &[u8]| from_json::<Token>("", bytes).is_ok_and(|token| token.record.site != *entry.site);
        tokens.retain(|_, bytes| is_other(bytes)).map_err(StoreError::failed)?;
    }
    if let Some(token) = entry.token {
        insert_token(&mut tokens, token)?;
    }
    if let Some(version) = entry.trust_version {
        set_meta(write, TRUST_VERSION, &version)?;
    }
    match entry.revoked {
        Some(revoked) => set_meta(write, "revoked", &revoked),
        None => Ok(()),
    }
}

fn insert_token(tokens: &mut Table<'_, &[u8], &[u8]>, token: &Token) -> Result<(), StoreError> {
    let bytes = to_json("a join token", token)?;
    tokens.insert(&token.record.hash.as_bytes()[..], &*bytes).map(drop).map_err(StoreError::failed)
}

/// Makes the tables.
pub(super) fn prepare(write: &WriteTransaction) -> Result<(), StoreError> {
    write.open_table(TOKENS).map_err(StoreError::failed)?;
    write.open_table(ENROLLED).map_err(StoreError::failed)?;
    write.open_table(ASKED).map_err(StoreError::failed)?;
    Ok(())
}
