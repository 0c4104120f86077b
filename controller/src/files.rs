//! How many files the process may open: raised as far as the system lets it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Raises the limit to `wanted`, or to the hard limit; returns what it is then.
pub fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current.filter(|current| *current < wanted) else { return wanted };
    let reachable = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = match setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum }) {
        Ok(()) => reachable,
        Err(error) => {
            debug!(%error, "the limit of open files stays");
            current
        }
    };
    if raised < wanted {
        warn!(
            limit = raised,
            wanted,
            "there is room for fewer sites than this core could serve: the limit of open files is low \
             (help: `LimitNOFILE=` in its systemd unit or `ulimit -Hn`, or a lower `--max-sites`)"
        );
    }
    raised
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for all cases: the limit is the whole process's.
    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let low = Rlimit { current: Some(512), maximum };
        setrlimit(Resource::Nofile, low).unwrap();

        assert_eq!(raise(600), 600);
        assert_eq!(raise(300), 300, "what is enough stays");
        assert_eq!(getrlimit(Resource::Nofile).current, Some(600));

        let all = raise(u64::MAX / 2);
        assert_eq!(Some(all), getrlimit(Resource::Nofile).current);
        assert!(maximum.is_none_or(|maximum| all == maximum), "{all}");
    }
}
