//! The state store: what is kept comes back, and files that cannot be used say why.

use std::path::Path;
use std::sync::Arc;

use skerry_controller::report::Arrival;
use skerry_controller::store::redb::RedbStore;
use skerry_controller::store::{
    Accepted, HeldHead, LearnedAges, Pending, Plan, ReportBatch, Signature, StateStore as _, StoreError,
    Until,
};
use skerry_core::id::{Digest, Epoch, Generation, Kind, ObjectKey, Revision, SiteId, Timestamp};
use skerry_core::ledger::Row;
use skerry_core::provenance::Provenance;
use skerry_core::world::ServiceIndexes;
use skerry_gitops::age::{Ages, FirstSeen};
use skerry_gitops::oid::{BlobId, CommitId};
use skerry_gitops::snapshot::hold::Hold;
use skerry_gitops::snapshot::kept::KeptFiles;
use skerry_proto::limits::MAX_EVENTS;
use skerry_proto::v1::{Report, SiteEvent, SiteState, report::Body};

fn open(folder: &Path) -> RedbStore {
    RedbStore::open(&folder.join("state.redb"), Epoch(7)).expect("the store opens")
}

fn site(name: &str) -> SiteId {
    SiteId::new(name).expect("a test's site has a good name")
}

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().expect("40 digits are a commit")
}

fn row(generation: u64) -> Row {
    Row {
        list: Digest::of(b"list"),
        generation: Generation(generation),
        revision: Revision::commit("main", &commit('a').to_string()),
        issued_at: Timestamp(5),
        removals: 2,
        provenance: Provenance::Verified { signer: "ada@example.org".to_owned() },
    }
}

fn accepted() -> Accepted {
    let blob: BlobId = "b".repeat(40).parse().expect("40 digits are a blob");
    let hold = Hold {
        blob,
        path: "a.yaml".to_owned(),
        line: 3,
        commit: commit('c'),
        waits_for: "a.yaml".to_owned(),
    };
    Accepted {
        commit: commit('a'),
        revision: Revision::commit("main", &commit('a').to_string()),
        path: "policies".to_owned(),
        holds: vec![(ObjectKey::new(Kind::HttpRoute, "shop", "cart"), hold)],
        kept: KeptFiles::default(),
        recent: skerry_gitops::removal::Recent::default(),
        signature: Signature {
            provenance: Provenance::Untrusted,
            reason: "the commit is signed by …".to_owned(),
        },
    }
}

fn batch(seqs: std::ops::RangeInclusive<u64>) -> ReportBatch {
    let event = |seq| Report {
        seq,
        observed_at_ms: seq,
        body: Some(Body::Event(SiteEvent::default())),
        ..Default::default()
    };
    ReportBatch {
        site: site("s1"),
        boot: vec![1; 16],
        reports: seqs.map(event).collect(),
        arrival: Arrival { received_at: Timestamp(9), ..Arrival::default() },
    }
}

#[test]
fn a_new_store_begins_with_its_epoch_and_an_old_one_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).restore().unwrap().epoch, Epoch(7));
    let again = RedbStore::open(&folder.path().join("state.redb"), Epoch(8)).unwrap();
    assert_eq!(again.restore().unwrap().epoch, Epoch(7));
}

/// Two objects of a commit.
fn ages() -> Ages {
    let first = FirstSeen { commit: commit('f'), seconds: 9 };
    let known = [ObjectKey::new(Kind::Site, "", "s1"), ObjectKey::new(Kind::HttpRoute, "shop", "cart")];
    Ages::restore("policies", Some(commit('a')), known.map(|key| (key, first)))
}

/// A commit writes what it brought, not all that is known.
#[test]
fn what_is_learned_of_ages_adds_to_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (store, known, accepted) = (open(folder.path()), ages(), accepted());
    let route =
        (ObjectKey::new(Kind::HttpRoute, "shop", "web"), FirstSeen { commit: commit('e'), seconds: 11 });
    let more =
        LearnedAges { at: Some(commit('e')), objects: [route.clone()].into(), ..LearnedAges::all(&known) };
    for learned in [LearnedAges::all(&known), more] {
        let generation = Generation(4);
        let plan = Plan { generation, rows: &[], indexes: None, accepted: &accepted, ages: Some(&learned) };
        store.keep_plan(&plan).unwrap();
    }
    drop(store);

    let all = known.objects().map(|(key, first)| (key.clone(), first)).chain([route]);
    let expected = Ages::restore("policies", Some(commit('e')), all);
    assert_eq!(open(folder.path()).restore().unwrap().ages, Some(expected));
}

#[test]
fn a_plan_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [(site("s1"), Arc::new(row(4))), (site("s2"), Arc::new(row(4)))];
    let mut indexes = ServiceIndexes::default();
    indexes.assign(["shop/cart".parse().unwrap()].iter());
    let ages = ages();
    let (accepted, learned) = (accepted(), LearnedAges::all(&ages));
    let plan = Plan {
        generation: Generation(4),
        rows: &rows,
        indexes: Some(&indexes),
        accepted: &accepted,
        ages: Some(&learned),
    };
    let pending = Pending {
        held: Some(HeldHead {
            commit: commit('d'),
            revision: Revision::from_text("main@sha1:d"),
            reason: "not signed".to_owned(),
            until: Until::Trusted { help: "sign".to_owned() },
        }),
        confirmed: Some(commit('e')),
    };
    let store = open(folder.path());
    store.keep_plan(&plan).unwrap();
    store.keep_pending(&pending).unwrap();
    let newer = [(site("s2"), Arc::new(row(5)))];
    store
        .keep_plan(&Plan { generation: Generation(5), rows: &newer, indexes: None, ages: None, ..plan })
        .unwrap();
    store.keep_epoch(Epoch(9)).unwrap();
    drop(store);

    let restored = open(folder.path()).restore().unwrap();

    assert_eq!((restored.epoch, restored.generation), (Epoch(9), Generation(5)));
    assert_eq!(restored.rows, [(site("s1"), row(4)), (site("s2"), row(5))]);
    assert_eq!((restored.indexes, restored.accepted), (indexes, Some(accepted)));
    assert_eq!((restored.ages, restored.pending), (Some(ages), pending));
}

