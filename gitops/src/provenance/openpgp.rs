//! OpenPGP signatures (RFC 9580) and the keys that make them.
//!
//! Pure. A key is believed about itself only what its own signatures say: which parts of it may sign, until when, and
//! that it is revoked. Certifications by others and owner trust mean nothing here: who is trusted, the list of signers
//! says. What is checked on purpose, since `pgp` leaves it to its users: type, version and hash of the signature,
//! critical subpackets, capabilities, the back signature of subkeys, expiry and revocation.

use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{self, Signature, SignatureConfig, SignatureType, SignatureVersion, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Fingerprint, KeyDetails, KeyId, KeyVersion, PublicParams, Tag};

use super::distrust::Distrust;
use super::signers::{Claim, Flaw, Good, LEAST_RSA_BITS, Signer};

const END: &str = "-----END PGP SIGNATURE-----";
const PUBLIC: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const PRIVATE: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";
const HELP: &str = "give what `gpg --armor --export ADDRESS` prints";

/// A key with its subkeys, and what its own signatures say of each.
#[derive(Debug, Clone)]
pub(super) struct OpenPgpKey {
    parts: Vec<Part>,
}

/// The primary key or a subkey.
#[derive(Debug, Clone)]
struct Part {
    /// For people: the fingerprint.
    name: String,
    key: PartKey,
    standing: Standing,
    /// Seconds since 1970.
    created: i64,
    /// The last second in which it is valid, if it does not last for ever.
    expires: Option<i64>,
}

#[derive(Debug, Clone)]
enum PartKey {
    Primary(packet::PublicKey),
    Subkey(packet::PublicSubkey),
}

/// What a part of a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Signs,
    NotForSigning,
    Revoked,
}

/// Reads armored public keys: one or more blocks, with one or more keys each.
pub(super) fn parse_keys(text: &str) -> Result<Vec<OpenPgpKey>, Flaw> {
    if text.contains(PRIVATE) {
        return Err(Flaw::invalid(
            "this is a private OpenPGP key, which belongs to nobody but its owner",
            HELP,
        ));
    }
    let mut keys = Vec::new();
    for (start, _) in text.match_indices(PUBLIC) {
        let block = &text[start..];
        let unreadable = |_| Flaw::invalid("the OpenPGP key cannot be read", HELP);
        let (block, _) = SignedPublicKey::from_armor_many(block.as_bytes()).map_err(unreadable)?;
        for key in block {
            keys.push(OpenPgpKey::of(&key.map_err(unreadable)?)?);
        }
    }
    if keys.is_empty() {
        Err(Flaw::invalid("there is no armored OpenPGP public key", HELP))
    } else {
        Ok(keys)
    }
}

/// Checks a signature against all keys that it may be of.
pub(super) fn check<'a>(
    payload: &[u8],
    armor: &str,
    signers: &'a [Signer<OpenPgpKey>],
    now: i64,
) -> Result<Good<'a>, Distrust> {
    let signature = read(armor)?;
    let parts = signers.iter().flat_map(|signer| signer.key.parts.iter().map(move |part| (signer, part)));
    let candidates: Vec<_> = parts.filter(|(_, part)| part.is_named_by(&signature)).collect();
    let Some((_, named)) = candidates.first() else {
        return Err(Distrust::UnknownKey { key: issuer(&signature) });
    };
    let bad = Distrust::BadSignature { key: named.name.clone() };
    let good: Vec<_> =
        candidates.into_iter().filter(|(_, part)| part.has_made(&signature, payload)).collect();
    let Some((_, part)) = good.first() else { return Err(bad) };
    let key = part.name.clone();
    if let Some(what) = weakness(part.key.details().public_params()) {
        return Err(Distrust::Weak { what });
    }
    if let Some(until) = last_second(&signature).filter(|until| now > *until) {
        return Err(Distrust::SignatureExpired { key, until });
    }
    let claims = good.iter().map(|(signer, part)| Claim { terms: &signer.terms, own: part.objection(now) });
    Ok(Good { claims: claims.collect(), key })
}

