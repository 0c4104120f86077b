//! The limit of open files: a simulated agent has a socket.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files of this process that are no sockets of agents.
const OTHERS: u64 = 256;

/// Lets this process open the sockets of so many agents.
///
/// # Errors
/// The hard limit is lower.
pub fn raise_files(agents: usize) -> Result<()> {
    let wanted = agents as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= wanted),
        "{agents} agents need {wanted} open files, and the hard limit is {}: raise it (`ulimit -Hn`)",
        maximum.unwrap_or_default()
    );
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?)
}
