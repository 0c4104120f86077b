//! The program itself: its options, its exit codes, the files it leaves, and signals.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::rig::core::Home;
use crate::rig::policies::SHOP;
use crate::rig::repository::Repository;

fn program<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skerry-controller"));
    command.args(arguments).env_remove("SKERRY_LOG");
    command
}

pub(crate) fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    program(arguments).output().expect("the program starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_source_file_is_named_with_its_line_and_the_exit_code_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.yaml");
    let bad = "apiVersion: skerry.dev/v1alpha1\nkind: PolicySource\nmetadata: {name: p}\nspec:\n  url: ftp://host/x\n";
    fs_err::write(&path, bad).unwrap();
    let data_dir = folder.path().join("data");
    let (source, data) = (path.to_str().unwrap(), data_dir.to_str().unwrap());

    let output = run(&["--source", source, "--data-dir", data]);

    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("source.yaml:5:"), "{error}");
    assert!(error.contains("help: "), "{error}");
    let missing = run(&["--source", "/nothing/here.yaml", "--data-dir", data]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        text(&missing.stderr).contains("/nothing/here.yaml: cannot be read"),
        "{}",
        text(&missing.stderr)
    );
    assert!(!data_dir.exists(), "nothing is made");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let source = home.source_file();
    let data = home.data_dir();
    let line = ["--source", source.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let output = run(&[&line[..], &["--webhook-listen", "0.0.0.0:7443"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("--webhook-listen 0.0.0.0:7443: only loopback"), "{error}");
}

#[test]
fn an_empty_sealing_key_is_an_error_and_no_other_is_made() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let output =
        program(&Running::arguments(&home)).env("SKERRY_SEAL_KEY", "").output().expect("the program starts");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("the variable SKERRY_SEAL_KEY is empty (help: "), "{error}");
    assert!(!home.data_dir().join("seal.key").exists());
}

/// A started program; killed when the test fails.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    pub(crate) fn arguments(home: &Home) -> [OsString; 8] {
        let any = "127.0.0.1:0";
        let (source, data) = (home.source_file(), home.data_dir());
        let options = [("--source", source), ("--data-dir", data)];
        let [one, two] = options.map(|(name, path)| [name.into(), path.into_os_string()]);
        let [three, four] = ["--listen", "--webhook-listen"].map(|name| [name.into(), any.into()]);
        let all = [one, two, three, four].concat();
        all.try_into().expect("four options have eight words")
    }

    /// Starts it so that a file over the limit is an error, as a full disk is, and not a signal.
    pub(crate) fn start_deaf_to_limits(home: &Home) -> Self {
        Self::start_deaf_under(&["sh"], home)
    }

    /// The same by a shell that these words start.
    pub(crate) fn start_deaf_under(shell: &[&str], home: &Home) -> Self {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]);
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_skerry-controller")]);
        // A log that is a file would have the limit too.
        command.args(Self::arguments(home)).env_remove("SKERRY_LOG").stderr(Stdio::null());
        Self(command.spawn().expect("the program starts"))
    }

    fn start(home: &Home) -> Self {
        let mut command = program(&Self::arguments(home));
        Self(command.stderr(Stdio::piped()).spawn().expect("the program starts"))
    }

    fn terminate(&mut self) -> (i32, String) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill can be started").success());
        let code = self.0.wait().expect("it ends").code().expect("it ends by itself");
        let mut log = String::new();
        self.0.stderr.take().expect("it is piped").read_to_string(&mut log).expect("the log is text");
        (code, log)
    }
}

fn wait_for(path: &Path) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Ok(text) = fs_err::read_to_string(path) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} does not appear", path.display());
}

#[test]
fn it_writes_where_it_listens_and_ends_well_on_sigterm() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let mut program = Running::start(&home);

    let webhook = wait_for(&home.data_dir().join("webhook"));
    let listen = wait_for(&home.data_dir().join("listen"));
    for address in [&listen, &webhook] {
        let address: std::net::SocketAddr = address.trim().parse().unwrap();
        assert!(address.ip().is_loopback() && address.port() > 0);
        std::net::TcpStream::connect(address).unwrap();
    }
    // A second core of the same folder says so and leaves the first alone.
    let second = run(&Running::arguments(&home));
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains("another core uses the folder"), "{}", text(&second.stderr));
    assert_eq!(wait_for(&home.data_dir().join("listen")), listen);

    let (code, log) = program.terminate();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("stopping"), "{log}");
}
