//! A disk that takes nothing, gives nothing, or is back: what the core is sent meanwhile and afterwards.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use skerry_proto::v1::Report;

use super::power::{Disk, open};
use super::*;

fn details(reports: &[Report]) -> Vec<(u64, &str)> {
    reports.iter().map(|report| (report.seq, word(report))).collect()
}

fn word(report: &Report) -> &str {
    match &report.body {
        Some(report::Body::Event(event)) => &event.detail,
        Some(report::Body::State(_)) => "state",
        None => "nothing",
    }
}

#[test]
fn what_a_full_disk_does_not_take_is_sent_from_memory_and_written_later() {
    let disk = Disk::new();
    let store = open(&disk).unwrap();
    store.append(vec![event("before")]).unwrap();
    disk.fill_after(0);

    let error = store.append(vec![event("full"), state()]).unwrap_err();
    assert!(matches!(error, StoreError::Disk(..)), "{error}");
    assert_eq!(store.trouble(), Some(error.to_string()));
    assert_eq!(details(&store.oldest(9).unwrap()), [(1, "before"), (2, "full"), (3, "state")]);
    store.forget(2).unwrap();
    assert_eq!(details(&store.oldest(9).unwrap()), [(3, "state")], "also of what the disk still has");

    disk.recover();
    store.flush().unwrap();
    assert_eq!(store.trouble(), None);
    let killed = open(&disk.as_killed()).unwrap();
    assert_eq!(details(&killed.oldest(9).unwrap()), [(3, "state")]);
    assert_eq!(killed.waiting().unwrap().rows, 1);
}

/// A run that could write nothing may have sent reports: those of the next one are not taken for them.
#[test]
fn numbers_that_were_given_from_memory_are_not_given_again() {
    let disk = Disk::new();
    let store = open(&disk).unwrap();
    disk.fill_after(0);
    store.append(vec![event("from memory")]).unwrap_err();
    let sent = store.oldest(9).unwrap()[0].seq;
    drop(store);

    let next = open(&disk.as_killed()).unwrap();
    next.append(vec![event("of the next run")]).unwrap();
    let reports = next.oldest(9).unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].seq > sent, "{} after {sent}", reports[0].seq);
}

#[test]
fn a_disk_that_cannot_be_read_either_keeps_back_nothing() {
    let disk = Disk::new();
    let store = open(&disk).unwrap();
    store.append(vec![event("on disk")]).unwrap();
    disk.die();
    assert!(store.oldest(9).is_ok(), "it was read before, and is in redb's cache");
    store.append(vec![event("from memory")]).unwrap_err();

    assert_eq!(details(&store.oldest(9).unwrap()), [(2, "from memory")]);
    store.forget(2).unwrap();
    assert!(store.oldest(9).is_err(), "nothing is known of what waits on disk");

    disk.recover();
    assert_eq!(details(&store.oldest(9).unwrap()), [], "not before it has another number");
    store.append(vec![event("last")]).unwrap();
    assert_eq!(details(&store.oldest(9).unwrap()), [(3, "last"), (4, "on disk")]);
}

#[test]
fn a_report_that_the_core_refuses_is_given_up_with_a_word() {
    let disk = Disk::new();
    let store = open(&disk).unwrap();
    for is_full in [false, true] {
        if is_full {
            disk.fill_after(0);
        }
        let appended = store.append(vec![event("bad"), event("good")]);
        assert_eq!(appended.is_err(), is_full);
        let bad = store.oldest(9).unwrap().remove(0);
        store.give_up_oldest("it is bad").unwrap();
        let reports = store.oldest(9).unwrap();
        let [(_, "good"), (_, words)] = details(&reports)[..] else { panic!("{reports:?}") };
        assert_eq!(
            words,
            format!("the core refused report {}, and the agent dropped it: it is bad", bad.seq)
        );
        // The word itself may be refused: then there is no other.
        store.give_up(&reports[1], "it is bad").unwrap();
        assert_eq!(details(&store.oldest(9).unwrap()).len(), 1);
        store.forget(reports[1].seq).unwrap();
    }
}

