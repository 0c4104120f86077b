//! Loopback networks for sites: each has a part of 127/8 that nobody else has at the same time, and what a killed run of
//! the tests left behind in its folders is ended.

use std::fs::File;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How the names of the folders of sites begin.
const PREFIX: &str = "sk-site-";

/// The file in a site's folder that is locked for the life of the site.
const LOCK: &str = "site.lock";

/// Claims a second octet: `127.N.0.0/20` is the caller's as long as it keeps the file.
///
/// The locks are those of the harness in `tests/`, so both may run at the same time.
pub(crate) fn claim() -> (u8, File) {
    let folder = std::env::temp_dir().join("skerry-net");
    fs_err::create_dir_all(&folder).unwrap();
    let mut free = (64..255).filter_map(|octet| Some((octet, lock(&folder.join(format!("127.{octet}.0")))?)));
    free.next().expect("one of 191 networks is free")
}

fn lock(path: &Path) -> Option<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

/// Makes the folder of a site, and the first time ends the sites of runs that were killed.
pub(crate) fn make_folder() -> (tempfile::TempDir, File) {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| end_broken_sites(&std::env::temp_dir()));
    let folder = tempfile::Builder::new().prefix(PREFIX).rand_bytes(5).tempdir().unwrap();
    // It appears locked: nobody takes a site for broken that has just begun.
    let draft = folder.path().join("site.lock.draft");
    let file = lock(&draft).unwrap();
    fs_err::rename(draft, folder.path().join(LOCK)).unwrap();
    (folder, file)
}

fn end_broken_sites(root: &Path) {
    for entry in fs_err::read_dir(root).into_iter().flatten().flatten() {
        let is_site = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let file = entry.path().join(LOCK);
        if is_site && file.exists() && lock(&file).is_some() {
            end_all(&entry.path());
            let _somebody_else_did = fs_err::remove_dir_all(entry.path());
        }
    }
}

/// Kills every process whose command line names a folder, until none is left: agents, launchers, Envoys.
pub(crate) fn end_all(folder: &Path) {
    // A launcher may start one more while it is being ended; it is gone in the next round.
    for _ in 0..100 {
        let left = named(folder);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that has ended has no command line, whether it is reaped or not.
fn named(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_string_lossy();
    let names_it = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*folder)
    };
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(names_it).filter_map(Pid::from_raw).collect()
}

#[test]
fn what_a_killed_run_left_is_ended() {
    // Other runs sweep the folder where sites usually are.
    let root = tempfile::tempdir().unwrap();
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root.path()).unwrap();
    fs_err::write(folder.path().join(LOCK), "").unwrap();
    // What tells the process apart is its command line.
    let mark = folder.path().join("data");
    let mut left = std::process::Command::new("sh");
    let mut left = left.args(["-c", "while :; do sleep 0.1; done"]).arg(&mark).spawn().unwrap();
    // The kernel lets go of who started it a moment before it has its command line.
    while named(folder.path()).is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    end_broken_sites(root.path());
    assert!(!left.wait().unwrap().success(), "it was killed");
    assert!(!folder.path().exists());
}
