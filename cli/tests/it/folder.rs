//! Folders and repositories for tests. Commits have fixed authors and times, so their hashes are fixed, too.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The first commit is made at this time: seconds since 1970.
const FIRST_COMMIT: u64 = 1_767_225_600;

/// A folder that goes away with the test.
pub(crate) struct Folder {
    root: TempDir,
    commits: u64,
}

impl Folder {
    /// Makes an empty folder.
    pub(crate) fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap(), commits: 0 }
    }

    /// Makes a folder with files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self::empty();
        files.iter().for_each(|(path, text)| folder.write(path, text));
        folder
    }

    /// Makes a repository with one commit of files.
    pub(crate) fn committed(files: &[(&str, &str)]) -> Self {
        let mut folder = Self::of(files);
        folder.git(&["init", "--quiet", "--initial-branch=main"]);
        folder.commit("first");
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces a text that is in a file once.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path().join(path)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {path}");
        self.write(path, text.replace(from, to));
    }

    /// Commits everything, a day after the commit before.
    pub(crate) fn commit(&mut self, message: &str) {
        self.git(&["add", "--all"]);
        self.commits += 1;
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    }

    /// Runs Git in the folder, without anybody's settings.
    pub(crate) fn git(&self, args: &[&str]) {
        let date = format!("{} +0000", FIRST_COMMIT + self.commits * 86_400);
        let mut git = Command::new("git");
        git.current_dir(self.path()).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.com");
            git.env(format!("GIT_{who}_DATE"), &date);
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
