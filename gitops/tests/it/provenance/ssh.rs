//! SSH signatures: who is trusted with one, when, and what is refused before anybody is asked.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use skerry_crds::policy_source::Signer;
use skerry_gitops::provenance::signers::Signers;
use skerry_gitops::provenance::{Verdict, verify};
use ssh_key::private::{EcdsaKeypair, KeypairData};
use ssh_key::{EcdsaCurve, PrivateKey};

use super::signed::{
    ADA, DAY, NOW, Seed, Source, ada, payload, payload_of, public, ssh_armor, ssh_key, ssh_signed,
    with_signature,
};
use super::table;

fn trusted() -> Verdict {
    Verdict::Trusted { signer: ADA.to_owned() }
}

/// Checks Ada's commit, signed with her key, at a time.
fn check(source: &Source, now: i64) -> Verdict {
    verify(&ssh_signed(&ssh_key(1)), &source.signers(), now)
}

#[test]
fn a_signer_is_trusted_within_the_times_for_the_things_and_as_the_people_that_are_listed() {
    let key = ssh_key(1);
    let with = |change: fn(&mut Signer)| {
        let mut signer = ada(&key);
        change(&mut signer);
        check(&Source::with(vec![signer]), NOW)
    };
    let cases = [
        ("no limits", with(|_| ())),
        ("a pattern", with(|it| it.principals = vec!["*@example.org".to_owned()])),
        ("the second pattern", with(|it| it.principals = vec!["bob@x".to_owned(), ADA.to_owned()])),
        ("another principal", with(|it| it.principals = vec!["bob@example.org".to_owned()])),
        ("in another case", with(|it| it.principals = vec!["Ada@example.org".to_owned()])),
        ("excluded", with(|it| it.principals = vec!["*@example.org".to_owned(), format!("!{ADA}")])),
        ("for git", with(|it| it.namespaces = vec!["file".to_owned(), "git".to_owned()])),
        ("for other things", with(|it| it.namespaces = vec!["file".to_owned(), "!git".to_owned()])),
        ("from now on", with(|it| it.valid_after = Some(NOW))),
        ("from a second on", with(|it| it.valid_after = Some(NOW + 1))),
        ("until now", with(|it| it.valid_before = Some(NOW))),
        ("until a second ago", with(|it| it.valid_before = Some(NOW - 1))),
        ("revoked", with(|it| it.is_revoked = true)),
    ];
    insta::assert_snapshot!(table(cases));
}

/// Time is that of the core: whoever has an old key could write any date into a commit.
#[test]
fn the_date_in_the_commit_does_not_count() {
    let mut signer = ada(&ssh_key(1));
    signer.valid_before = Some(NOW);
    let source = Source::with(vec![signer]);
    assert_eq!(check(&source, NOW - 365 * DAY), trusted());
    assert!(matches!(check(&source, NOW + 1), Verdict::Untrusted(_)), "though the commit is from before");
}

#[test]
fn of_several_entries_for_a_key_one_is_enough_and_the_nearest_one_tells_why_not() {
    let key = ssh_key(1);
    let entry = |principal: &str, valid_before| {
        let principals = vec![principal.to_owned()];
        Signer { principals, valid_before, ..ada(&key) }
    };
    let other = || ada(&ssh_key(2));
    let revoked = Signer { is_revoked: true, ..entry("bob@example.org", None) };
    let cases = [
        ("the second allows it", vec![entry("bob@example.org", None), entry(ADA, None)]),
        ("the first allows it", vec![entry(ADA, None), entry(ADA, Some(NOW - 1))]),
        ("none allows it", vec![other(), entry("bob@example.org", None), entry(ADA, Some(NOW - DAY))]),
        ("one revokes it", vec![entry(ADA, None), revoked]),
        ("none is for it", vec![other()]),
    ];
    let cases = cases.map(|(case, signers)| (case, check(&Source::with(signers), NOW)));
    insta::assert_snapshot!(table(cases));
}

