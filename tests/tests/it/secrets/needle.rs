//! A secret in every form that a log, a report or a dump could have it in, and the search for all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use skerry_identity::key::EcdsaKey;

/// How many bytes of a form are looked for: chance does not make them.
const LENGTH: usize = 16;

type Form = [u8; LENGTH];

/// A secret, and the file that may hold it.
pub(super) struct Secret {
    pub(super) what: String,
    pub(super) home: Option<PathBuf>,
    bytes: Vec<u8>,
}

impl Secret {
    pub(super) fn bytes(what: &str, bytes: &[u8]) -> Self {
        Self { what: what.to_owned(), home: None, bytes: bytes.to_vec() }
    }

    /// The number that a private key is, out of its PKCS#8.
    pub(super) fn pkcs8(der: &[u8], home: Option<&Path>) -> Self {
        // An octet string of 32 bytes (SEC 1 and RFC 8410): the first one of each kind of key that there is here.
        let at = der.windows(2).position(|pair| pair == [0x04, 0x20]).expect("it is a private key");
        let what = home
            .map_or("a key that is kept nowhere".to_owned(), |home| format!("a key of {}", home.display()));
        Self { what, home: home.map(Path::to_owned), bytes: der[at + 2..at + 34].to_vec() }
    }

    pub(super) fn key(key: &EcdsaKey, home: &Path) -> Self {
        Self::pkcs8(&key.to_pkcs8().expect("it can be written"), Some(home))
    }

    /// What is written in hex.
    pub(super) fn hex(text: &str, home: &Path) -> Self {
        let digits = text.trim().as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.map(byte).collect();
        let what = format!("the key in {}", home.display());
        Self { what, home: Some(home.to_owned()), bytes: bytes.expect("it is hex") }
    }

    /// In its own file, or in the copy that a box keeps beside its identity.
    pub(super) fn may_be_in(&self, path: &Path) -> bool {
        let is_copy = |home: &PathBuf| {
            home.ends_with("identity.json") && home.with_file_name("identity.copy.json") == path
        };
        self.home.as_ref().is_some_and(|home| home == path || is_copy(home))
    }

    fn forms(&self) -> BTreeSet<Form> {
        let list = |separator| self.bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
        let octal: String = self.bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let shown = format!("{:?}", bytes::Bytes::copy_from_slice(&self.bytes));
        let shown = shown.trim_start_matches("b\"").to_owned();
        let mut forms = vec![list(", "), list(","), self.bytes.escape_ascii().to_string(), shown, octal];
        for part in self.bytes.windows(12) {
            forms.extend([STANDARD.encode(part), URL_SAFE.encode(part)]);
        }
        for part in self.bytes.windows(8) {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            forms.extend([hex.to_uppercase(), hex]);
        }
        let texts = forms.iter().filter_map(|form| form.as_bytes().first_chunk().copied());
        let raw = self.bytes.windows(LENGTH).filter_map(|part| part.first_chunk().copied());
        texts.chain(raw).collect()
    }
}

/// All forms of several secrets.
pub(super) struct Needles {
    /// Which secret it is, by form.
    by_form: BTreeMap<Form, usize>,
    /// Whether some form begins with two bytes: few places are looked at twice.
    begins: Vec<bool>,
}

impl Needles {
    pub(super) fn of(secrets: &[Secret]) -> Self {
        let forms = secrets.iter().enumerate();
        let by_form: BTreeMap<Form, usize> = forms
            .flat_map(|(index, secret)| secret.forms().into_iter().map(move |form| (form, index)))
            .collect();
        let mut begins = vec![false; 1 << 16];
        by_form.keys().for_each(|form| begins[beginning(form)] = true);
        Self { by_form, begins }
    }

    /// Which of them are in some bytes.
    pub(super) fn find(&self, bytes: &[u8]) -> BTreeSet<usize> {
        let places = bytes.windows(LENGTH).filter(|place| self.begins[beginning(place)]);
        places.filter_map(|place| self.by_form.get(place).copied()).collect()
    }
}

fn beginning(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// Whether a text is in some bytes.
pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|place| place == text)
}

#[test]
fn a_secret_is_found_in_every_form() {
    let key = EcdsaKey::generate().expect("a key");
    let (pem, der) = (key.to_pem().expect("a key"), key.to_pkcs8().expect("a key"));
    let secrets = [Secret::bytes("another", &[9; 32]), Secret::pkcs8(&der, None)];
    let (needles, bytes) = (Needles::of(&secrets), &secrets[1].bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    for (form, text) in [
        ("as it is", [b"\0\0\0".as_slice(), bytes].concat()),
        ("PEM", pem.as_bytes().to_vec()),
        ("JSON", serde_json::to_vec(&*pem).expect("a text")),
        ("base64", STANDARD.encode([b"x", &**bytes].concat()).into_bytes()),
        ("for URLs", URL_SAFE.encode([b"xy", &**bytes].concat()).into_bytes()),
        ("hex", format!("key={hex}").into_bytes()),
        ("a list", format!("{:?}", der.as_slice()).into_bytes()),
        ("bytes", format!("{:?}", bytes::Bytes::from(bytes.clone())).into_bytes()),
        ("a list in JSON", serde_json::to_vec(bytes).expect("a list")),
    ] {
        assert_eq!(needles.find(&text), BTreeSet::from([1]), "{form}");
    }
    assert_eq!(needles.find(key.public().to_spki().as_slice()), BTreeSet::new());
    assert_eq!(needles.find(b"short"), BTreeSet::new());
}
