//! What a process holds and has used, as the kernel says.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// The unit of `/proc/<id>/stat`: a hundredth of a second, on every architecture that we build for.
const TICK: Duration = Duration::from_millis(10);

/// What a process holds in memory: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// Everything, its program's pages among it.
    pub(super) resident: u64,
    /// What no file stands behind.
    pub(super) own: u64,
}

impl Memory {
    /// Asks for that of a process.
    pub(super) fn of(id: u32) -> Result<Self> {
        let text = fs_err::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        Self::from_text(&text).with_context(|| format!("/proc/{id}/smaps_rollup has no `Rss`"))
    }

    fn from_text(text: &str) -> Option<Self> {
        let read = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
        };
        Some(Self { resident: read("Rss")?, own: read("Anonymous")? })
    }
}

/// How long a process has had a processor, over all its threads, those that have ended among them.
pub(super) fn processor_time(id: u32) -> Result<Duration> {
    let text = fs_err::read_to_string(format!("/proc/{id}/stat"))?;
    processor_ticks(&text).map(|ticks| TICK * ticks).with_context(|| format!("/proc/{id}/stat is too short"))
}

/// The fields `utime` and `stime` (proc_pid_stat(5)); they are the 12th and 13th after the name.
fn processor_ticks(text: &str) -> Option<u32> {
    let (_, fields) = text.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(11).map(str::parse::<u32>);
    Some(ticks.next()?.ok()? + ticks.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        let text =
            "55d0-7ffc ---p 0 00:00 0    [rollup]\nRss:      12 kB\nPss_Anon:  1 kB\nAnonymous:   3 kB\n";
        assert_eq!(Memory::from_text(text), Some(Memory { resident: 12 * 1024, own: 3 * 1024 }));
        assert!(Memory::of(std::process::id()).unwrap().resident > 1 << 20);
    }

    #[test]
    fn a_name_may_hold_anything() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 30 5 6 20 0 4 0\n";
        assert_eq!(processor_ticks(text), Some(280));
        assert!(processor_time(std::process::id()).is_ok());
    }
}