#[test]
fn revoked_keys_are_trusted_nowhere_and_a_list_that_cannot_be_read_trusts_nobody() {
    let key = ssh_key(1);
    let allowed = || Source::with(vec![ada(&key)]);
    let lists = [
        ("empty", String::new()),
        ("another key", format!("# lost\n{}\n", public(&ssh_key(2)))),
        ("this key", format!("# lost\n\n{}\n", public(&key))),
        ("a key of a type that cannot sign anyway", "ssh-dss AAAA old\n".to_owned()),
        ("a damaged line", "ssh-ed25519 AAAA\n".to_owned()),
        ("binary", "SSHKRL\n\0\0\0\0\u{1}".to_owned()),
    ];
    let cases = lists.map(|(case, text)| {
        let source = allowed().revoked(text);
        (case, verify(&ssh_signed(&key), &source.load().signers, NOW))
    });
    let mut missing = allowed();
    missing.verify.revoked_keys_file = Some("gone".into());
    let missing = [("a file that is not there", verify(&ssh_signed(&key), &missing.load().signers, NOW))];
    insta::assert_snapshot!(table(cases.into_iter().chain(missing)));
}

#[test]
fn curves_of_nist_are_verified() {
    for (seed, curve) in [(1, EcdsaCurve::NistP256), (2, EcdsaCurve::NistP384), (3, EcdsaCurve::NistP521)] {
        let pair = EcdsaKeypair::random(&mut Seed(seed), curve).unwrap();
        let key = PrivateKey::new(KeypairData::from(pair), "").unwrap();
        let signers = Source::with(vec![ada(&key)]).signers();
        assert_eq!(verify(&ssh_signed(&key), &signers, NOW), trusted(), "{curve:?}");
    }
}

/// A length-prefixed string (RFC 4251 §5).
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// An envelope of these algorithms, with nothing that could be verified inside.
fn envelope(version: u32, key: &str, hash: &str, signature: &str) -> String {
    armored(&envelope_of(version, key, hash, signature))
}

fn envelope_of(version: u32, key: &str, hash: &str, signature: &str) -> Vec<u8> {
    let key = [string(key.as_bytes()), string(&[7; 32])].concat();
    let signature = [string(signature.as_bytes()), string(&[7; 64])].concat();
    let parts = [string(&key), string(b"git"), string(b""), string(hash.as_bytes()), string(&signature)];
    [b"SSHSIG".as_slice(), &version.to_be_bytes(), &parts.concat()].concat()
}

fn armored(bytes: &[u8]) -> String {
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----", STANDARD.encode(bytes))
}

#[test]
fn what_is_no_good_signature_is_refused_in_words_of_its_own() {
    let key = ssh_key(1);
    let signers = Source::with(vec![ada(&key)]).signers();
    let good = ssh_armor(&key, "git", &payload());
    let signed = |armor: &str| verify(&with_signature(&payload(), armor), &signers, NOW);
    let committed_by = |committer: &str| {
        let payload = payload_of(committer);
        verify(&with_signature(&payload, &ssh_armor(&key, "git", &payload)), &signers, NOW)
    };
    let altered = ssh_signed(&key);
    let altered = String::from_utf8(altered).unwrap().replace("split", "spilt").into_bytes();
    let twice = String::from_utf8(ssh_signed(&key)).unwrap();
    let twice = twice.replacen("\ngpgsig ", "\ngpgsig x\ngpgsig ", 1).into_bytes();
    let large = [ssh_signed(&key), vec![b'x'; 1 << 20]].concat();
    let ed25519 = "ssh-ed25519";
    let cases = [
        ("good", signed(&good)),
        ("not signed", verify(payload().as_bytes(), &signers, NOW)),
        ("an unknown key", signed(&ssh_armor(&ssh_key(2), "git", &payload()))),
        ("another content", verify(&altered, &signers, NOW)),
        ("made for files", signed(&ssh_armor(&key, "file", &payload()))),
        ("two signatures", verify(&twice, &signers, NOW)),
        ("too large", verify(&large, &signers, NOW)),
        ("RSA with SHA-1", signed(&envelope(1, "ssh-rsa", "sha512", "ssh-rsa"))),
        ("DSA", signed(&envelope(1, "ssh-dss", "sha512", "ssh-dss"))),
        ("SHA-1 of the content", signed(&envelope(1, ed25519, "sha1", ed25519))),
        ("an unknown hash", signed(&envelope(1, ed25519, "sha3\n", ed25519))),
        ("a certificate", signed(&envelope(1, "ssh-ed25519-cert-v01@openssh.com", "sha512", ed25519))),
        ("an unknown key type", signed(&envelope(1, "ssh-kyber", "sha512", "ssh-kyber"))),
        ("another version", signed(&envelope(2, ed25519, "sha512", ed25519))),
        ("nothing inside", signed(&envelope(1, ed25519, "sha512", ed25519))),
        ("cut off", signed(&armored(b"SSHSIG\0\0\0\x01\0\0\0\xff"))),
        ("longer", signed(&armored(&[&envelope_of(1, ed25519, "sha512", ed25519)[..], b"x"].concat()))),
        ("not base64", signed("-----BEGIN SSH SIGNATURE-----\n!\n-----END SSH SIGNATURE-----")),
        ("X.509", signed("-----BEGIN SIGNED MESSAGE-----\nMIAG\n-----END SIGNED MESSAGE-----")),
        ("neither", signed("signed by ada")),
        ("no committer", committed_by("Ada <>")),
        ("two addresses", committed_by("Ada <bob@example.org> <ada@example.org>")),
        ("an address with a blank", committed_by("Ada <ada @example.org>")),
    ];
    insta::assert_snapshot!(table(cases));
}

