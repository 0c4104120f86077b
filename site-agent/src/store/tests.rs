//! The store keeps whole steps, survives being killed, and says so when it cannot.

use prost::Message as _;
use skerry_core::accept::Floor;
use skerry_core::bundle::v1;
use skerry_proto::v1::{Report, SiteEvent, SiteState, report};

use super::outbox::{MAX_BYTES, MAX_ROWS};
use super::*;

mod outage;
pub(crate) mod power;

fn site() -> SiteId {
    SiteId::new("store-1").unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("state.redb")
    }
    fn open(&self) -> Store {
        Store::open(&self.path(), &site()).unwrap().0
    }
    /// What a kill leaves behind: the file as it is now, with no clean close.
    fn as_killed(&self) -> Self {
        let copy = Self::new();
        fs_err::copy(self.path(), copy.path()).unwrap();
        copy
    }
}

type Fragment = (Digest, Arc<[u8]>);

fn fragment(text: &str) -> Fragment {
    (Digest::of(text.as_bytes()), Arc::from(text.as_bytes()))
}

fn slot(generation: u64, texts: &[&str]) -> (Slot, Vec<Fragment>) {
    let fragments: Vec<_> = texts.iter().map(|text| fragment(text)).collect();
    let refs = fragments.iter().map(|(id, bytes)| v1::FragmentRef {
        key: String::new(),
        id: id.as_bytes().to_vec(),
        length: u32::try_from(bytes.len()).unwrap(),
    });
    let list = v1::FragmentList { fragments: refs.collect() }.encode_to_vec();
    let manifest =
        v1::Manifest { generation, list: Digest::of(&list).as_bytes().to_vec(), ..Default::default() };
    (Slot { manifest: manifest.encode_to_vec(), list }, fragments)
}

fn floors(generation: u64) -> Floors {
    let manifest = Digest::of(&generation.to_be_bytes());
    Floors { floor: Some(Floor { epoch: 1, generation, manifest }), trusted_ms: generation }
}

fn event(detail: &str) -> Report {
    let event = SiteEvent { detail: detail.to_owned(), ..Default::default() };
    Report { body: Some(report::Body::Event(event)), ..Default::default() }
}

fn state() -> Report {
    Report { body: Some(report::Body::State(SiteState::default())), ..Default::default() }
}

/// What a fetch has come to survives a kill, as far as it was handed to the store; a candidate ends it.
#[test]
fn what_is_being_fetched_is_kept_until_it_is_whole() {
    let folder = Folder::new();
    let store = folder.open();
    let (slot, fragments) = slot(1, &["one", "two"]);
    let nameless = Slot { list: Vec::new(), ..slot.clone() };
    store.keep_fetching(Some(&nameless)).unwrap();
    store.stage(&[], Some(&(slot.list_digest(), b"half a l".to_vec()))).unwrap();
    assert_eq!(store.part().unwrap(), Some((slot.list_digest(), b"half a l".to_vec())));
    store.keep_fetching(Some(&slot)).unwrap();
    store.stage(&fragments[..1], Some(&(fragments[1].0, b"t".to_vec()))).unwrap();

    let store = folder.as_killed().open();
    assert_eq!(store.saved().unwrap().fetching, Some(slot.clone()));
    assert_eq!(store.part().unwrap(), Some((fragments[1].0, b"t".to_vec())), "one at a time");
    assert!(store.fragment(&fragments[0].0).unwrap().is_some());

    store.put_candidate(&slot, &fragments[1..]).unwrap();
    assert_eq!((store.saved().unwrap().fetching, store.part().unwrap()), (None, None));
    assert_eq!(store.saved().unwrap().candidate, Some(slot));
}

/// Invariant 9: reports of a long night go over a thin link in calls that end in time.
#[test]
fn invariant_9_a_batch_of_reports_is_bounded_by_its_bytes() {
    let store = Folder::new().open();
    let long = |length: usize| event(&"x".repeat(length));
    store.append(vec![long(61_000), long(30_000), long(30_000), long(30_000)]).unwrap();
    let seqs = || store.oldest(64).unwrap().iter().map(|report| report.seq).collect::<Vec<_>>();
    assert_eq!(seqs(), [1]);
    store.forget(1).unwrap();
    assert_eq!(seqs(), [2, 3]);
}