/// A store on a disk that takes nothing from the start: what it holds is there, and what happens is told as another store's.
#[test]
fn a_store_that_cannot_be_written_is_read_and_told_from() {
    let folder = Folder::new();
    let (slot, fragments) = slot(1, &["settings", "a"]);
    let id = {
        let store = folder.open();
        store.put_candidate(&slot, &fragments).unwrap();
        store.commit(&floors(1), vec![event("on disk")]).unwrap();
        store.id().unwrap()
    };
    let before = fs_err::read(folder.path()).unwrap();
    let open = || Store::open_volatile(&folder.path(), &site(), "it is read-only".to_owned());
    let store = open().unwrap();

    assert!(store.is_volatile() && store.trouble().unwrap().ends_with("it is read-only"));
    assert_eq!(store.saved().unwrap().current, Some(slot.clone()));
    assert_eq!(store.floors().unwrap(), floors(1));
    assert!(store.fragment(&fragments[1].0).unwrap().is_some());
    assert_ne!(store.id().unwrap(), id, "its reports are of another store");
    assert_eq!((store.id().unwrap(), store.count_boot().unwrap()), (store.id().unwrap(), 1));
    assert!(store.put_candidate(&slot, &[]).is_err() && store.open_to_write().is_err());
    store.append(vec![event("from memory")]).unwrap_err();
    assert_eq!(details(&store.oldest(9).unwrap()), [(1, "from memory")], "those on disk wait for their own");
    store.forget(1).unwrap();
    assert_eq!(store.oldest(9).unwrap(), []);

    assert!(matches!(open().unwrap_err(), StoreError::InUse(_)), "one agent to a folder");
    drop(store);
    assert_eq!(fs_err::read(folder.path()).unwrap(), before, "nothing is written");
    let other = SiteId::new("store-2").unwrap();
    let error = Store::open_volatile(&folder.path(), &other, String::new()).unwrap_err();
    assert!(matches!(error, StoreError::OtherSite { .. }), "{error}");
    assert_eq!(
        details(&folder.open().oldest(9).unwrap()),
        [(1, "on disk")],
        "it is there when the disk is back"
    );
}

/// A store that was not closed, as that of an agent that was killed, is read as well.
#[test]
fn a_store_that_was_not_closed_can_be_read_without_writing() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(vec![event("one")]).unwrap();
    let killed = folder.as_killed();
    let before = fs_err::read(killed.path()).unwrap();
    let copy = Store::open_volatile(&killed.path(), &site(), String::new()).unwrap();
    assert_eq!(copy.waiting().unwrap().rows, 1);
    assert_eq!(fs_err::read(killed.path()).unwrap(), before);
}

#[test]
fn the_probe_of_a_disk_leaves_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    assert!(store.takes_writes());
    assert_eq!(fs_err::read_dir(folder.0.path()).unwrap().count(), 1);
    drop(folder);
    assert!(!store.takes_writes());
}

/// What may happen to a store with a core beyond it.
#[derive(Debug, Clone, Copy)]
enum Act {
    Append,
    /// The core takes so many reports.
    Send(usize),
    /// It does, and its answer is lost.
    SendUnheard(usize),
    /// The disk takes so many more writes.
    Fill(usize),
    Die,
    Recover,
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Append),
        4 => (1..5_usize).prop_map(Act::Send),
        2 => (1..5_usize).prop_map(Act::SendUnheard),
        2 => (0..30_usize).prop_map(Act::Fill),
        1 => Just(Act::Die),
        3 => Just(Act::Recover),
        1 => Just(Act::Kill),
    ]
}

