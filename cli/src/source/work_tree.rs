//! Ages for the files of a clone as they are: those of the commit that they were made from.
//!
//! An object that is not committed yet is younger than all that are, as it will be once it is committed.

use std::path::Path;

use skerry_core::policy::Object;
use skerry_core::world::Age;
use skerry_gitops::age::Ages;
use skerry_gitops::history::History;

/// Puts ages to objects, as far as the history tells; a shallow clone and one without commits do not.
pub(super) fn age(objects: &mut [(Object, Age)], clone: &Path, path: &str) {
    let Some(ages) = ages_of_head(clone, path) else { return };
    for (object, age) in objects {
        *age = ages.age_of(object);
    }
}

fn ages_of_head(clone: &Path, path: &str) -> Option<Ages> {
    let history = History::open(clone).ok()?;
    let head = history.resolve("HEAD").ok()?;
    let mut ages = Ages::new(path);
    let report = ages.advance(&history, head.commit).ok()?;
    report.unanswered.is_empty().then_some(ages)
}
