//! Commits that real `git` signs with real `ssh-keygen` and `gpg`: what `git verify-commit` trusts is trusted here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use skerry_crds::policy_source::SignerKey;
use skerry_gitops::history::History;
use skerry_gitops::provenance::Verdict;
use tempfile::TempDir;

use super::signed::{ADA, NOW, Source, signer};

/// A repository, and a home in which keys are kept.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.git(&["init", "--quiet", "--initial-branch=main"]);
        desk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GNUPGHOME", self.path().join("gnupg"));
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        self.run("git", &[&who, arguments].concat())
    }

    /// Commits nothing, signed; `how` are settings of Git.
    fn commit(&self, how: &[&str], arguments: &[&str]) {
        let how: Vec<&str> = how.iter().flat_map(|setting| ["-c", *setting]).collect();
        let commit = ["commit", "--quiet", "--allow-empty", "--message", "a commit", "--gpg-sign"];
        self.git(&[&how[..], &commit, arguments].concat());
    }

    /// Makes an SSH key; returns the setting that signs with it, and the public key.
    fn ssh_key(&self, name: &str, kind: &[&str]) -> (String, String) {
        self.run("ssh-keygen", &[&["-q", "-N", "", "-C", "ada", "-f", name], kind].concat());
        let path = self.path().join(name);
        let public = fs::read_to_string(path.with_extension("pub")).unwrap();
        (format!("user.signingKey={}", path.display()), public)
    }

    /// What is found about HEAD.
    fn verify(&self, source: &Source) -> Verdict {
        let history = History::open(self.path()).unwrap();
        let head = history.resolve("HEAD").unwrap().commit;
        history.verify(head, &source.signers(), NOW).unwrap()
    }

    /// Whether Git itself trusts HEAD.
    fn git_trusts(&self, allowed_signers: &str) -> bool {
        fs::write(self.path().join("allowed"), allowed_signers).unwrap();
        let setting = format!("gpg.ssh.allowedSignersFile={}", self.path().join("allowed").display());
        let Output { status, .. } =
            self.command("git", &["-c", &setting, "verify-commit", "HEAD"]).output().unwrap();
        status.success()
    }
}

fn trusted() -> Verdict {
    Verdict::Trusted { signer: ADA.to_owned() }
}

#[test]
fn commits_that_git_signs_with_ssh_keys_are_verified() {
    let kinds: [&[&str]; 5] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
    ];
    let desk = Desk::new();
    for (place, kind) in kinds.into_iter().enumerate() {
        let (signing_key, public) = desk.ssh_key(&format!("key-{place}"), kind);
        desk.commit(&["gpg.format=ssh", &signing_key], &[]);
        let allowed = format!("ada@example.org {public}");
        assert_eq!(desk.verify(&Source::with(Vec::new()).allowed(&*allowed)), trusted(), "{kind:?}");
        assert!(desk.git_trusts(&allowed), "{kind:?}");
    }
}

