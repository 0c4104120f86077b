//! Which objects a text names: cheap enough to ask of every document that a history ever had.
//!
//! Must not judge: a document that cannot be read names nothing, one that is refused names what it can.

use skerry_core::id::ObjectKey;
use skerry_core::policy::Decoded;

/// Cuts a file at its document markers (YAML 1.2 §9.1.2), so that unchanged documents need not be read again.
/// A file with directives is one piece, since a directive is about the document after it.
pub(super) fn documents(bytes: &[u8]) -> Vec<&[u8]> {
    let mut documents = Vec::new();
    let (mut start, mut end) = (0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"%") {
            return vec![bytes];
        }
        if is_marker(line) && end > start {
            documents.push(&bytes[start..end]);
            start = end;
        }
        end += line.len();
    }
    documents.push(&bytes[start..]);
    documents
}

fn is_marker(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"---").or_else(|| line.strip_prefix(b"..."));
    rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Reads the identities of the objects of ours in a document.
pub(super) fn objects(path: &str, document: &[u8]) -> Vec<ObjectKey> {
    let parsed = skerry_crds::parse(path, document);
    let keys = parsed.documents.iter().map(skerry_crds::decode).map(|decoded| match decoded {
        Decoded::Object(object, _) => Some(object.key),
        Decoded::Refused { key, .. } => key,
        Decoded::Foreign { .. } => None,
    });
    keys.flatten().collect()
}
