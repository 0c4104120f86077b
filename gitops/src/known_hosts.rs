//! Checks an SSH host key against an OpenSSH `known_hosts` file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! Pure: takes the file's text. Must not trust on first use; certificate authorities are not supported.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::pattern::Patterns;

/// What a file says about a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKey {
    /// The file lists this key for this host.
    Known,
    /// The file lists other keys for this host: it has a new key, or someone is in between.
    Different,
    /// The file does not list the host.
    Unlisted,
    /// The file marks this key `@revoked`.
    Revoked,
}

/// Looks a host up. `key` is the key's wire form, the part that the file holds in base64.
pub fn check(known_hosts: &str, host: &str, port: Option<u16>, key: &[u8]) -> HostKey {
    let name = match port {
        None | Some(22) => host.to_ascii_lowercase(),
        Some(port) => format!("[{}]:{port}", host.to_ascii_lowercase()),
    };
    let mut verdict = HostKey::Unlisted;
    for line in known_hosts.lines().filter_map(Line::parse).filter(|line| matches(line.hosts, &name)) {
        match (line.marker, line.key == key) {
            (Some("@revoked"), true) => return HostKey::Revoked,
            (None, true) => verdict = HostKey::Known,
            (None, false) if verdict == HostKey::Unlisted => verdict = HostKey::Different,
            _ => {}
        }
    }
    verdict
}

struct Line<'a> {
    marker: Option<&'a str>,
    hosts: &'a str,
    key: Vec<u8>,
}

impl<'a> Line<'a> {
    /// Reads a line; comments and lines that cannot be read trust nobody.
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let hosts = words.next().filter(|hosts| !hosts.starts_with('#'))?;
        let _key_type = words.next()?;
        let key = STANDARD.decode(words.next()?).ok()?;
        Some(Self { marker, hosts, key })
    }
}

fn matches(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return matches_hashed(hashed, name).unwrap_or(false);
    }
    Patterns::parse(&hosts.to_ascii_lowercase()).matches(name)
}

/// Compares `SALT|HASH`, both base64, where HASH = HMAC-SHA-1(SALT, name).
fn matches_hashed(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}
