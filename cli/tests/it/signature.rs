//! `skerry explain --policy-source`: who vouches for the commit that is explained.

use std::path::PathBuf;
use std::process::Command;

use crate::folder::Folder;
use crate::policy::SHOP;
use crate::run::{Ran, skerry};

/// A clone of Ada's, and beside it an SSH key and files with a `PolicySource`.
struct Desk {
    clone: Folder,
    beside: Folder,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { clone: Folder::committed(SHOP), beside: Folder::empty() };
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(desk.key());
        assert!(keygen.status().unwrap().success());
        desk
    }

    fn key(&self) -> PathBuf {
        self.beside.path().join("key")
    }

    /// Commits nothing, signed.
    fn sign(&self) {
        let signing_key = format!("user.signingKey={}", self.key().display());
        let commit = ["commit", "-q", "--allow-empty", "-S", "-m", "signed"];
        self.clone.git(&[&["-c", "gpg.format=ssh", "-c", &signing_key], &commit[..]].concat());
    }

    /// Writes a `PolicySource` that lets the key sign as somebody.
    fn allow(&self, file: &str, principal: &str) {
        let public = std::fs::read_to_string(self.key().with_extension("pub")).unwrap();
        let signer = format!("{{principals: ['{principal}'], sshKey: {}}}", public.trim());
        self.source(
            file,
            &format!("\n  url: /x\n  verify:\n    allowedSignersFile: more\n    signers: [{signer}]\n"),
        );
    }

    fn source(&self, file: &str, spec: &str) {
        let head = "apiVersion: skerry.dev/v1alpha1\nkind: PolicySource\nmetadata: {name: fleet}\n";
        self.beside.write(file, format!("{head}spec:{spec}\n"));
    }

    fn explain(&self, args: &[&str]) -> Ran {
        let field = ["explain", "httproute", "shop/reviews", "spec.rules[0].name", "--site", "harbour"];
        skerry(self.clone.path(), &[&field, args].concat())
    }

    fn explain_with(&self, file: &str, args: &[&str]) -> Ran {
        let file = self.beside.path().join(file);
        self.explain(&[args, &["--policy-source", file.to_str().unwrap()]].concat())
    }
}

/// What is said of the commit.
fn said(ran: &Ran) -> String {
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix("at commit "));
    line.and_then(|line| Some(line.split_once(": ")?.1.to_owned())).unwrap_or_else(|| ran.to_string())
}

#[test]
fn the_commit_that_is_explained_is_held_against_the_signers_of_a_policy_source() {
    let desk = Desk::new();
    desk.allow("ada.yaml", "*@example.com");
    desk.allow("bob.yaml", "bob@example.com");
    desk.beside.write("more", "* cert-authority ssh-ed25519 AAAA\n");
    assert_eq!(said(&desk.explain(&[])), "not signed");
    assert_eq!(said(&desk.explain_with("ada.yaml", &[])), "not signed");

    desk.sign();

    assert_eq!(said(&desk.explain(&[])), "signed, not checked");
    assert_eq!(said(&desk.explain_with("ada.yaml", &["--rev", "HEAD~1"])), "not signed");
    let verified = desk.explain_with("ada.yaml", &[]);
    assert_eq!(said(&verified), "verified, signed by ada@example.com");
    assert!(verified.stderr.contains("more:1: warning[Unsupported]: certificate authorities"), "{verified}");
    let other = said(&desk.explain_with("bob.yaml", &[]));
    assert!(other.starts_with("not trusted: the commit is signed by SSH key SHA256:"), "{other}");
    assert!(other.ends_with("of bob@example.com, but its committer is ada@example.com"), "{other}");
}

#[test]
fn programs_are_told_too() {
    let desk = Desk::new();
    desk.allow("ada.yaml", "*@example.com");
    desk.sign();
    let ran = desk.explain_with("ada.yaml", &["--rev", "main", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let revision = &json["revision"];
    assert!(revision["name"].as_str().unwrap().starts_with("main@sha1:"), "{json}");
    assert_eq!(revision["signature"], serde_json::json!({"check": "Verified", "signer": "ada@example.com"}));
}

#[test]
fn a_file_that_does_not_say_who_may_sign_is_an_error() {
    let desk = Desk::new();
    desk.source("silent.yaml", " {url: /x}");
    desk.source("wrong.yaml", " {url: /x, verify: {mode: HEAD}}");
    desk.beside.write("other.yaml", "kind: Site\n---\nkind: Site\n");
    for (file, words) in [
        ("silent.yaml", "does not say who may sign\nhelp: add `spec.verify`"),
        ("wrong.yaml", "`HEAD` is not a value of this field"),
        ("other.yaml", "help: put one PolicySource into the file"),
        ("gone.yaml", "help: name the file with the PolicySource"),
    ] {
        let ran = desk.explain_with(file, &[]);
        assert!(ran.code == 3 && ran.stderr.contains(words), "{ran}");
    }
}
