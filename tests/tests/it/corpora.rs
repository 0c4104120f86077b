//! Manifests of other projects that some tests read, unchanged, from a folder beside the repository.

use std::path::{Path, PathBuf};

use skerry_tests::skipped;

/// Finds a file or folder of the corpora; says so and returns `None` where it is absent.
pub(crate) fn find(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora").join(path);
    if found.exists() {
        return Some(found);
    }
    skipped::say(&format!("../shared/corpora/{path} is absent"));
    None
}
