//! A policy repository for tests: a real bare repository and a clone of it to work in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use git2::{
    Commit, IndexAddOption, Oid, PushOptions, RemoteCallbacks, Repository, RepositoryInitOptions, Signature,
    Time,
};

/// The branch that everything is committed to.
pub const BRANCH: &str = "main";

/// The time of the first commit: 2026-01-01T00:00:00Z. Each commit is a minute younger than the one
/// before, so that ages from Git never depend on how fast a test is.
const FIRST_COMMIT: i64 = 1_767_225_600;

/// A bare repository, and the clone that commits are made in.
pub struct PolicyRepo {
    bare: PathBuf,
    work: Repository,
    commits: i64,
}

impl PolicyRepo {
    /// Makes `policy.git` and its clone `policy` in a folder. There is no commit yet.
    pub fn init(folder: &Path) -> Result<Self> {
        let bare = folder.join("policy.git");
        let mut options = RepositoryInitOptions::new();
        Repository::init_opts(&bare, options.bare(true).initial_head(BRANCH))?;
        let mut options = RepositoryInitOptions::new();
        let work = Repository::init_opts(folder.join("policy"), options.initial_head(BRANCH))?;
        work.remote("origin", bare.to_str().context("the run's folder is UTF-8")?)?;
        Ok(Self { bare, work, commits: 0 })
    }

    /// The bare repository's folder.
    pub fn bare(&self) -> &Path {
        &self.bare
    }

    /// The clone's folder.
    pub fn work(&self) -> &Path {
        self.work.workdir().expect("the clone is not bare")
    }

    /// The bare repository as a `file://` URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// Writes a file in the clone.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let path = self.work().join(path);
        fs_err::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs_err::write(path, content)?;
        Ok(())
    }

    /// Reads a file of the clone.
    pub fn read(&self, path: &str) -> Result<String> {
        Ok(fs_err::read_to_string(self.work().join(path))?)
    }

    /// Replaces a text in a file of the clone; it must be there.
    pub fn replace(&self, path: &str, old: &str, new: &str) -> Result<()> {
        let text = self.read(path)?;
        anyhow::ensure!(text.contains(old), "{path} does not hold `{old}`");
        self.write(path, &text.replace(old, new))
    }

    /// Removes a file from the clone.
    pub fn remove(&self, path: &str) -> Result<()> {
        Ok(fs_err::remove_file(self.work().join(path))?)
    }

    /// Copies a folder's files into the clone.
    pub fn copy_from(&self, folder: &Path) -> Result<()> {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            copy(&entry.path(), &self.work().join(entry.file_name()))?;
        }
        Ok(())
    }

    /// Commits everything that has changed in the clone; returns the commit's hash.
    pub fn commit(&mut self, message: &str) -> Result<Oid> {
        let parent = self.head()?;
        self.commit_onto(parent, message)
    }

    /// Commits what is in the clone on top of another commit, or of none, and moves the branch there.
    pub fn commit_onto(&mut self, parent: Option<Oid>, message: &str) -> Result<Oid> {
        let mut index = self.work.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.update_all(["*"], None)?;
        index.write()?;
        let tree = self.work.find_tree(index.write_tree()?)?;
        let parent = parent.map(|id| self.work.find_commit(id)).transpose()?;
        let parents: Vec<&Commit<'_>> = parent.iter().collect();
        let who =
            Signature::new("Skerry", "skerry@example.org", &Time::new(FIRST_COMMIT + 60 * self.commits, 0))?;
        let id = self.work.commit(None, &who, &who, message, &tree, &parents)?;
        self.work.reference(&format!("refs/heads/{BRANCH}"), id, true, message)?;
        self.commits += 1;
        Ok(id)
    }

    /// The newest commit of the clone.
    pub fn head(&self) -> Result<Option<Oid>> {
        match self.work.head() {
            Ok(head) => Ok(Some(head.peel_to_commit()?.id())),
            Err(error) if error.code() == git2::ErrorCode::UnbornBranch => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Pushes the branch; a push that is not a fast-forward is an error.
    pub fn push(&self) -> Result<()> {
        self.push_refspec(&format!("refs/heads/{BRANCH}:refs/heads/{BRANCH}"))
    }

    /// Pushes the branch over whatever is there.
    pub fn force_push(&self) -> Result<()> {
        self.push_refspec(&format!("+refs/heads/{BRANCH}:refs/heads/{BRANCH}"))
    }

    /// Deletes the branch in the bare repository.
    pub fn delete_branch(&self) -> Result<()> {
        self.push_refspec(&format!(":refs/heads/{BRANCH}"))
    }

    /// Commits everything and pushes it; returns the revision as Skerry writes it.
    pub fn publish(&mut self, message: &str) -> Result<String> {
        let id = self.commit(message)?;
        self.push()?;
        Ok(format!("{BRANCH}@sha1:{id}"))
    }

    fn push_refspec(&self, refspec: &str) -> Result<()> {
        let mut refused = None;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_update_reference(|name, status| {
            refused = status.map(|status| format!("{name}: {status}"));
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks);
        self.work.find_remote("origin")?.push(&[refspec], Some(&mut options))?;
        drop(options);
        anyhow::ensure!(refused.is_none(), "the push was refused: {refused:?}");
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs_err::copy(from, to)?;
        return Ok(());
    }
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote_head(repo: &PolicyRepo) -> Option<Oid> {
        Repository::open_bare(repo.bare()).unwrap().refname_to_id("refs/heads/main").ok()
    }

    #[test]
    fn commits_arrive_in_the_bare_repository() {
        let folder = tempfile::tempdir().unwrap();
        let mut repo = PolicyRepo::init(folder.path()).unwrap();
        repo.write("sites/a.yaml", "a: 1\n").unwrap();
        let first = repo.commit("first").unwrap();
        repo.push().unwrap();
        assert_eq!(remote_head(&repo), Some(first));
        repo.remove("sites/a.yaml").unwrap();
        let second = repo.commit("second").unwrap();
        repo.push().unwrap();
        assert_eq!(remote_head(&repo), Some(second));
        assert_eq!(repo.work.find_commit(second).unwrap().tree().unwrap().len(), 0);
    }

    #[test]
    fn history_is_rewritten_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let mut repo = PolicyRepo::init(folder.path()).unwrap();
        repo.write("a", "1").unwrap();
        repo.publish("first").unwrap();
        let other = repo.commit_onto(None, "another first").unwrap();
        assert!(repo.push().is_err());
        repo.force_push().unwrap();
        assert_eq!(remote_head(&repo), Some(other));
        repo.delete_branch().unwrap();
        assert_eq!(remote_head(&repo), None);
    }
}
