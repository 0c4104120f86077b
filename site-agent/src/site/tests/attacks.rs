//! Attacks with bundles, a test for each: a site that runs generation 5 is handed what an attacker may have, and what an
//! honest core once made is checked as the agent checks it, signatures included. `docs/reference/attacks.md` lists them.

use skerry_identity::envelope::{PayloadType, Signatures, sign};
use skerry_identity::key::SigningKey;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{PolicyDemand, Role, SignedRoot, TrustRoot, TrustedRoot};
use skerry_proto::codec::{chunk_at, compress_fragment};
use skerry_proto::v1::Chunk;

use super::*;
use crate::enrolment::tests::enrolment;

mod data;
mod signatures;

/// Long after whatever is tried here: milliseconds.
const END: u64 = 1_900_000_000_000;

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

/// A trust root in which so many of these keys have to sign.
fn root(version: u64, threshold: u8, keys: &[&SigningKey]) -> TrustRoot {
    TrustRoot {
        mesh: MeshDomain::new("mesh.local").unwrap(),
        version,
        expires: END / 1000,
        core: Role::new(threshold, keys.iter().map(|key| key.public())),
        policy: None,
        require_policy: false,
    }
}

fn signed_root(root: &TrustRoot, by: &[&SigningKey]) -> SignedRoot {
    let mut signed = SignedRoot::new(root).unwrap();
    by.iter().for_each(|key| signed.sign(key).unwrap());
    signed
}

/// The offer of a bundle, as it is sent when nobody interferes.
fn bare(published: &Published) -> Offer {
    let Mail::Link(LinkEvent::Offer(offer)) = published.offer() else { unreachable!("an offer") };
    *offer
}

fn bare_with(published: &Published, room: usize) -> Offer {
    let Mail::Link(LinkEvent::Offer(offer)) = published.offer_with(room) else { unreachable!("an offer") };
    *offer
}

/// Signs an offer anew, whatever its manifest is by now.
fn sign_by(mut offer: Offer, keys: &[&SigningKey], purpose: PayloadType) -> Offer {
    let signatures = keys.iter().map(|key| sign(purpose, &offer.manifest, key).unwrap());
    offer.signatures = Signatures::from_iter(signatures).to_bytes();
    offer
}

fn signed(published: &Published, key: &SigningKey) -> Offer {
    sign_by(bare(published), &[key], PayloadType::Manifest)
}

/// A bundle whose manifest is another one.
fn publish_as(generation: u64, change: impl FnOnce(&mut v1::Manifest)) -> Published {
    let mut published = publish(generation);
    let mut manifest = v1::Manifest::decode(published.manifest.as_slice()).unwrap();
    change(&mut manifest);
    published.manifest = manifest.encode_to_vec();
    published
}

/// A site that runs generation 5 of its core.
struct Target {
    bench: Bench,
    site: Site,
    core: SigningKey,
}

impl Target {
    fn new() -> Self {
        let core = key();
        let trusted = TrustedRoot::first(signed_root(&root(1, 1, &[&core]), &[&core])).unwrap();
        Self::trusting(trusted, core)
    }

    /// One with another trust root; `core` signs what it runs.
    fn trusting(trust_root: TrustedRoot, core: SigningKey) -> Self {
        Self::on(Bench::trusting(Enrolment { trust_root, ..enrolment() }), core)
    }

    fn on(mut bench: Bench, core: SigningKey) -> Self {
        let mut site = bench.boot(&["a"]);
        site.handle(Mail::Link(LinkEvent::Offer(Box::new(signed(&publish(5), &core)))));
        let target = Self { bench, site, core };
        assert_eq!(target.running(), 5);
        target
    }

    fn running(&self) -> u64 {
        self.site.manifest().generation
    }

    fn hand(&mut self, offer: Offer) {
        self.site.handle(Mail::Link(LinkEvent::Offer(Box::new(offer))));
    }

    /// Hands it a bundle that the core has signed, and sees that it goes on as before and says why.
    fn refuses(&mut self, published: &Published, words: &str) {
        let offer = signed(published, &self.core);
        self.refuses_offer(offer, words);
    }

    fn refuses_offer(&mut self, offer: Offer, words: &str) {
        let (digest, served) = (Digest::of(&offer.manifest), self.bench.served("a"));
        self.bench.answers();
        self.hand(offer);
        let answers = self.bench.answers();
        assert!(
            matches!(&answers[..], [(of, reason)] if *of == digest && reason.contains(words)),
            "{answers:?}"
        );
        assert_eq!((self.running(), self.bench.served("a")), (5, served));
        assert_eq!(self.bench.store.floors().unwrap().floor.unwrap().generation, 5);
        assert!(self.site.candidate.is_none());
    }

    fn takes(&mut self, published: &Published) {
        let offer = signed(published, &self.core);
        self.hand(offer);
        assert_eq!(self.running(), v1::Manifest::decode(published.manifest.as_slice()).unwrap().generation);
    }
}

#[test]
fn attack_replay_of_an_older_bundle_is_refused() {
    let mut target = Target::new();
    let again = signed(&publish(4), &target.core);
    target.refuses_offer(again.clone(), "epoch 1 generation 4 is below what this site has run (1/5)");
    target.takes(&publish(6));
    target.hand(again);
    assert_eq!(target.running(), 6);
}

#[test]
fn attack_rollback_to_an_older_epoch_is_refused() {
    let older = publish_as(99, |manifest| manifest.epoch = 0);
    Target::new().refuses(&older, "epoch 0 generation 99 is below what this site has run (1/5)");
}

