//! SSH with the real `sshd`, where there is one: keys and host keys. Skipped with a message elsewhere.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use skerry_gitops::credentials::{Credentials, Secret};
use skerry_gitops::fetch_error::FetchError;
use skerry_gitops::mirror::Head;

use crate::fetch::{branch, mirror};
use crate::repository::{MAIN, TestRepo, service};

/// An SSH server for the current user, with the keys that the cases need.
struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    user: String,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Sshd {
    /// Starts one; `None`, with a message, where that is not possible.
    fn start() -> Option<Self> {
        let found = program().filter(|_| is_separable());
        if found.is_none() {
            // Past the harness, which keeps what a passing test prints to itself.
            let words = b"skipped: there is no sshd here that could run (package openssh-server)\n";
            let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words);
        }
        Self::start_with(&found?)
    }

    fn start_with(sshd: &Path) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| dir.path().join(name);
        for (name, passphrase) in [("host", ""), ("user", ""), ("locked", "open sesame"), ("stranger", "")] {
            keygen(&["-t", "ed25519", "-N", passphrase, "-f"], &path(name));
        }
        let public = |name: &str| fs::read_to_string(path(&format!("{name}.pub"))).unwrap();
        fs::write(path("authorized_keys"), public("user") + &public("locked")).unwrap();
        let host = public("host").split(' ').take(2).collect::<Vec<_>>().join(" ");
        let stranger = public("stranger").split(' ').take(2).collect::<Vec<_>>().join(" ");
        fs::write(path("known"), format!("[127.0.0.1]:{port} {host}\n")).unwrap();
        fs::write(path("hashed"), format!("[127.0.0.1]:{port} {host}\n")).unwrap();
        keygen(&["-H", "-f"], &path("hashed"));
        fs::write(path("unlisted"), format!("git.example.org {host}\n")).unwrap();
        fs::write(path("different"), format!("[127.0.0.1]:{port} {stranger}\n")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            path("host").display(),
            path("authorized_keys").display()
        );
        fs::write(path("config"), config).unwrap();
        let mut process = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(path("config"))
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let log = BufReader::new(process.stderr.take()?);
        let is_up = is_said(log, "Server listening");
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap().trim().to_owned();
        let sshd = Self { dir, port, user, process };
        assert!(is_up, "sshd does not listen");
        Some(sshd)
    }

    fn fetch(
        &self,
        repository: &Path,
        key: &str,
        passphrase: Option<&str>,
        known_hosts: &str,
    ) -> Result<Head, FetchError> {
        let address = format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, repository.display());
        let credentials = Credentials::SshKey {
            private_key: self.dir.path().join(key),
            passphrase: passphrase.map(Secret::new),
            known_hosts: self.dir.path().join(known_hosts),
        };
        let dir = tempfile::tempdir().unwrap();
        mirror(dir.path(), &address).fetch(&branch(MAIN), &credentials, Duration::from_secs(60))
    }
}

/// Waits, for a minute, until a line with these words comes. Reads on until the end, so that the writer never blocks.
fn is_said(log: BufReader<impl Read + Send + 'static>, words: &'static str) -> bool {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok).filter(|line| line.contains(words)) {
            send.send(line).ok();
        }
    });
    receive.recv_timeout(Duration::from_secs(60)).is_ok()
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("sshd")).find(|sshd| sshd.exists())
}

/// As root, sshd needs the user and the folder of its privilege separation.
fn is_separable() -> bool {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    !is_root || (users.lines().any(|line| line.starts_with("sshd:")) && Path::new("/run/sshd").exists())
}

fn keygen(arguments: &[&str], file: &Path) {
    let status = Command::new("ssh-keygen").arg("-q").args(arguments).arg(file).output();
    assert!(status.unwrap().status.success());
}

#[test]
fn a_key_and_a_known_host_are_enough() {
    let Some(sshd) = Sshd::start() else { return };
    let repo = TestRepo::new();
    let commit = repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);

    for (key, passphrase, known_hosts) in
        [("user", None, "known"), ("user", None, "hashed"), ("locked", Some("open sesame"), "known")]
    {
        let head = sshd.fetch(repo.path(), key, passphrase, known_hosts);
        assert_eq!(head.map(|head| head.commit), Ok(commit), "{key} {known_hosts}");
    }
}

#[test]
fn a_host_that_is_not_known_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);

    for (known_hosts, why) in [
        ("unlisted", "known_hosts does not list it"),
        ("different", "known_hosts lists another key for it"),
        ("absent", "cannot be read"),
    ] {
        let error = sshd.fetch(repo.path(), "user", None, known_hosts).unwrap_err();
        let FetchError::HostKeyUnknown { reason, fingerprint, key_type, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(reason.contains(why), "{known_hosts}: {reason}");
        assert!(fingerprint.starts_with("SHA256:") && key_type == "ssh-ed25519", "{error}");
    }
}

#[test]
fn a_key_that_is_not_authorized_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let repo = TestRepo::new();
    repo.commit(MAIN, &[("a.yaml", &service("cart", 80))]);

    for (key, passphrase) in
        [("stranger", None), ("locked", Some("wrong")), ("locked", None), ("absent", None)]
    {
        let error = sshd.fetch(repo.path(), key, passphrase, "known").unwrap_err();
        assert!(matches!(error, FetchError::AuthenticationFailed { .. }), "{key}: {error:?}");
    }
}

#[test]
fn a_repository_that_is_not_there_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let error = sshd.fetch(Path::new("/nowhere/policies.git"), "user", None, "known").unwrap_err();
    assert!(matches!(error, FetchError::NotARepository { .. }), "{error:?}");
}
