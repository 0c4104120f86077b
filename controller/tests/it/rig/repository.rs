//! A Git repository in a temporary folder, worked in with the `git` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A repository with a work tree; the core fetches from it as from any remote.
pub(crate) struct Repository {
    folder: TempDir,
}

impl Repository {
    /// Makes a repository on branch `main` with no commit.
    pub(crate) fn empty() -> Self {
        let repository = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Makes a repository with one commit of these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self::empty();
        repository.commit("first", files);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes files (an empty text removes one) and commits; returns the commit.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        self.write(files);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Does the same, signed.
    pub(crate) fn commit_signed(&self, message: &str, files: &[(&str, &str)], key: &SshKey) -> String {
        self.write(files);
        let signing_key = format!("user.signingKey={}", key.path().display());
        let settings = ["-c", "gpg.format=ssh", "-c", &signing_key];
        let commit = ["commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", message];
        self.git(&[&settings[..], &commit].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.path().join(name);
            if text.is_empty() {
                fs_err::remove_file(path).expect("a file that is removed is there");
                continue;
            }
            fs_err::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder can be made");
            fs_err::write(path, text).expect("a file can be written");
        }
        self.git(&["add", "--all"]);
    }

    /// Runs `git` in the repository; returns what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git can be started");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Takes the repository away; returns where it is, to be put back.
    pub(crate) fn hide(&self) -> PathBuf {
        let name = self.path().file_name().unwrap_or_default().to_string_lossy();
        let hidden = self.path().with_file_name(format!("{name}-hidden"));
        fs_err::rename(self.path(), &hidden).expect("a folder can be moved");
        hidden
    }

    /// Puts it back.
    pub(crate) fn show(&self, hidden: &Path) {
        fs_err::rename(hidden, self.path()).expect("a folder can be moved");
    }
}

/// The address of all committers here.
pub(crate) const COMMITTER: &str = "test@localhost";

/// A key with which commits are signed, made by `ssh-keygen`.
pub(crate) struct SshKey {
    folder: TempDir,
}

impl SshKey {
    pub(crate) fn new() -> Self {
        let key = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key.path()).status();
        assert!(made.expect("ssh-keygen can be started").success());
        key
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// Its public key, as a line of a `.pub` file.
    pub(crate) fn public(&self) -> String {
        fs_err::read_to_string(self.path().with_extension("pub")).expect("the key was made").trim().to_owned()
    }
}
