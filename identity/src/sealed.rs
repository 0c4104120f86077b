//! Secrets at rest: encrypted under a key that an operator gives by file or environment (AES-256-GCM).
//!
//! Each sealed value is bound to its purpose, so that one cannot be put in the place of another. Must not read files.
//!
//! Form: `SKS1`, 8 bytes that name the key, 12 bytes of nonce, ciphertext, 16 bytes of tag. The nonce is random; with
//! 2^32 values under one key two nonces are the same with a chance of 2^-33, and a core seals a handful.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::{Zeroize as _, Zeroizing};

use crate::key::ProviderFailed;

const MAGIC: &[u8; 4] = b"SKS1";
const NAME: usize = 8;
const HEAD: usize = MAGIC.len() + NAME;
const TAG: usize = 16;

/// The shortest key: 32 bytes, as many as the cipher takes. `openssl rand -hex 32` gives 64.
pub const MIN_KEY_BYTES: usize = 32;

/// The longest key that is read: a file that is longer is not a key.
pub const MAX_KEY_BYTES: usize = 4 << 10;

/// The longest secret: ours are keys of less than 200 bytes.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// What is wrong with a key that an operator gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sealing key has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, and this one has {0}: make one with `openssl rand -hex 32`"
)]
pub struct UnfitKey(pub usize);

/// Why something is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not a sealed value.
    #[error("this is not a sealed secret (it does not begin with `SKS1`)")]
    NotSealed,
    /// It was sealed under another key.
    #[error("it is sealed under key {wanted}, and the key that is given is {given}")]
    OtherKey {
        /// The name of the key that is needed.
        wanted: String,
        /// The name of the key that is there.
        given: String,
    },
    /// It was altered, cut, or is for another purpose.
    #[error("it is damaged, or it is not the {0} (the key is the right one)")]
    Damaged(String),
}

/// A sealing key. Printed as its name.
pub struct SealKey {
    cipher: RandomizedNonceKey,
    name: [u8; NAME],
}

impl SealKey {
    /// Derives the key from what a file or a variable holds: 32 random bytes or more, raw, in hex or in base64 (HKDF,
    /// RFC 5869). A line break at the end does not count, so that a file and a variable give the same key.
    pub fn new(content: &[u8]) -> Result<Self, UnfitKey> {
        let text = content.strip_suffix(b"\n").unwrap_or(content);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // Of exactly 32 raw bytes the last may be a line break by chance.
        let material = if text.len() < MIN_KEY_BYTES { content } else { text };
        if !(MIN_KEY_BYTES..=MAX_KEY_BYTES).contains(&material.len()) {
            return Err(UnfitKey(material.len()));
        }
        let derive = |purpose: &[u8], into: &mut [u8]| {
            let key = Salt::new(HKDF_SHA256, b"skerry-sealed.v1").extract(material);
            // HKDF with SHA-256 gives up to 8,160 bytes; the key type's 32 bytes are cut to what is wanted.
            let mut bytes = Zeroizing::new([0; 32]);
            let filled = key.expand(&[purpose], HKDF_SHA256).and_then(|output| output.fill(&mut *bytes));
            filled.expect("32 bytes are fewer than HKDF has");
            let length = into.len();
            into.copy_from_slice(&bytes[..length]);
        };
        let (mut key, mut name) = (Zeroizing::new([0; 32]), [0; NAME]);
        derive(b"key", &mut *key);
        derive(b"name", &mut name);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &*key).expect("the key has 32 bytes");
        Ok(Self { cipher, name })
    }

    /// Names the key, in hex: to tell keys apart, and nothing about them.
    pub fn name(&self) -> String {
        hex(&self.name)
    }

    /// Seals a secret for a purpose, as `mesh root key`.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, ProviderFailed> {
        if secret.len() > MAX_SECRET_BYTES {
            return Err(ProviderFailed);
        }
        // Room for the tag from the start, so that no copy of the plain text is left behind.
        let mut text = Vec::with_capacity(secret.len() + TAG);
        text.extend_from_slice(secret);
        let head = [&MAGIC[..], &self.name].concat();
        let nonce = match self.cipher.seal_in_place_append_tag(Aad::from(aad(&head, purpose)), &mut text) {
            Ok(nonce) => nonce,
            Err(error) => {
                text.zeroize();
                return Err(error.into());
            }
        };
        Ok([&head, &nonce.as_ref()[..], &text].concat())
    }

    /// Opens what was sealed for that purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let damaged = || OpenError::Damaged(purpose.to_owned());
        let rest = sealed.strip_prefix(MAGIC).ok_or(OpenError::NotSealed)?;
        let (name, rest) = rest.split_at_checked(NAME).ok_or_else(damaged)?;
        if name != self.name {
            return Err(OpenError::OtherKey { wanted: hex(name), given: self.name() });
        }
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        if text.len() > MAX_SECRET_BYTES + TAG {
            return Err(damaged());
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(aad(&sealed[..HEAD], purpose));
        let length = self.cipher.open_in_place(nonce, aad, &mut text).map_err(|_| damaged())?.len();
        text.truncate(length);
        Ok(text)
    }
}

