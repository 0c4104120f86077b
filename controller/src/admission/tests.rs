//! Admission: a table of cases, and a storm against a model of sites that obey.

use std::collections::BinaryHeap;

use skerry_proto::limits::{MAX_CHUNK_BYTES, MAX_PULL_CHUNK_BYTES};

use super::*;

const SMALL: Limits = Limits {
    streams: 2,
    bundles: 2,
    pending_bytes: 1 << 20,
    handshakes: 1,
    handshake_deadline: Duration::from_secs(1),
};

fn after(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

/// Invariant 9: the server can say "come back later", and to each another time.
#[test]
fn invariant_9_those_without_room_are_given_times_one_after_the_other() {
    let start = Instant::now();
    let mut admission = Admission::new(SMALL);
    assert_eq!(admission.handle_bundle(Way::Stream, start), Verdict::Go(0));
    assert_eq!(admission.handle_bundle(Way::Stream, start), Verdict::Go(1));

    // Two places and a second for each: one is free every half second.
    let told: Vec<_> = (0..6).map(|_| admission.handle_bundle(Way::Stream, start)).collect();
    assert_eq!(told, [1, 1, 2, 2, 3, 3].map(Verdict::ComeBack));

    // The queue moves on with the time, and a place that is given back is taken.
    assert_eq!(admission.handle_bundle(Way::Stream, after(start, 2_900)), Verdict::ComeBack(1));
    admission.handle_bundle_end(0, after(start, 3_000));
    assert_eq!(admission.handle_bundle(Way::Stream, after(start, 3_000)), Verdict::Go(2));
}

#[test]
fn the_pace_follows_how_long_bundles_take() {
    let start = Instant::now();
    let mut admission = Admission::new(SMALL);
    for round in 0..40 {
        let Verdict::Go(ticket) = admission.handle_bundle(Way::Stream, after(start, round * 20_000)) else {
            panic!("there is room")
        };
        admission.handle_bundle_end(ticket, after(start, (round + 1) * 20_000));
    }
    let now = after(start, 800_000);
    assert!(matches!(
        (admission.handle_bundle(Way::Stream, now), admission.handle_bundle(Way::Stream, now)),
        (Verdict::Go(_), Verdict::Go(_))
    ));
    let Verdict::ComeBack(seconds) = admission.handle_bundle(Way::Stream, now) else {
        panic!("there is no room")
    };
    assert!((9..=10).contains(&seconds), "20 s for two places is 10 s: {seconds}");
}

/// Who pulls hangs up at once, or stays for an hour: neither is how long a bundle takes.
#[test]
fn pulls_take_places_and_teach_no_pace() {
    let start = Instant::now();
    let mut admission = Admission::new(SMALL);
    for (at, until) in [(0, 1), (100, 59_000), (100_000, 900_000)] {
        let Verdict::Go(ticket) = admission.handle_bundle(Way::Pull, after(start, at)) else {
            panic!("there is room")
        };
        admission.handle_bundle_end(ticket, after(start, until));
    }
    let now = after(start, 1_000_000);
    let two = [Way::Pull, Way::Stream].map(|way| admission.handle_bundle(way, now));
    assert_eq!(two, [Verdict::Go(3), Verdict::Go(4)]);
    let told: Vec<_> = (0..4).map(|_| admission.handle_bundle(Way::Pull, now)).collect();
    assert_eq!(
        told,
        [1, 1, 2, 2].map(Verdict::ComeBack),
        "one second for two places, as before any was seen"
    );
    // And no longer than a turn, as anybody else.
    assert_eq!(admission.handle_bundle(Way::Pull, now + TURN), Verdict::Go(5));
    assert_eq!(admission.usual, (FIRST_GUESS * 7 + TURN) / 8, "what was learned of the stream");
}

#[test]
fn no_pause_is_longer_than_the_longest() {
    let start = Instant::now();
    let mut admission = Admission::new(Limits { bundles: 0, streams: 0, ..SMALL });
    let pauses: Vec<_> = (0..2_000).map(|_| admission.handle_bundle(Way::Stream, start)).collect();
    assert_eq!(pauses.iter().max_by_key(|verdict| pause(verdict)), Some(&Verdict::ComeBack(300)));
    assert_eq!(admission.handle_stream(0.0), Verdict::ComeBack(150));
    assert_eq!(admission.handle_stream(1.0), Verdict::ComeBack(300));
}

fn pause<T>(verdict: &Verdict<T>) -> u32 {
    match verdict {
        Verdict::Go(_) => 0,
        Verdict::ComeBack(seconds) => *seconds,
    }
}

#[test]
fn a_site_behind_a_thin_link_stands_in_the_way_for_one_turn() {
    let start = Instant::now();
    let mut admission = Admission::new(SMALL);
    let slow = [admission.handle_bundle(Way::Stream, start), admission.handle_bundle(Way::Stream, start)];
    assert_eq!(slow, [Verdict::Go(0), Verdict::Go(1)]);
    assert!(matches!(admission.handle_bundle(Way::Stream, after(start, 59_999)), Verdict::ComeBack(_)));
    assert_eq!(admission.handle_bundle(Way::Stream, after(start, 60_000)), Verdict::Go(2));
    // Its end comes late, and gives nobody's place back.
    admission.handle_bundle_end(0, after(start, 70_000));
    assert_eq!(admission.bundles.len(), 1);
}

#[test]
fn streams_are_counted_and_share_the_room_for_chunks() {
    let mut admission = Admission::new(SMALL);
    assert_eq!(admission.chunk_room(MAX_CHUNK_BYTES), MAX_CHUNK_BYTES);
    assert_eq!([admission.handle_stream(0.0), admission.handle_stream(0.0)], [Verdict::Go(()); 2]);
    assert!(matches!(admission.handle_stream(0.0), Verdict::ComeBack(_)));
    admission.handle_stream_end();
    assert_eq!(admission.handle_stream(0.0), Verdict::Go(()));

    for (streams, of_stream, of_pull) in [
        (1, 16 << 10, 64 << 10),
        (4_096, 16 << 10, 64 << 10),
        (16_384, 16 << 10, 16 << 10),
        (20_000, 13_421, 13_421),
        (1 << 20, 8 << 10, 8 << 10),
    ] {
        let admission = Admission { streams, ..Admission::new(Limits::default()) };
        let rooms = [MAX_CHUNK_BYTES, MAX_PULL_CHUNK_BYTES].map(|longest| admission.chunk_room(longest));
        assert_eq!(rooms, [of_stream, of_pull], "{streams}");
    }
}

/// What follows from the number of sites, and what does not.
#[test]
fn invariant_9_the_bounds_follow_from_the_number_of_sites() {
    for (sites, connections, pending_mib) in [
        (1, 49, 256),
        (1_000, 1_148, 256),
        (SITES, 22_048, 256),
        (100_000, 110_048, 781),
        (1_000_000, 1_100_048, 7_812),
    ] {
        let limits = Limits::for_sites(sites);
        assert_eq!((limits.connections(), limits.pending_bytes >> 20), (connections, pending_mib), "{sites}");
        let admission = Admission { streams: limits.streams, ..Admission::new(limits) };
        let pending = admission.chunk_room(MAX_CHUNK_BYTES) * limits.streams;
        assert!(pending <= limits.pending_bytes, "{sites} sites that do not read may have {pending} bytes");
        assert_eq!(
            Limits { streams: 0, pending_bytes: 0, ..limits },
            Limits { streams: 0, pending_bytes: 0, ..Limits::default() }
        );
    }
}

/// What happens to a site: it asks, or it is done with this ticket.
type Step = (std::cmp::Reverse<u64>, usize, Option<u64>);

/// 10,000 sites want a whole bundle at once, each takes half a second, and all obey: none is left out, the
/// places are never idle, and nobody is sent away often.
#[test]
fn a_storm_is_spread_and_nobody_is_refused_for_good() {
    let (sites, start) = (10_000, Instant::now());
    let mut admission = Admission::new(Limits::default());
    let mut steps: BinaryHeap<Step> = (0..sites).map(|site| (std::cmp::Reverse(0), site, None)).collect();
    let (mut refusals, mut done, mut last) = (vec![0_u32; sites], 0, 0);
    while let Some((std::cmp::Reverse(at), site, ticket)) = steps.pop() {
        last = at;
        if let Some(ticket) = ticket {
            admission.handle_bundle_end(ticket, after(start, at));
            done += 1;
            continue;
        }
        match admission.handle_bundle(Way::Stream, after(start, at)) {
            Verdict::Go(ticket) => steps.push((std::cmp::Reverse(at + 500), site, Some(ticket))),
            Verdict::ComeBack(seconds) => {
                refusals[site] += 1;
                // As the agent does: up to a fifth longer.
                let spread = u64::from(seconds) * 200 * (site as u64 % 101) / 100;
                steps.push((std::cmp::Reverse(at + u64::from(seconds) * 1_000 + spread), site, None));
            }
        }
        assert!(admission.bundles.len() <= 1_000);
    }
    assert_eq!(done, sites);
    assert!(last <= 20_000, "5 s of work take {last} ms");
    assert!(refusals.iter().all(|number| *number <= 8), "{:?}", refusals.iter().max());
}
