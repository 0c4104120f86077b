//! A bundle that comes in parts, over links that break and lives that end.

use skerry_proto::codec::{chunk_at, compress_fragment};
use skerry_proto::v1::{Chunk, Need};

use super::*;

impl Published {
    /// The offer of a long bundle: its manifest alone.
    fn manifest_alone(&self) -> Mail {
        let offer = Offer { manifest: self.manifest.clone(), ..Offer::default() };
        Mail::Link(LinkEvent::Offer(Box::new(offer)))
    }

    /// The chunk that a want asks for, of at most so many bytes.
    fn chunk(&self, id: &[u8], offset: u64, room: usize) -> Chunk {
        let id = Digest::from_slice(id).unwrap();
        let fragment = self.contents.fragments.iter().find(|fragment| fragment.id == id);
        let bytes = fragment.map_or(&self.contents.list, |fragment| &fragment.bytes);
        chunk_at(&id, &compress_fragment(bytes).unwrap(), offset, room)
    }
}

impl Bench {
    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.commands.as_mut().unwrap().try_recv().ok()).collect()
    }

    /// The one thing that the site asks for now.
    fn need(&mut self) -> Need {
        match self.commands().pop() {
            Some(Command::Need(need)) => need,
            other => panic!("something is asked for, not {other:?}"),
        }
    }

    fn pending(&self) -> Option<Digest> {
        self.identity.as_ref().unwrap().borrow().pending
    }
}

fn chunk(site: &mut Site, chunk: Chunk) {
    site.handle(Mail::Link(LinkEvent::Chunk(chunk)));
}

/// Killed at every step of a fetch, with the link broken before: nothing that came is asked for again.
#[test]
fn a_restarted_agent_goes_on_with_what_it_was_fetching() {
    let (mut bench, published) = (Bench::new(), publish(1));
    let mut came = Vec::new();
    for life in 0.. {
        let mut site = bench.boot(&[]);
        if life > 0 {
            assert_eq!(bench.pending(), Some(published.digest()), "the hello says so, life {life}");
        }
        site.handle(published.manifest_alone());
        if bench.generation_or_none() == Some(1) {
            break;
        }
        let want = bench.need().fragments[0].clone();
        let part = published.chunk(&want.id, want.offset, 20);
        came.push((want.id.clone(), part.offset, part.data.len() as u64));
        chunk(&mut site, part);
        if bench.generation_or_none() == Some(1) {
            break;
        }
        site.handle(Mail::Link(LinkEvent::Down));
        // Dropped without a word, as by a power cut.
    }
    assert!(came.len() > 6, "{came:?}");
    for pair in came.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let goes_on = before.0 == after.0 && before.1 + before.2 == after.1;
        assert!(goes_on || after.1 == 0 && before.0 != after.0, "{came:?}");
    }
    assert_eq!(bench.pending(), None);
    assert_eq!(bench.store.saved().unwrap().fetching, None, "nothing is left of it");
    assert_eq!(bench.store.part().unwrap(), None);
}

impl Bench {
    fn generation_or_none(&self) -> Option<u64> {
        let current = self.store.saved().unwrap().current?;
        Some(v1::Manifest::decode(current.manifest.as_slice()).unwrap().generation)
    }
}

#[test]
fn what_came_of_one_offer_is_of_use_for_the_next() {
    let (mut bench, first) = (Bench::new(), publish(1));
    let mut site = bench.boot(&[]);
    site.handle(first.manifest_alone());
    let want = bench.need().fragments[0].clone();
    chunk(&mut site, first.chunk(&want.id, 0, usize::MAX));
    let wants = bench.need().fragments;
    assert_eq!(wants.len(), 2, "settings and a service");
    let settings = first.contents.fragments.iter().find(|fragment| &*fragment.name == "settings").unwrap();
    chunk(&mut site, first.chunk(settings.id.as_bytes(), 0, usize::MAX));

    let second = publish(2);
    site.handle(second.manifest_alone());
    let want = bench.need().fragments[0].clone();
    chunk(&mut site, second.chunk(&want.id, 0, usize::MAX));

    let wants = bench.need().fragments;
    assert_eq!(wants.len(), 1, "the settings are the same, and here");
    assert_ne!(wants[0].id, settings.id.as_bytes());
}

/// Invariant 9: what comes damaged again and again is asked for less and less often, and the link stays up meanwhile.
#[test]
fn invariant_9_what_cannot_be_followed_is_asked_for_ever_less_often() {
    let (mut bench, published) = (Bench::new(), publish(1));
    let mut site = bench.boot(&[]);
    let list = published.contents.digest;
    let wrong = chunk_at(&list, &compress_fragment(b"something else").unwrap(), 0, usize::MAX);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        site.handle(published.manifest_alone());
        assert_eq!(bench.need().fragments[0].offset, 0, "from its start");
        chunk(&mut site, wrong.clone());
        chunk(&mut site, wrong.clone());
        let due = site.again.poll_timeout().expect("it is asked for again");
        pauses.push(due.saturating_sub(site.clock.now()));
        assert!(bench.commands().iter().all(|command| !matches!(command, Command::Restart(_))));
        site.clock.skip(pauses[pauses.len() - 1]);
        site.handle_timeout();
        assert!(matches!(bench.commands()[..], [.., Command::Restart(Duration::ZERO)]));
        site.handle(Mail::Link(LinkEvent::Down));
    }
    assert!(pauses[0] < Duration::from_secs(1) && pauses[11] > Duration::from_secs(149), "{pauses:?}");
    assert!(pauses[4] > 4 * pauses[1], "{pauses:?}");

    site.handle(Mail::Link(LinkEvent::Current));
    assert_eq!(site.again.failures(), 0);
}

#[test]
fn a_list_that_is_not_here_is_asked_for_whole() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&[]);
    site.handle(publish(1).offer());
    let Mail::Link(LinkEvent::Offer(mut offer)) = publish(2).offer() else { unreachable!("an offer") };
    offer.list.as_mut().unwrap().base = vec![7; 32];
    bench.answers();
    site.handle(Mail::Link(LinkEvent::Offer(offer)));
    let command = bench.commands.as_mut().unwrap().try_recv().unwrap();
    assert!(matches!(command, Command::Restart(Duration::ZERO)), "{command:?}");
    let identity = *bench.identity.as_ref().unwrap().borrow();
    let manifest = Some(publish(1).digest());
    assert_eq!(identity, Identity { manifest, ..Identity::default() });
    // A core that does not listen is asked again, later each time.
    let Mail::Link(LinkEvent::Offer(mut offer)) = publish(2).offer() else { unreachable!("an offer") };
    offer.list.as_mut().unwrap().base = vec![7; 8];
    site.handle(Mail::Link(LinkEvent::Offer(offer)));
    let (digest, reason) = bench.answers().pop().unwrap();
    assert_eq!(digest, publish(2).digest());
    assert!(
        reason.starts_with("it arrived damaged, and is asked for again: the offer builds on"),
        "{reason}"
    );
    assert!(site.again.poll_timeout() > Some(site.clock.now()));
}
