//! Policy signatures in the state's redb file. They can be lost: whoever made them has them, or makes them anew.

use prost::Message;
use redb::{ReadableTable as _, TableDefinition};
use skerry_core::id::{Digest, SiteId};
use skerry_identity::envelope::Signatures;

use super::RedbStore;
use crate::policy::{Kept, PolicyStore};
use crate::store::StoreError;

/// The policy signatures of a site, by site.
pub(super) const POLICY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("policy_signatures");

/// Those of one site.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(message, repeated, tag = "1")]
    kept: Vec<KeptRecord>,
}

/// A [`Kept`]. Tags are never reused.
#[derive(Clone, PartialEq, Message)]
struct KeptRecord {
    #[prost(bytes = "vec", tag = "1")]
    policy: Vec<u8>,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(bytes = "vec", tag = "3")]
    commit: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    signatures: Vec<u8>,
}

impl PolicyStore for RedbStore {
    fn policy_signatures(&self) -> Result<Vec<(SiteId, Vec<Kept>)>, StoreError> {
        self.read(|read| {
            let table = read.open_table(POLICY).map_err(StoreError::failed)?;
            let mut rows = Vec::new();
            for entry in table.iter().map_err(StoreError::failed)? {
                let (site, bytes) = entry.map_err(StoreError::failed)?;
                // What cannot be read is as good as none: the site waits until it is attached again.
                let Ok(site) = SiteId::new(site.value()) else { continue };
                rows.push((site, decode(bytes.value()).unwrap_or_default()));
            }
            Ok(rows)
        })
    }

    fn keep_policy_signatures(&self, rows: &[(SiteId, Vec<Kept>)]) -> Result<(), StoreError> {
        self.write(|write| {
            let mut table = write.open_table(POLICY).map_err(StoreError::failed)?;
            for (site, kept) in rows {
                table.insert(site.as_str(), &*encode(kept)).map_err(StoreError::failed)?;
            }
            Ok(())
        })
    }
}

fn encode(kept: &[Kept]) -> Vec<u8> {
    let to_record = |kept: &Kept| KeptRecord {
        policy: kept.policy.as_bytes().to_vec(),
        number: kept.number,
        commit: kept.commit.to_vec(),
        signatures: kept.signatures.to_bytes(),
    };
    Record { kept: kept.iter().map(to_record).collect() }.encode_to_vec()
}

fn decode(bytes: &[u8]) -> Option<Vec<Kept>> {
    let of_record = |record: KeptRecord| {
        Some(Kept {
            policy: Digest::from_slice(&record.policy).ok()?,
            number: record.number,
            commit: record.commit.try_into().ok()?,
            signatures: Signatures::from_bytes(&record.signatures).ok()?,
        })
    };
    Record::decode(bytes).ok()?.kept.into_iter().map(of_record).collect()
}

#[cfg(test)]
mod tests {
    use redb::WriteTransaction;
    use skerry_core::id::Epoch;
    use skerry_identity::envelope::{PayloadType, sign};
    use skerry_identity::key::SigningKey;

    use super::*;

    #[test]
    fn signatures_are_kept_site_by_site_and_a_damaged_row_costs_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let key = SigningKey::generate().unwrap();
        let kept = |number| Kept {
            policy: Digest::of(b"policy"),
            number,
            commit: [7; 20],
            signatures: Signatures::from_iter([sign(PayloadType::Policy, b"statement", &key).unwrap()]),
        };
        let [oslo, bergen] = ["oslo", "bergen"].map(|name| SiteId::new(name).unwrap());
        let store = RedbStore::open(&path, Epoch(1)).unwrap();
        assert_eq!(store.policy_signatures().unwrap(), []);
        store.keep_policy_signatures(&[(oslo.clone(), vec![kept(1)])]).unwrap();
        let rows = [(bergen.clone(), vec![kept(3)]), (oslo.clone(), vec![kept(2), kept(1)])];
        store.keep_policy_signatures(&rows).unwrap();
        drop(store);
        let store = RedbStore::open(&path, Epoch(1)).unwrap();
        assert_eq!(store.policy_signatures().unwrap(), rows);
        let damage = |write: &WriteTransaction| {
            let mut table = write.open_table(POLICY).map_err(StoreError::failed)?;
            table.insert("oslo", &b"\xff"[..]).map(drop).map_err(StoreError::failed)
        };
        store.write(damage).unwrap();
        assert_eq!(store.policy_signatures().unwrap(), [(bergen, vec![kept(3)]), (oslo, vec![])]);
    }
}