/// For each line of `allowed_signers`, this and Git come to the same.
#[test]
fn lines_of_allowed_signers_mean_what_they_mean_to_git() {
    let desk = Desk::new();
    let (signing_key, public) = desk.ssh_key("key", &["-t", "ed25519"]);
    let (_, other) = desk.ssh_key("other", &["-t", "ed25519"]);
    // Git takes the time from the commit, and here it is that of the core: both are the same.
    let date = format!("@{NOW} +0000");
    let mut commit = desk.command("git", &["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
    commit.args([
        "-c",
        "gpg.format=ssh",
        "-c",
        &signing_key,
        "commit",
        "--quiet",
        "--allow-empty",
        "-S",
        "-m",
        "x",
    ]);
    let committed = commit.env("GIT_COMMITTER_DATE", &date).env("GIT_AUTHOR_DATE", &date).status().unwrap();
    assert!(committed.success());
    let lines = [
        ("* {}", true),
        ("ada@example.org {}", true),
        ("*@example.org,!bob@example.org namespaces=\"git\" {}", true),
        ("\"ada@example.org\" namespaces=\"file,g?t\" {}", true),
        ("* namespaces=\"file\" {}", false),
        ("* valid-after=\"20251231Z\",valid-before=\"20260102Z\" {}", true),
        ("* valid-after=\"20260102Z\" {}", false),
        ("* valid-before=\"20251231Z\" {}", false),
        ("* valid-before=\"20260101000000Z\" {}", true),
        ("* cert-authority {}", false),
    ];
    for (line, expected) in lines {
        let allowed = format!("* {other}{}", line.replace("{}", &public));
        let loaded = Source::with(Vec::new()).allowed(&*allowed).load();
        let history = History::open(desk.path()).unwrap();
        let head = history.resolve("HEAD").unwrap().commit;
        let verdict = history.verify(head, &loaded.signers, NOW).unwrap();
        assert_eq!(verdict == trusted(), expected, "{line}: {verdict:?}");
        assert_eq!(desk.git_trusts(&allowed), expected, "Git: {line}");
    }
}

/// A signed merge vouches for the branch that it merges, signed or not; an unsigned one vouches for nothing.
#[test]
fn of_a_merge_the_merge_itself_is_checked() {
    let desk = Desk::new();
    let (signing_key, public) = desk.ssh_key("key", &["-t", "ed25519"]);
    let source = Source::with(Vec::new()).allowed(format!("ada@example.org {public}"));
    let ssh = ["-c", "gpg.format=ssh", "-c", &signing_key];
    desk.commit(&["gpg.format=ssh", &signing_key], &[]);
    desk.git(&["checkout", "--quiet", "-b", "topic"]);
    desk.git(&["commit", "--quiet", "--allow-empty", "--message", "not signed"]);
    assert_eq!(desk.verify(&source), Verdict::Unsigned);
    let merge = ["merge", "--quiet", "--no-ff", "--message", "merge", "topic"];
    desk.git(&["checkout", "--quiet", "-b", "signed", "main"]);
    desk.git(&[&ssh[..], &merge, &["--gpg-sign"]].concat());
    assert_eq!(desk.verify(&source), trusted());
    desk.git(&["checkout", "--quiet", "-b", "unsigned", "main"]);
    desk.git(&merge);
    assert_eq!(desk.verify(&source), Verdict::Unsigned);
}

#[test]
#[expect(clippy::print_stderr, reason = "says that it was skipped")]
fn commits_that_git_signs_with_gpg_are_verified() {
    if Command::new("gpg").arg("--version").output().is_err() {
        eprintln!("skipped: there is no gpg");
        return;
    }
    let desk = Desk::new();
    fs::create_dir(desk.path().join("gnupg")).unwrap();
    let quietly = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""];
    let kinds: [(&str, &str); 3] = [("ed25519", "sign"), ("rsa2048", "sign"), ("ed25519", "cert")];
    for (place, (algorithm, usage)) in kinds.into_iter().enumerate() {
        let user = format!("Ada {place} <ada@example.org>");
        desk.run("gpg", &[&quietly[..], &["--quick-gen-key", &user, algorithm, usage, "never"]].concat());
        let listed = desk.run("gpg", &["--batch", "--with-colons", "--list-keys", &user]);
        let print = listed
            .lines()
            .find(|line| line.starts_with("fpr:"))
            .unwrap()
            .split(':')
            .nth(9)
            .unwrap()
            .to_owned();
        if usage == "cert" {
            desk.run(
                "gpg",
                &[&quietly[..], &["--quick-add-key", &print, algorithm, "sign", "never"]].concat(),
            );
        }
        desk.commit(&["gpg.format=openpgp", &format!("user.signingKey={print}")], &[]);
        let public = desk.run("gpg", &["--batch", "--armor", "--export", &print]);
        let source = Source::with(vec![signer(SignerKey::OpenPgp(public))]);
        // Keys of gpg are as old as this test, and the time of the other tests is before that.
        let history = History::open(desk.path()).unwrap();
        let head = history.resolve("HEAD").unwrap().commit;
        let later = history.verify(head, &source.signers(), 4_000_000_000).unwrap();
        assert_eq!(later, trusted(), "{algorithm} {usage}");
        assert!(desk.git_trusts(""), "{algorithm} {usage}");
        let early = desk.verify(&source);
        assert!(early.reason().contains("not valid before"), "{}", early.reason());
    }
    desk.run("gpgconf", &["--kill", "all"]);
}
