//! Child processes: started with a log file, signalled and reaped by their id, never left behind.
//!
//! Processes that our children start (an agent's Envoys) outlive them on purpose. They are found
//! by the mark of their run, an environment variable that is inherited, and ended by id as well.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process};

use crate::wait::eventually;

/// The environment variable that marks every process of a run with the run's folder.
pub const MARK: &str = "SKERRY_RUN";

/// A child process. Killed and reaped when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// How long a process may take from its start to its handler of SIGTERM; one that has none is ended by the signal.
const HANDLER_WITHIN: Duration = Duration::from_secs(5);

/// Whether a process has a handler for a signal (`SigCgt` of proc(5)).
fn catches(id: u32, signal: Signal) -> bool {
    let status = fs_err::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
    let mask = caught.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    mask & (1 << (signal.as_raw() - 1)) != 0
}

impl Process {
    /// Starts a command with its output appended to `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot open the log {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; does nothing when it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exited()?.is_none() {
            kill(self.id(), signal)?;
        }
        Ok(())
    }

    /// Says how it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))
    }

    /// Waits for its end.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        eventually(&what, deadline, async || self.exited()?.context("it still runs")).await
    }

    /// Kills it at once (SIGKILL) and reaps it.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(60)).await.map(drop)
    }

    /// Asks it to end (SIGTERM) and waits. Any end but one of its own with exit code 0 is an error with the log's last lines.
    ///
    /// A process that has just begun is given a moment to install its handler: until then the signal ends it at once.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<()> {
        let _ = eventually("the handler of SIGTERM", HANDLER_WITHIN, async || {
            anyhow::ensure!(self.exited()?.is_some() || catches(self.id(), Signal::TERM));
            Ok(())
        })
        .await;
        self.signal(Signal::TERM)?;
        let status = self.wait(deadline).await?;
        if status.success() {
            return Ok(());
        }
        bail!("{} ended with {status}:\n{}", self.name, self.last_lines())
    }

    /// Fails, with the log's last lines, when it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.last_lines()),
        }
    }

    /// Says whether it was killed (SIGKILL); fails when it ended in another way.
    pub fn was_killed(&mut self) -> Result<bool> {
        match self.exited()? {
            None => Ok(false),
            Some(status) if status.signal() == Some(Signal::KILL.as_raw()) => Ok(true),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.last_lines()),
        }
    }

    /// Everything that it has written.
    pub fn log(&self) -> String {
        fs_err::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process; a process that is gone is no error.
pub fn kill(id: u32, signal: Signal) -> Result<()> {
    let pid =
        i32::try_from(id).ok().and_then(Pid::from_raw).with_context(|| format!("{id} is no process id"))?;
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot signal process {id}")),
    }
}

/// Makes orphans of our children children of ours, so that they can be reaped, wherever this runs.
pub fn adopt_orphans() {
    // Where the kernel refuses, the system's first process reaps them.
    let _ = rustix::process::set_child_subreaper(Pid::from_raw(1));
}

/// Kills a process (SIGKILL) that is not managed by a [`Process`], and reaps it if it became our child.
pub fn kill_and_reap(id: u32) -> Result<()> {
    kill(id, Signal::KILL)?;
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    // An error means that it is somebody else's child: an agent or a launcher reaps it.
    let _ = rustix::process::waitpid(pid, WaitOptions::empty());
    Ok(())
}

/// Says whether a process runs; a zombie does not.
pub fn is_alive(id: u32) -> bool {
    // The state follows the name, which is in parentheses and may hold anything.
    fs_err::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: u32,
    /// Its program's file name.
    pub program: String,
    /// Its arguments, the program first.
    pub arguments: Vec<String>,
}

/// Finds all living processes of the run with this folder, by id: those that carry its mark.
pub fn of_run(folder: &Path) -> Vec<Seen> {
    let mark = format!("{MARK}={}", folder.display());
    let mut seen: Vec<Seen> = process_ids().into_iter().filter_map(|id| see(id, &mark)).collect();
    seen.sort_by_key(|process| process.id);
    seen
}

fn process_ids() -> Vec<u32> {
    let entries =
        fs_err::read_dir("/proc").map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
    entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn see(id: u32, mark: &str) -> Option<Seen> {
    let environment = std::fs::read(format!("/proc/{id}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find(|entry| *entry == mark.as_bytes())?;
    let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let arguments: Vec<String> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let program = Path::new(arguments.first()?).file_name()?.to_string_lossy().into_owned();
    (id != std::process::id() && is_alive(id)).then_some(Seen { id, program, arguments })
}

/// Ends all processes of a run by id, until none is left; returns how many there were.
pub fn sweep(folder: &Path) -> usize {
    let mut ended = std::collections::BTreeSet::new();
    // A supervisor may start one more while it is being ended; it is gone in the next round.
    for _ in 0..100 {
        let left = of_run(folder);
        if left.is_empty() {
            break;
        }
        for process in left {
            let _ = kill_and_reap(process.id);
            ended.insert(process.id);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    ended.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env(MARK, folder);
        Process::spawn("shell", &mut command, &folder.join("shell.log")).unwrap()
    }

    #[tokio::test]
    async fn a_failed_child_shows_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = shell("echo out of tea; exit 3", folder.path());
        child.wait(Duration::from_secs(5)).await.unwrap();
        let error = child.must_run().unwrap_err().to_string();
        assert_eq!(error, "shell ended with exit status: 3:\nout of tea");
    }

    #[tokio::test]
    async fn a_child_that_is_asked_to_end_must_end_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let deadline = Duration::from_secs(60);
        let error = shell("exec sleep 600", folder.path()).terminate(deadline).await.unwrap_err().to_string();
        assert!(error.starts_with("shell ended with signal: 15"), "{error}");
        let mut child = shell("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", folder.path());
        let is_ready = async || {
            anyhow::ensure!(child.log().contains("ready"));
            Ok(())
        };
        eventually("the trap", deadline, is_ready).await.unwrap();
        child.terminate(deadline).await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_child_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let child = shell("exec sleep 600", folder.path());
        let id = child.id();
        assert!(is_alive(id));
        drop(child);
        assert!(!is_alive(id));
    }

    #[tokio::test]
    async fn orphans_are_found_by_the_mark_of_their_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = shell("sleep 600 & sleep 601", folder.path());
        eventually("both sleeps", Duration::from_secs(5), async || {
            anyhow::ensure!(of_run(folder.path()).iter().filter(|seen| seen.program == "sleep").count() == 2);
            Ok(())
        })
        .await
        .unwrap();
        child.kill().await.unwrap();
        assert_eq!(of_run(folder.path()).len(), 2, "the sleeps outlive their shell");
        assert_eq!(sweep(folder.path()), 2);
        assert_eq!(of_run(folder.path()), []);
    }
}