/// Invariant 4 (never half a bundle) and 5 (last good across restarts): at every step, what a kill
/// leaves behind has whole slots with all their fragments.
#[test]
fn killed_at_any_step_it_has_whole_slots() {
    let folder = Folder::new();
    let store = folder.open();
    let (first, first_fragments) = slot(1, &["settings", "a1"]);
    let (second, second_fragments) = slot(2, &["settings", "a2"]);
    let steps: [&dyn Fn(); 6] = [
        &|| store.put_candidate(&first, &first_fragments).unwrap(),
        &|| store.commit(&floors(1), vec![event("one")]).unwrap(),
        &|| store.stage(&second_fragments[1..], None).unwrap(),
        &|| store.put_candidate(&second, &[]).unwrap(),
        &|| assert_eq!(store.count_attempt().unwrap(), 1),
        &|| store.commit(&floors(2), vec![event("two")]).unwrap(),
    ];
    let mut highest = 0;
    for step in steps {
        step();
        let killed = folder.as_killed().open();
        let saved = killed.saved().unwrap();
        for slot in [saved.current, saved.previous, saved.candidate].into_iter().flatten() {
            for id in slot.fragment_ids() {
                assert!(killed.fragment(&id).unwrap().is_some());
            }
        }
        let generation = killed.floors().unwrap().floor.map_or(0, |floor| floor.generation);
        assert!(generation >= highest);
        highest = generation;
    }
    assert_eq!(highest, 2);
}

#[test]
fn a_commit_moves_slots_and_drops_what_none_names() {
    let folder = Folder::new();
    let store = folder.open();
    for (generation, text) in [(1, "a1"), (2, "a2"), (3, "a3")] {
        let (slot, fragments) = slot(generation, &["settings", text]);
        store.put_candidate(&slot, &fragments).unwrap();
        store.commit(&floors(generation), Vec::new()).unwrap();
    }
    let saved = store.saved().unwrap();
    assert_eq!(saved.current, Some(slot(3, &["settings", "a3"]).0));
    assert_eq!(saved.previous, Some(slot(2, &["settings", "a2"]).0));
    assert_eq!(saved.candidate, None);
    assert!(store.fragment(&fragment("a1").0).unwrap().is_none());
    assert!(store.fragment(&fragment("a2").0).unwrap().is_some());
}

#[test]
fn a_refused_candidate_is_remembered_and_gone() {
    let folder = Folder::new();
    let (slot, fragments) = slot(1, &["settings"]);
    let refused = Refused { digest: slot.digest(), reason: "Envoy said no".into() };
    {
        let store = folder.open();
        store.put_candidate(&slot, &fragments).unwrap();
        store.drop_candidate(Some(&refused), vec![event("no")]).unwrap();
    }
    let store = folder.open();
    let saved = store.saved().unwrap();
    assert_eq!((saved.candidate, saved.refused), (None, Some(refused)));
    assert_eq!(store.oldest(9).unwrap().len(), 1);
}

#[test]
fn floors_never_fall() {
    let folder = Folder::new();
    let store = folder.open();
    store.commit(&floors(7), Vec::new()).unwrap();
    store.commit(&floors(3), Vec::new()).unwrap();
    assert_eq!(store.floors().unwrap(), floors(7));
}

#[test]
fn reports_are_numbered_over_the_life_of_the_store() {
    let folder = Folder::new();
    folder.open().append(vec![event("a"), event("b")]).unwrap();
    let store = folder.open();
    assert_eq!(store.oldest(9).unwrap().iter().map(|report| report.seq).collect::<Vec<_>>(), [1, 2]);
    store.forget(2).unwrap();
    store.append(vec![event("c")]).unwrap();
    let third = store.oldest(9).unwrap()[0].seq;
    assert!(third > 2, "{third}: there are gaps where an earlier run might have sent from memory");
}

#[test]
fn a_newer_state_takes_the_place_of_the_one_that_waits() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(vec![state(), event("kept"), state()]).unwrap();
    let seqs: Vec<_> = store.oldest(9).unwrap().iter().map(|report| report.seq).collect();
    assert_eq!(seqs, [2, 3]);
}

