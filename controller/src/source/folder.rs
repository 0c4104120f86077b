//! The folder that is read: compared, shown, and what stays known when it is another one.

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
pub(super) fn moved(ages: &Ages, path: &str) -> Ages {
    let elsewhere = Ages::new(path);
    let at = ages.at().filter(|_| ages.path() == elsewhere.path());
    Ages::restore(path, at, ages.objects().map(|(key, first)| (key.clone(), first)))
}
