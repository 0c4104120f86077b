//! Manifests of other projects that some tests read, unchanged, from a folder beside the repository.

use std::path::{Path, PathBuf};

/// Finds a file or folder of the corpora; says so and returns `None` where it is absent.
pub(crate) fn find(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora").join(path);
    if found.exists() {
        return Some(found);
    }
    say(&format!("../shared/corpora/{path} is absent"));
    None
}

/// Says why a test is passed over.
#[allow(clippy::print_stderr, reason = "a test that is passed over must say why")]
pub(crate) fn say(why: &str) {
    eprintln!("skipped: {why}");
}
