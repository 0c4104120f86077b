//! The folder that is read: compared, shown, and what stays known when it is another one.

use serde_json::Value;
use skerry_gitops::age::Ages;

/// Says whether two paths name the same folder of a repository.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    parts(one).eq(parts(other))
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// Writes a path for people.
pub(super) fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// Takes what is known of ages to a folder: objects keep their ages, others are looked for in its history.
/// Goes by the stored form of [`Ages`], which has `path`, `at` and `objects`.
pub(super) fn moved(ages: &Ages, path: &str) -> Ages {
    let (mut known, mut moved) = (to_value(ages), to_value(&Ages::new(path)));
    if known["path"] == moved["path"] {
        return ages.clone();
    }
    moved["objects"] = known["objects"].take();
    serde_json::from_value(moved).expect("ages that were written are read")
}

fn to_value(ages: &Ages) -> Value {
    serde_json::to_value(ages).expect("ages are lists of text and numbers")
}
