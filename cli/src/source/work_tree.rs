//! Ages for the files of a clone as they are: those of the commit that they were made from.
//!
//! An object that is not committed yet is younger than all that are, as it will be once it is committed. A history that
//! cannot be read, or that a shallow clone cut, is an error: an age is never guessed.

use std::path::Path;

use skerry_gitops::age::Ages;
use skerry_gitops::history::History;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::snapshot::load::Loaded;

use super::Stand;
use crate::error::CliError;

/// Puts ages to objects, and says what the files are to HEAD. A clone without any commit has none: all of it is as young.
pub(super) fn age(files: &mut Loaded, clone: &Path, path: &str) -> Result<Stand, CliError> {
    let history = History::open(clone).map_err(to_error)?;
    let head = match history.resolve("HEAD") {
        Ok(head) => head.commit,
        Err(ReadError::RevisionNotFound { branches, .. }) if branches.is_empty() => {
            return Ok(Stand::Changed);
        }
        Err(error) => return Err(error.into()),
    };
    let mut ages = Ages::new(path);
    let report = ages.advance(&history, head)?;
    report.must_answer(files.objects.iter().map(|(object, _)| object))?;
    for (object, age) in &mut files.objects {
        *age = ages.age_of(object);
    }
    Ok(if files.is_of(&history, head, path)? { Stand::AsHead } else { Stand::Changed })
}

fn to_error(error: ReadError) -> CliError {
    match error {
        // There is a `.git`, which leads to no repository: one that was moved or not copied with the files.
        ReadError::NotARepository { .. } => CliError::new(crate::error::ErrorKind::Source, error.to_string())
            .hint("its `.git` leads to no repository, so nobody knows how old its objects are: mend it, or remove it \
                   to read a plain folder"),
        error => error.into(),
    }
}
