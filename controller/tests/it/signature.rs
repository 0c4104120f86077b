//! Signatures end to end: what sites and people are told of who vouches for a revision.

use skerry_core::bundle::v1::SignatureCheck;
use skerry_proto::v1::sync_response::Message;
use tonic::Code;

use crate::rig::core::Home;
use crate::rig::policies::{SHOP, WEB, route};
use crate::rig::repository::{COMMITTER, Repository, SshKey};
use crate::rig::site::TestSite;

/// Asks for signatures of this key.
fn enforcing(repository: &Repository, key: &SshKey) -> Home {
    let (principal, public) = (COMMITTER, key.public());
    let verify = format!("  verify:\n    signers:\n    - {{principals: [{principal}], sshKey: {public}}}\n");
    Home::with(repository.path(), &verify)
}

/// Invariant 6: the last good revision is served on, to a site that comes back too; nobody can confirm what is not
/// signed; and the hold ends with a signed commit on top.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_a_commit_that_is_not_signed_is_held_and_a_signed_one_on_top_is_served() {
    let (repository, key) = (Repository::with(SHOP), SshKey::new());
    let first = repository.commit_signed("signed", &[], &key);
    let home = enforcing(&repository, &key);
    let core = home.start_ready().await;
    let mut site = TestSite::new("s1");
    let taken = site.connect(&core).await.take_offer().await;
    let signed = (SignatureCheck::Verified, COMMITTER);
    assert_eq!((taken.manifest.signature(), &*taken.manifest.signer), signed);

    let bad = repository.commit("not signed", &[("shop/route.yaml", &route("/evil"))]);
    core.notify().await;
    let source = core.source_when("the hold", |source| !source.held_revision.is_empty()).await;

    assert_eq!(source.held_revision, format!("main@sha1:{bad}"));
    assert_eq!(source.held_reason, "the commit is not signed");
    assert!(source.held_help.contains("git commit -S"), "{}", source.held_help);
    assert_eq!((source.revision.as_str(), source.signature()), (&*format!("main@sha1:{first}"), signed.0));
    let refused = core.confirm(&source.held_revision).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().contains("a confirmation does not change that: the commit is not signed (help: ")
    );
    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("it is not current")
    };
    core.stop().await;

    // The same after a restart, for a site that has nothing.
    let core = home.start_ready().await;
    core.source_when("the hold", |source| source.held_revision == format!("main@sha1:{bad}")).await;
    let mut new = TestSite::new("s2");
    assert_eq!(new.connect(&core).await.take_offer().await.manifest.revision, format!("main@sha1:{first}"));

    let good = repository.commit_signed("signed", &[("shop/route.yaml", &route("/good"))], &key);
    core.notify().await;
    let source = core.compiled(&good).await;
    assert_eq!((&*source.held_revision, &*source.held_help, &*source.signer), ("", "", COMMITTER));
    let taken = site.connect(&core).await.take_offer().await;
    assert_eq!(taken.manifest.revision, format!("main@sha1:{good}"));
    core.stop().await;
}

/// A site's manifest names who signed the last revision that changed something for it, over a restart too.
#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_changes_nothing_for_a_site_does_not_give_it_another_signer() {
    let (repository, key) = (Repository::with(SHOP), SshKey::new());
    repository.commit_signed("signed", &[], &key);
    let home = enforcing(&repository, &key);
    let home = {
        let mut home = home;
        home.edit("  verify:\n", "  verify:\n    mode: Audit\n");
        home
    };
    let core = home.start_ready().await;
    let only_s1 =
        WEB.replace("namespace: shop}", "namespace: shop, annotations: {skerry.dev/sites: tier=retail}}");
    let stranger = SshKey::new();
    let second = repository.commit_signed(
        "by a stranger",
        &[("shop/other.yaml", &only_s1.replace("web", "till"))],
        &stranger,
    );
    core.notify().await;
    let source = core.compiled(&second).await;
    assert_eq!((source.signature(), &*source.signer), (SignatureCheck::Untrusted, ""));
    assert!(source.signature_detail.ends_with("which is no allowed signer's"), "{}", source.signature_detail);
    core.stop().await;

    let core = home.start_ready().await;
    let mut told = Vec::new();
    for name in ["s1", "s2"] {
        let mut site = TestSite::new(name);
        let manifest = site.connect(&core).await.take_offer().await.manifest;
        let summary = core.site(name).await.summary.unwrap();
        assert_eq!(
            (manifest.signature(), &manifest.signer),
            (summary.desired_signature(), &summary.desired_signer)
        );
        told.push((manifest.signature(), manifest.signer));
    }
    let (untrusted, verified) = (SignatureCheck::Untrusted, SignatureCheck::Verified);
    assert_eq!(told, [(untrusted, String::new()), (verified, COMMITTER.to_owned())]);
    core.stop().await;
}

/// Without `spec.verify` nothing is looked at, and nothing is said.
#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_asks_for_signatures_none_is_shown() {
    let (repository, key) = (Repository::with(SHOP), SshKey::new());
    repository.commit_signed("signed", &[], &key);
    let core = Home::of(repository.path()).start_ready().await;
    let manifest = TestSite::new("s1").connect(&core).await.take_offer().await.manifest;
    assert_eq!((manifest.signature(), &*manifest.signer), (SignatureCheck::None, ""));
    assert_eq!(core.source().await.signature(), SignatureCheck::None);
    core.stop().await;
}
