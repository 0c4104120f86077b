//! The mirror's folder: made, recognized, cleaned of what a killed process left, replaced when damaged.
//!
//! Must not touch a folder that is not a mirror's.

use std::fs;
use std::io;
use std::path::Path;

use git2::Repository;

use crate::fetch_error::FetchError;

/// The file by which a mirror's folder is recognized.
const MARKER: &str = "skerry-mirror";

pub(super) fn open(dir: &Path) -> Result<Repository, FetchError> {
    let unusable = |error: io::Error| FetchError::Storage { dir: dir.to_owned(), reason: error.to_string() };
    if !is_ours(dir).map_err(unusable)? {
        let reason = "it holds other files".to_owned();
        return Err(FetchError::Storage { dir: dir.to_owned(), reason });
    }
    if dir.join(MARKER).exists() {
        drop_leftovers(dir).map_err(unusable)?;
        match open_sound(dir) {
            Ok(repo) => return Ok(repo),
            Err(error) => tracing::warn!(dir = %dir.display(), %error, "mirror is damaged, building it anew"),
        }
    }
    create_anew(dir)
}

/// Throws away what is in a mirror's folder, and makes an empty mirror.
pub(super) fn create_anew(dir: &Path) -> Result<Repository, FetchError> {
    let unusable = |error: io::Error| FetchError::Storage { dir: dir.to_owned(), reason: error.to_string() };
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(unusable)?;
    }
    fs::create_dir_all(dir).map_err(unusable)?;
    fs::write(dir.join(MARKER), "A cache of a Git repository, kept by Skerry. May be deleted.\n")
        .map_err(unusable)?;
    create(dir)
        .map_err(|error| FetchError::Storage { dir: dir.to_owned(), reason: error.message().to_owned() })
}

fn is_ours(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none() || dir.join(MARKER).exists()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn create(dir: &Path) -> Result<Repository, git2::Error> {
    let repo = Repository::init_bare(dir)?;
    // Redirects inside one host only: credentials must not follow to another.
    repo.config()?.set_str("http.followRedirects", "false")?;
    Ok(repo)
}

/// Opens a mirror whose `HEAD` can be read, and whose references all lead to a commit with its tree.
pub(super) fn open_sound(dir: &Path) -> Result<Repository, git2::Error> {
    let repo = Repository::open_bare(dir)?;
    repo.find_reference("HEAD")?;
    for reference in repo.references()? {
        reference?.peel_to_commit()?.tree()?;
    }
    // libgit2 leaves references that it cannot read out of the list.
    for name in loose_references(&dir.join("refs"), "refs") {
        repo.find_reference(&name)?;
    }
    Ok(repo)
}

fn loose_references(folder: &Path, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => names.extend(loose_references(&entry.path(), &name)),
            false => names.push(name),
        }
    }
    names
}

/// Removes lock files and half-written packs: the folder belongs to this process, so nobody works on them.
fn drop_leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            drop_leftovers(&path)?;
        } else if name.ends_with(".lock") || name.starts_with("tmp_") || name.starts_with("pack_git2_") {
            tracing::info!(file = %path.display(), "removing what an interrupted fetch left");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
