//! Real Envoys: one process each, with its own folder and its own addresses.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use skerry_xds::bootstrap::{Bootstrap, BootstrapOptions, NodeId, static_bootstrap, to_pb};
use skerry_xds::json::to_json;
use skerry_xds::resource::ResourceSet;

/// No Envoy that works needs so long, on any machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running Envoy; ends with its value.
pub(crate) struct Envoy {
    process: Child,
    admin: PathBuf,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// A /24 of the loopback network that no other test of this process uses, and hardly one of another.
pub(crate) fn free_cidr() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = u8::try_from(std::process::id() % 150).unwrap() + 100;
    Ipv4Addr::new(127, process, NEXT.fetch_add(1, Ordering::Relaxed), 0).to_string() + "/24"
}

/// The node of every proxy in these tests.
pub(crate) fn node() -> NodeId {
    NodeId { id: "test/shop/client-1".to_owned(), cluster: "test".to_owned() }
}

impl Envoy {
    /// Starts an Envoy that serves a set by itself, from JSON, and waits until it does.
    pub(crate) fn serve(set: &ResourceSet) -> Self {
        let envoy = Self::start(|options| static_bootstrap(set, &node(), options), Format::Json);
        envoy.wait_until_ready();
        envoy
    }

    /// Starts an Envoy from a start file; the options hold its admin socket.
    pub(crate) fn start(bootstrap: impl FnOnce(&BootstrapOptions) -> Bootstrap, format: Format) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = folder.path().join("admin.sock");
        let log = folder.path().join("log");
        let file = format.write(folder.path(), &bootstrap(&options(&admin)));
        let process = Command::new(binary())
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "-c"])
            .arg(file)
            .stderr(fs_err::File::create(&log).unwrap().into_parts().0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, admin, log, _folder: folder }
    }

    /// Waits until all of the first configuration is served.
    pub(crate) fn wait_until_ready(&self) {
        self.wait_until("it is ready", |envoy| {
            envoy.admin("/ready").is_some_and(|answer| answer.contains("LIVE"))
        });
    }

    /// Polls until something holds; panics with Envoy's log after the deadline.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < DEADLINE, "Envoy: not yet that {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks the admin interface; `None` if it does not answer yet.
    pub(crate) fn admin(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.admin).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// What Envoy wrote so far.
    pub(crate) fn log(&self) -> String {
        fs_err::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a start file is written.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    Json,
    Protobuf,
}

impl Format {
    fn write(self, folder: &Path, bootstrap: &Bootstrap) -> PathBuf {
        match self {
            Self::Json => {
                let file = folder.join("envoy.json");
                fs_err::write(&file, to_json(bootstrap).unwrap()).unwrap();
                file
            }
            Self::Protobuf => {
                let file = folder.join("envoy.pb");
                fs_err::write(&file, to_pb(bootstrap)).unwrap();
                file
            }
        }
    }
}

/// Asks Envoy whether it takes a set; the error is what it wrote.
pub(crate) fn validate(set: &ResourceSet) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("admin.sock"));
    let file = Format::Json.write(folder.path(), &static_bootstrap(set, &node(), &options));
    let output = Command::new(binary()).args(["--mode", "validate", "-c"]).arg(file).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn options(admin: &Path) -> BootstrapOptions {
    BootstrapOptions { admin_socket: Some(admin.to_owned()), ..BootstrapOptions::default() }
}

#[expect(clippy::disallowed_methods, reason = "the one place where these tests are told of Envoy")]
fn binary() -> PathBuf {
    match std::env::var("ENVOY") {
        Ok(path) => path.into(),
        Err(_) => panic!("the tests need Envoy 1.40 in $ENVOY: run `cargo xtask test`, which fetches it"),
    }
}
