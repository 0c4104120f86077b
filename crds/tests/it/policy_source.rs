//! `PolicySource` → what to follow.

use std::time::Duration;

use skerry_crds::decode_policy_source;
use skerry_crds::policy_source::Reference;

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
    assert_eq!((source.credentials, source.webhook_secret_file), Default::default());
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
    ];
    let errors = specs.map(|spec| lines(&decode_policy_source(&document(&with_spec(spec))).unwrap_err()));
    insta::assert_snapshot!(errors.join("--\n"));
}

#[test]
fn another_kind_is_not_a_policy_source() {
    let errors = decode_policy_source(&document("apiVersion: v1\nkind: Service\n")).unwrap_err();
    insta::assert_snapshot!(lines(&errors));
}
