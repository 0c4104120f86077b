//! The socket as a process meets it: this process, as the user that runs the tests.

use std::collections::BTreeMap;
use std::time::Duration;

use skerry_proto::spiffe::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use skerry_proto::spiffe::{JwtsvidRequest, X509BundlesRequest, X509svidRequest};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use zeroize::Zeroizing;

use super::*;
use crate::identity::Entry;

const DEADLINE: Duration = Duration::from_secs(10);

fn entry(name: &str) -> Entry {
    Entry {
        id: format!("spiffe://oslo.mesh.local/ns/shop/sa/{name}"),
        hint: format!("shop/{name}"),
        chain: name.as_bytes().to_vec(),
        key: Zeroizing::new(b"key of ".iter().chain(name.as_bytes()).copied().collect()),
    }
}

/// What a site issues: identities by user, and the roots of two trust domains.
fn issued(by_uid: &[(u32, &[&str])]) -> Arc<Issued> {
    let own = "spiffe://oslo.mesh.local".to_owned();
    let roots =
        [(own.clone(), b"roots".to_vec()), ("spiffe://bergen.mesh.local".to_owned(), b"roots".to_vec())];
    let entries = |names: &[&str]| names.iter().map(|name| entry(name)).collect();
    let by_uid = by_uid.iter().map(|(uid, names)| (*uid, entries(names)));
    Arc::new(Issued { by_uid: by_uid.collect(), own, roots: BTreeMap::from(roots) })
}

struct Stage {
    folder: tempfile::TempDir,
    issued: watch::Sender<Arc<Issued>>,
    uid: u32,
    cancel: CancellationToken,
    server: JoinSet<anyhow::Result<()>>,
    mail: mpsc::Receiver<Mail>,
}

impl Stage {
    fn new(of_uid: impl Fn(u32) -> Arc<Issued>) -> Self {
        let (folder, cancel) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        let uid = rustix::process::getuid().as_raw();
        let issued = watch::Sender::new(of_uid(uid));
        let mut server = JoinSet::new();
        let (mailbox, mail) = mpsc::channel(8);
        server.spawn(run((folder.path().join("api.sock"), issued.subscribe(), mailbox), cancel.clone()));
        Self { folder, issued, uid, cancel, server, mail }
    }

    /// The next word to the site: why it is not served.
    async fn told(&mut self) -> Option<String> {
        match self.mail.recv().await {
            Some(Mail::WorkloadApi(trouble)) => trouble,
            other => panic!("{other:?}"),
        }
    }

    async fn client(&self) -> SpiffeWorkloadApiClient<Channel> {
        let uri = format!("unix://{}", self.folder.path().join("api.sock").display());
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            match Endpoint::from_shared(uri.clone()).unwrap().connect().await {
                Ok(channel) => return SpiffeWorkloadApiClient::new(channel),
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    }
}

fn with_header<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("workload.spiffe.io", "true".parse().unwrap());
    request
}

