//! Clocks of processes, moved at will: what these read is the machine's, and an offset that a test sets while they run.
//!
//! A small library (`clock/clock.c`) that the dynamic linker loads before all others. Clocks that timers run by are left alone, so a
//! process does in a moment what falls due in years, and nothing of it is slower or faster than it is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider as _};

use crate::run::Run;

/// The source of the library.
const SOURCE: &str = include_str!("../clock/clock.c");

const SECOND: i64 = 1_000_000_000;

/// Clocks that some processes share.
#[derive(Debug, Clone)]
pub struct Clocks {
    library: PathBuf,
    path: PathBuf,
    file: Arc<File>,
    /// What is added to the wall clock and to the one that counts from the machine's start: nanoseconds.
    offsets: Arc<Mutex<[i64; 2]>>,
}

impl Clocks {
    /// Makes clocks of this name that show what the machine's show.
    pub fn new(run: &Run, name: &str) -> Result<Self> {
        let library = compile(run.folder())?;
        let path = run.folder().join(format!("{name}.clock"));
        let file = File::options().create(true).truncate(true).write(true).open(&path)?;
        let clocks = Self { library, path, file: Arc::new(file), offsets: Arc::default() };
        clocks.change(|_| {})?;
        Ok(clocks)
    }

    /// The variables of a process that has them, and of those that it starts.
    pub fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library.clone()), ("SKERRY_TEST_CLOCK", self.path.clone())]
    }

    /// Lets time pass, as on a machine that sleeps: timers do not count it, and all clocks do.
    pub fn pass(&self, time: Duration) -> Result<()> {
        let nanoseconds = i64::try_from(time.as_nanos()).context("a test lasts no centuries")?;
        self.change(|offsets| offsets.iter_mut().for_each(|offset| *offset += nanoseconds))
    }

    /// Sets the wall clock that much ahead, or back.
    pub fn step_wall(&self, seconds: i64) -> Result<()> {
        self.change(|[wall, _]| *wall += seconds * SECOND)
    }

    /// Sets the wall clock to a time: seconds since 1970.
    pub fn set_wall(&self, seconds: u64) -> Result<()> {
        self.step_wall(i64::try_from(seconds)? - i64::try_from(self.wall()?)?)
    }

    /// What the wall clock shows: seconds since 1970.
    pub fn wall(&self) -> Result<u64> {
        let now = DefaultTimeProvider.current_time().context("the machine has a clock")?.as_secs();
        let offset = self.offsets.lock().unwrap_or_else(PoisonError::into_inner)[0] / SECOND;
        now.checked_add_signed(offset).context("it is before 1970")
    }

    /// Changes both in one write: a process that reads one then reads the other.
    fn change(&self, change: impl FnOnce(&mut [i64; 2])) -> Result<()> {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut offsets);
        Ok(self.file.write_all_at(offsets.map(i64::to_ne_bytes).as_flattened(), 0)?)
    }
}

/// Compiles the library into a folder, once.
fn compile(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("clock.so");
    if library.exists() {
        return Ok(library);
    }
    let source = folder.join("clock.c");
    fs_err::write(&source, SOURCE)?;
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
    let output = command.output().context("there is no C compiler (`cc`)")?;
    ensure!(
        output.status.success(),
        "the library does not compile: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(library)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Binaries;

    /// What a process reads: the wall clock.
    fn seen(clocks: &Clocks) -> u64 {
        let output = Command::new("date").arg("+%s").envs(clocks.variables()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_process_sees_the_clock_that_it_is_given() {
        let run = Run::new(Binaries::new("/nowhere".into(), None)).unwrap();
        let clocks = Clocks::new(&run, "test").unwrap();
        let is_near = |seen: u64, expected: u64| seen.abs_diff(expected) <= 60;
        assert!(is_near(seen(&clocks), clocks.wall().unwrap()));
        for year in [0, 2_147_483_648, 1_000_000_000] {
            clocks.set_wall(year).unwrap();
            assert!(is_near(seen(&clocks), year), "{year}");
        }
        clocks.pass(Duration::from_secs(3_600)).unwrap();
        assert!(is_near(seen(&clocks), 1_000_003_600));
    }
}
