//! A disk that takes nothing, and a core or link that hands over what is not what it claims to be: the site goes on with
//! what it runs, says so once, and asks again later and later.

use super::*;
use crate::store::tests::power::{Disk, open};

/// A site whose store is on a disk of the test.
fn bench() -> (Bench, Arc<Disk>) {
    let disk = Disk::new();
    let bench = Bench::on(tempfile::tempdir().unwrap(), open(&disk).unwrap());
    (bench, disk)
}

impl Bench {
    /// The newest state that waits for the core.
    fn state(&self) -> Option<skerry_proto::v1::SiteState> {
        self.store.oldest(99).unwrap().into_iter().rev().find_map(|report| match report.body {
            Some(report::Body::State(state)) => Some(state),
            _ => None,
        })
    }

    /// Whether the core is asked anew.
    fn is_asked_again(&mut self) -> bool {
        let mut commands = std::iter::from_fn(|| self.commands.as_mut().unwrap().try_recv().ok());
        commands.any(|command| matches!(command, Command::Restart(_)))
    }
}

/// Lets time pass until the next timer, and lets that ring.
fn ring(site: &mut Site) {
    let next = site.poll_timeout().expect("there is a timer");
    let now = site.clock.now();
    site.clock.skip(next.saturating_sub(now));
    site.handle_timeout();
}

/// Lets time pass until something is so, at most for so many timers.
fn ring_until(site: &mut Site, what: &str, mut is: impl FnMut(&mut Site) -> bool) {
    let rings = (0..200).find(|_| {
        ring(site);
        is(site)
    });
    assert!(rings.is_some(), "it does not come: {what}");
}

#[test]
fn what_the_disk_does_not_take_is_told_from_memory_until_it_does() {
    let (mut bench, disk) = bench();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    let served = bench.served("a");
    let told = bench.store.oldest(99).unwrap();
    bench.store.forget(told.last().expect("it was applied").seq).unwrap();

    disk.fill_after(0);
    site.handle(publish(2).offer());
    let (digest, reason) = bench.answers().pop().unwrap();
    assert_eq!(digest, publish(2).digest());
    assert!(reason.starts_with("it cannot be kept: disk: "), "{reason}");
    assert_eq!(bench.served("a"), served, "what runs goes on");
    ring_until(&mut site, "its state", |_| bench.state().is_some());
    let state = bench.state().unwrap();
    assert_eq!(state.generation, 1);
    assert!(state.workload_problems[0].starts_with("the agent's disk takes nothing"), "{state:?}");
    assert_eq!(bench.events(), [format!("BundleRefused: {reason}")]);

    // Each try costs the link: they are few, and none is told twice.
    let mut asked = 0;
    for _ in 0..5 {
        ring_until(&mut site, "another try", |_| bench.is_asked_again());
        site.handle(publish(2).offer());
        asked += 1;
    }
    assert_eq!((asked, bench.events().len()), (5, 1), "{:?}", bench.events());

    disk.recover();
    ring_until(&mut site, "a state that is well", |_| bench.state().unwrap().workload_problems.is_empty());
    ring_until(&mut site, "another try", |_| bench.is_asked_again());
    site.handle(publish(2).offer());
    assert_eq!((bench.generation(), bench.events().len()), (2, 2));
    assert_eq!(bench.store.waiting().unwrap().rows, 3, "all of it is on disk now");
}

/// The proxies have acknowledged it, and the disk fills up at that moment: the site is pending, and says why.
#[test]
fn a_commit_that_the_disk_does_not_take_is_told_once() {
    let (mut bench, disk) = bench();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    site.handle(publish(2).offer());
    assert!(site.candidate.is_some(), "it is on disk, and tried");

    disk.fill_after(0);
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    for _ in 0..9 {
        ring(&mut site);
    }
    assert_eq!(
        (bench.generation(), bench.answers().len()),
        (1, 1),
        "it is not said to run: {:?}",
        bench.answers()
    );
    let told = bench.events();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("BundleRefused: what became of it cannot be kept: disk: "), "{told:?}");

    disk.recover();
    ring_until(&mut site, "the commit", |_| bench.generation() == 2);
    assert_eq!(bench.answers(), [(publish(2).digest(), String::new())]);
    assert_eq!(bench.events()[2..], ["Applied: "]);
}

/// A rollback likewise.
#[test]
fn a_rollback_that_the_disk_does_not_take_is_told_once() {
    let (mut bench, disk) = bench();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    let first = bench.served("a");
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(first)));
    site.handle(publish(2).offer());
    disk.fill_after(0);
    site.handle(news("a", refused(bench.served("a"), "bad regex")));
    assert_eq!(bench.served("a"), first, "it goes back all the same");
    for _ in 0..9 {
        ring(&mut site);
    }
    assert_eq!(bench.events().len(), 2, "{:?}", bench.events());

    disk.recover();
    ring_until(&mut site, "the rollback", |site| site.refused.is_some());
    assert_eq!(bench.events()[2..], ["RolledBack: proxy shop/a refused it: route r: bad regex"]);
}

