//! Policy keys at a site: what they have not signed for it does not run there, whatever the core says.

use prost::Message as _;
use skerry_core::bundle::v1::Manifest;
use skerry_core::id::{Digest, SiteId};
use skerry_identity::envelope::Signatures;
use skerry_identity::key::SigningKey;
use skerry_identity::policy::Statement;
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot, TrustedRoot};
use skerry_proto::v1::PolicyProof;

use crate::bundle::{Plan, Published, plan};
use crate::core::Core;
use crate::eventually::eventually;
use crate::site::{SIGNING, Site, enrolment};
use crate::tls_core;

fn bundle(generation: u64) -> Published {
    plan(generation).publish()
}

/// Enrols the box of a site below a trust root with a policy key, which has to sign or may.
fn enrol(site: &Site, core: &Core, key: &SigningKey, require_policy: bool) {
    let mut enrolment = enrolment("store-1", &format!("https://{}", core.address));
    let policy = Some(Role::new(1, [key.public()]));
    let root = TrustRoot { policy, require_policy, ..enrolment.trust_root.root().clone() };
    let mut signed = SignedRoot::new(&root).unwrap();
    [&*SIGNING, key].iter().for_each(|key| signed.sign(key).unwrap());
    enrolment.trust_root = TrustedRoot::first(signed).unwrap();
    site.enrol(&enrolment);
}

/// What a pipeline would have signed that compiled this for a site.
fn proof(published: &Published, site: &str, number: u64, key: &SigningKey) -> PolicyProof {
    let manifest = Manifest::decode(&*published.manifest).unwrap();
    let (mesh, site) = (tls_core::mesh(), SiteId::new(site).unwrap());
    let (_, commit) = manifest.revision.rsplit_once(':').unwrap();
    let policy = &published.contents.policy_digest().unwrap();
    let statement = Statement { mesh: &mesh, site: &site, number, commit, policy };
    let signatures = Signatures::from_iter([statement.sign(key).unwrap()]).to_bytes();
    PolicyProof { number, commit: Vec::new(), signatures }
}

async fn verdict(core: &Core, published: &Published) -> String {
    eventually("the verdict", async || core.verdict(published)).await
}

fn offer(core: &Core, published: &Published, proof: Option<PolicyProof>) {
    core.log().proof = proof;
    core.publish(published);
}

/// A table of what a core that was broken into may offer: the site goes on with what it runs, says why, and takes the next
/// that is signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_cannot_invent_policy_for_a_site_that_asks_for_signatures() {
    let (core, key, stranger) =
        (Core::start().await, SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let mut site = Site::new(&core);
    enrol(&site, &core, &key, true);
    offer(&core, &bundle(1), Some(proof(&bundle(1), "store-1", 5, &key)));
    site.start();
    assert_eq!(verdict(&core, &bundle(1)).await, "");

    let signed = |generation, number| proof(&bundle(generation), "store-1", number, &key);
    let other = Plan { path: "/other", ..plan(6) }.publish();
    let none = "0 of the 1 signatures by policy keys of trust root 1 that are needed";
    let cases = [
        (2, None, "no policy key has signed what it offers this site (trust root 1 names who has to)"),
        (3, Some(proof(&bundle(3), "store-2", 6, &key)), none),
        (4, Some(proof(&bundle(4), "store-1", 6, &stranger)), none),
        (5, Some(proof(&bundle(5), "store-1", 6, &SIGNING)), none),
        (6, Some(proof(&other, "store-1", 6, &key)), none),
        (7, Some(PolicyProof { number: 7, ..signed(7, 6) }), none),
        (8, Some(PolicyProof { commit: vec![7; 20], ..signed(8, 6) }), none),
        (9, Some(PolicyProof { commit: vec![7; 19], ..signed(9, 6) }), "a commit of 19 bytes"),
        (10, Some(PolicyProof { signatures: vec![7; 71], ..signed(10, 6) }), "71 bytes are not a multiple"),
        (11, Some(signed(11, 4)), "policy number 4 is below 5, which this site has accepted"),
    ];
    for (generation, proof, expected) in cases {
        offer(&core, &bundle(generation), proof);
        let reason = verdict(&core, &bundle(generation)).await;
        assert!(reason.contains(expected), "{generation}: {reason}");
    }
    let refusals = || core.log().events().iter().filter(|(kind, _)| kind == "BUNDLE_REFUSED").count();
    eventually("each is told", async || (refusals() == 10).then_some(())).await;
    assert_eq!(core.log().state().unwrap().generation, 1, "it goes on with what it runs");

    offer(&core, &bundle(12), Some(signed(12, 6)));
    assert_eq!(verdict(&core, &bundle(12)).await, "");
    // The number is kept.
    site.kill();
    let shown = site.show();
    assert_eq!((&shown["policyNumber"], &shown["trustRoot"]["requiresPolicy"]), (&6.into(), &true.into()));
    offer(&core, &bundle(13), Some(signed(13, 5)));
    site.start();
    let reason = verdict(&core, &bundle(13)).await;
    assert!(reason.contains("policy number 5 is below 6"), "{reason}");
    assert_eq!(core.log().hellos.last().unwrap().policy_number, 6);
}

/// The same where nobody but the site itself asks for it; and where nobody does, what there is counts for the number alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_ask_for_signatures_by_itself() {
    for asks in [true, false] {
        let (core, key) = (Core::start().await, SigningKey::generate().unwrap());
        let arguments: &[&str] = if asks { &["--require-policy-signature"] } else { &[] };
        let mut site = Site::new(&core).with(arguments);
        enrol(&site, &core, &key, false);
        offer(&core, &bundle(1), Some(proof(&bundle(1), "store-1", 5, &key)));
        site.start();
        assert_eq!(verdict(&core, &bundle(1)).await, "");
        offer(&core, &bundle(2), None);
        let reason = verdict(&core, &bundle(2)).await;
        assert_eq!(!reason.is_empty(), asks, "{reason}");
        assert!(core.log().hellos.iter().all(|hello| hello.requires_policy == asks));
        site.kill();
        assert_eq!(site.show()["policyNumber"], 5);
    }
}

/// Whoever is to be asked is not known there, and a core is not believed about that.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_asks_and_knows_no_policy_key_runs_nothing_new() {
    let core = Core::start().await;
    core.publish(&bundle(1));
    let mut site = Site::new(&core);
    site.start();
    assert_eq!(verdict(&core, &bundle(1)).await, "");
    site.kill();
    let mut site = site.with(&["--require-policy-signature"]);
    core.publish(&bundle(2));
    site.start();
    let reason = verdict(&core, &bundle(2)).await;
    assert!(
        reason.contains("this site requires policy signatures, and trust root 1 has no policy keys"),
        "{reason}"
    );
    let runs = site.show();
    assert_eq!(runs["agent"], "running");
    let current = Digest::of(&bundle(1).manifest).prefix();
    assert_eq!(core.log().hellos.last().unwrap().manifest, current.as_bytes(), "what it ran is what it runs");
}
