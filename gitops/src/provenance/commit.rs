//! The parts of a commit that a signature is about: the bytes that were signed, the signature, the committer.
//!
//! Pure. Reads the raw object strictly and by itself, since libgit2's `git_commit_extract_signature` reads on into the
//! message and drops the letters `gpgsig` from the beginning of any line: what it returns need not be what Git signed.

use super::distrust::Distrust;

/// The longest address that is compared and shown: that of a path (RFC 5321 §4.5.3.1.3).
const ADDRESS_BYTES: usize = 254;

/// The header that holds the signature, and the one for repositories of the other hash. Git signs a commit without both.
const SIGNATURE: &[u8] = b"gpgsig ";
const OTHER_SIGNATURE: &[u8] = b"gpgsig-sha256 ";

/// A commit, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCommit {
    /// What was signed: the commit without its signature.
    pub payload: Vec<u8>,
    /// The signature with its armor; `None` when there is none.
    pub signature: Option<Vec<u8>>,
}

impl SignedCommit {
    /// Takes the raw bytes of a commit object apart.
    ///
    /// # Errors
    /// [`Distrust::Malformed`]: it has more than one signature.
    pub fn parse(raw: &[u8]) -> Result<Self, Distrust> {
        let (header, message) = raw.split_at(header_length(raw));
        let (mut payload, mut signatures) = (Vec::with_capacity(raw.len()), Vec::new());
        for field in fields(header) {
            match field.strip_prefix(SIGNATURE) {
                Some(armor) => signatures.push(unfold(armor)),
                None if field.starts_with(OTHER_SIGNATURE) => {}
                None => payload.extend_from_slice(field),
            }
        }
        payload.extend_from_slice(message);
        if signatures.len() > 1 {
            return Err(Distrust::Malformed { reason: "there is more than one".to_owned() });
        }
        Ok(Self { payload, signature: signatures.pop() })
    }
}

/// Finds the committer's e-mail address in the bytes that were signed. `None`: there is none, or more than one, or one
/// that cannot be compared.
pub fn committer(payload: &[u8]) -> Option<&str> {
    let header = &payload[..header_length(payload)];
    let mut lines = fields(header).filter_map(|field| field.strip_prefix(b"committer "));
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (_, rest) = line.split_once('<')?;
    let (address, date) = rest.split_once('>')?;
    let is_plain = |character: char| character.is_ascii_graphic() && character != '<';
    let is_address = !address.is_empty() && address.len() <= ADDRESS_BYTES && address.chars().all(is_plain);
    (is_address && !date.contains(['<', '>']) && lines.next().is_none()).then_some(address)
}

/// The fields end before the first empty line.
fn header_length(commit: &[u8]) -> usize {
    commit.windows(2).position(|pair| pair == b"\n\n").map_or(commit.len(), |end| end + 1)
}

/// Splits fields, each with its line breaks: lines that begin with a blank go on with the one before.
fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            let line = rest[end..].iter().position(|byte| *byte == b'\n');
            end = line.map_or(rest.len(), |line| end + line + 1);
            if rest.get(end) != Some(&b' ') {
                break;
            }
        }
        let (field, after) = rest.split_at(end);
        rest = after;
        (!field.is_empty()).then_some(field)
    })
}

/// Takes the blanks away that a field has before its second and all further lines, and the last line break.
fn unfold(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').collect();
    let lines = lines.iter().enumerate().map(|(place, line)| match place {
        0 => line,
        _ => line.strip_prefix(b" ").unwrap_or(line),
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}
