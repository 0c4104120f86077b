//! `PolicySource` → what to follow.

use std::path::Path;
use std::time::Duration;

use skerry_crds::decode_policy_source;
use skerry_crds::policy_source::{Reference, SignerKey, VerifyMode};

use crate::outcome::{document, lines};

fn with_spec(spec: &str) -> String {
    format!("apiVersion: skerry.dev/v1alpha1\nkind: PolicySource\nmetadata: {{name: fleet}}\nspec: {spec}\n")
}

#[test]
fn what_is_left_out_has_a_default() {
    let source = decode_policy_source(&document(&with_spec("{url: /srv/policies}"))).unwrap();
    assert_eq!(source.name.to_string(), "default/fleet");
    assert_eq!(source.reference, Reference::Branch("main".to_owned()));
    assert_eq!(source.path, ".");
    assert_eq!((source.interval, source.timeout), (Duration::from_secs(60), Duration::from_secs(60)));
    assert!(!source.suspend);
    assert_eq!((source.credentials, source.webhook_secret_file, source.verify), Default::default());
}

#[test]
fn everything_is_read() {
    let spec = r#"
  url: ssh://git@example.com/fleet.git
  ref: {tag: v1.2}
  path: ./sites//eu/
  interval: 1m30s
  timeout: 5s
  suspend: true
  credentials: {sshKeyFile: /etc/key, sshPassphraseFile: /etc/pass, sshKnownHostsFile: /etc/hosts, usernameFile: u, passwordFile: p}
  webhook: {secretFile: /etc/hook}
  verify:
    mode: Audit
    signers:
    - {principals: [ada@example.org, "*@ops.example.org"], sshKey: ssh-ed25519 AAAA ada, namespaces: [git]}
    - {principals: ["*"], openPGPKey: "-----BEGIN", validAfter: 2026-01-01T00:00:00Z, validBefore: "2026-12-31T23:59:59+01:00"}
    - {principals: ["*"], openPGPKeyFile: keys/ops.asc, revoked: true}
    allowedSignersFile: allowed_signers
    revokedKeysFile: /etc/revoked
"#;
    insta::assert_debug_snapshot!(decode_policy_source(&document(&with_spec(spec))).unwrap());
}

#[test]
fn every_form_of_url_is_taken() {
    let urls = [
        "https://example.com/fleet.git",
        "http://127.0.0.1:3000/fleet",
        "https://user@example.com/fleet",
        "ssh://git@example.com:22/fleet.git",
        "git@example.com:team/fleet.git",
        "file:///srv/fleet",
        "/srv/fleet",
    ];
    for url in urls {
        let source = decode_policy_source(&document(&with_spec(&format!("{{url: \"{url}\"}}"))));
        assert_eq!(source.map(|source| source.url).as_deref(), Ok(url));
    }
}

#[test]
fn mistakes_are_refused() {
    let specs = [
        "{}",
        "{url: \"\"}",
        "{url: relative/path}",
        "{url: ftp://example.com/x}",
        "{url: https:///x}",
        "{url: \"https://user:secret@example.com/x\"}",
        "{url: \"file://relative\"}",
        "{url: \"/a b\"}",
        "{url: /x, ref: {branch: a, tag: b}}",
        "{url: /x, ref: {branch: \"a..b\"}}",
        "{url: /x, ref: {commit: abc}}",
        "{url: /x, path: ../up}",
        "{url: /x, path: /abs}",
        "{url: /x, interval: 500ms, timeout: never}",
        "{url: /x, credentials: {usernameFile: u, sshPassphraseFile: p}}",
        "{url: /x, webhook: {}}",
        "{url: /x, secretRef: {name: x}}",
        "{url: /x, verify: {}}",
        "{url: /x, verify: {signers: []}}",
        "{url: /x, verify: {allowedSignersFile: a, mode: HEAD, provider: gpg}}",
        "{url: /x, verify: {signers: [{principals: [a@x]}]}}",
        "{url: /x, verify: {signers: [{principals: [a@x], sshKey: k, openPGPKeyFile: f}]}}",
        "{url: /x, verify: {signers: [{principals: [], sshKey: k}, {sshKey: k}]}}",
        "{url: /x, verify: {signers: [{principals: [\"a@x,b@x\", \"a b\"], sshKey: k}]}}",
        "{url: /x, verify: {signers: [{principals: [\"!a@x\"], sshKey: k, namespaces: [\"!git\"]}]}}",
        "{url: /x, verify: {signers: [{principals: [a@x], openPGPKey: k, namespaces: [git]}]}}",
        "{url: /x, verify: {signers: [{principals: [a@x], sshKey: k, validAfter: \"20260101\", validBefore: soon}]}}",
        "{url: /x, verify: {signers: [{principals: [a@x], sshKey: k, validAfter: 2026-01-01T00:00:00Z, validBefore: 2026-01-01T00:00:00Z}]}}",
    ];
    let errors = specs.map(|spec| lines(&decode_policy_source(&document(&with_spec(spec))).unwrap_err()));
    insta::assert_snapshot!(errors.join("--\n"));
}

#[test]
fn files_of_signers_are_looked_for_below_a_folder_unless_their_paths_are_absolute() {
    let spec = "{url: /x, verify: {signers: [{principals: [a@x], openPGPKeyFile: a.asc}], allowedSignersFile: b, revokedKeysFile: /c}}";
    let verify = decode_policy_source(&document(&with_spec(spec))).unwrap().verify.unwrap();
    assert_eq!(verify.mode, VerifyMode::Enforce, "by default");
    let verify = verify.with_files_below(Path::new("/etc/skerry"));
    assert_eq!(verify.signers[0].key, SignerKey::OpenPgpFile("/etc/skerry/a.asc".into()));
    assert_eq!(verify.allowed_signers_file.unwrap(), Path::new("/etc/skerry/b"));
    assert_eq!(verify.revoked_keys_file.unwrap(), Path::new("/c"));
}

#[test]
fn another_kind_is_not_a_policy_source() {
    let errors = decode_policy_source(&document("apiVersion: v1\nkind: Service\n")).unwrap_err();
    insta::assert_snapshot!(lines(&errors));
}
