//! `state.json`: what the launcher runs, for the agent and for `show`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::machine::Mode;
use crate::layout::replace_file;

/// What a launcher runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LauncherState {
    /// The launcher's process id.
    pub(crate) launcher: i32,
    /// The Envoys, newest first: one, or two during a hot restart.
    pub(crate) processes: Vec<Process>,
    /// How often Envoy ended by itself, since the first start of this proxy.
    pub(crate) restarts: u32,
    /// How the last one ended, in words.
    pub(crate) last_exit: String,
}

/// One Envoy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its process id.
    pub(crate) pid: i32,
    /// When the kernel started it (clock ticks since boot): together with `pid` it names one process.
    pub(crate) started: u64,
    /// Its restart epoch.
    pub(crate) epoch: u32,
    /// Where its configuration comes from.
    pub(crate) mode: Mode,
    /// The wall clock at its start: milliseconds since the epoch.
    pub(crate) since_ms: u64,
}

impl Process {
    /// Says whether this very process is still there and not a zombie.
    pub(crate) fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

impl LauncherState {
    /// Reads it; what is missing or cannot be read is as good as nothing.
    pub(crate) fn load(path: &Path) -> Self {
        let bytes = fs_err::read(path).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Replaces the file in one step.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        replace_file(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// Reads the start time of a live process from `/proc/<pid>/stat` (field 22, `proc(5)`).
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows the last one is plain.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, started: u64) -> Process {
        Process { pid, started, epoch: 0, mode: Mode::Ads, since_ms: 1 }
    }

    #[test]
    fn a_process_is_known_by_id_and_start_time() {
        let own = i32::try_from(std::process::id()).unwrap();
        let started = start_time(own).unwrap();
        assert!(process(own, started).is_alive());
        assert!(!process(own, started + 1).is_alive());
        assert!(!process(i32::MAX, started).is_alive());
    }

    #[test]
    fn a_broken_state_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(LauncherState::load(&path), LauncherState::default());

        let state = LauncherState { processes: vec![process(7, 9)], restarts: 2, ..Default::default() };
        state.save(&path).unwrap();
        assert_eq!(LauncherState::load(&path), state);

        fs_err::write(&path, b"{").unwrap();
        assert_eq!(LauncherState::load(&path), LauncherState::default());
    }
}
