//! Host keys against `known_hosts` files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use skerry_gitops::known_hosts::{HostKey, check};

const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519 the right key";

fn line(hosts: &str, key: &[u8]) -> String {
    format!("{hosts} ssh-ed25519 {} comment\n", STANDARD.encode(key))
}

#[test]
fn hosts_are_matched_as_openssh_does() {
    use HostKey::{Different, Known, Unlisted};
    // (hosts field, host, port, verdict when the key is right)
    let table = [
        ("git.example.org", "git.example.org", None, Known),
        ("git.example.org", "GIT.example.org", Some(22), Known),
        ("Git.Example.ORG", "git.example.org", None, Known),
        ("git.example.org", "git.example.org", Some(2222), Unlisted),
        ("[git.example.org]:2222", "git.example.org", Some(2222), Known),
        ("[git.example.org]:2222", "git.example.org", None, Unlisted),
        ("a,git.example.org,192.0.2.7", "192.0.2.7", None, Known),
        ("*.example.org", "git.example.org", None, Known),
        ("*.example.org", "example.org", None, Unlisted),
        ("g?t.*", "git.example.org", None, Known),
        ("*", "git.example.org", None, Known),
        ("*,!git.example.org", "git.example.org", None, Unlisted),
        ("!git.example.org", "other.example.org", None, Unlisted),
        ("#git.example.org", "#git.example.org", None, Unlisted),
        ("git.example.org.evil", "git.example.org", None, Unlisted),
    ];
    for (hosts, host, port, verdict) in table {
        assert_eq!(check(&line(hosts, KEY), host, port, KEY), verdict, "{hosts} {host} {port:?}");
        let wrong = if verdict == Known { Different } else { Unlisted };
        assert_eq!(check(&line(hosts, KEY), host, port, b"other"), wrong, "{hosts} {host} {port:?}");
    }
}

#[test]
fn several_lines_are_taken_together() {
    let other = line("git.example.org", b"an rsa key");
    let right = line("git.example.org", KEY);
    let revoked = format!("@revoked {}", line("*", KEY));
    let authority = format!("@cert-authority {}", line("*", KEY));
    let lookup = |text: &str| check(text, "git.example.org", None, KEY);

    assert_eq!(lookup(&format!("{other}{right}")), HostKey::Known);
    assert_eq!(lookup(&format!("{right}{other}")), HostKey::Known);
    assert_eq!(lookup(&format!("{right}{revoked}")), HostKey::Revoked);
    assert_eq!(lookup(&authority), HostKey::Unlisted);
    assert_eq!(lookup(&format!("# a comment\n\n{right}")), HostKey::Known);
}

#[test]
fn hashed_names_are_understood() {
    // The host part was made by `ssh-keygen -H` from git.example.org.
    let hashed = line("|1|/p1Kp9za3Tlf/e8s32+W7rvbrAQ=|bUL8rUuABSeMlUzKnmbcXiNBYJk=", KEY);

    assert_eq!(check(&hashed, "git.example.org", None, KEY), HostKey::Known);
    assert_eq!(check(&hashed, "git.example.org", None, b"other"), HostKey::Different);
    assert_eq!(check(&hashed, "git.example.com", None, KEY), HostKey::Unlisted);
}

#[test]
fn damaged_lines_trust_nobody() {
    let table = [
        "git.example.org",
        "git.example.org ssh-ed25519",
        "git.example.org ssh-ed25519 %%%",
        "|1|x ssh-rsa AAAA",
        "|1||| a AAAA",
        "@x",
    ];
    for text in table {
        assert_eq!(check(text, "git.example.org", None, KEY), HostKey::Unlisted, "{text}");
    }
}
