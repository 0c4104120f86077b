//! Reports on a stream: both ends keep step, and what was said before costs little.

use proptest::prelude::*;
use skerry_core::id::Digest;
use skerry_proto::codec::reports::{Context, UnpackError};
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{ProxyState, Report, Reports, SiteEvent, SiteState, report::Body};

const REVISION: &str = "main@sha1:0123456789abcdef0123456789abcdef01234567";

fn manifest(generation: u64) -> Vec<u8> {
    let manifest = skerry_core::bundle::v1::Manifest {
        site: "store-17".to_owned(),
        epoch: 3,
        generation,
        revision: REVISION.to_owned(),
        list: Digest::of(&generation.to_le_bytes()).as_bytes().to_vec(),
        ..Default::default()
    };
    prost::Message::encode_to_vec(&manifest)
}

/// What a site says when it has applied a manifest.
fn applied(seq: u64, generation: u64) -> Reports {
    let event = SiteEvent {
        kind: Kind::Applied.into(),
        generation,
        revision: REVISION.to_owned(),
        ..Default::default()
    };
    let proxy = ProxyState {
        workload: "shop/checkout-1".to_owned(),
        phase: Phase::Ready.into(),
        config_hash: Digest::of(&[generation as u8]).prefix().as_bytes().to_vec(),
        ..Default::default()
    };
    let state = SiteState {
        manifest: Digest::of(&manifest(generation)).as_bytes().to_vec(),
        epoch: 3,
        generation,
        revision: REVISION.to_owned(),
        proxies: vec![proxy],
        agent_version: "0.1.0".to_owned(),
        workloads: 1,
        ..Default::default()
    };
    let report = |seq, body| Report {
        seq,
        observed_at_ms: 1_795_000_000_000 + seq,
        body: Some(body),
        ..Default::default()
    };
    let reports = vec![report(seq, Body::Event(event)), report(seq + 1, Body::State(state))];
    Reports { sent_at_ms: 1_795_000_000_002 + seq, reports }
}

#[test]
fn the_word_on_a_manifest_says_only_what_is_new() {
    let (mut here, mut there) = (Context::default(), Context::default());
    for generation in 1..5 {
        let (reports, manifest) = (applied(10 + 2 * generation, generation), manifest(generation));

        let packed = here.pack(&reports, Some(&manifest)).unwrap();

        assert_eq!(there.unpack(&packed, Some(&manifest)).unwrap(), reports);
        let plain = prost::Message::encoded_len(&reports);
        assert!(packed.len() < 110, "{} of {plain} bytes", packed.len());
    }
}

#[test]
fn reports_that_were_packed_against_something_else_are_refused() {
    let mut here = Context::default();
    let packed = here.pack(&applied(1, 1), Some(&manifest(1))).unwrap();
    let unpacked = Context::default().unpack(&packed, None);
    assert!(unpacked.is_err() || unpacked.is_ok_and(|reports| reports != applied(1, 1)));
}

/// A batch of which the report in the middle has text that is no text.
fn with_a_broken_report(seqs: [u64; 3]) -> Vec<u8> {
    let detail = |detail: &str| SiteEvent { detail: detail.to_owned(), ..Default::default() };
    let [before, broken, after] = seqs.map(|seq| Report {
        seq,
        observed_at_ms: 5,
        body: Some(Body::Event(detail(if seq == seqs[1] { "ABBA" } else { "fine" }))),
        ..Default::default()
    });
    let reports = Reports { sent_at_ms: 7, reports: vec![before, broken, after] };
    let mut plain = prost::Message::encode_to_vec(&reports);
    let at = plain.windows(4).position(|window| window == b"ABBA").expect("it is in there");
    plain[at..at + 4].fill(0xff);
    frame(&plain)
}

/// A frame as it travels, without its magic number.
fn frame(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).expect("zstd fails for lack of memory only").split_off(4)
}

/// The one that refuses reports can name the one that it is about: the others are not given up for it.
#[test]
fn a_report_that_cannot_be_read_is_named() {
    for (seqs, expected) in [([41, 42, 43], Some(42)), ([41, 0, 43], Some(41)), ([0, 0, 0], None)] {
        let error = Context::default().unpack(&with_a_broken_report(seqs), None).unwrap_err();
        let named = match &error {
            UnpackError::Report { seq, .. } => Some(*seq),
            UnpackError::Batch(_) => None,
        };
        assert_eq!(named, expected, "{error}");
    }
    let garbage = frame(b"no message at all");
    for packed in [&garbage[..], b"no frame", b""] {
        let error = Context::default().unpack(packed, None).unwrap_err();
        assert!(matches!(error, UnpackError::Batch(_)), "{error}");
    }
}

proptest! {
    #[test]
    fn both_ends_keep_step(batches in proptest::collection::vec((0_usize..300, any::<bool>()), 1..6)) {
        let (mut here, mut there) = (Context::default(), Context::default());
        for (seq, (words, with_manifest)) in (1..).zip(batches) {
            let detail = "no ".repeat(words * words);
            let event = SiteEvent { detail, ..SiteEvent::default() };
            let reports = Reports { sent_at_ms: seq, reports: vec![Report { seq, observed_at_ms: 0, body: Some(Body::Event(event)), ..Default::default() }] };
            let manifest = with_manifest.then(|| manifest(seq));
            let packed = here.pack(&reports, manifest.as_deref()).unwrap();
            prop_assert_eq!(there.unpack(&packed, manifest.as_deref()).unwrap(), reports);
        }
    }

    #[test]
    fn whatever_comes_is_reports_or_refused(packed in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _either = Context::default().unpack(&packed, None);
    }
}