/// What is on the disk is what counts; it leads forward from there, and no replay takes it further back.
#[test]
fn attack_a_disk_of_an_older_day_leads_forward_only() {
    let target = Target::new();
    let path = Layout::new(target.bench.folder.path()).store();
    let image = fs_err::read(&path).unwrap();
    let Target { bench, site, core } = target;
    let trusted = bench.trusted.clone().unwrap();
    let mut later = Target { bench, site, core };
    later.takes(&publish(7));
    let Target { bench, site, core } = later;
    let Bench { folder, store, .. } = bench;
    drop((site, store));
    fs_err::write(&path, image).unwrap();

    let store = Store::open(&path, &SiteId::new("store-1").unwrap()).unwrap().0;
    let mut bench = Bench::on(folder, store);
    bench.trusted = Some(trusted);
    let site = bench.boot(&["a"]);
    let mut target = Target { bench, site, core };
    assert_eq!(target.running(), 5, "it serves what it has");
    target.refuses(&publish(4), "is below what this site has run (1/5)");
    target.takes(&publish(7));
    target.hand(signed(&publish(6), &target.core));
    assert_eq!(target.running(), 7);
}

#[test]
fn attack_a_generation_with_other_content_is_refused() {
    let mut target = Target::new();
    target.refuses(
        &publish_as(5, |manifest| manifest.revision = "other".into()),
        "was issued twice with different content",
    );
    let content = publish_with(5, "127.99.0.0/16");
    target.refuses(&content, "generation 5 was issued twice with different content");
}

/// Also one that holds nothing, and one that says for nobody.
#[test]
fn attack_a_bundle_of_another_site_is_refused() {
    let mut target = Target::new();
    let words = "the manifest is for site `store-2`, and this is `store-1`";
    target.refuses(&publish_as(6, |manifest| manifest.site = "store-2".into()), words);
    let contents = Contents::new(Vec::new());
    let manifest = v1::Manifest {
        site: "store-2".into(),
        epoch: 1,
        generation: 7,
        schema: 1,
        list: contents.digest.as_bytes().to_vec(),
        ..Default::default()
    };
    let empty = Published { manifest: manifest.encode_to_vec(), contents };
    target.refuses(&empty, words);
    target.refuses(&publish_as(8, |manifest| manifest.site.clear()), "the manifest is for site ``");
    let nothing = Published { manifest: Vec::new(), ..empty };
    target.refuses(&nothing, "the manifest is for site ``");
}

/// An empty bundle of its own, which says of nothing that it was removed.
#[test]
fn attack_an_empty_bundle_takes_nothing_away() {
    let contents = Contents::new(vec![Arc::new(EncodedFragment::settings(v1::Settings::default()))]);
    let list = contents.digest.as_bytes().to_vec();
    let empty = Published { contents, ..publish_as(6, |manifest| manifest.list = list) };
    Target::new().refuses(&empty, "1 of 1 services would go, 0 of them on purpose");
}

#[test]
fn attack_parts_of_two_bundles_never_run_together() {
    let mut target = Target::new();
    let (six, seven) = (publish(6), publish(7));
    let own = signed(&six, &target.core);
    let (named, sent) = (bare_with(&seven, 0).list, bare(&seven));
    let words = "the fragment list does not match the manifest";
    target.refuses_offer(Offer { list: named, ..own.clone() }, words);
    target.refuses_offer(Offer { fragments: sent.fragments.clone(), ..own.clone() }, words);
    target.refuses_offer(Offer { list: sent.list, fragments: sent.fragments, ..own.clone() }, words);
    // By their names the fragments are right, and another one comes.
    target.hand(Offer { list: bare_with(&six, 0).list, fragments: Vec::new(), ..own });
    let [right, other] = [&six, &seven].map(|published| whole_chunk(&published.contents.fragments[0]));
    target.bench.answers();
    target.site.handle(Mail::Link(LinkEvent::Chunk(Chunk { data: other.data, ..right.clone() })));
    let answers = target.bench.answers();
    assert!(answers[0].1.contains("has the content of"), "{answers:?}");
    assert_eq!(target.running(), 5);
    target.site.handle(Mail::Link(LinkEvent::Chunk(right)));
    assert_eq!(target.running(), 6);
}

fn whole_chunk(fragment: &EncodedFragment) -> Chunk {
    chunk_at(&fragment.id, &compress_fragment(&fragment.bytes).unwrap(), 0, usize::MAX)
}

/// A bundle that was kept back is not taken once it was to be accepted no more, whatever clock the site has.
#[test]
fn attack_a_bundle_that_was_kept_back_is_refused_when_its_time_is_over() {
    let mut target = Target::new();
    let kept_back = publish_as(6, |manifest| manifest.accept_until_ms = 10_000);
    target.site.trusted.observe_ms(10_001);
    target.refuses(&kept_back, "the manifest was to be accepted before 1970-01-01T00:00:10Z");
    target.site.trusted.observe_ms(END);
    target.refuses(&publish(7), "nothing new is believed until it is rotated");
}

/// The highest of all numbers makes no site deaf: a later epoch is above it, and an epoch that no clock can have given is none.
#[test]
fn attack_the_highest_generation_closes_no_way() {
    let mut target = Target::new();
    let last = publish_as(6, |manifest| (manifest.epoch, manifest.generation) = (u64::MAX, 1));
    target.refuses(&last, "epoch 18446744073709551615 lies more than 20 years ahead");
    target.takes(&publish_as(6, |manifest| manifest.generation = u64::MAX));
    target.hand(signed(&publish(7), &target.core));
    assert_eq!(target.running(), u64::MAX);
    target.takes(&publish_as(8, |manifest| (manifest.epoch, manifest.generation) = (2, 1)));
}