/// `ssh-key` reads a key whatever length stands before it; two readings of one signature are one too many.
#[test]
fn a_signature_has_one_form() {
    let key = ssh_key(1);
    let signers = Source::with(vec![ada(&key)]).signers();
    let armor = ssh_armor(&key, "git", &payload());
    let body: String = armor.lines().filter(|line| !line.starts_with('-')).collect();
    let mut bytes = STANDARD.decode(body).unwrap();
    let signed = |bytes: &[u8]| verify(&with_signature(&payload(), &armored(bytes)), &signers, NOW);
    assert_eq!(signed(&bytes), trusted());
    // Preamble, version, length of the key, its type with a length, and then the length of its 32 bytes.
    let length = &mut bytes[6 + 4 + 4 + 15..][..4];
    assert_eq!(length, [0, 0, 0, 32]);
    length[1] = 1;
    assert_eq!(
        signed(&bytes).reason(),
        "the signature of the commit cannot be read: it is not an SSH signature"
    );
}

/// Other programs than OpenSSH wrap at other columns.
#[test]
fn the_armor_may_be_wrapped_anyhow() {
    let key = ssh_key(1);
    let signers = Source::with(vec![ada(&key)]).signers();
    let armor = ssh_armor(&key, "git", &payload());
    let lines: Vec<&str> = armor.trim().lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    for columns in [1, 64, 76, body.len()] {
        let wrapped: Vec<_> =
            body.as_bytes().chunks(columns).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let armor = [&lines[..1], &wrapped, &lines[lines.len() - 1..]].concat().join("\n");
        assert_eq!(verify(&with_signature(&payload(), &armor), &signers, NOW), trusted(), "{columns}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Whatever is changed in a commit or its signature, it is trusted no more.
    #[test]
    fn a_commit_with_any_byte_changed_is_not_trusted(place in any::<prop::sample::Index>(), bits in 1_u8..) {
        static SIGNED: LazyLock<(Signers, Vec<u8>)> = LazyLock::new(|| {
            (Source::with(vec![ada(&ssh_key(1))]).signers(), ssh_signed(&ssh_key(1)))
        });
        let (signers, commit) = &*SIGNED;
        let mut commit = commit.clone();
        let place = place.index(commit.len());
        // Line breaks in the armor mean nothing.
        prop_assume!(!(commit[place] == b'\n' && (bits ^ b'\n').is_ascii_whitespace()));
        commit[place] ^= bits;
        prop_assert_ne!(verify(&commit, signers, NOW), trusted());
    }

    /// Anything may be in a repository.
    #[test]
    fn no_commit_makes_it_stop(header in "[a-z <>@0-9\n]{0,60}", armor in "(-----BEGIN (SSH|PGP) SIGNATURE-----)?[A-Za-z0-9+/=\n -]{0,200}", bytes in any::<Vec<u8>>()) {
        let signers = Source::with(vec![ada(&ssh_key(1))]).signers();
        let text = format!("{header}\ngpgsig {}\n\nmessage", armor.replace('\n', "\n "));
        for commit in [text.into_bytes(), bytes] {
            prop_assert_ne!(verify(&commit, &signers, NOW), trusted());
        }
    }
}
