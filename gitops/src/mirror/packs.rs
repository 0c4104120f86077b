//! Packs of a mirror: counted, and written into one.
//!
//! Must leave the mirror whole when it is interrupted: the new pack is there before the old ones go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::Repository;

use super::failure;
use crate::fetch_error::FetchError;
use crate::remote::Remote;

/// Counts packs; 0 when the folder cannot be read, which the next fetch will say better.
pub(super) fn count(dir: &Path) -> usize {
    list(dir, "pack").map_or(0, |packs| packs.len())
}

pub(super) fn compact(repo: &Repository, dir: &Path, remote: &Remote) -> Result<(), FetchError> {
    let storage = |error: io::Error| FetchError::Storage { dir: dir.to_owned(), reason: error.to_string() };
    // The index goes first: without it Git does not look at the pack.
    let mut old = list(dir, "idx").map_err(storage)?;
    old.extend(list(dir, "pack").map_err(storage)?);
    let new = write_one(repo, &folder(dir)).map_err(|error| failure::damaged(remote, &error))?;
    let is_new = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem.to_str() == Some(new.as_str()));
    old.iter().filter(|path| !is_new(path)).try_for_each(fs::remove_file).map_err(storage)
}

/// Writes everything that references lead to; returns the new pack's name without ending.
fn write_one(repo: &Repository, folder: &Path) -> Result<String, git2::Error> {
    let mut walk = repo.revwalk()?;
    for reference in repo.references()? {
        walk.push(reference?.peel_to_commit()?.id())?;
    }
    let mut builder = repo.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    builder.write(folder, 0)?;
    Ok(format!("pack-{}", builder.name()?.unwrap_or_default()))
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("objects").join("pack")
}

fn list(dir: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(dir))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    Ok(found)
}