/// A site's store, and what the core has of it.
struct Life {
    disk: Arc<Disk>,
    store: Store,
    next: u32,
    /// Said, and perhaps not on disk.
    unsure: BTreeSet<String>,
    /// On disk, or with the core.
    sure: BTreeSet<String>,
    acknowledged: u64,
    /// What the core has, by number.
    received: BTreeMap<u64, String>,
    /// What the core has, and this run of the agent has perhaps not heard so.
    unheard: BTreeSet<String>,
    /// The agent was killed after it had told of a disk that could not be read: what waited on that is lost with it.
    may_lose: bool,
    /// It had told of such a disk before it heard what became of other reports: they are told twice.
    may_repeat: bool,
}

impl Life {
    fn new() -> Self {
        let disk = Disk::new();
        let store = open(&disk).unwrap();
        let (unsure, sure, received) = Default::default();
        Self {
            disk,
            store,
            next: 0,
            unsure,
            sure,
            acknowledged: 0,
            received,
            unheard: BTreeSet::new(),
            may_lose: false,
            may_repeat: false,
        }
    }

    fn send(&mut self, limit: usize) {
        for report in self.store.oldest(limit).unwrap_or_default() {
            let word = word(&report).to_owned();
            if report.seq > self.acknowledged {
                self.acknowledged = report.seq;
                self.unsure.remove(&word);
                self.sure.insert(word.clone());
                let before = self.received.insert(report.seq, word);
                assert_eq!(before, None);
            } else {
                // The core takes it for a repetition: it must be one.
                assert!(self.may_lose || self.received.get(&report.seq) == Some(&word), "lost: {report:?}");
            }
        }
    }

    fn take(&mut self, act: Act) {
        match act {
            Act::Append => {
                self.unsure.insert(self.next.to_string());
                if self.store.append(vec![event(&self.next.to_string())]).is_ok() {
                    self.sure.append(&mut self.unsure);
                }
                self.next += 1;
            }
            Act::Send(limit) => {
                self.send(limit);
                if !self.store.tail.lock().has_overtaken() {
                    self.unheard.clear();
                }
                self.store.forget(self.acknowledged).unwrap();
            }
            Act::SendUnheard(limit) => {
                let before: BTreeSet<String> = self.received.values().cloned().collect();
                self.send(limit);
                self.unheard.extend(self.received.values().filter(|word| !before.contains(*word)).cloned());
            }
            Act::Fill(writes) => self.disk.fill_after(writes),
            Act::Die => self.disk.die(),
            Act::Recover => self.disk.recover(),
            Act::Kill => {
                self.may_lose |= self.store.tail.lock().has_overtaken();
                self.disk = self.disk.as_killed();
                self.store = open(&self.disk).unwrap();
                self.unsure.clear();
                // What was forgotten may be back.
                self.unheard.extend(self.received.values().cloned());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever becomes of the disk: the core gets each report once, under a number of its own, and none is lost that was
    /// on disk, or that waits in memory when it is over.
    #[test]
    fn each_report_comes_once_whatever_becomes_of_the_disk(acts in prop::collection::vec(act(), 1..60)) {
        let mut life = Life::new();
        for act in acts {
            life.take(act);
            life.may_repeat |= !life.unheard.is_empty() && life.store.tail.lock().has_overtaken();
        }
        life.take(Act::Recover);
        life.take(Act::Append);
        for _ in 0..40 {
            life.take(Act::Send(9));
        }
        let received: Vec<&String> = life.received.values().collect();
        let unique: BTreeSet<&String> = received.iter().copied().collect();
        prop_assert!(received.len() == unique.len() || life.may_repeat, "once each: {:?}", life.received);
        let is_lost = |word: &&String| !unique.contains(word);
        let lost: Vec<&String> = life.sure.iter().filter(is_lost).collect();
        prop_assert!(lost.is_empty() || life.may_lose, "{:?} of {:?}", lost, life.received);
        prop_assert_eq!(life.store.oldest(9).unwrap(), vec![]);
    }
}
