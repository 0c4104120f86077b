//! Attacks of those who are not believed, or not alone.

use skerry_core::id::SiteId;
use skerry_identity::policy::Statement;
use skerry_proto::v1::PolicyProof;

use super::*;

#[test]
fn attack_signatures_for_another_purpose_do_not_count() {
    let mut target = Target::new();
    let as_root = sign_by(bare(&publish(6)), &[&target.core], PayloadType::TrustRoot);
    target.refuses_offer(as_root, "0 of the 1 signatures by core keys");
    let older = signed(&publish(5), &target.core).signatures;
    target.refuses_offer(
        Offer { signatures: older, ..bare(&publish(6)) },
        "0 of the 1 signatures by core keys",
    );
}

#[test]
fn attack_a_threshold_is_not_met_by_one_key_twice() {
    let (one, two) = (key(), key());
    let trusted = TrustedRoot::first(signed_root(&root(1, 2, &[&one, &two]), &[&one, &two])).unwrap();
    let mut bench = Bench::trusting(Enrolment { trust_root: trusted, ..enrolment() });
    let mut site = bench.boot(&["a"]);
    let offer = |keys: &[&SigningKey]| {
        Mail::Link(LinkEvent::Offer(Box::new(sign_by(bare(&publish(5)), keys, PayloadType::Manifest))))
    };
    for keys in [&[&one][..], &[&one, &one], &[&two, &two, &two]] {
        site.handle(offer(keys));
        let reason = bench.answers().pop().unwrap().1;
        assert!(reason.contains("1 of the 2 signatures by core keys"), "{reason}");
        assert_eq!(site.manifest().generation, 0);
    }
    site.handle(offer(&[&two, &one]));
    assert_eq!(site.manifest().generation, 5);
}

#[test]
fn attack_a_signer_that_was_removed_is_believed_no_more() {
    let (old, new) = (key(), key());
    let first = TrustedRoot::first(signed_root(&root(1, 1, &[&old]), &[&old])).unwrap();
    let next = signed_root(&root(2, 1, &[&new]), &[&old, &new]);
    let rotated = first.walk(&[next], PolicyDemand::AsRoot).unwrap();
    let mut target = Target::trusting(rotated, new);
    target.refuses_offer(signed(&publish(6), &old), "0 of the 1 signatures by core keys of trust root 2");
    target.takes(&publish(6));
}

#[test]
fn attack_what_is_unsigned_or_signed_by_a_stranger_is_not_believed() {
    let mut target = Target::new();
    let few = "0 of the 1 signatures by core keys of trust root 1 that are needed";
    target.refuses_offer(bare(&publish(6)), few);
    target.refuses_offer(signed(&publish(6), &key()), few);
    let noise = Offer { signatures: vec![7; 71], ..bare(&publish(6)) };
    target.refuses_offer(noise, "71 bytes are not a multiple of 72");
    assert!(
        target.bench.events().iter().filter(|event| event.starts_with("BundleRefused")).count() == 1,
        "told once"
    );
}

/// The core alone is not enough where a policy key has to agree.
#[test]
fn attack_a_core_without_the_policy_key_invents_no_policy() {
    let (core, policy) = (key(), key());
    let both = TrustRoot {
        policy: Some(Role::new(1, [policy.public()])),
        require_policy: true,
        ..root(1, 1, &[&core])
    };
    let trusted = TrustedRoot::first(signed_root(&both, &[&core, &policy])).unwrap();
    let enrolled = Enrolment { trust_root: trusted, ..enrolment() };
    let (mesh, id) = (enrolled.mesh().clone(), enrolled.site().clone());
    let agreed = |published: &Published, site: &SiteId, key: &SigningKey| {
        let digest = published.contents.policy_digest().unwrap();
        let statement = Statement { mesh: &mesh, site, number: 1, commit: "", policy: &digest };
        let signatures = Signatures::from_iter([statement.sign(key).unwrap()]).to_bytes();
        Some(PolicyProof { number: 1, commit: Vec::new(), signatures })
    };
    let mut bench = Bench::trusting(enrolled);
    let mut site = bench.boot(&["a"]);
    let other = SiteId::new("bergen").unwrap();
    for (policy, expected) in [
        (None, "no policy key has signed what it offers this site"),
        (agreed(&publish(5), &id, &core), "0 of the 1 signatures by policy keys"),
        (agreed(&publish(5), &other, &policy), "0 of the 1 signatures by policy keys"),
        (agreed(&publish_with(5, "127.71.0.0/16"), &id, &policy), "0 of the 1 signatures by policy keys"),
    ] {
        let offer = Offer { policy, ..signed(&publish(5), &core) };
        site.handle(Mail::Link(LinkEvent::Offer(Box::new(offer))));
        let reason = bench.answers().pop().unwrap().1;
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(site.manifest().generation, 0);
    }
    let policy = agreed(&publish(5), &id, &policy);
    let offer = Offer { policy, ..signed(&publish(5), &core) };
    site.handle(Mail::Link(LinkEvent::Offer(Box::new(offer))));
    assert_eq!(site.manifest().generation, 5);
}
