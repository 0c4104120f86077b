//! `Config::resolve`: what a source file says, and what is wrong with one.

use std::net::SocketAddr;
use std::time::Duration;

use skerry_crds::policy_source::{SignerKey, VerifyMode};
use skerry_gitops::reference::Reference;

use super::*;
use crate::source::config::{Login, Mode};

const HEAD: &str = "apiVersion: skerry.dev/v1alpha1\nkind: PolicySource\nmetadata: {name: p}\nspec:\n";

fn args() -> Args {
    Args {
        source: "conf/source.yaml".into(),
        data_dir: "data".into(),
        listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
        webhook_listen: SocketAddr::from(([127, 0, 0, 1], 7444)),
        trust_domain: "mesh.local".to_owned(),
        new_mesh: false,
        seal_key_file: None,
        offline_root: None,
        root_signs_within: 30,
        max_sites: 30_000,
        log: "info".to_owned(),
    }
}

fn resolve(text: &str) -> Result<Config, ConfigError> {
    Config::resolve(args(), |path| {
        assert_eq!(path, Path::new("conf/source.yaml"));
        Ok(text.as_bytes().to_vec())
    })
}

fn source(spec: &str) -> SourceConfig {
    resolve(&format!("{HEAD}{spec}")).expect("the source file is good").source
}

#[test]
fn a_source_that_names_only_its_address_has_the_defaults() {
    let source = source("  url: https://git.example/policies.git\n");
    assert_eq!(source.remote.to_string(), "https://git.example/policies.git");
    assert_eq!(source.reference, Reference::Branch("main".to_owned()));
    assert_eq!(
        (source.path.as_str(), source.interval, source.mode),
        ("", Duration::from_secs(60), Mode::Follow)
    );
    assert_eq!((source.login, source.webhook_secret), (Login::Anonymous, None));
}

#[test]
fn everything_else_can_be_named_and_files_are_beside_the_source_file() {
    let commit = "0123456789012345678901234567890123456789";
    let source = source(&format!(
        "  url: /srv/policies\n  ref: {{commit: '{commit}'}}\n  path: ./prod/\n  interval: 5m\n  suspend: true\n  \
         credentials: {{usernameFile: user, passwordFile: /run/password}}\n  webhook: {{secretFile: secret}}\n"
    ));
    assert_eq!(source.reference, Reference::Commit(commit.parse().unwrap()));
    assert_eq!((source.path.as_str(), source.interval), ("prod", Duration::from_secs(300)));
    assert_eq!((source.mode, source.webhook_secret), (Mode::Suspended, Some("conf/secret".into())));
    let login = Login::Password { username: "conf/user".into(), password: "/run/password".into() };
    assert_eq!(source.login, login);
}

#[test]
fn an_ssh_key_comes_with_known_hosts() {
    let url = "  url: git@git.example:policies\n";
    let good = source(&format!("{url}  credentials: {{sshKeyFile: key, sshKnownHostsFile: hosts}}\n"));
    let login = Login::SshKey { key: "conf/key".into(), passphrase: None, known_hosts: "conf/hosts".into() };
    assert_eq!(good.login, login);

    let bad = resolve(&format!("{HEAD}{url}  credentials: {{sshKeyFile: key}}\n")).unwrap_err().to_string();
    assert!(bad.starts_with("conf/source.yaml:6:"), "{bad}");
    assert!(bad.contains("sshKnownHostsFile"), "{bad}");
}

/// Keys in the document are read when the core starts, files of keys at each poll.
#[test]
fn signers_are_checked_with_their_places_and_their_files_are_beside_the_source_file() {
    let verify = |key: &str| {
        format!(
            "  url: /a\n  verify:\n    allowedSignersFile: allowed\n    signers:\n    - principals: [ada@example.org]\n      {key}\n"
        )
    };
    let good = source(&verify("openPGPKeyFile: keys/ada.asc")).verify.unwrap();
    assert_eq!(good.mode, VerifyMode::Enforce);
    assert_eq!(good.allowed_signers_file, Some("conf/allowed".into()));
    assert_eq!(good.signers[0].key, SignerKey::OpenPgpFile("conf/keys/ada.asc".into()));

    for key in ["sshKey: ssh-ed25519 AAAA", "openPGPKey: none", "sshKey: ssh-dss AAAA"] {
        let bad = resolve(&format!("{HEAD}{}", verify(key))).unwrap_err().to_string();
        assert!(bad.starts_with("conf/source.yaml:10:"), "{bad}");
        assert!(bad.contains(": error[") && bad.contains("spec.verify.signers[0]."), "{bad}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, words) in [
        (format!("{HEAD}  url: [\n"), "conf/source.yaml:"),
        (String::new(), "the file has 0 documents, and one is needed"),
        (format!("{HEAD}  url: /a\n---\n{HEAD}  url: /b\n"), "the file has 2 documents"),
        (format!("{HEAD}  url: ftp://host/x\n"), "conf/source.yaml:5:"),
        (format!("{HEAD}  url: /a\n  branch: main\n"), "branch"),
        (HEAD.replace("PolicySource", "Site"), "not a PolicySource"),
    ] {
        let error = resolve(&text).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("help: "), "{error}");
    }
    let filtered =
        Config::resolve(Args { log: "loud=very".to_owned(), ..args() }, |_| Ok(vec![])).unwrap_err();
    assert!(filtered.to_string().starts_with("--log loud=very: "), "{filtered}");
    let missing = Config::resolve(args(), |_| Err(io::ErrorKind::NotFound.into())).unwrap_err().to_string();
    assert!(missing.starts_with("conf/source.yaml: cannot be read"), "{missing}");
}

#[test]
fn only_loopback_addresses_are_taken_where_there_is_no_tls() {
    for (address, is_good) in [
        ("127.0.0.1:0", true),
        ("127.9.9.9:1", true),
        ("[::1]:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
    ] {
        let resolve = |args| Config::resolve(args, |_| Ok(format!("{HEAD}  url: /a\n").into_bytes()));
        let address: SocketAddr = address.parse().unwrap();
        match resolve(Args { webhook_listen: address, ..args() }) {
            Ok(_) => assert!(is_good, "{address}"),
            Err(error) => assert!(!is_good && error.to_string().starts_with("--webhook-listen"), "{error}"),
        }
        assert!(resolve(Args { listen: address, ..args() }).is_ok(), "mutual TLS is for any address");
    }
}

#[test]
fn there_is_room_for_as_many_sites_as_the_command_line_says() {
    use clap::Parser as _;

    let config = resolve(&format!("{HEAD}  url: /srv/policies\n")).unwrap();
    assert_eq!(config.limits, Limits::for_sites(30_000));

    let parse = |more: &[&str]| {
        Args::try_parse_from([&["skerry-controller", "--source", "s.yaml", "--data-dir", "d"], more].concat())
    };
    assert_eq!(parse(&[]).unwrap().max_sites, 20_000);
    assert_eq!(parse(&["--max-sites", "100000"]).unwrap().max_sites, 100_000);
    for wrong in ["0", "1000001", "many"] {
        assert!(parse(&["--max-sites", wrong]).is_err(), "{wrong}");
    }
}
