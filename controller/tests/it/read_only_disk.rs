//! A disk that goes read-only under the program itself, as after an error of the medium: what is published is served,
//! status says what is wrong, and it goes on by itself when the disk can be written again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::full_disk::{FULL, keeps_again, limit, serves_and_keeps_nothing};
use crate::program::Running;
use crate::rig::core::{Home, TestCore};
use crate::rig::policies::{SHOP, route};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::until;

/// A folder that is a disk of its own, in a mount namespace; gone when it is dropped.
struct Disk {
    holder: Child,
    folder: PathBuf,
}

impl Disk {
    /// Makes one; says so where that is not possible: it takes root.
    fn mount(folder: &Path) -> Option<Self> {
        fs_err::create_dir_all(folder).expect("a folder can be made");
        let script = format!("mount -t tmpfs -o size=64m x {} && exec sleep 3600", folder.display());
        let holder =
            Command::new("unshare").args(["--mount", "sh", "-c", &script]).stderr(Stdio::null()).spawn();
        let Ok(mut holder) = holder else { return skip() };
        let line = PathBuf::from(format!("/proc/{}/cmdline", holder.id()));
        while !fs_err::read(&line).is_ok_and(|line| line.starts_with(b"sleep")) {
            if holder.try_wait().expect("it can be asked for").is_some() {
                return skip();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { holder, folder: folder.to_owned() })
    }

    fn namespace(&self) -> String {
        format!("--mount=/proc/{}/ns/mnt", self.holder.id())
    }

    /// Where it is seen from here.
    fn seen(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), self.folder.display()))
    }

    /// Mounts it anew, `ro` or `rw`; false while somebody has a file on it open for writing.
    fn remount(&self, mode: &str) -> bool {
        let mut command = Command::new("nsenter");
        command.arg(self.namespace()).args(["mount", "-o", &format!("remount,{mode}")]).arg(&self.folder);
        command.stderr(Stdio::null()).status().expect("nsenter can be started").success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may have ended.
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

fn skip() -> Option<Disk> {
    let words = b"skipped: a disk of its own needs root and a mount namespace\n";
    let _unheard = std::io::stderr().write_all(words);
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_stops_nothing_that_is_served_and_ends_by_itself() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let Some(disk) = Disk::mount(&home.data_dir()) else { return };
    let program = Running::start_deaf_under(&["nsenter", &disk.namespace(), "--", "sh"], &home);
    let core = TestCore::of_program_at(&home, &disk.seen()).await;
    core.source_when("the first revision", |source| !source.revision.is_empty()).await;
    // Who comes later is enrolled while that can be kept.
    drop(core.agent("s2").await);
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;
    assert_eq!(site.report(&core, 1).await, 1);

    // The kernel mounts nothing read-only while a file is open for writing. The core closes its store after a write that
    // fails, so it is made to fail first.
    limit(&program.0, Some(FULL));
    let commit = repository.commit("move", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;
    core.source_when("the error", |source| !source.error.is_empty()).await;
    until("the disk is read-only", || async { disk.remount("ro").then_some(()) }).await;
    limit(&program.0, None);

    let is_told = |source: &skerry_proto::v1::SourceStatus| source.error.contains("Read-only file system");
    let source = core.source_when("the reason", is_told).await;
    assert!(source.error_help.contains("may be written"), "{}", source.error_help);
    serves_and_keeps_nothing(&mut site, &core).await;

    assert!(disk.remount("rw"));
    core.compiled(&commit).await;
    keeps_again(&mut site, &core).await;
    drop(program);
}
