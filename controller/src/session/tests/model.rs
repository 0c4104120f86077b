//! A model of an agent: whatever the order of publications and messages, it ends with the newest
//! bundle, whole, and is never given something that it cannot make a bundle of.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use skerry_core::bundle::v1::FragmentList;
use skerry_proto::codec::list::Stepped;
use skerry_proto::codec::{Assembly, decode_list};

use super::*;

/// What happens next. Messages are under way in between, in both directions.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// These versions of three services are published, in the next generation.
    Publish([u32; 3]),
    /// The core sends a message if it has one.
    Send,
    /// The site takes what was sent first.
    Take,
    /// The site answers what it has.
    Answer,
    /// The core takes what was answered first.
    Hear,
}

/// An answer of the site.
#[derive(Debug)]
enum Word {
    Need(Need),
    Applied(Applied),
}

/// A site that keeps whatever fragment it ever got.
#[derive(Debug, Default)]
struct Agent {
    list: FragmentList,
    fragments: BTreeMap<Digest, Arc<[u8]>>,
    candidate: Option<(Offer, FragmentList)>,
    assembly: Option<Assembly>,
    has_answered: bool,
}

impl Agent {
    fn take(&mut self, message: Message) {
        match message {
            Message::Offer(offer) => self.take_offer(offer),
            Message::Chunk(chunk) => {
                // One of an offer that was replaced is passed over.
                let Some(assembly) = self.assembly.as_mut() else { return };
                if let Some(bytes) = assembly.accept(&chunk).expect("chunks fit together") {
                    self.fragments.insert(Digest::of(&bytes), bytes.into());
                    (self.assembly, self.has_answered) = (None, false);
                }
            }
            Message::Current(_) => self.candidate = None,
            Message::RetryAfter(retry) => panic!("{retry:?}"),
        }
    }

    fn take_offer(&mut self, offer: Offer) {
        let delta = offer.list.as_ref().unwrap();
        let own = if delta.base.is_empty() { FragmentList::default() } else { self.list.clone() };
        if !delta.base.is_empty() {
            let has = Digest::of(&prost::Message::encode_to_vec(&self.list));
            assert_eq!(has.prefix().as_bytes()[..], delta.base, "the base is what the site has");
        }
        let known = |id: &Digest| self.fragments.get(id).cloned();
        let Stepped { list, fragments } = decode_list(delta, &offer.fragments, &own, known).unwrap();
        let manifest: Manifest = prost::Message::decode(&*offer.manifest).unwrap();
        assert_eq!(Digest::of(&prost::Message::encode_to_vec(&list)).as_bytes(), &*manifest.list);
        self.fragments.extend(fragments);
        (self.candidate, self.assembly, self.has_answered) = (Some((offer, list)), None, false);
    }

    fn answer(&mut self) -> Option<Word> {
        let (offer, list) = self.candidate.as_ref().filter(|_| !self.has_answered)?;
        let has = |id: &[u8]| self.fragments.contains_key(&Digest::from_slice(id).unwrap());
        self.has_answered = true;
        if let Some(missing) = list.fragments.iter().find(|fragment| !has(&fragment.id)) {
            let assembly = Assembly::resume(Digest::from_slice(&missing.id).unwrap(), vec![]);
            let need = Need { fragments: vec![assembly.want()] };
            self.assembly = Some(assembly);
            Some(Word::Need(need))
        } else {
            let applied = applied(offer, "");
            self.list = list.clone();
            self.candidate = None;
            Some(Word::Applied(applied))
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let publish = [0_u32..4, 0..4, 0..4].prop_map(Event::Publish);
    let moves = proptest::sample::select(vec![Event::Send, Event::Take, Event::Answer, Event::Hear]);
    proptest::collection::vec(prop_oneof![1 => publish, 6 => moves], 0..100)
}

/// Version 0 of a service is none; the second service is too long for an offer.
fn bundle(versions: [u32; 3]) -> Arc<Contents> {
    let [cart, large, web] = versions;
    let mut fragments = vec![service("settings-of-all", 1, 1)];
    fragments.extend((cart > 0).then(|| service("cart", 20, cart)));
    fragments.extend((large > 0).then(|| noise(&format!("large{large}"), 40_000)));
    fragments.extend((web > 0).then(|| service("web", 20, web)));
    contents(&fragments)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_site_ends_with_the_newest_bundle(events in events()) {
        let published = nothing();
        let mut newest = bundle([1, 1, 1]);
        let mut generation = 1;
        publish(&published, "s1", generation, Some(&newest));
        let mut session = Session::handle_hello(&hello("s1"), &published).unwrap();
        let (mut agent, mut down, mut up) = (Agent::default(), VecDeque::new(), VecDeque::new());
        let quiet = [Event::Send, Event::Take, Event::Answer, Event::Hear].into_iter().cycle().take(120);
        for event in events.into_iter().chain(quiet) {
            match event {
                Event::Publish(versions) => {
                    let next = bundle(versions);
                    if next.digest != newest.digest {
                        (newest, generation) = (next, generation + 1);
                        publish(&published, "s1", generation, Some(&newest));
                        session.handle_published();
                    }
                }
                Event::Send => down.extend(next(&mut session, &published)),
                Event::Take => down.pop_front().into_iter().for_each(|message| agent.take(message)),
                Event::Answer => up.extend(agent.answer()),
                Event::Hear => match up.pop_front() {
                    Some(Word::Need(need)) => session.handle_need(&need).unwrap(),
                    Some(Word::Applied(applied)) => drop(session.handle_applied(&applied)),
                    None => {}
                },
            }
        }
        prop_assert_eq!(Digest::of(&prost::Message::encode_to_vec(&agent.list)), newest.digest);
        for fragment in &newest.fragments {
            prop_assert_eq!(agent.fragments.get(&fragment.id), Some(&fragment.bytes));
        }
    }
}