/// A store that can only be read when the agent starts: it serves what ran, tells so, and takes nothing else.
#[test]
fn invariant_5_an_agent_that_starts_on_a_disk_that_takes_nothing_serves_what_ran() {
    let mut bench = Bench::left(&publish(1), &publish(2));
    bench.boot(&["a"]);
    let served = bench.served("a");
    let path = Layout::new(bench.folder.path()).store();
    let Bench { folder, store, .. } = bench;
    drop(store);
    let before = fs_err::read(&path).unwrap();
    let id = SiteId::new("store-1").unwrap();
    let store = Store::open_volatile(&path, &id, "it is read-only".to_owned()).unwrap();
    let mut bench = Bench::on(folder, store);

    let mut site = bench.boot(&["a"]);

    assert!(site.candidate.is_none(), "what was being tried is left alone: nobody could count the attempts");
    let current = site.current.as_ref().unwrap();
    assert_eq!(current.bundle.manifest.generation, 1);
    assert_ne!(bench.served("a"), served, "that was of the candidate");
    site.handle(publish(3).offer());
    let (_, reason) = bench.answers().pop().unwrap();
    assert!(reason.contains("it is read-only"), "{reason}");
    ring_until(&mut site, "its state", |_| bench.state().is_some());
    assert!(bench.state().unwrap().workload_problems[0].contains("it is read-only"));
    assert_eq!(bench.events().len(), 1);
    site.handle_end();
    drop(site);
    drop(bench.store);
    assert_eq!(fs_err::read(&path).unwrap(), before, "nothing is written");
}

/// What a core or a link may make of an offer.
fn damaged(offer: Mail, damage: impl Fn(&mut skerry_proto::v1::FragmentData)) -> Mail {
    let Mail::Link(LinkEvent::Offer(mut offer)) = offer else { unreachable!("an offer") };
    offer.fragments.iter_mut().for_each(damage);
    Mail::Link(LinkEvent::Offer(offer))
}

/// A core that lies: nothing of it runs, it is asked again later and later, and people are told once.
#[test]
fn what_arrives_damaged_is_asked_for_later_and_later_and_told_once() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    let served = bench.served("a");
    let mut pauses = Vec::new();
    for round in 0..9 {
        let bad = if round % 2 == 0 {
            damaged(publish(2).offer(), |data| data.data.iter_mut().for_each(|byte| *byte ^= 1))
        } else {
            damaged(publish(2).offer(), |data| data.data.truncate(data.data.len() / 2))
        };
        site.handle(bad);
        assert!(!bench.is_asked_again(), "not at once");
        let due = site.again.poll_timeout().expect("it is asked for again");
        pauses.push(due - site.clock.now());
        ring_until(&mut site, "another try", |_| bench.is_asked_again());
    }
    assert!(pauses[8] > Duration::from_secs(60) && pauses[8] < Duration::from_secs(301), "{pauses:?}");
    assert_eq!((bench.generation(), bench.served("a")), (1, served));
    let told: Vec<String> = bench.events().split_off(1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("BundleRefused: it arrived damaged 3 times in a row, the last time so: "),
        "{told:?}"
    );

    site.handle(publish(2).offer());
    assert_eq!((bench.generation(), site.again.poll_timeout()), (2, None), "the truth is taken at once");
}

/// Chunks that do not fit together are one failure, however many of them come.
#[test]
fn a_damaged_chunk_is_asked_for_again_without_hanging_up() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(damaged(publish(1).offer(), |data| data.data.clear()));
    ring_until(&mut site, "another try", |_| bench.is_asked_again());
    site.handle(publish(1).offer_with(0));
    let wanted = |command: Command| match command {
        Command::Need(need) => Some(need.fragments),
        _ => None,
    };
    let wants =
        bench.commands.as_mut().unwrap().try_recv().ok().and_then(wanted).expect("fragments are missing");
    assert_eq!(wants.len(), 2);
    for want in &wants {
        let chunk = skerry_proto::v1::Chunk { id: want.id.clone(), offset: 0, data: vec![7; 9], last: true };
        site.handle(Mail::Link(LinkEvent::Chunk(chunk)));
    }
    let answers = bench.answers();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].1.starts_with("it arrived damaged, and is asked for again: fragment"), "{answers:?}");
    assert_eq!(site.again.failures(), 2);
}

/// ADR 0014: the agent knows both the policy and the workload without a proxy, so it says that nobody enforces the one.
#[test]
fn a_policy_that_no_proxy_enforces_is_a_problem_of_the_site() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a", "echo"]);
    site.handle(guarded(1).offer());
    let unenforced = |site: &Site| {
        let problems = site.state(site.current.as_ref()).workload_problems;
        problems.into_iter().filter(|problem| problem.contains("nobody enforces it")).collect::<Vec<_>>()
    };
    assert_eq!(unenforced(&site), Vec::<String>::new());
    let mut bare = loaded(&["a", "echo"]);
    bare.workloads[1].proxy = None;
    site.handle(Mail::Workloads(bare));
    let problems = unenforced(&site);
    assert!(problems.len() == 1 && problems[0].contains("in front of workload `shop/echo`"), "{problems:?}");
}
