//! Commits, taken apart: what was signed is what Git and libgit2 say, for every commit that they make.

use git2::{Oid, Signature, Time};
use proptest::prelude::*;
use skerry_gitops::provenance::commit::{SignedCommit, committer};

use super::signed::{payload, payload_of, ssh_key, ssh_signed, with_signature};
use crate::repository::TestRepo;

fn parse(commit: &[u8]) -> SignedCommit {
    SignedCommit::parse(commit).unwrap()
}

#[test]
fn a_commit_without_a_signature_is_what_was_signed() {
    assert_eq!(
        parse(payload().as_bytes()),
        SignedCommit { payload: payload().into_bytes(), signature: None }
    );
}

/// The object as it is in the repository, and what libgit2 finds in it.
fn of_repository(repo: &TestRepo, commit: Oid) -> (SignedCommit, SignedCommit) {
    let odb = repo.repo.odb().unwrap();
    let ours = parse(odb.read(commit).unwrap().data());
    let (signature, content) = repo.repo.extract_signature(&commit, None).unwrap();
    (ours, SignedCommit { payload: content.to_vec(), signature: Some(signature.to_vec()) })
}

#[test]
fn what_was_signed_is_what_libgit2_says() {
    let repo = TestRepo::new();
    let tree = repo.repo.find_tree(repo.repo.treebuilder(None).unwrap().write().unwrap()).unwrap();
    let ada = Signature::new("Ada", "ada@example.org", &Time::new(1_000, 60)).unwrap();
    let mut parents = Vec::new();
    for message in ["one\n", "two\n\nwith a body\n", "no line break at the end", "\n\nblank lines\n\n\n", ""]
    {
        let found: Vec<_> = parents.iter().map(|parent| repo.repo.find_commit(*parent).unwrap()).collect();
        let content = repo
            .repo
            .commit_create_buffer(&ada, &ada, message, &tree, &found.iter().collect::<Vec<_>>())
            .unwrap();
        let content = std::str::from_utf8(&content).unwrap();
        let armor = super::signed::ssh_armor(&ssh_key(1), "git", content);
        let commit = repo.repo.commit_signed(content, &armor, None).unwrap();

        let (ours, theirs) = of_repository(&repo, commit);

        assert_eq!(ours.payload, theirs.payload, "{message:?}");
        assert_eq!(ours.payload, content.as_bytes(), "{message:?}");
        assert_eq!(
            ours.signature.map(|it| it.trim_ascii().to_vec()),
            theirs.signature.map(|it| it.trim_ascii().to_vec())
        );
        parents.push(commit);
    }
}

/// What only looks like a signature is part of the content. libgit2 would read on into the message.
#[test]
fn a_signature_is_a_field_of_the_header() {
    let armor = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----";
    let in_message = format!("{}gpgsig {}\n", payload(), armor.replace('\n', "\n "));
    assert_eq!(parse(in_message.as_bytes()).signature, None);
    let lookalike = payload().replacen("\n\n", "\ngpgsigx 1\n\n", 1);
    assert_eq!(parse(lookalike.as_bytes()).payload, lookalike.as_bytes());
    // Git leaves the signature for the other hash out, too.
    let both = String::from_utf8(with_signature(&payload(), armor)).unwrap();
    let both = both.replacen("\n\n", "\ngpgsig-sha256 x\n y\n\n", 1);
    assert_eq!(parse(both.as_bytes()).payload, payload().into_bytes());
}

#[test]
fn the_committer_is_the_one_of_the_header() {
    let cases = [
        ("Ada <ada@example.org>", Some("ada@example.org")),
        ("<ada@example.org>", Some("ada@example.org")),
        ("Ada Lovelace (she) <ada+git@example.org>", Some("ada+git@example.org")),
        ("Ada", None),
        ("Ada <>", None),
        ("Ada <ada@example.org", None),
        ("Ada <ada@\u{fc}ber.example>", None),
        ("Ada <a<b@example.org>", None),
        ("Ada <ada@example.org> <bob@example.org>", None),
        ("Ada <ada@example.org> 1 +0000\ncommitter Bob <bob@example.org>", None),
    ];
    for (line, expected) in cases {
        assert_eq!(committer(payload_of(line).as_bytes()), expected, "{line}");
    }
    let elsewhere = payload().replace("committer", "commiter") + "committer Bob <bob@example.org> 1 +0000\n";
    assert_eq!(committer(elsewhere.as_bytes()), None);
    let long = format!("Ada <{}>", "a".repeat(255));
    assert_eq!(committer(payload_of(&long).as_bytes()), None);
}

proptest! {
    #[test]
    fn a_signature_comes_out_as_it_went_in(lines in prop::collection::vec("[ -~]{1,70}", 1..5), body in "[ -~\n]{0,80}") {
        let armor = lines.join("\n");
        let payload = format!("{}{body}", payload());
        let parsed = parse(&with_signature(&payload, &armor));
        prop_assert_eq!(String::from_utf8(parsed.payload).unwrap(), payload);
        prop_assert_eq!(String::from_utf8(parsed.signature.unwrap()).unwrap(), armor.trim_end());
    }

    #[test]
    fn bytes_that_are_no_commit_are_taken_apart_all_the_same(bytes in any::<Vec<u8>>()) {
        let parsed = SignedCommit::parse(&bytes);
        prop_assert!(parsed.is_err() || parsed.unwrap().payload.len() <= bytes.len());
    }
}

#[test]
fn a_signed_commit_has_both_parts() {
    let parsed = parse(&ssh_signed(&ssh_key(1)));
    assert_eq!(parsed.payload, payload().into_bytes());
    assert!(parsed.signature.unwrap().starts_with(b"-----BEGIN SSH SIGNATURE-----\n"));
}
