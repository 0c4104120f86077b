//! Diagnostics between core and wire.

use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use skerry_core::diagnostic::{Diagnostic, Location, Severity};
use skerry_core::id::ObjectKey;

use crate::v1;

/// A diagnostic of a newer peer that this version cannot express.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {what} that this version knows")]
pub struct UnknownValue {
    /// The field, in words.
    pub what: &'static str,
    /// Its value.
    pub value: String,
}

/// The longest text of a diagnostic on the wire, for each of field, message and help.
pub const MAX_TEXT_BYTES: usize = 1 << 10;

/// Turns a diagnostic into its wire form. Texts that are too long are cut.
pub fn to_wire(diagnostic: &Diagnostic) -> v1::Diagnostic {
    v1::Diagnostic {
        file: diagnostic.location.file.clone(),
        line: diagnostic.location.line,
        column: diagnostic.location.column,
        severity: severity(diagnostic.severity).to_owned(),
        code: diagnostic.code.to_string(),
        object: diagnostic.object.as_ref().map(ToString::to_string).unwrap_or_default(),
        field: cut(&diagnostic.field),
        message: cut(&diagnostic.message),
        help: cut(&diagnostic.help),
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Turns the wire form into a diagnostic.
///
/// # Errors
/// A severity, code or kind that this version does not know.
pub fn from_wire(diagnostic: &v1::Diagnostic) -> Result<Diagnostic, UnknownValue> {
    Ok(Diagnostic {
        location: Location {
            file: diagnostic.file.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
        },
        severity: by_name("severity", &diagnostic.severity)?,
        code: by_name("diagnostic code", &diagnostic.code)?,
        object: object_key(&diagnostic.object)?,
        field: diagnostic.field.clone(),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
    })
}

fn by_name<'a, T: Deserialize<'a>>(what: &'static str, name: &'a str) -> Result<T, UnknownValue> {
    T::deserialize(StrDeserializer::<ValueError>::new(name))
        .map_err(|_| UnknownValue { what, value: name.to_owned() })
}

/// Parses `Kind name` or `Kind namespace/name`; empty is none.
fn object_key(text: &str) -> Result<Option<ObjectKey>, UnknownValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let unknown = || UnknownValue { what: "object", value: text.to_owned() };
    let (kind, name) = text.split_once(' ').ok_or_else(unknown)?;
    let kind = by_name("kind", kind)?;
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    Ok(Some(ObjectKey::new(kind, namespace, name)))
}
