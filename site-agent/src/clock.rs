//! Clock and randomness: the only places of this crate that read either. Everything else takes
//! time and chance as arguments.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use skerry_core::id::{Digest, Timestamp};
use skerry_proto::limits::{BOOT_BYTES, BOOT_FOLDER_BYTES, BOOT_STORE_BYTES};

use crate::link::secure::LinkTime;

pub(crate) mod moves;

/// The time since the process began to count, while the machine was awake: what every state machine takes as `now`. A machine
/// that sleeps in the middle of something goes on there.
pub(crate) type Now = Duration;

/// The time since the process began to count, sleep of the machine included: what certificates go by.
pub(crate) type Elapsed = Duration;

/// Counts from its creation; never goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// How long the machine had run by then.
    uptime: Duration,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), uptime: uptime() }
    }

    /// Returns the time since the start that the machine was awake.
    pub(crate) fn now(&self) -> Now {
        self.start.elapsed()
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Elapsed {
        uptime().saturating_sub(self.uptime)
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(crate) fn skip(&mut self, time: Duration) {
        self.start = self.start.checked_sub(time).expect("the machine runs for longer than that");
        self.uptime = self.uptime.saturating_sub(time);
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

/// How long the machine has run, sleep included.
fn uptime() -> Duration {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(uptime).unwrap_or_default()
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
        let uptime_ms = u64::try_from(uptime().as_millis()).unwrap_or(u64::MAX);
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
    at: Elapsed,
}

impl TrustedTime {
    /// Starts at the persisted floor.
    pub(crate) fn new(floor_ms: u64, now: Elapsed) -> Self {
        Self { floor_ms, at: now }
    }

    /// Returns it: milliseconds since the epoch.
    pub(crate) fn at(&self, now: Elapsed) -> u64 {
        let passed = now.saturating_sub(self.at).as_millis();
        self.floor_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Takes note of a time that the core vouches for. An older one changes nothing.
    pub(crate) fn observe(&mut self, ms: u64, now: Elapsed) {
        if ms > self.at(now) {
            *self = Self { floor_ms: ms, at: now };
        }
    }
}

const DAY_MS: u64 = 86_400_000;

/// The longest leap of trusted time that is taken on a core's word: a site that was stored away for a year.
const LONGEST_LEAP_MS: u64 = 400 * DAY_MS;

/// Trusted time for all parts of the agent: what one learns of it, all know.
#[derive(Debug, Clone)]
pub(crate) struct SharedTime {
    clock: Clock,
    time: Arc<Mutex<TrustedTime>>,
}

impl SharedTime {
    /// Starts at the persisted floor.
    pub(crate) fn new(floor_ms: u64, clock: Clock) -> Self {
        Self { clock, time: Arc::new(Mutex::new(TrustedTime::new(floor_ms, clock.elapsed()))) }
    }

    /// Returns it: milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.time.lock().at(self.clock.elapsed())
    }

    /// Takes note of a time that a core says it was, by a clock that may be wrong for a moment: a leap that is longer than any
    /// machine is switched off is believed only if the wall clock, `wall_ms`, has it too. What was believed once is not
    /// taken back, and certificates would be over that are not.
    pub(crate) fn observe_claim(&self, ms: u64, wall_ms: u64) {
        if ms <= self.now_ms().saturating_add(LONGEST_LEAP_MS) || ms <= wall_ms.saturating_add(DAY_MS) {
            self.observe_ms(ms);
        }
    }

    /// Takes note of a time that was signed. An older one changes nothing.
    pub(crate) fn observe_ms(&self, ms: u64) {
        self.time.lock().observe(ms, self.clock.elapsed());
    }
}

impl LinkTime for SharedTime {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms())
    }

    fn observe(&self, at: Timestamp) {
        self.observe_ms(at.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of leaps: on time, a year of storage, a core whose clock is ten years ahead, and a machine that agrees with it.
    #[test]
    fn a_leap_of_years_is_believed_only_with_the_wall_clock() {
        let start = 1_800_000_000_000;
        for (days, wall_days, is_believed) in
            [(1, 0, true), (390, 0, true), (3_650, 0, false), (3_650, 3_650, true), (3_650, 3_640, false)]
        {
            let time = SharedTime::new(start, Clock::start());
            time.observe_claim(start + days * DAY_MS, start + wall_days * DAY_MS);
            assert_eq!(time.now_ms() >= start + days * DAY_MS, is_believed, "{days} {wall_days}");
        }
    }

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
