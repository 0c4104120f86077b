//! OpenSSH's `allowed_signers` files (ssh-keygen(1), "ALLOWED SIGNERS"), and lists of revoked keys.
//!
//! Pure: takes the file's text. A line that cannot be used trusts nobody and is a diagnostic; unlike in OpenSSH it does not
//! end the file. Certificate authorities are not supported: a line of one trusts nobody.

use std::collections::BTreeSet;

use skerry_core::diagnostic::{Diagnostics, Location};
use ssh_key::public::KeyData;

use super::signers::{Flaw, Signer, Terms};
use super::{ssh, time};
use crate::pattern::Patterns;

const FORM: &str = "write `PRINCIPALS [OPTIONS] KEYTYPE KEY`, as in `alice@example.com namespaces=\"git\" ssh-ed25519 AAAA…`";

/// Reads a file; `file` is its name for people.
pub(super) fn parse(file: &str, text: &str) -> (Vec<Signer<KeyData>>, Diagnostics) {
    let (mut signers, mut diagnostics) = (Vec::new(), Diagnostics::new());
    for (location, line) in lines(file, text) {
        match signer(line) {
            Ok(signer) => signers.push(signer),
            Err(flaw) => drop(diagnostics.insert(flaw.at(location))),
        }
    }
    (signers, diagnostics)
}

/// Reads a list of revoked keys, one on each line. An error means that some are not known; a key of a type that may not
/// sign anyway is a warning.
pub(super) fn parse_revoked(file: &str, text: &str) -> (BTreeSet<KeyData>, Diagnostics) {
    let (mut keys, mut diagnostics) = (BTreeSet::new(), Diagnostics::new());
    if text.starts_with("SSHKRL") {
        let help = "write one SSH public key on each line";
        let flaw = Flaw::invalid("key revocation lists in binary form (KRL) are not supported", help);
        return (keys, [flaw.at(Location::file(file))].into());
    }
    for (location, line) in lines(file, text) {
        match ssh::parse_key(line) {
            Ok(key) => drop(keys.insert(key)),
            Err(flaw) => drop(diagnostics.insert(flaw.at(location))),
        }
    }
    (keys, diagnostics)
}

/// Lists the lines that say something.
fn lines<'a>(file: &'a str, text: &'a str) -> impl Iterator<Item = (Location, &'a str)> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(move |(place, line)| {
        let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
        (Location { file: file.to_owned(), line: number, column: 0 }, line)
    })
}

fn signer(line: &str) -> Result<Signer<KeyData>, Flaw> {
    let incomplete = || Flaw::invalid("the line is not complete", FORM);
    let (principals, rest) = word(line).ok_or_else(incomplete)?;
    let principals = unquoted(principals);
    if principals.is_empty() {
        return Err(incomplete());
    }
    let (first, after) = word(rest).ok_or_else(incomplete)?;
    let (options, key) = if is_key_type(first) { ("", rest) } else { (first, after) };
    let terms = Options::parse(options)?.terms(Patterns::parse(&principals));
    if key.trim().is_empty() {
        return Err(incomplete());
    }
    Ok(Signer { key: ssh::parse_key(key)?, terms })
}

/// No option begins like a type of key.
fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// What stands between principals and key.
#[derive(Default)]
struct Options {
    namespaces: Option<Patterns>,
    valid_after: Option<i64>,
    valid_before: Option<i64>,
}

impl Options {
    fn parse(text: &str) -> Result<Self, Flaw> {
        let mut options = Self::default();
        for option in split(text) {
            let (name, value) =
                option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            options.set(&name.to_ascii_lowercase(), value.map(unquoted))?;
        }
        match (options.valid_after, options.valid_before) {
            (Some(after), Some(before)) if after >= before => {
                let message = "valid-before is not after valid-after";
                Err(Flaw::invalid(message, "let the key be valid for some time"))
            }
            _ => Ok(options),
        }
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), Flaw> {
        let is_new = match (name, value) {
            ("cert-authority", None) => {
                let message = "certificate authorities are not supported; this line trusts nobody";
                return Err(Flaw::unsupported(message, "list the keys of the signers themselves"));
            }
            ("namespaces", Some(list)) if !list.is_empty() => {
                self.namespaces.replace(Patterns::parse(&list)).is_none()
            }
            ("valid-after", Some(value)) => self.valid_after.replace(moment(&value)?).is_none(),
            ("valid-before", Some(value)) => self.valid_before.replace(moment(&value)?).is_none(),
            ("namespaces" | "valid-after" | "valid-before", _) => {
                return Err(Flaw::invalid(format!("option `{name}` has no value"), FORM));
            }
            _ => {
                let help = "the options are namespaces, valid-after and valid-before";
                return Err(Flaw::invalid(format!("there is no option `{name}`"), help));
            }
        };
        if is_new { Ok(()) } else { Err(Flaw::invalid(format!("option `{name}` stands twice"), "leave one")) }
    }

    fn terms(self, principals: Patterns) -> Terms {
        let Self { namespaces, valid_after, valid_before } = self;
        Terms { principals, namespaces, valid_after, valid_before, is_revoked: false }
    }
}

fn moment(text: &str) -> Result<i64, Flaw> {
    time::parse(text).ok_or_else(|| {
        Flaw::invalid(format!("`{text}` is not a time"), "write it as 20270131Z or 20270131235959Z (UTC)")
    })
}

/// Takes the first word, with its quotes: blanks between quotes are part of it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let mut quotes = Quotes::default();
    let end =
        text.char_indices().find(|(_, character)| !quotes.holds(*character) && character.is_whitespace());
    let (word, rest) = text.split_at(end.map_or(text.len(), |(end, _)| end));
    (!word.is_empty() && !quotes.is_open).then_some((word, rest))
}

/// Splits at commas that are not between quotes.
fn split(text: &str) -> Vec<&str> {
    let mut quotes = Quotes::default();
    let parts = text.split(move |character| !quotes.holds(character) && character == ',');
    parts.filter(|part| !part.is_empty()).collect()
}

/// Takes the quotes away, and the backslash before a quote inside.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

/// Tells what is between quotes, character by character.
#[derive(Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Says whether the next character is between quotes, or is one.
    fn holds(&mut self, character: char) -> bool {
        let is_quote = character == '"' && !self.is_escaped;
        self.is_escaped = character == '\\' && !self.is_escaped;
        let holds = self.is_open || is_quote;
        self.is_open ^= is_quote;
        holds
    }
}
