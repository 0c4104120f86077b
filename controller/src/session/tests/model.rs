//! A model of an agent: whatever the order of publications and messages, it ends with the newest
//! bundle, whole, and is never given something that it cannot make a bundle of.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use skerry_core::bundle::v1::FragmentList;
use skerry_core::delta::patch;
use skerry_proto::codec::{Assembly, decode_fragment};
use skerry_proto::list_delta::from_wire;

use super::*;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// These versions of three services are published, in this generation.
    Publish([u32; 3]),
    /// The site takes a message if there is one.
    Deliver,
    /// The site answers what it got.
    Answer,
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
                let assembly = self.assembly.as_mut().expect("a chunk comes only when it was asked for");
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
        let (base, change) = from_wire(offer.list.clone().unwrap()).unwrap();
        let own = if base.is_some() { self.list.clone() } else { FragmentList::default() };
        if let Some(base) = base {
            assert_eq!(
                Digest::of(&prost::Message::encode_to_vec(&self.list)),
                base,
                "the base is what the site has"
            );
        }
        let list = patch(&own, &change);
        let manifest: Manifest = prost::Message::decode(&*offer.manifest).unwrap();
        assert_eq!(Digest::of(&prost::Message::encode_to_vec(&list)).as_bytes(), &*manifest.list);
        for data in &offer.fragments {
            let bytes = decode_fragment(data, |id| self.fragments.get(id).cloned()).unwrap();
            self.fragments.insert(Digest::of(&bytes), bytes.into());
        }
        (self.candidate, self.assembly, self.has_answered) = (Some((offer, list)), None, false);
    }

    fn answer(&mut self, session: &mut Session) {
        let Some((offer, list)) = self.candidate.as_ref().filter(|_| !self.has_answered) else { return };
        let has = |id: &[u8]| self.fragments.contains_key(&Digest::from_slice(id).unwrap());
        self.has_answered = true;
        if let Some(missing) = list.fragments.iter().find(|fragment| !has(&fragment.id)) {
            let assembly = Assembly::resume(Digest::from_slice(&missing.id).unwrap(), vec![]);
            session.handle_need(&Need { fragments: vec![assembly.want()] }).unwrap();
            self.assembly = Some(assembly);
        } else {
            session.handle_applied(&applied(offer, ""));
            self.list = list.clone();
            self.candidate = None;
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let publish = [0_u32..4, 0..4, 0..4].prop_map(Event::Publish);
    let event = prop_oneof![1 => publish, 3 => Just(Event::Deliver), 2 => Just(Event::Answer)];
    proptest::collection::vec(event, 0..60)
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
        let mut agent = Agent::default();
        let quiet = [Event::Deliver, Event::Answer].into_iter().cycle().take(60);
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
                Event::Deliver => {
                    if let Some(message) = next(&mut session, &published) {
                        agent.take(message);
                    }
                }
                Event::Answer => agent.answer(&mut session),
            }
        }
        prop_assert_eq!(Digest::of(&prost::Message::encode_to_vec(&agent.list)), newest.digest);
        for fragment in &newest.fragments {
            prop_assert_eq!(agent.fragments.get(&fragment.id), Some(&fragment.bytes));
        }
    }
}