#[test]
fn the_outbox_is_bounded_and_counts_what_it_drops() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(vec![state()]).unwrap();
    let long = "x".repeat(1 << 10);
    store.append((0..5_000).map(|_| event(&long)).collect()).unwrap();
    let waiting = store.waiting().unwrap();
    assert!(waiting.bytes <= MAX_BYTES && waiting.rows <= MAX_ROWS, "{waiting:?}");
    assert_eq!(waiting.rows + waiting.dropped, 5_001);
    assert_eq!(store.oldest(1).unwrap()[0].seq, 1, "the state is kept");
}

#[test]
fn a_store_keeps_its_id_and_one_in_its_place_has_another() {
    let (folder, other) = (Folder::new(), Folder::new());
    let id = folder.open().id().unwrap();
    assert_eq!(folder.open().id().unwrap(), id);
    assert_ne!(other.open().id().unwrap(), id);
}

#[test]
fn a_second_agent_on_the_folder_is_told_so() {
    let folder = Folder::new();
    let _first = folder.open();
    let error = Store::open(&folder.path(), &site()).unwrap_err();
    assert!(error.to_string().contains("another agent runs on this data folder"), "{error}");
}

/// An agent that was killed a moment ago still holds the file.
#[test]
fn a_store_that_becomes_free_is_waited_for() {
    let folder = Folder::new();
    let (mut first, mut waits) = (Some(folder.open()), 0);
    let wait = || {
        waits += 1;
        first.take_if(|_| waits == 3);
    };
    assert!(Store::open_patiently(&folder.path(), &site(), 30, wait).is_ok());
    assert_eq!(waits, 3);

    let (_first, mut waits) = (folder.open(), 0);
    let held = Store::open_patiently(&folder.path(), &site(), 30, || waits += 1);
    assert!(matches!(held, Err(StoreError::InUse(_))));
    assert_eq!(waits, 30);
}

#[test]
fn a_folder_of_another_site_is_refused() {
    let folder = Folder::new();
    drop(folder.open());
    let error = Store::open(&folder.path(), &SiteId::new("store-2").unwrap()).unwrap_err();
    assert!(error.to_string().contains("belongs to site `store-1`, not `store-2`"), "{error}");
}

/// A file damaged anywhere is either still good or moved aside; it never ends the process.
#[test]
fn a_damaged_file_is_moved_aside() {
    let folder = Folder::new();
    let (slot, fragments) = slot(1, &["settings", "a"]);
    {
        let store = folder.open();
        store.put_candidate(&slot, &fragments).unwrap();
        store.commit(&floors(1), vec![event("one")]).unwrap();
    }
    let good = fs_err::read(folder.path()).unwrap();
    let mut moved = 0;
    for at in (0..good.len()).step_by(good.len() / 97) {
        let copy = Folder::new();
        let mut bytes = good.clone();
        bytes[at..].iter_mut().take(64).for_each(|byte| *byte ^= 0x5a);
        fs_err::write(copy.path(), bytes).unwrap();
        let (store, aside) = Store::open(&copy.path(), &site()).unwrap();
        let current = store.saved().unwrap().current;
        moved += u32::from(aside.is_some());
        assert!(aside.is_some() || current == Some(slot.clone()), "damage at {at} went unseen");
    }
    assert!(moved > 0);
}

#[test]
fn a_truncated_file_is_moved_aside() {
    let folder = Folder::new();
    drop(folder.open());
    let good = fs_err::read(folder.path()).unwrap();
    for length in [1, 100, 4096, 5000, good.len() / 2, good.len() - 1] {
        let copy = Folder::new();
        fs_err::write(copy.path(), &good[..length]).unwrap();
        let (store, _) = Store::open(&copy.path(), &site()).unwrap();
        assert_eq!(store.saved().unwrap(), Saved::default(), "{length}");
    }
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    drop(folder.open());
    assert_eq!(fs_err::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Bundles that are refused one after the other leave the fragments of one of them at most.
#[test]
fn refused_candidates_fill_no_disk() {
    let store = Folder::new().open();
    let mut ids = Vec::new();
    for number in 1..=5 {
        let (slot, fragments) = slot(number, &[&format!("fragment {number}")]);
        ids.push(fragments[0].0);
        store.put_candidate(&slot, &fragments).unwrap();
        store.drop_candidate(None, Vec::new()).unwrap();
    }
    let kept: Vec<bool> = ids.iter().map(|id| store.fragment(id).unwrap().is_some()).collect();
    assert_eq!(kept, [false, false, false, false, true]);
}
