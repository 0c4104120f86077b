//! The HTTP side: signatures, probes, and that a good notification makes the core fetch.

use std::net::SocketAddr;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::core::{Home, SECRET};
use crate::rig::policies::{SHOP, route};
use crate::rig::repository::Repository;
use crate::rig::within;

/// Sends a notification as GitHub does; returns the status code.
pub(crate) async fn push(address: SocketAddr, secret: &str, body: &[u8]) -> u16 {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length does");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    send(address, "POST /webhook", &format!("x-hub-signature-256: sha256={hex}\r\n"), body).await.0
}

/// Sends a request; returns status code and body.
async fn send(address: SocketAddr, request: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("the core listens");
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: core\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        // The core may answer before it has read a body that is too long.
        stream.write_all(body).await.ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok();
        answer
    };
    let answer = within("an answer", exchange).await;
    let code = answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (code, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_notification_makes_the_core_fetch() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let commit = repository.commit("move", &[("shop/route.yaml", &route("/older"))]);

    assert_eq!(push(core.webhook, SECRET, br#"{"ref": "refs/heads/main"}"#).await, 202);

    core.compiled(&commit).await;
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_well_is_refused_and_what_is_not_ours_is_left_alone() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let before = core.source().await.fetched_at_ms;

    assert_eq!(push(core.webhook, "another", b"{}").await, 401);
    assert_eq!(send(core.webhook, "POST /webhook", "", b"{}").await.0, 401);
    assert_eq!(push(core.webhook, SECRET, &vec![b' '; (1 << 20) + 1]).await, 413);
    assert_eq!(push(core.webhook, SECRET, br#"{"ref": "refs/heads/other"}"#).await, 202);

    assert_eq!(core.source().await.fetched_at_ms, before);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_no_notification_is_trusted() {
    let repository = Repository::with(SHOP);
    let mut home = Home::of(repository.path());
    home.edit("  webhook: {secretFile: secret}\n", "");
    let core = home.start_ready().await;

    assert_eq!(push(core.webhook, SECRET, b"{}").await, 403);
    core.stop().await;
}

/// Else only the Git host would hear that each of its notifications is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_used_is_shown() {
    let repository = Repository::with(SHOP);
    for (file, reason) in [("gone", "No such file"), ("empty", "its file is empty")] {
        let mut home = Home::of(repository.path());
        home.edit("  webhook: {secretFile: secret}\n", &format!("  webhook: {{secretFile: {file}}}\n"));
        fs_err::write(home.source_file().with_file_name("empty"), "\n").unwrap();
        let core = home.start_ready().await;
        let found = core.source().await.diagnostics;
        assert!(found[0].message.contains("push notifications are refused"), "{found:?}");
        assert!(found[0].message.contains(reason) && found[0].severity == "warning", "{found:?}");
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_whether_the_source_was_read() {
    let repository = Repository::empty();
    let core = Home::of(repository.path()).start().await;

    assert_eq!(send(core.webhook, "GET /healthz", "", b"").await.0, 200);
    assert_eq!(send(core.webhook, "GET /readyz", "", b"").await.0, 503);
    let commit = repository.commit("first", SHOP);
    core.notify().await;
    core.compiled(&commit).await;

    let (code, body) = send(core.webhook, "GET /readyz", "", b"").await;
    assert_eq!((code, body), (200, format!("main@sha1:{commit}\n")));
    core.stop().await;
}
