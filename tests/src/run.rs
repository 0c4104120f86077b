//! One run: a folder, a block of addresses, and every process that was started for it.
//!
//! When it is dropped no process of it is left. Its folder goes too, unless the test failed: then
//! the logs in it are what one needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::fleet::Binaries;
use crate::ports::Net;
use crate::process::{self, Process};

/// One run of a test or of the demo.
#[derive(Debug)]
pub struct Run {
    folder: TempDir,
    path: PathBuf,
    net: Net,
    binaries: Binaries,
    keep: AtomicBool,
}

impl Run {
    /// Makes a folder and claims addresses. The path is short: a Unix socket's has at most 107 bytes.
    pub fn new(binaries: Binaries) -> Result<Arc<Self>> {
        process::adopt_orphans();
        let folder = tempfile::Builder::new()
            .prefix("sk-")
            .rand_bytes(5)
            .tempdir()
            .context("cannot make a run folder")?;
        let path = folder.path().canonicalize()?;
        Ok(Arc::new(Self { folder, path, net: Net::claim()?, binaries, keep: AtomicBool::new(false) }))
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
            say_where(&self.path);
        }
    }
}

#[allow(clippy::print_stderr, reason = "the one thing to know about a failed run is where its logs are")]
fn say_where(folder: &Path) {
    eprintln!("the logs of this run are in {}", folder.display());
}
