//! The store on a disk that fails: power that is cut at each write, with what was not synced kept,
//! lost or torn; and a disk that is full from each write on, until it is not.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use prost::Message as _;
use redb::StorageBackend;
use skerry_core::bundle::v1;

use super::super::medium::{builder, explain_open};
use super::super::*;
use super::{event, floors, slot, state};

/// A disk in memory, and the file on it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What the process sees.
    live: Mutex<Vec<u8>>,
    /// What is sure to be there after a power cut.
    synced: Mutex<Vec<u8>>,
    /// What was written since.
    pending: Mutex<Vec<Write>>,
    /// Counts writes.
    writes: AtomicUsize,
    /// The first write that fails.
    fails_from: AtomicUsize,
    /// Whether reads fail with it: the process is gone.
    is_cut: bool,
    /// Nothing can be read.
    is_dead: AtomicBool,
}

#[derive(Debug, Clone)]
enum Write {
    At(u64, Vec<u8>),
    Length(u64),
}

impl Write {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Length(length) => file.resize(usize::try_from(*length).unwrap(), 0),
            Self::At(offset, data) => {
                let (from, to) =
                    (usize::try_from(*offset).unwrap(), usize::try_from(*offset).unwrap() + data.len());
                file.resize(file.len().max(to), 0);
                file[from..to].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    /// A new one.
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Vec::new(), usize::MAX, false)
    }

    /// Takes so many more writes, and no other.
    pub(crate) fn fill_after(&self, writes: usize) {
        self.fails_from.store(self.writes.load(Ordering::Relaxed).saturating_add(writes), Ordering::Relaxed);
    }

    /// Takes and gives nothing.
    pub(crate) fn die(&self) {
        self.fill_after(0);
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// Is well again.
    pub(crate) fn recover(&self) {
        self.fill_after(usize::MAX);
        self.is_dead.store(false, Ordering::Relaxed);
    }

    /// What another process would find: what this one has written.
    pub(crate) fn as_killed(&self) -> Arc<Self> {
        Self::with(self.live.lock().clone(), usize::MAX, false)
    }

    fn with(file: Vec<u8>, fails_from: usize, is_cut: bool) -> Arc<Self> {
        let fails_from = AtomicUsize::new(fails_from);
        let (live, synced) = (Mutex::new(file.clone()), Mutex::new(file));
        Arc::new(Self { live, synced, fails_from, is_cut, ..Self::default() })
    }

    fn has_failed(&self) -> bool {
        self.writes.load(Ordering::Relaxed) >= self.fails_from.load(Ordering::Relaxed)
    }

    fn write(&self, write: Write) -> io::Result<()> {
        if self.has_failed() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        write.apply(&mut self.live.lock());
        self.pending.lock().push(write);
        Ok(())
    }

    fn look(&self) -> io::Result<()> {
        let is_gone = self.is_dead.load(Ordering::Relaxed) || self.is_cut && self.has_failed();
        if is_gone { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    /// What is on the disk after the power was cut: the chance of `seed` decides what became of each
    /// write that was not synced.
    fn after_cut(&self, seed: u64) -> Vec<u8> {
        let mut file = self.synced.lock().clone();
        let mut chance = seed;
        for write in self.pending.lock().iter() {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (seed, chance >> 62, write) {
                (0, ..) | (_, 0, _) => {}
                (_, 1, Write::At(offset, data)) => {
                    // Torn at a sector.
                    let kept = (usize::try_from(chance >> 32).unwrap() % (data.len() + 1)) / 512 * 512;
                    Write::At(*offset, data[..kept].to_vec()).apply(&mut file);
                }
                _ => write.apply(&mut file),
            }
        }
        file
    }
}

/// The file on the disk, as redb uses it.
#[derive(Debug)]
struct File(Arc<Disk>);

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        self.0.look()?;
        Ok(self.0.live.lock().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.look()?;
        let from = usize::try_from(offset).unwrap();
        let live = self.0.live.lock();
        out.copy_from_slice(live.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.write(Write::Length(length))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.look()?;
        let mut synced = self.0.synced.lock();
        self.0.pending.lock().drain(..).for_each(|write| write.apply(&mut synced));
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(Write::At(offset, data.to_vec()))
    }
}

impl Medium for Arc<Disk> {
    fn open(&self) -> Result<Database, StoreError> {
        let made = builder().create_with_backend(File(Self::clone(self)));
        made.map_err(|error| explain_open(Path::new("disk"), error))
    }

    fn copy(&self) -> Result<Database, StoreError> {
        let path = Path::new("disk");
        self.look().map_err(|error| StoreError::Disk(path.to_owned(), error.to_string()))?;
        in_memory(path, &self.live.lock())
    }
}

/// Opens the store on a disk.
pub(crate) fn open(disk: &Arc<Disk>) -> Result<Store, StoreError> {
    let store = Store::over(Path::new("disk"), Box::new(Arc::clone(disk)), Handle::Disk(disk.open()?));
    store.begin()?;
    Ok(store)
}

/// One write to the store.
type Step = fn(&Store) -> Result<(), StoreError>;

/// A life of a store: each step is a whole, and says how far it came.
fn steps() -> Vec<Step> {
    let first = |store: &Store| {
        let (slot, fragments) = slot(1, &["settings", "a1"]);
        store.put_candidate(&slot, &fragments)
    };
    let second = |store: &Store| {
        let (slot, fragments) = slot(2, &["settings", "a2"]);
        store.stage(&fragments[1..], None)?;
        store.put_candidate(&slot, &fragments[..1])
    };
    let third = |store: &Store| {
        let (slot, fragments) = slot(3, &["settings", "a3", "b3"]);
        store.put_candidate(&slot, &fragments)
    };
    vec![
        first,
        |store| store.commit(&floors(1), vec![event("one")]),
        second,
        |store| store.append(vec![state(), event("between")]),
        |store| store.commit(&floors(2), vec![event("two")]),
        |store| store.oldest(1).and_then(|first| store.forget(first[0].seq)),
        third,
        |store| store.commit(&floors(3), vec![event("three")]),
    ]
}

/// The generation that is kept, and the events that wait, after so many steps.
const KEPT: [(u64, &[&str]); 9] = [
    (0, &[]),
    (0, &[]),
    (1, &["one"]),
    (1, &["one"]),
    (1, &["one", "between"]),
    (2, &["one", "between", "two"]),
    (2, &["between", "two"]),
    (2, &["between", "two"]),
    (3, &["between", "two", "three"]),
];

/// What a store holds; every slot with all of its fragments.
fn look(store: &Store) -> (u64, Vec<String>) {
    let saved = store.saved().unwrap();
    for slot in [&saved.current, &saved.previous, &saved.candidate].into_iter().flatten() {
        for id in slot.fragment_ids() {
            assert_eq!(store.fragment(&id).unwrap().map(|bytes| Digest::of(&bytes)), Some(id));
        }
    }
    let generation =
        saved.current.map_or(0, |slot| v1::Manifest::decode(slot.manifest.as_slice()).unwrap().generation);
    assert_eq!(store.floors().unwrap().floor.map_or(0, |floor| floor.generation), generation);
    let detail = |report: skerry_proto::v1::Report| match report.body {
        Some(skerry_proto::v1::report::Body::Event(event)) => Some(event.detail),
        _ => None,
    };
    (generation, store.oldest(99).unwrap().into_iter().filter_map(detail).collect())
}

/// Says whether this is what so many steps leave; a `forget` that was undone shows the older event.
fn is_kept(seen: &(u64, Vec<String>), steps: usize) -> bool {
    let (generation, events) = KEPT[steps];
    seen.0 == generation && seen.1 == events
}

/// Invariant 4: wherever the power is cut, and whatever became of what was not synced, the store
/// opens, holds whole bundles, and is where it was before or after the step under way. Only a
/// `forget` may be undone: it is not synced, and the core takes each report once.
#[test]
fn invariant_4_a_power_cut_at_any_write_leaves_whole_steps() {
    let mut cuts = 0;
    for cut in 1.. {
        let disk = Disk::with(Vec::new(), cut, true);
        let (mut done, mut is_made) = (0, false);
        if let Ok(store) = open(&disk) {
            is_made = true;
            done = steps().iter().take_while(|step| step(&store).is_ok()).count();
        }
        if !disk.has_failed() {
            assert_eq!(done, steps().len());
            break;
        }
        cuts += 1;
        for seed in 0..4 {
            let after = Disk::with(disk.after_cut(seed), usize::MAX, false);
            let opened = open(&after);
            if !is_made && matches!(opened, Err(StoreError::Damaged(..))) {
                continue; // cut while it was made: nothing is lost, and `Store::open` moves it aside
            }
            let seen = look(&opened.unwrap());
            let undone = if done == 6 { 5 } else { done };
            let next = (done + 1).min(steps().len());
            assert!(
                [undone, done, next].into_iter().any(|steps| is_kept(&seen, steps)),
                "cut at write {cut}, seed {seed}, after {done} steps: {seen:?}"
            );
        }
    }
    assert!(cuts > 50, "{cuts}");
}

/// A disk that is full refuses a step and nothing else: what was kept can be read again as soon as
/// there is room, and the step that failed then succeeds.
#[test]
fn a_disk_that_is_full_for_a_while_loses_nothing() {
    let empty = Disk::with(Vec::new(), usize::MAX, false);
    drop(open(&empty).unwrap());
    let made = empty.live.lock().clone();
    let mut failures = 0;
    for full in 0.. {
        let disk = Disk::with(made.clone(), usize::MAX, false);
        let store = open(&disk).unwrap();
        disk.fails_from.store(disk.writes.load(Ordering::Relaxed) + full, Ordering::Relaxed);
        let mut failed = false;
        for (at, step) in steps().iter().enumerate() {
            if let Err(error) = step(&store) {
                assert!(matches!(error, StoreError::Disk(..)), "{error}");
                failed = true;
                assert!(step(&store).is_err(), "it is still full");
                disk.fails_from.store(usize::MAX, Ordering::Relaxed);
                // It may have been kept all the same, as far as the disk could tell; and a report that was not waits
                // in memory, so a second try tells it twice.
                let mut seen = look(&store);
                seen.1.dedup();
                let undone = if at == 6 { 5 } else { at };
                assert!(
                    [undone, at, at + 1].into_iter().any(|at| is_kept(&seen, at)),
                    "{full}: {at} {seen:?}"
                );
                step(&store).unwrap();
            }
        }
        let mut seen = look(&store);
        seen.1.dedup(); // as above
        seen.1.retain(|event| event != "one"); // a `forget` that the failure undid
        assert!(is_kept(&seen, 8), "{full}: {seen:?}");
        if !failed {
            break;
        }
        failures += 1;
    }
    assert!(failures > 30, "{failures}");
}
