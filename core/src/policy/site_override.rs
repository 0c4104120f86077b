//! `SiteOverride`: patches other objects for selected sites (the object's `sites` selector).

use serde_json::Value;

use crate::id::ObjectKey;

/// Patches for selected sites. Order: ascending `precedence`, then locked ones, ascending again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SiteOverride {
    /// Higher is applied later and so wins.
    pub precedence: i32,
    /// Applied after all that are not locked: the fleet's word is the last.
    pub locked: bool,
    /// The patches, in order.
    pub patches: Vec<Patch>,
}

/// One patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The object that it patches: any kind but `Site` and `SiteOverride`.
    pub target: ObjectKey,
    /// How.
    pub change: Change,
    /// The field that holds the change in the override's own document, as a JSON pointer.
    pub pointer: String,
}

/// The form of a patch.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// JSON merge patch (RFC 7386) on the whole object; lists are replaced as a whole.
    Merge(Value),
    /// JSON patch (RFC 6902): `add`, `remove`, `replace`, `test`; paths from the object's root.
    Json(Vec<Operation>),
}

/// One operation of a JSON patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What it does.
    pub op: OperationKind,
    /// Where, as a JSON pointer.
    pub path: String,
    /// With what; `Null` for `remove`.
    pub value: Value,
}

/// What an operation of a JSON patch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Adds a field or a list item.
    Add,
    /// Removes one.
    Remove,
    /// Replaces one that is there.
    Replace,
    /// Refuses the whole override when the value differs.
    Test,
}

impl OperationKind {
    /// Returns the word for it (RFC 6902).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Test => "test",
        }
    }
}