#[tokio::test]
async fn a_process_is_told_who_it_is_and_again_when_that_is_new() {
    let stage = Stage::new(|uid| issued(&[(uid, &["a", "b"]), (uid + 1, &["c"])]));
    let mut client = stage.client().await;
    let mut svids = client.fetch_x509svid(with_header(X509svidRequest {})).await.unwrap().into_inner();
    let first = svids.message().await.unwrap().unwrap();
    let hints: Vec<&str> = first.svids.iter().map(|svid| svid.hint.as_str()).collect();
    assert_eq!(hints, ["shop/a", "shop/b"], "its own, and nobody else's");
    assert_eq!(first.svids[0].spiffe_id, "spiffe://oslo.mesh.local/ns/shop/sa/a");
    assert_eq!((&*first.svids[0].x509_svid_key, &*first.svids[0].bundle), (&b"key of a"[..], &b"roots"[..]));
    assert_eq!(first.federated_bundles.keys().collect::<Vec<_>>(), ["spiffe://bergen.mesh.local"]);
    let mut bundles =
        client.fetch_x509_bundles(with_header(X509BundlesRequest {})).await.unwrap().into_inner();
    assert_eq!(bundles.message().await.unwrap().unwrap().bundles.len(), 2);

    // What is new for another user alone is no news.
    stage.issued.send_replace(issued(&[(stage.uid, &["a", "b"]), (stage.uid + 1, &["d"])]));
    stage.issued.send_replace(issued(&[(stage.uid, &["b"])]));
    let second = svids.message().await.unwrap().unwrap();
    assert_eq!(second.svids.len(), 1);

    stage.issued.send_replace(issued(&[]));
    let end = svids.message().await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn who_is_unknown_or_lacks_the_header_is_told_nothing() {
    let stage = Stage::new(|uid| issued(&[(uid + 1, &["a"])]));
    let mut client = stage.client().await;
    let other = client.clone();
    let code = async |request| other.clone().fetch_x509svid(request).await.map(drop).unwrap_err().code();
    assert_eq!(code(with_header(X509svidRequest {})).await, Code::PermissionDenied);
    assert_eq!(code(Request::new(X509svidRequest {})).await, Code::InvalidArgument);
    let mut wrong = Request::new(X509svidRequest {});
    wrong.metadata_mut().insert("workload.spiffe.io", "false".parse().unwrap());
    assert_eq!(code(wrong).await, Code::InvalidArgument);
    let bundles = client.fetch_x509_bundles(with_header(X509BundlesRequest {})).await;
    assert_eq!(bundles.map(drop).unwrap_err().code(), Code::PermissionDenied);
    let token = client.fetch_jwtsvid(with_header(JwtsvidRequest::default())).await;
    assert_eq!(token.map(drop).unwrap_err().code(), Code::Unimplemented);
    stage.issued.send_replace(Arc::new(Issued::default()));
    assert_eq!(
        code(with_header(X509svidRequest {})).await,
        Code::PermissionDenied,
        "the site is not enrolled"
    );
}

#[tokio::test]
async fn a_socket_that_was_left_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    drop(bind(&path).unwrap());
    let listener = bind(&path).unwrap();
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    drop(listener);
    let file = folder.path().join("file");
    fs_err::write(&file, "precious").unwrap();
    assert!(bind(&file).unwrap_err().to_string().contains("not a socket"));
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "precious");
}

/// It is the site's problem, and nothing ends because of it. Time passes by itself here, and only while nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_socket_that_is_not_served_is_said_and_tried_again() {
    let mut stage = Stage::new(|uid| issued(&[(uid, &["a"])]));
    let path = stage.folder.path().join("api.sock");
    fs_err::write(&path, "precious").unwrap();
    let words = stage.told().await.unwrap();
    assert!(words.contains("api.sock: there is something that is not a socket (help: "), "{words}");
    fs_err::remove_file(&path).unwrap();
    assert_eq!(stage.told().await, None, "it is served");
    fs_err::remove_file(&path).unwrap();
    let words = stage.told().await.unwrap();
    assert!(words.contains("api.sock: somebody has removed it (help: "), "{words}");
    assert_eq!(stage.told().await, None, "it is served again");
    assert!(path.exists());
    stage.cancel.cancel();
    stage.server.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn it_ends_with_the_agent() {
    let mut stage = Stage::new(|uid| issued(&[(uid, &["a"])]));
    let mut client = stage.client().await;
    let mut svids = client.fetch_x509svid(with_header(X509svidRequest {})).await.unwrap().into_inner();
    svids.message().await.unwrap().unwrap();
    stage.cancel.cancel();
    assert!(svids.message().await.is_ok_and(|message| message.is_none()));
    drop(svids);
    drop(client);
    stage.server.join_next().await.unwrap().unwrap().unwrap();
}
