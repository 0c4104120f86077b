//! The limit of open files: a simulated agent has a socket, and the core has one for it.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files of this process, or of a core, that are no sockets of agents.
const OTHERS: u64 = 512;

/// Lets this process open the sockets of so many agents, and with it a core that it starts, which has the same limits.
///
/// # Errors
/// The hard limit is lower, and only `CAP_SYS_RESOURCE` may raise that.
pub fn raise_files(agents: usize) -> Result<()> {
    let wanted = agents as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= wanted),
        "{agents} agents need {wanted} open files, here and at the core, and the hard limit is {}: raise it before this is \
         started (`sudo prlimit --nofile={wanted}:{wanted} --pid $$`, or `LimitNOFILE=`, or `docker run --ulimit nofile={wanted}`)",
        maximum.unwrap_or_default()
    );
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?)
}
