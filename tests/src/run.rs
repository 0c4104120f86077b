//! One run: a folder, a block of addresses, and every process that was started for it.
//!
//! When it is dropped no process of it is left. Its folder goes too, unless the test failed: then
//! the logs in it are what one needs. What a run that was killed left behind is ended by the next one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow};
use tempfile::TempDir;

use crate::fleet::Binaries;
use crate::ports::Net;
use crate::process::{self, Process};

/// How the names of the folders of runs begin.
const PREFIX: &str = "sk-";
/// The file in a run's folder that is locked for the life of the run. A folder that is kept has none.
const LOCK: &str = "run.lock";
/// The ports that the demo and the tests use again and again, each time at another address.
const PORTS: [u16; 5] = [7600, 7601, 8080, 9080, 15006];

/// One run of a test or of the demo.
#[derive(Debug)]
pub struct Run {
    folder: TempDir,
    /// Let go after the folder is gone.
    _lock: File,
    path: PathBuf,
    net: Net,
    binaries: Binaries,
    keep: AtomicBool,
}

impl Run {
    /// Makes a folder and claims addresses. The path is short: a Unix socket's has at most 107 bytes.
    pub fn new(binaries: Binaries) -> Result<Arc<Self>> {
        process::adopt_orphans();
        end_broken_runs(&std::env::temp_dir());
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(5)
            .tempdir()
            .context("cannot make a run folder")?;
        let path = folder.path().canonicalize()?;
        let lock = lock(&path).context("cannot lock the run folder")?;
        let net = Net::claim()?;
        net.must_have(&PORTS)?;
        Ok(Arc::new(Self { folder, _lock: lock, path, net, binaries, keep: AtomicBool::new(false) }))
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Its addresses.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The programs that it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Makes a folder inside the run's.
    pub fn make_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs_err::create_dir_all(&path)?;
        Ok(path)
    }

    /// Starts a process that belongs to this run; its output goes to `<folder>/<name>.log`.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<Process> {
        command.env(process::MARK, &self.path);
        Process::spawn(name, command, &self.path.join(format!("{name}.log")))
    }

    /// Keeps the folder when the run ends, for its logs.
    pub fn keep_folder(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// The living processes of this run, also those that others started.
    pub fn processes(&self) -> Vec<process::Seen> {
        process::of_run(&self.path)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        process::sweep(&self.path);
        if std::thread::panicking() || self.keep.load(Ordering::Relaxed) {
            self.folder.disable_cleanup(true);
            // An error leaves a folder that the next run takes away.
            let _ = fs_err::remove_file(self.path.join(LOCK));
            say_where(&self.path);
        }
    }
}

#[allow(clippy::print_stderr, reason = "the one thing to know about a failed run is where its logs are")]
fn say_where(folder: &Path) {
    eprintln!("the logs of this run are in {}", folder.display());
}

/// Makes the file of the lock. It appears locked, so nobody takes a run for broken that has just begun.
fn lock(folder: &Path) -> Result<File> {
    let draft = folder.join("run.lock.draft");
    let file = File::create(&draft)?;
    file.try_lock().map_err(|error| anyhow!("{error}"))?;
    fs_err::rename(draft, folder.join(LOCK))?;
    Ok(file)
}

/// Ends what runs left behind that could not clean up (SIGKILL, Ctrl-C on the tests): the kernel let their lock go.
fn end_broken_runs(folder: &Path) {
    let entries =
        fs_err::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // An error: it is another user's, or somebody else is ending it.
            let _ = end_broken_run(&entry.path());
        }
    }
}

fn end_broken_run(folder: &Path) -> Result<()> {
    let file = File::options().write(true).open(folder.join(LOCK))?;
    file.try_lock().map_err(|error| anyhow!("{error}"))?;
    process::sweep(&folder.canonicalize()?);
    Ok(fs_err::remove_dir_all(folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Process {
        let mut command = Command::new("sleep");
        command.arg("600").env(process::MARK, folder);
        Process::spawn("sleep", &mut command, &folder.join("sleep.log")).unwrap()
    }

    #[test]
    fn what_a_killed_run_left_is_ended_and_what_runs_or_is_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = folder.path().canonicalize().unwrap().join(name);
            fs_err::create_dir(&path).unwrap();
            path
        };
        let (broken, alive, kept, other) = (make("sk-1"), make("sk-2"), make("sk-3"), make("x"));
        drop(lock(&broken).unwrap());
        drop(lock(&other).unwrap());
        let _lock = lock(&alive).unwrap();
        let _processes = [&broken, &alive, &kept, &other].map(|folder| sleeper(folder));
        end_broken_runs(folder.path());
        let count = |folder: &Path| process::of_run(folder).len();
        assert_eq!([&broken, &alive, &kept, &other].map(|folder| count(folder)), [0, 1, 1, 1]);
        assert_eq!([&broken, &alive, &kept, &other].map(|folder| folder.exists()), [false, true, true, true]);
    }
}
