//! Attacks with the bytes themselves: cut, without end, and ever so slow.

use skerry_proto::limits::{MAX_CHUNK_BYTES, MAX_ENCODED_FRAGMENT_BYTES};

use super::*;

/// As it is cut, and with the signatures that were behind the cut.
#[test]
fn attack_an_offer_that_is_cut_at_any_byte_never_runs() {
    let mut target = Target::new();
    let whole = signed(&publish(6), &target.core);
    let bytes = whole.encode_to_vec();
    assert!(bytes.len() < 1_000, "it is a small one: {}", bytes.len());
    for length in 0..bytes.len() {
        let Ok(cut) = Offer::decode(&bytes[..length]) else { continue };
        let has_all = cut.list == whole.list && cut.fragments == whole.fragments;
        let vouched = Offer { signatures: whole.signatures.clone(), ..cut.clone() };
        for cut in [Some(cut), (!has_all).then_some(vouched)].into_iter().flatten() {
            target.hand(cut);
            assert_eq!(target.running(), 5, "cut at {length}");
            assert!(target.site.candidate.is_none(), "cut at {length}");
            // What it waits for is not what the next one brings.
            target.site.handle(Mail::Link(LinkEvent::Current));
        }
    }
    target.hand(whole);
    assert_eq!(target.running(), 6, "and the whole of it is taken");
}

/// Fragments, cut and whole, by themselves: nothing of a part runs.
#[test]
fn attack_fragments_that_are_cut_at_any_byte_never_run() {
    let mut target = Target::new();
    let whole = signed(&publish(6), &target.core);
    for at in 0..whole.fragments.len() {
        for length in 0..whole.fragments[at].data.len() {
            let mut cut = whole.clone();
            cut.fragments[at].data.truncate(length);
            target.hand(cut);
            assert_eq!(target.running(), 5, "fragment {at} cut at {length}");
        }
    }
    target.hand(whole);
    assert_eq!(target.running(), 6);
}

impl Target {
    /// Hands it a bundle whose one new fragment is still to come; returns the fragment's id.
    fn hand_without_fragments(&mut self, published: &Published) -> Vec<u8> {
        let offer = Offer { fragments: Vec::new(), ..bare_with(published, 0) };
        self.hand(sign_by(offer, &[&self.core], PayloadType::Manifest));
        published.contents.fragments[0].id.as_bytes().to_vec()
    }

    fn hand_chunk(&mut self, chunk: Chunk) {
        self.site.handle(Mail::Link(LinkEvent::Chunk(chunk)));
    }

    /// For how long it hangs up, if it does.
    fn hung_up(&mut self) -> Option<Duration> {
        let commands = self.bench.commands.as_mut().unwrap();
        std::iter::from_fn(|| commands.try_recv().ok()).find_map(|command| match command {
            Command::Restart(pause) => Some(pause),
            _ => None,
        })
    }
}

/// A fragment whose last chunk never comes: no more is kept of it than the longest one has.
#[test]
fn attack_data_without_end_is_cut_off() {
    let mut target = Target::new();
    let id = target.hand_without_fragments(&publish(6));
    target.bench.answers();
    let mut sent = 0;
    while target.site.again.poll_timeout().is_none() {
        assert!(sent <= MAX_ENCODED_FRAGMENT_BYTES, "{sent} bytes are taken");
        let chunk =
            Chunk { id: id.clone(), offset: sent as u64, data: vec![7; MAX_CHUNK_BYTES], last: false };
        target.hand_chunk(chunk);
        sent += MAX_CHUNK_BYTES;
        let kept = target.bench.store.part().unwrap().map_or(0, |part| part.1.len());
        assert!(kept <= MAX_ENCODED_FRAGMENT_BYTES, "{kept} bytes are kept");
    }
    let answers = target.bench.answers();
    assert!(answers[0].1.contains("is longer than it may be"), "{answers:?}");
    assert_eq!(target.running(), 5);
    target.takes(&publish(7));
}

/// A core that sends a byte now and then, or nothing in many messages, holds no site for ever: it hangs up, later and later.
#[test]
fn attack_data_that_trickles_is_hung_up_on() {
    let mut target = Target::new();
    let (mut pauses, mut sent) = (Vec::new(), 0);
    for data in [vec![], vec![7], vec![], vec![7]] {
        let id = target.hand_without_fragments(&publish(6));
        let due = target.site.fetch.as_ref().and_then(Fetch::poll_timeout).expect("it is waited for");
        let mut pause = None;
        while pause.is_none() {
            assert!(target.site.clock.now() < due + Duration::from_secs(10), "it waits for ever");
            target.hand_chunk(Chunk { id: id.clone(), offset: sent, data: data.clone(), last: false });
            sent += data.len() as u64;
            target.site.clock.skip(Duration::from_secs(5));
            target.site.handle_timeout();
            pause = target.hung_up();
        }
        pauses.extend(pause);
        target.site.handle(Mail::Link(LinkEvent::Down));
        target.site.handle(Mail::Link(LinkEvent::Up));
    }
    assert!(pauses[3] > pauses[0], "{pauses:?}");
    assert_eq!(target.running(), 5);
    target.takes(&publish(7));
}
