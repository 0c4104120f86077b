//! SSH signatures (OpenSSH's PROTOCOL.sshsig) and the keys that make them.
//!
//! Pure. The envelope is read by hand first, so that what is refused is refused in words: `ssh-key` fails on algorithms
//! that it does not know, and on armor that is wrapped otherwise than by OpenSSH.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey, SshSig};

use super::NAMESPACE;
use super::distrust::Distrust;
use super::signers::{Claim, Flaw, Good, LEAST_RSA_BITS, Revoked, Signer};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The largest RSA key whose signatures are checked, in bits: what the `rsa` crate takes.
const MOST_RSA_BITS: usize = 4_096;

/// The types of key that may sign, as OpenSSH names them. A security key is one whether or not somebody touched it.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// Reads a public key: its type, base64, and perhaps a comment.
pub(super) fn parse_key(text: &str) -> Result<KeyData, Flaw> {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
        return Err(Flaw::invalid("this is not an SSH public key", "write it as `ssh-ed25519 AAAA…`"));
    };
    if kind.contains("-cert-v0") {
        return Err(Flaw::unsupported(
            "SSH certificates are not supported",
            "list the plain public keys of the signers",
        ));
    }
    if !KEY_TYPES.contains(&kind) {
        let help = format!("use one of {}", KEY_TYPES.join(", "));
        return Err(Flaw::unsupported(format!("keys of type `{kind}` are not supported"), help));
    }
    let damaged =
        || Flaw::invalid(format!("the `{kind}` key is damaged"), "copy the whole line of the `.pub` file");
    let bytes = STANDARD.decode(encoded).map_err(|_| damaged())?;
    let key = PublicKey::from_bytes(&bytes).map_err(|_| damaged())?;
    if key.algorithm().as_str() != kind {
        return Err(damaged());
    }
    match rsa_bits(key.key_data()) {
        Some(bits) if !(LEAST_RSA_BITS..=MOST_RSA_BITS).contains(&bits) => Err(Flaw::unsupported(
            format!("RSA keys of {bits} bits are not supported"),
            format!("use an Ed25519 key, or RSA of {LEAST_RSA_BITS} to {MOST_RSA_BITS} bits"),
        )),
        _ => Ok(KeyData::from(key)),
    }
}

/// Checks a signature against all keys that it may be of.
pub(super) fn check<'a>(
    payload: &[u8],
    armor: &str,
    signers: &'a [Signer<KeyData>],
    revoked: &Revoked,
) -> Result<Good<'a>, Distrust> {
    let signature = read(armor)?;
    let public = PublicKey::from(signature.public_key().clone());
    let key = format!("SSH key {}", public.fingerprint(HashAlg::Sha256));
    if public.verify(signature.namespace(), payload, &signature).is_err() {
        return Err(Distrust::BadSignature { key });
    }
    if signature.namespace() != NAMESPACE {
        return Err(Distrust::WrongNamespace { namespace: shortened(signature.namespace()) });
    }
    let is_revoked = match revoked {
        Revoked::Keys(keys) => keys.contains(public.key_data()),
        Revoked::Unknown { file } => return Err(Distrust::RevocationsUnknown { file: file.clone() }),
    };
    if is_revoked {
        return Err(Distrust::Revoked { key });
    }
    let signers = signers.iter().filter(|signer| signer.key == *public.key_data());
    let claims = signers.map(|signer| Claim { terms: &signer.terms, own: None }).collect();
    Ok(Good { key, claims })
}

/// Reads a signature of a kind that counts.
fn read(armor: &str) -> Result<SshSig, Distrust> {
    let malformed = |reason: &str| Distrust::Malformed { reason: reason.to_owned() };
    let body = armor.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body: String = body.unwrap_or_default().split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(body).map_err(|_| malformed("it is not base64"))?;
    let key = check_envelope(&bytes)?;
    let signature = SshSig::from_pem(wrapped(&STANDARD.encode(&bytes))).ok();
    // `ssh-key` reads a key whatever length is written before it.
    let is_exact = |signature: &SshSig| {
        PublicKey::from(signature.public_key().clone()).to_bytes().is_ok_and(|bytes| bytes == key)
    };
    signature.filter(is_exact).ok_or_else(|| malformed("it is not an SSH signature"))
}

/// Puts base64 into the armor of OpenSSH, which has 70 characters on a line.
fn wrapped(body: &str) -> String {
    let lines = body.as_bytes().chunks(70).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("{BEGIN}\n{}{END}\n", lines.collect::<String>())
}

/// Refuses what is old, weak or unknown, by the names in the envelope; returns the public key.
fn check_envelope(bytes: &[u8]) -> Result<&[u8], Distrust> {
    let cut = || Distrust::Malformed { reason: "it is cut off".to_owned() };
    let unsupported = |what: String| Err(Distrust::Unsupported { what });
    let rest = bytes.strip_prefix(b"SSHSIG").ok_or_else(cut)?;
    let (version, mut rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let version = u32::from_be_bytes(*version);
    if version != SshSig::VERSION {
        return unsupported(format!("an SSH signature of version {version}"));
    }
    let mut part = || string(&mut rest).ok_or_else(cut);
    let (public, _, _, hash, mut signature) = (part()?, part()?, part()?, part()?, part()?);
    let name = |bytes: &[u8]| shortened(&String::from_utf8_lossy(bytes));
    let kind = name(string(&mut &*public).ok_or_else(cut)?);
    let algorithm = name(string(&mut signature).ok_or_else(cut)?);
    string(&mut signature).ok_or_else(cut)?;
    // Security keys add flags and a counter.
    if !rest.is_empty() || !matches!(signature.len(), 0 | 5) {
        return Err(Distrust::Malformed { reason: "it is longer than it says".to_owned() });
    }
    match (kind.as_str(), name(hash).as_str(), algorithm.as_str()) {
        (kind, _, _) if kind.contains("-cert-v0") => {
            unsupported("a signature by an SSH certificate".to_owned())
        }
        ("ssh-dss", _, _) => Err(Distrust::Weak { what: "DSA with SHA-1 (ssh-dss)".to_owned() }),
        (_, _, "ssh-rsa") => Err(Distrust::Weak { what: "RSA with SHA-1 (ssh-rsa)".to_owned() }),
        (kind, _, _) if !KEY_TYPES.contains(&kind) => unsupported(format!("a signature by a `{kind}` key")),
        (_, "sha256" | "sha512", _) => Ok(public),
        (_, hash @ ("md5" | "sha1"), _) => Err(Distrust::Weak { what: hash.to_owned() }),
        (_, hash, _) => unsupported(format!("an SSH signature with the hash `{hash}`")),
    }
}

/// Takes a string with its length in front (RFC 4251 §5).
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(string)
}

/// Cuts what a stranger wrote to what fits into a sentence.
fn shortened(text: &str) -> String {
    let plain = |character: char| if character.is_ascii_graphic() { character } else { '?' };
    text.chars().take(64).map(plain).collect()
}

fn rsa_bits(key: &KeyData) -> Option<usize> {
    Some(key.rsa()?.n.as_positive_bytes()?.len() * 8)
}
