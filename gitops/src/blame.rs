//! Which commit a line comes from, for `skerry explain`.
//!
//! Must not be used where many lines are asked for: each question walks the history of one file.

use std::path::Path;

use git2::{BlameOptions, ErrorCode};

use crate::history::History;
use crate::oid::CommitId;
use crate::read_error::ReadError;

/// The commit that a line comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineCommit {
    /// The commit.
    pub commit: CommitId,
    /// The first line of its message; empty if it has none.
    pub summary: String,
    /// Its author's name.
    pub author: String,
    /// When it was committed: seconds since 1970.
    pub seconds: i64,
}

/// Finds the commit that last changed a line (from 1) of a file, as of `revision`; `None` when there is no such file or line.
pub fn line_commit(
    history: &History,
    revision: CommitId,
    path: &str,
    line: u32,
) -> Result<Option<LineCommit>, ReadError> {
    let corrupt = |error: git2::Error| ReadError::corrupt(&error);
    let lines = lines_of(history, revision, path).map_err(corrupt)?;
    let Some(line) = usize::try_from(line).ok().filter(|line| (1..=lines).contains(line)) else {
        return Ok(None);
    };
    let mut options = BlameOptions::new();
    options.newest_commit(revision.to_git()).min_line(line).max_line(line);
    let blame = history.repo.blame_file(Path::new(path), Some(&mut options)).map_err(corrupt)?;
    let Some(hunk) = blame.get_line(line) else { return Ok(None) };
    let commit = history.repo.find_commit(hunk.final_commit_id()).map_err(corrupt)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Some(LineCommit {
        commit: CommitId::from_git(commit.id()),
        summary: commit.summary_bytes().map(text).unwrap_or_default(),
        author: text(commit.author().name_bytes()),
        seconds: commit.time().seconds(),
    }))
}

/// Finds the line (from 1) that a line of a changed text was before; `None` when it is new, or changed itself.
pub fn line_before(before: &[u8], now: &[u8], line: u32) -> Option<u32> {
    let patch = git2::Patch::from_buffers(before, None, now, None, None).ok()?;
    let mut offset = 0;
    for at in 0..patch.num_hunks() {
        let (hunk, lines) = patch.hunk(at).ok()?;
        if line < hunk.new_start() {
            break;
        }
        if line < hunk.new_start() + hunk.new_lines() {
            let mut lines = (0..lines).filter_map(|inside| patch.line_in_hunk(at, inside).ok());
            return lines.find(|one| one.new_lineno() == Some(line))?.old_lineno();
        }
        offset =
            i64::from(hunk.old_start() + hunk.old_lines()) - i64::from(hunk.new_start() + hunk.new_lines());
    }
    u32::try_from(i64::from(line) + offset).ok()
}

/// Counts the lines of a file; 0 when it is not there. libgit2 itself answers for lines past the end.
fn lines_of(history: &History, revision: CommitId, path: &str) -> Result<usize, git2::Error> {
    let tree = history.repo.find_commit(revision.to_git())?.tree()?;
    let object = match tree.get_path(Path::new(path)) {
        Ok(entry) => entry.to_object(&history.repo)?,
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => return Ok(0),
        Err(error) => return Err(error),
    };
    Ok(object.as_blob().map_or(0, |blob| blob.content().split_inclusive(|byte| *byte == b'\n').count()))
}