/// Files of what is held are kept once, and as long as something needs them.
#[test]
fn files_of_what_is_held_come_back_until_nothing_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let hello: BlobId = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
    let empty: BlobId = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse().unwrap();
    let files = [(hello, b"hello\n".to_vec()), (empty, Vec::new())];
    let other = [(hello, b"another\n".to_vec())];
    let keep = |kept: &KeptFiles| {
        let accepted = Accepted { kept: kept.clone(), ..accepted() };
        let plan =
            Plan { generation: Generation(4), rows: &[], indexes: None, accepted: &accepted, ages: None };
        store.keep_plan(&plan).unwrap();
        store.restore().unwrap().accepted.unwrap().kept
    };

    let (both, one) = (KeptFiles::restore(files.clone()), KeptFiles::restore(files[..1].to_vec()));
    assert_eq!(both.iter().count(), 2);
    assert_eq!(KeptFiles::restore(other), KeptFiles::default(), "it is not what its id says");
    assert_eq!(
        [&both, &both, &one, &KeptFiles::default(), &both].map(keep),
        [both.clone(), both.clone(), one.clone(), KeptFiles::default(), both.clone()]
    );
}

/// What a core kept before there were signatures is read as what nobody looked at.
#[test]
fn what_was_kept_without_signatures_is_read() {
    let mut old = serde_json::to_value(accepted()).unwrap();
    old.as_object_mut().unwrap().remove("signature").unwrap();
    let read: Accepted = serde_json::from_value(old).unwrap();
    assert_eq!(read, Accepted { signature: Signature::default(), ..accepted() });
    let held = serde_json::json!({"commit": commit('d'), "revision": "main@sha1:d", "reason": "rewritten"});
    let held: HeldHead = serde_json::from_value(held).unwrap();
    assert_eq!(held.until, Until::Confirmed);
    let mut row_before = serde_json::to_value(row(4)).unwrap();
    row_before.as_object_mut().unwrap().remove("provenance").unwrap();
    let read: Row = serde_json::from_value(row_before).unwrap();
    assert_eq!(read, Row { provenance: Provenance::Unchecked, ..row(4) });
}

#[test]
fn reports_come_back_and_the_newest_events_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let state = SiteState { workloads: 4, ..SiteState::default() };
    let told =
        Report { seq: 65, observed_at_ms: 65, body: Some(Body::State(state.clone())), ..Default::default() };
    let mut first = batch(1..=64);
    first.reports.push(told);
    assert_eq!(
        store.keep_reports(vec![first, ReportBatch { site: site("s2"), ..batch(1..=1) }]).unwrap(),
        [65, 1]
    );
    assert_eq!(store.keep_reports(vec![batch(66..=125)]).unwrap(), [125]);
    drop(store);

    let store = open(folder.path());

    let row = store.report(&site("s1")).unwrap().unwrap();
    assert_eq!((row.acknowledged, row.observed.unwrap().state), (125, state));
    let events = store.events(&site("s1")).unwrap();
    assert_eq!((events.len(), events[0].seq, events[MAX_EVENTS - 1].seq), (MAX_EVENTS, 125, 25));
    assert_eq!(store.events(&site("s2")).unwrap().len(), 1);
    assert_eq!(store.report(&site("s3")).unwrap(), None);
}

#[test]
fn when_sites_were_seen_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).keep_seen(&[(site("s1"), Timestamp(3))]).unwrap();
    let store = open(folder.path());
    assert_eq!(store.seen(&site("s1")).unwrap(), Some(Timestamp(3)));
    assert_eq!(store.seen(&site("s2")).unwrap(), None);
    store.keep_reports(vec![batch(1..=1)]).unwrap();
    assert_eq!(store.seen(&site("s1")).unwrap(), Some(Timestamp(9)), "a report is a sign of life");
}

#[test]
fn a_folder_in_use_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let error = RedbStore::open(&folder.path().join("state.redb"), Epoch(8)).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error:?}");
    assert_eq!(error.to_string(), format!("another core uses the folder `{}`", folder.path().display()));
}

#[test]
fn damaged_files_are_errors_with_help_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = open(folder.path());
    store.keep_reports(vec![batch(1..=64)]).unwrap();
    drop(store);
    let good = fs_err::read(&path).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let mut altered = good.clone();
    altered[5_000..6_000].fill(0xa5);
    let mut scrambled = good.clone();
    scrambled[64..400].fill(0xff);
    for (name, bytes) in [("no store", b"not a store".repeat(500)), ("cut", cut), ("scrambled", scrambled)] {
        fs_err::write(&path, bytes).unwrap();
        match RedbStore::open(&path, Epoch(8)) {
            Err(error) => assert!(!error.help().is_empty(), "{name}: {error}"),
            Ok(_) => panic!("{name}: it opens"),
        }
    }
    // A page that is not in use may be anything.
    fs_err::write(&path, altered).unwrap();
    RedbStore::open(&path, Epoch(8)).map(drop).ok();
}