/// What is authenticated beside the secret: the head of the value, and the purpose.
fn aad(head: &[u8], purpose: &str) -> Vec<u8> {
    [head, purpose.as_bytes()].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "mesh root key";

    fn key(content: &[u8]) -> SealKey {
        SealKey::new(content).unwrap()
    }

    #[test]
    fn a_secret_is_sealed_and_opened() {
        let key = key(&[7; 32]);
        let sealed = key.seal(ROOT, b"a secret of some length").unwrap();
        assert!(!sealed.windows(8).any(|window| window == b"a secret"));
        assert_eq!(&**key.open(ROOT, &sealed).unwrap(), b"a secret of some length");
        assert_ne!(key.seal(ROOT, b"a secret of some length").unwrap(), sealed, "another nonce each time");
        assert_eq!(&**key.open(ROOT, &key.seal(ROOT, b"").unwrap()).unwrap(), b"");
        assert!(key.seal(ROOT, &vec![0; MAX_SECRET_BYTES + 1]).is_err());
    }

    #[test]
    fn another_key_is_told_from_damage_and_from_another_purpose() {
        let (right, wrong) = (key(&[7; 32]), key(&[8; 32]));
        let sealed = right.seal(ROOT, b"secret").unwrap();
        let other = wrong.open(ROOT, &sealed).unwrap_err();
        assert_eq!(other, OpenError::OtherKey { wanted: right.name(), given: wrong.name() });
        assert_eq!(
            right.open("signing key", &sealed).unwrap_err(),
            OpenError::Damaged("signing key".to_owned())
        );
        assert_eq!(right.open(ROOT, b"-----BEGIN PRIVATE KEY-----").unwrap_err(), OpenError::NotSealed);
        for length in 0..sealed.len() {
            assert!(right.open(ROOT, &sealed[..length]).is_err(), "cut at {length}");
        }
        for index in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[index] ^= 1;
            assert!(right.open(ROOT, &flipped).is_err(), "byte {index}");
        }
        let longer = [&sealed[..], &[0]].concat();
        assert!(right.open(ROOT, &longer).is_err());
    }

    #[test]
    fn a_file_and_a_variable_give_the_same_key() {
        let text = "0123456789abcdef0123456789abcdef";
        let names = [text.to_owned(), format!("{text}\n"), format!("{text}\r\n")]
            .map(|text| key(text.as_bytes()).name());
        assert_eq!(names[0], names[1]);
        assert_eq!(names[0], names[2]);
        let raw = [&[9; 31][..], b"\n"].concat();
        assert!(SealKey::new(&raw).is_ok(), "32 random bytes, the last of them a line break");
        assert_ne!(key(&[1; 32]).name(), key(&[1; 33]).name());
    }

    #[test]
    fn a_key_that_is_too_short_or_too_long_is_refused_with_help() {
        for content in [&b""[..], b"hunter2\n", &[1; 31], &vec![1; MAX_KEY_BYTES + 1]] {
            let message = SealKey::new(content).unwrap_err().to_string();
            assert!(message.contains("openssl rand -hex 32"), "{message}");
        }
    }

    #[test]
    fn debug_shows_the_name_alone() {
        let content = "a very secret text of 32 bytes or more";
        let key = key(content.as_bytes());
        assert_eq!(format!("{key:?}"), format!("SealKey({})", key.name()));
        assert_eq!(key.name().len(), 16);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), head: bool) {
            let key = key(&[7; 32]);
            let bytes = if head { [&MAGIC[..], &key.name, &bytes].concat() } else { bytes };
            prop_assert!(key.open(ROOT, &bytes).is_err());
        }
    }
}
