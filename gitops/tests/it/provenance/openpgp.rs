//! OpenPGP signatures, made in process: what a key says of itself counts, and what is refused is refused in words.

use std::sync::LazyLock;

use pgp::composed::{
    ArmorOptions, DetachedSignature, EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey, SubkeyParamsBuilder, SubpacketConfig,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Notation, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{Duration, KeyDetails as _, KeyVersion, Password, SigningKey, Tag, Timestamp};
use proptest::prelude::*;
use skerry_crds::policy_source::{Signer, SignerKey};
use skerry_gitops::provenance::signers::Signers;
use skerry_gitops::provenance::{Verdict, verify};

use super::signed::{ADA, DAY, NOW, Seed, Source, payload, signer, with_signature};
use super::table;

/// Keys are made ten days ago.
const MADE: i64 = NOW - 10 * DAY;

fn seconds(time: i64) -> u32 {
    u32::try_from(time).unwrap()
}

fn at(time: i64) -> Timestamp {
    Timestamp::from_secs(seconds(time))
}

/// Keys and signatures of Ada's commit of kinds that are not made any more, by GnuPG 2.2: an RSA key of 1,024 bits, and
/// one of 2,048 bits that signs with SHA-1.
const RSA_1024: &str = include_str!("fixtures/rsa-1024.key.asc");
const BY_RSA_1024: &str = include_str!("fixtures/rsa-1024.sig.asc");
const RSA_2048: &str = include_str!("fixtures/rsa-2048.key.asc");
const BY_RSA_2048_WITH_SHA_1: &str = include_str!("fixtures/rsa-2048-sha-1.sig.asc");

/// What a key is made of.
#[derive(Clone, Copy)]
struct Recipe {
    seed: u64,
    kind: fn() -> KeyType,
    version: KeyVersion,
    signs: bool,
    subkey_signs: bool,
}

const PLAIN: Recipe = Recipe {
    seed: 1,
    kind: || KeyType::Ed25519Legacy,
    version: KeyVersion::V4,
    signs: true,
    subkey_signs: true,
};

/// Makes a key of Ada's with one subkey.
fn key(recipe: Recipe) -> SignedSecretKey {
    let mut subkey = SubkeyParamsBuilder::default();
    subkey.version(recipe.version).created_at(at(MADE));
    match recipe.subkey_signs {
        true => subkey.key_type((recipe.kind)()).can_sign(true),
        false => subkey.key_type(KeyType::ECDH(ECCCurve::Curve25519Legacy)).can_encrypt(EncryptionCaps::All),
    };
    let mut key = SecretKeyParamsBuilder::default();
    key.version(recipe.version).key_type((recipe.kind)()).created_at(at(MADE));
    key.can_certify(true).can_sign(recipe.signs).primary_user_id("Ada <ada@example.org>".into());
    key.subkeys(vec![subkey.build().unwrap()]);
    key.build().unwrap().generate(Seed(recipe.seed)).unwrap()
}

fn regular(data: SubpacketData) -> Subpacket {
    Subpacket::regular(data).unwrap()
}

/// A signature of the key's about itself, made a moment after it.
fn own(key: &SignedSecretKey, typ: SignatureType, more: Vec<SubpacketData>) -> SignatureConfig {
    let mut config = SignatureConfig::v4(typ, key.primary_key.algorithm(), HashAlgorithm::Sha256);
    // The newest one counts, and keys are generated with the time of the test.
    let newest = at(4_000_000_000);
    let data =
        [SubpacketData::SignatureCreationTime(newest), SubpacketData::IssuerFingerprint(key.fingerprint())];
    config.hashed_subpackets = data.into_iter().chain(more).map(regular).collect();
    config
}

fn flags(signs: bool) -> SubpacketData {
    let mut flags = KeyFlags::default();
    flags.set_sign(signs);
    flags.set_certify(true);
    SubpacketData::KeyFlags(flags)
}

/// Adds a certification of the user id that says how long the key lives, or what it is for.
fn certified(secret: &SignedSecretKey, more: Vec<SubpacketData>) -> SignedPublicKey {
    let mut public = secret.to_public_key();
    let user = &mut public.details.users[0];
    let config = own(secret, SignatureType::CertPositive, more);
    let (key, no_password) = (&secret.primary_key, Password::empty());
    let signature = config.sign_certification(key, key.public_key(), &no_password, Tag::UserId, &user.id);
    user.signatures.push(signature.unwrap());
    public
}

/// Adds a revocation of the whole key.
fn revoked(secret: &SignedSecretKey) -> SignedPublicKey {
    let mut public = secret.to_public_key();
    let config = own(secret, SignatureType::KeyRevocation, Vec::new());
    let key = &secret.primary_key;
    let signature = config.sign_key(key, &Password::empty(), key.public_key()).unwrap();
    public.details.revocation_signatures.push(signature);
    public
}

/// Adds a signature about the subkey.
fn about_subkey(secret: &SignedSecretKey, typ: SignatureType, more: Vec<SubpacketData>) -> SignedPublicKey {
    let mut public = secret.to_public_key();
    let subkey = &mut public.public_subkeys[0];
    let key = &secret.primary_key;
    let config = own(secret, typ, more);
    let signature = config.sign_subkey_binding(key, key.public_key(), &Password::empty(), &subkey.key);
    subkey.signatures.push(signature.unwrap());
    public
}

fn armored(key: &SignedPublicKey) -> String {
    key.to_armored_string(ArmorOptions::default()).unwrap()
}

/// How a signature is made.
struct Signing {
    hash: HashAlgorithm,
    typ: SignatureType,
    more: Vec<Subpacket>,
}

const USUAL: Signing = Signing { hash: HashAlgorithm::Sha512, typ: SignatureType::Binary, more: Vec::new() };

/// Signs Ada's commit as `gpg -bsau` does.
fn sign(key: &impl SigningKey, signing: Signing) -> String {
    let data = [
        SubpacketData::SignatureCreationTime(at(NOW - 60)),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ];
    let hashed: Vec<_> = data.map(regular).into_iter().chain(signing.more).collect();
    let signed = match signing.typ {
        SignatureType::Text => DetachedSignature::sign_text_data(
            Seed(9),
            key,
            &Password::empty(),
            signing.hash,
            payload().as_bytes(),
        ),
        _ => DetachedSignature::sign_binary_data_with_subpackets(
            Seed(9),
            key,
            &Password::empty(),
            signing.hash,
            payload().as_bytes(),
            SubpacketConfig::UserDefined { hashed, unhashed: Vec::new() },
        ),
    };
    signed.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
}

fn primary(key: &SignedSecretKey) -> String {
    sign(&key.primary_key, USUAL)
}

fn subkey(key: &SignedSecretKey) -> String {
    sign(&key.secret_subkeys[0].key, USUAL)
}

/// Checks Ada's commit with this signature against this key, at a time.
fn check_at(now: i64, armor: &str, key: &SignedPublicKey) -> Verdict {
    let source = Source::with(vec![signer(SignerKey::OpenPgp(armored(key)))]);
    verify(&with_signature(&payload(), armor), &source.signers(), now)
}

fn check(armor: &str, key: &SignedPublicKey) -> Verdict {
    check_at(NOW, armor, key)
}

fn trusted() -> Verdict {
    Verdict::Trusted { signer: ADA.to_owned() }
}

#[test]
fn every_kind_of_key_that_signs_is_verified() {
    let kinds: [(fn() -> KeyType, KeyVersion); 6] = [
        (|| KeyType::Ed25519Legacy, KeyVersion::V4),
        (|| KeyType::Ed25519, KeyVersion::V4),
        (|| KeyType::Ed25519, KeyVersion::V6),
        (|| KeyType::ECDSA(ECCCurve::P256), KeyVersion::V4),
        (|| KeyType::ECDSA(ECCCurve::P384), KeyVersion::V4),
        (|| KeyType::ECDSA(ECCCurve::P521), KeyVersion::V4),
    ];
    for (kind, version) in kinds {
        let key = key(Recipe { kind, version, ..PLAIN });
        let public = key.to_public_key();
        // Signatures of version 6 have a salt of the length that belongs to the hash.
        assert_eq!(check(&primary(&key), &public), trusted(), "{:?} {version:?}", kind());
        assert_eq!(check(&subkey(&key), &public), trusted(), "{:?} {version:?}", kind());
    }
}

#[test]
fn a_key_says_itself_until_when_it_is_valid_and_what_it_is_for() {
    let plain = key(PLAIN);
    let public = plain.to_public_key();
    let life = |seconds| SubpacketData::KeyExpirationTime(Duration::from_secs(seconds));
    let ten_days = seconds(10 * DAY);
    let until_now = certified(&plain, vec![flags(true), life(ten_days)]);
    let expired = certified(&plain, vec![flags(true), life(ten_days - 1)]);
    let for_ever = certified(&plain, vec![flags(true), life(0)]);
    let certifies = certified(&plain, vec![flags(false)]);
    let encrypts = key(Recipe { subkey_signs: false, ..PLAIN });
    let revoked_subkey = about_subkey(&plain, SignatureType::SubkeyRevocation, Vec::new());
    let unbound = about_subkey(&plain, SignatureType::SubkeyBinding, vec![flags(true)]);
    let cases = [
        ("valid until now", check(&primary(&plain), &until_now)),
        ("its subkey", check(&subkey(&plain), &until_now)),
        ("expired a second ago", check(&primary(&plain), &expired)),
        ("its subkey expired with it", check(&subkey(&plain), &expired)),
        ("0 is for ever", check(&primary(&plain), &for_ever)),
        ("made later", check_at(MADE - 1, &primary(&plain), &public)),
        ("revoked", check(&primary(&plain), &revoked(&plain))),
        ("its subkey is revoked with it", check(&subkey(&plain), &revoked(&plain))),
        ("revoked subkey", check(&subkey(&plain), &revoked_subkey)),
        ("primary key of a revoked subkey", check(&primary(&plain), &revoked_subkey)),
        ("only certifies", check(&primary(&plain), &certifies)),
        ("subkey of one that only certifies", check(&subkey(&plain), &certifies)),
        ("subkey that did not agree", check(&subkey(&plain), &unbound)),
        ("primary key beside one that encrypts", check(&primary(&encrypts), &encrypts.to_public_key())),
    ];
    insta::assert_snapshot!(table(cases));
}

#[test]
fn what_is_no_good_signature_is_refused_in_words_of_its_own() {
    let plain = key(PLAIN);
    let public = plain.to_public_key();
    let critical = |data| Subpacket::critical(data).unwrap();
    let signed = |signing| check(&sign(&plain.primary_key, signing), &public);
    let life = SubpacketData::SignatureExpirationTime(Duration::from_secs(59));
    let (readable, name, value) = (true, "policy@example.org".into(), "never".into());
    let notation = SubpacketData::Notation(Notation { readable, name, value });
    let unknown = SubpacketData::Experimental(101, "x".into());
    let kept = |armor, key: &str| {
        let source = Source::with(vec![signer(SignerKey::OpenPgp(key.to_owned()))]);
        verify(&with_signature(&payload(), armor), &source.signers(), NOW)
    };
    let with = |more| signed(Signing { more: vec![more], ..USUAL });
    let armor = primary(&plain);
    let cases = [
        ("good", signed(USUAL)),
        ("SHA-1", kept(BY_RSA_2048_WITH_SHA_1, RSA_2048)),
        ("a short RSA key", kept(BY_RSA_1024, RSA_1024)),
        ("of text", signed(Signing { typ: SignatureType::Text, ..USUAL })),
        ("expired", with(regular(life))),
        ("a note", with(regular(notation.clone()))),
        ("a note that must be understood", with(critical(notation))),
        ("an unknown part that must be understood", with(critical(unknown))),
        ("two in one", check(&format!("{armor}{}", subkey(&plain)), &public)),
        ("something behind it", check(&format!("{armor}x"), &public)),
        ("cut off", check(&armor[..120], &public)),
        ("no packets", check("-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----", &public)),
    ];
    insta::assert_snapshot!(table(cases));
}

#[test]
fn who_may_sign_the_list_of_signers_says() {
    let plain = key(PLAIN);
    let (public, armor) = (plain.to_public_key(), primary(&plain));
    let listed = signer(SignerKey::OpenPgp(armored(&public)));
    let strangers = Signer { principals: vec!["bob@example.org".to_owned()], ..listed.clone() };
    let revoked = Signer { is_revoked: true, ..listed.clone() };
    let over = Signer { valid_before: Some(NOW - 1), ..listed.clone() };
    let other = key(Recipe { seed: 2, ..PLAIN });
    let with = |signers| verify(&with_signature(&payload(), &armor), &Source::with(signers).signers(), NOW);
    let altered = with_signature(&payload().replace("split", "spilt"), &armor);
    let cases = [
        ("listed", with(vec![listed.clone()])),
        ("an unknown key", check(&primary(&other), &public)),
        ("another content", verify(&altered, &Source::with(vec![listed.clone()]).signers(), NOW)),
        ("another principal", with(vec![strangers.clone()])),
        ("listed twice", with(vec![strangers, listed.clone()])),
        ("revoked by the list", with(vec![listed, revoked])),
        ("over by the list", with(vec![over])),
    ];
    insta::assert_snapshot!(table(cases));
}

/// Whoever reads a key from a file that somebody else may have added to believes only what the key itself has signed.
#[test]
fn what_others_say_about_a_key_does_not_count() {
    let (plain, mallory) = (key(PLAIN), key(Recipe { seed: 3, ..PLAIN }));
    let mut public = plain.to_public_key();
    // A subkey of somebody else's, and a revocation that the key has not made.
    public.public_subkeys.extend(mallory.to_public_key().public_subkeys);
    let foreign: Vec<Signature> = revoked(&mallory).details.revocation_signatures;
    public.details.revocation_signatures.extend(foreign);
    assert_eq!(check(&primary(&plain), &public), trusted());
    let verdict = check(&subkey(&mallory), &public);
    assert!(verdict.reason().ends_with("which is not a key for signing"), "{}", verdict.reason());
}

#[test]
fn a_key_that_says_nothing_of_itself_is_not_used() {
    let mut public = key(PLAIN).to_public_key();
    let others = key(Recipe { seed: 3, ..PLAIN }).to_public_key();
    public.details.users[0].signatures = others.details.users[0].signatures.clone();
    let loaded = Source::with(vec![signer(SignerKey::OpenPgp(armored(&public)))]).load();
    let lines: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_file_may_hold_several_keys_in_one_block_or_more() {
    let keys = [1, 2, 3].map(|seed| key(Recipe { seed, ..PLAIN }));
    let blocks: String = keys.iter().map(|key| armored(&key.to_public_key())).collect();
    let source =
        Source::with(vec![signer(SignerKey::OpenPgpFile("team.asc".into()))]).file("team.asc", blocks);
    for key in keys {
        let commit = with_signature(&payload(), &primary(&key));
        assert_eq!(verify(&commit, &source.signers(), NOW), trusted());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever is changed in what was signed, it is trusted no more.
    #[test]
    fn a_payload_with_any_byte_changed_is_not_trusted(place in any::<prop::sample::Index>(), bits in 1_u8..128) {
        static SIGNED: LazyLock<(Signers, String)> = LazyLock::new(|| {
            let key = key(PLAIN);
            let source = Source::with(vec![signer(SignerKey::OpenPgp(armored(&key.to_public_key())))]);
            (source.signers(), primary(&key))
        });
        let (signers, armor) = &*SIGNED;
        let mut altered = payload().into_bytes();
        let place = place.index(altered.len());
        altered[place] ^= bits;
        let Ok(altered) = String::from_utf8(altered) else { return Ok(()) };
        prop_assume!(altered.contains("\n\n"));
        prop_assert_ne!(verify(&with_signature(&altered, armor), signers, NOW), trusted());
    }
}
