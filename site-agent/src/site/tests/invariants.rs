//! Invariants 4 and 5 at the site as a whole: whatever is offered, refused, cut short or restarted,
//! it runs whole bundles of its own and never goes back; and it goes on with them for ever.

use proptest::prelude::*;

use super::*;

/// What a core, a link or a stranger may hand to the site.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    OtherSite,
    /// The generation of another manifest, with other content.
    Equivocal,
    /// The manifest of one bundle with the list and fragments of another.
    Mixed,
    Truncated,
    FragmentMissing,
    FragmentAltered,
}

#[derive(Debug, Clone)]
enum Act {
    Offer(u64, Fault),
    Connect,
    Ack,
    Refuse,
    Deadline,
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::OtherSite),
        1 => Just(Fault::Equivocal),
        1 => Just(Fault::Mixed),
        1 => Just(Fault::Truncated),
        1 => Just(Fault::FragmentMissing),
        1 => Just(Fault::FragmentAltered),
    ];
    prop_oneof![
        6 => (1..7_u64, fault).prop_map(|(generation, fault)| Act::Offer(generation, fault)),
        1 => Just(Act::Connect),
        3 => Just(Act::Ack),
        1 => Just(Act::Refuse),
        1 => Just(Act::Deadline),
        2 => Just(Act::Kill),
    ]
}

fn changed(published: &Published, change: impl FnOnce(&mut v1::Manifest)) -> Vec<u8> {
    let mut manifest = v1::Manifest::decode(published.manifest.as_slice()).unwrap();
    change(&mut manifest);
    manifest.encode_to_vec()
}

fn offer(generation: u64, fault: Fault) -> Mail {
    let published = publish(generation);
    let Mail::Link(LinkEvent::Offer(mut offer)) = published.offer() else { unreachable!("an offer") };
    match fault {
        Fault::None => {}
        Fault::OtherSite => offer.manifest = changed(&published, |manifest| manifest.site = "store-2".into()),
        Fault::Equivocal => {
            offer.manifest = changed(&published, |manifest| manifest.revision = "other".into());
        }
        Fault::Mixed => offer.manifest = publish(generation + 1).manifest,
        Fault::Truncated => offer.manifest.truncate(offer.manifest.len() / 2),
        Fault::FragmentMissing => drop(offer.fragments.pop()),
        Fault::FragmentAltered => offer.fragments[0].data.iter_mut().for_each(|byte| *byte ^= 1),
    }
    Mail::Link(LinkEvent::Offer(offer))
}

/// What may run: the bundles of the core, and the one that has the same generation and other words.
fn is_whole(bundle: &Held) -> bool {
    let generation = bundle.bundle.manifest.generation;
    let published = publish(generation);
    let other = changed(&published, |manifest| manifest.revision = "other".into());
    let is_own = bundle.slot.manifest == published.manifest || bundle.slot.manifest == other;
    is_own
        && bundle.slot.list == published.slot().list
        && bundle.bundle.services.values().all(|service| u64::from(service.index) == generation)
}

fn feed(bench: &mut Bench, site: Site, act: &Act) -> Site {
    let mut site = site;
    let is_served = bench.feeds.as_ref().unwrap().borrow().contains_key(&proxy("a"));
    match act {
        Act::Offer(generation, fault) => site.handle(offer(*generation, *fault)),
        Act::Connect => site.handle(news("a", ads::News::Connected)),
        Act::Ack if is_served => site.handle(news("a", ads::News::Acked(bench.served("a")))),
        Act::Refuse if is_served => site.handle(news("a", refused(bench.served("a"), "no"))),
        Act::Ack | Act::Refuse => {}
        Act::Deadline => {
            site.machine.handle_timeout(Duration::MAX / 2);
            site.settle();
        }
        Act::Kill => {
            drop(site);
            return bench.boot(&["a"]);
        }
    }
    site
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn invariant_4_never_lower_never_anothers_never_half(acts in proptest::collection::vec(act(), 1..30)) {
        let mut bench = Bench::new();
        let mut site = bench.boot(&["a"]);
        let mut highest = 0;
        for act in &acts {
            site = feed(&mut bench, site, act);
            for held in site.current.iter().chain(&site.candidate) {
                prop_assert!(is_whole(held), "{:?}", held.bundle.manifest);
            }
            let generation = site.manifest().generation;
            prop_assert!(generation >= highest, "{generation} after {highest}");
            highest = generation;
            let floor = bench.store.floors().unwrap().floor.map_or(0, |floor| floor.generation);
            prop_assert_eq!(floor, highest);
            if let Some(candidate) = &site.candidate {
                prop_assert!(candidate.bundle.manifest.generation > highest);
            }
        }
    }
}

/// Ten years without a word from the core, restarted every month: the same is served, to the byte,
/// whenever the manifest was to be accepted and whatever time it names.
#[test]
fn invariant_5_with_no_core_it_serves_the_same_for_ever() {
    for issued_at_ms in [0, 1_000, 2_147_483_648_000, 4_102_444_800_000] {
        let mut bench = Bench::new();
        let mut first = publish(1);
        first.manifest = changed(&first, |manifest| {
            (manifest.issued_at_ms, manifest.accept_until_ms) = (issued_at_ms, issued_at_ms + 60_000);
        });
        let mut site = bench.boot(&["a"]);
        site.handle(first.offer());
        let before = bench.served("a");
        let file = Layout::new(bench.folder.path()).proxy(&proxy("a")).static_bootstrap();
        let snapshot = || fs_err::read(&file);
        let snapshot_before = snapshot().unwrap();
        for month in 0..120_u32 {
            site.machine.handle_timeout(month * Duration::from_secs(30 * 86_400));
            site.trusted.observe_ms(u64::from(month) * 2_592_000_000);
            site.settle();
            assert_eq!(bench.served("a"), before);
            if month % 10 == 0 {
                drop(site);
                site = bench.boot(&["a"]);
            }
        }
        assert_eq!((bench.served("a"), snapshot().unwrap()), (before, snapshot_before));
        assert_eq!(bench.generation(), 1);
    }
}

/// The bundle that ran was lost on disk and the site went back to the one before: the core's offer of
/// that very bundle is taken, though the floor is its own.
#[test]
fn invariant_4_a_bundle_that_was_lost_is_taken_again() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(publish(2).offer());
    let second = bench.served("a");
    drop(site);
    bench.store.drop_current().unwrap();
    let mut site = bench.boot(&["a"]);
    assert_eq!(site.manifest().generation, 1);
    site.handle(publish(2).offer());
    assert_eq!((bench.served("a"), bench.answers()), (second, vec![(publish(2).digest(), String::new())]));
    assert_eq!(bench.generation(), 2);
}

/// A link that goes right after an apply takes nothing back: see ADR 0009.
#[test]
fn invariant_5_a_link_that_goes_after_an_apply_takes_nothing_back() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(Mail::Link(LinkEvent::Up));
    site.handle(publish(1).offer());
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    site.handle(publish(2).offer());
    site.handle(Mail::Link(LinkEvent::Down));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    site.machine.handle_timeout(Duration::MAX / 2);
    site.settle();
    assert_eq!(bench.generation(), 2);
    assert!(bench.events().iter().all(|event| event == "Applied: "), "{:?}", bench.events());
}