/// Reads one signature of a kind that counts.
fn read(armor: &str) -> Result<Signature, Distrust> {
    let malformed = || Distrust::Malformed { reason: "it is not one OpenPGP signature".to_owned() };
    let unsupported = |what: &str| Distrust::Unsupported { what: what.to_owned() };
    // What stands after the armor would not be looked at.
    if armor.matches("-----BEGIN ").count() != 1 || !armor.trim_end().ends_with(END) {
        return Err(malformed());
    }
    let (found, _) = DetachedSignature::from_armor_many(armor.as_bytes()).map_err(|_| malformed())?;
    let found: Result<Vec<_>, _> = found.take(2).collect();
    let [DetachedSignature { signature }] =
        found.ok().and_then(|found| found.try_into().ok()).ok_or_else(malformed)?;
    if !matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err(unsupported("an OpenPGP signature of an old version"));
    }
    let config = signature.config().ok_or_else(|| unsupported("an OpenPGP signature of an unknown kind"))?;
    if config.typ != SignatureType::Binary {
        return Err(unsupported("an OpenPGP signature of another type than for binary data"));
    }
    match config.hash_alg {
        HashAlgorithm::Sha256
        | HashAlgorithm::Sha384
        | HashAlgorithm::Sha512
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_512 => {}
        HashAlgorithm::None | HashAlgorithm::Private10 | HashAlgorithm::Other(_) => {
            return Err(unsupported("an OpenPGP signature with an unknown hash"));
        }
        weak => return Err(Distrust::Weak { what: weak.to_string() }),
    }
    // RFC 9580 §5.2.3.7: a signature with a critical part that is not understood is not valid.
    let is_unknown = |data: &SubpacketData| {
        matches!(
            data,
            SubpacketData::Experimental(..) | SubpacketData::Other(..) | SubpacketData::Notation(_)
        )
    };
    if config.hashed_subpackets().any(|subpacket| subpacket.is_critical && is_unknown(&subpacket.data)) {
        return Err(unsupported("an OpenPGP signature with an unknown critical part"));
    }
    Ok(signature)
}

impl OpenPgpKey {
    fn of(key: &SignedPublicKey) -> Result<Self, Flaw> {
        let primary = &key.primary_key;
        let name = name(&primary.fingerprint());
        if !matches!(primary.version(), KeyVersion::V4 | KeyVersion::V6) {
            return Err(Flaw::unsupported(format!("{name} is of an old version"), "make a new key"));
        }
        let own = self_signature(key).ok_or_else(|| {
            Flaw::invalid(
                format!("{name} has no signature of its own that holds, so nothing says what it is for"),
                HELP,
            )
        })?;
        let is_revoked =
            key.details.revocation_signatures.iter().any(|revocation| revocation.verify_key(primary).is_ok());
        let created = i64::from(primary.created_at().as_secs());
        let whole = Part {
            standing: match () {
                () if is_revoked => Standing::Revoked,
                () if has_flags(own) && !own.key_flags().sign() => Standing::NotForSigning,
                () => Standing::Signs,
            },
            name,
            key: PartKey::Primary(primary.clone()),
            created,
            expires: expiry(created, own),
        };
        let subkeys: Vec<Part> =
            key.public_subkeys.iter().map(|subkey| whole.with(subkey, primary)).collect();
        Ok(Self { parts: std::iter::once(whole).chain(subkeys).collect() })
    }
}

