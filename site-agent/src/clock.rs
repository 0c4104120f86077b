//! Clock and randomness: the only places of this crate that read either. Everything else takes
//! time and chance as arguments.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use skerry_core::id::Digest;
use skerry_proto::limits::{BOOT_BYTES, BOOT_FOLDER_BYTES, BOOT_STORE_BYTES};

/// The time since the process began to count: what every state machine takes as `now`.
pub(crate) type Now = Duration;

/// Counts from its creation; never goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Now {
        self.start.elapsed()
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(crate) fn skip(&mut self, time: Duration) {
        self.start = self.start.checked_sub(time).expect("the machine runs for longer than that");
    }

    /// Returns the runtime's instant for a point in time, for `sleep_until`; a year from the start
    /// for whatever is later.
    pub(crate) fn instant(&self, at: Now) -> tokio::time::Instant {
        (self.start + at.min(Duration::from_secs(365 * 86_400))).into()
    }
}

/// Reads the wall clock: milliseconds since the epoch. Shown, and decided by in [`crate::identity`] alone: proxies check
/// the dates of certificates by it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A moment by both clocks of a machine: the one that people set, and the one that counts from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Milliseconds since the epoch, as far as the machine knows.
    pub(crate) wall_ms: u64,
    /// How long the machine has run, sleep included: milliseconds.
    pub(crate) uptime_ms: u64,
    /// Names this run of the machine; 0 where the kernel does not.
    pub(crate) machine_run: u32,
}

impl Stamp {
    /// Reads both clocks.
    pub(crate) fn now() -> Self {
        let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime = Duration::try_from(uptime).unwrap_or_default();
        let uptime_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        Self { wall_ms: wall_ms(), uptime_ms, machine_run: machine_run() }
    }
}

/// Names this run of the machine (random(4), `boot_id`), by its first 4 bytes.
fn machine_run() -> u32 {
    static RUN: OnceLock<u32> = OnceLock::new();
    *RUN.get_or_init(|| {
        let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.get(..8).and_then(|start| u32::from_str_radix(start, 16).ok()).unwrap_or(0)
    })
}

/// The id of this run of the agent: names of its data folder and of its store, and random bytes.
pub(crate) fn boot_id(folder: FolderId, store: StoreId) -> [u8; BOOT_BYTES] {
    let mut id = random();
    id[..BOOT_FOLDER_BYTES].copy_from_slice(&folder);
    id[BOOT_FOLDER_BYTES..BOOT_STORE_BYTES].copy_from_slice(&store);
    id
}

/// What names a data folder.
pub(crate) type FolderId = [u8; BOOT_FOLDER_BYTES];

/// What names a store in it.
pub(crate) type StoreId = [u8; BOOT_STORE_BYTES - BOOT_FOLDER_BYTES];

/// A random share, 0 (inclusive) to 1 (exclusive): the jitter that the state machines take.
pub(crate) fn share() -> f64 {
    f64::from(u32::from_ne_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

/// Asks the kernel: a generator of our own would be code and memory in every launcher, for a few
/// bytes an hour. Where there is no such device, the time has to do.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    use std::io::Read as _;
    let mut bytes = [0; N];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut device| device.read_exact(&mut bytes));
    if read.is_err() {
        let now = Digest::of(format!("{} {:?}", wall_ms(), Instant::now()).as_bytes());
        bytes.iter_mut().zip(now.as_bytes()).for_each(|(byte, random)| *byte = *random);
    }
    bytes
}

/// Trusted time: never behind the persisted floor or a signed time that was seen; advanced by the
/// boot clock, never by the wall clock (a wall clock that jumps expires nothing).
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrustedTime {
    floor_ms: u64,
    at: Now,
}

impl TrustedTime {
    /// Starts at the persisted floor.
    pub(crate) fn new(floor_ms: u64, now: Now) -> Self {
        Self { floor_ms, at: now }
    }

    /// Returns it: milliseconds since the epoch.
    pub(crate) fn at(&self, now: Now) -> u64 {
        let passed = now.saturating_sub(self.at).as_millis();
        self.floor_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Takes note of a time that the core vouches for. An older one changes nothing.
    pub(crate) fn observe(&mut self, ms: u64, now: Now) {
        if ms > self.at(now) {
            *self = Self { floor_ms: ms, at: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_between_nothing_and_one_and_differ() {
        let shares: Vec<f64> = (0..100).map(|_| share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        assert!(shares.windows(2).any(|pair| pair[0] != pair[1]));
        let (first, second) = (boot_id([1; 4], [2; 4]), boot_id([1; 4], [2; 4]));
        assert_eq!(first[..8], [1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(first[..8], second[..8]);
        assert_ne!(first, second);
    }

    #[test]
    fn trusted_time_only_moves_forward() {
        let second = Duration::from_secs(1);
        let mut time = TrustedTime::new(10_000, second);
        assert_eq!(time.at(3 * second), 12_000);

        time.observe(5_000, 3 * second);
        assert_eq!(time.at(3 * second), 12_000);

        time.observe(50_000, 3 * second);
        assert_eq!(time.at(4 * second), 51_000);
    }
}