impl Part {
    /// A subkey is valid as long as itself and its primary key are.
    fn with(&self, subkey: &SignedPublicSubKey, primary: &packet::PublicKey) -> Self {
        let of_type = |typ| {
            let all = subkey.signatures.iter().filter(move |signature| signature.typ() == Some(typ));
            all.filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok())
        };
        let binding = of_type(SignatureType::SubkeyBinding).max_by_key(|binding| binding.created());
        let is_bound_back = |binding: &Signature| {
            let back = binding.embedded_signature();
            back.is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok())
        };
        let may_sign = binding.is_some_and(|binding| binding.key_flags().sign() && is_bound_back(binding));
        let is_revoked =
            self.standing == Standing::Revoked || of_type(SignatureType::SubkeyRevocation).next().is_some();
        let created = i64::from(subkey.key.created_at().as_secs());
        let expires = binding.and_then(|binding| expiry(created, binding));
        Self {
            standing: match () {
                () if is_revoked => Standing::Revoked,
                () if may_sign => Standing::Signs,
                () => Standing::NotForSigning,
            },
            name: format!("{} (subkey {:X})", self.name, subkey.key.fingerprint()),
            key: PartKey::Subkey(subkey.key.clone()),
            created: created.max(self.created),
            expires: expires.into_iter().chain(self.expires).min(),
        }
    }

    fn is_named_by(&self, signature: &Signature) -> bool {
        let (prints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
        let key = self.key.details();
        let is_named = prints.contains(&&key.fingerprint()) || ids.contains(&&key.legacy_key_id());
        is_named || (prints.is_empty() && ids.is_empty())
    }

    fn has_made(&self, signature: &Signature, payload: &[u8]) -> bool {
        let verified = match &self.key {
            PartKey::Primary(key) => signature.verify(key, payload),
            PartKey::Subkey(key) => signature.verify(key, payload),
        };
        verified.is_ok()
    }

    /// Says why it may not sign now, if so.
    fn objection(&self, now: i64) -> Option<Distrust> {
        let key = self.name.clone();
        match self.standing {
            Standing::Revoked => return Some(Distrust::Revoked { key }),
            Standing::NotForSigning => return Some(Distrust::NotForSigning { key }),
            Standing::Signs => {}
        }
        match self.expires {
            _ if now < self.created => Some(Distrust::NotYetValid { key, from: self.created }),
            Some(until) if now > until => Some(Distrust::Expired { key, until }),
            _ => None,
        }
    }
}

impl PartKey {
    fn details(&self) -> &dyn KeyDetails {
        match self {
            Self::Primary(key) => key,
            Self::Subkey(key) => key,
        }
    }
}

/// Finds the newest signature with which the key says what it is for.
fn self_signature(key: &SignedPublicKey) -> Option<&Signature> {
    let primary = &key.primary_key;
    let users = key.details.users.iter().flat_map(|user| {
        let is_own = |signature: &&Signature| {
            signature.is_certification()
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        let own: Vec<&Signature> = user.signatures.iter().filter(is_own).collect();
        let is_revocation = |signature: &&Signature| signature.typ() == Some(SignatureType::CertRevocation);
        if own.iter().any(is_revocation) { Vec::new() } else { own }
    });
    let direct = key.details.direct_signatures.iter();
    let direct = direct.filter(|signature| signature.typ() == Some(SignatureType::Key));
    let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
    users.chain(direct).max_by_key(|signature| signature.created())
}

fn has_flags(signature: &Signature) -> bool {
    let mut subpackets = signature.config().into_iter().flat_map(SignatureConfig::hashed_subpackets);
    subpackets.any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)))
}

/// The last second of a key that was created then; 0 and nothing are for ever.
fn expiry(created: i64, own: &Signature) -> Option<i64> {
    let life = own.key_expiration_time().map(|life| i64::from(life.as_secs()));
    life.filter(|life| *life > 0).map(|life| created + life)
}

/// The last second in which a signature counts, by its own word.
fn last_second(signature: &Signature) -> Option<i64> {
    let life = signature.signature_expiration_time().map(|life| i64::from(life.as_secs()));
    Some(i64::from(signature.created()?.as_secs()) + life.filter(|life| *life > 0)?)
}

/// Says whether a key is one with which signatures can be forged.
fn weakness(key: &PublicParams) -> Option<String> {
    match key {
        PublicParams::RSA(modulus) => {
            let mut bytes = Vec::new();
            modulus.to_writer(&mut bytes).ok()?;
            // The number of bits stands in front of the modulus (RFC 9580 §3.2).
            let bits = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
            (usize::from(bits) < LEAST_RSA_BITS).then(|| format!("an RSA key of {bits} bits"))
        }
        PublicParams::DSA(_) => Some("a DSA key".to_owned()),
        _ => None,
    }
}

fn name(print: &Fingerprint) -> String {
    format!("OpenPGP key {print:X}")
}

/// Names the key that a signature says that it is of.
fn issuer(signature: &Signature) -> String {
    let hex = |id: &&KeyId| id.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    match (signature.issuer_fingerprint().first(), signature.issuer_key_id().first()) {
        (Some(print), _) => name(print),
        (None, Some(id)) => format!("OpenPGP key {}", hex(id)),
        (None, None) => "an OpenPGP key that it does not name".to_owned(),
    }
}
