//! Certificates, authorities and roots change while requests run: no request fails, no connection is dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use skerry_agent::enrolment::Enrolment;
use skerry_identity::lifetimes::Validity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::stage::Stage;
use crate::authority::{Mesh, now};
use crate::bundle::plan;
use crate::envoy;
use crate::eventually::eventually;
use crate::http::{ask_socket, get};
use crate::inside::Inside;

/// Requests that run until they are stopped, each over a connection, and so over a handshake, of its own.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    clients: JoinSet<Vec<String>>,
}

impl Load {
    fn start(address: &str) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let (address, stop, asked) = (address.to_owned(), Arc::clone(&stop), Arc::clone(&asked));
            clients.spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    match get(&address, "/").await {
                        Ok(answer) if answer.status == 200 => {}
                        other => failures.push(format!("{other:?}")),
                    }
                }
                failures
            });
        }
        Self { stop, asked, clients }
    }

    /// Waits for some more of them.
    async fn go_on(&self) {
        let before = self.asked.load(Ordering::Relaxed);
        eventually("requests go on", async || {
            (self.asked.load(Ordering::Relaxed) > before + 20).then_some(())
        })
        .await;
    }

    async fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self.clients.join_all().await.concat();
        (self.asked.load(Ordering::Relaxed), failures)
    }
}

/// A connection of a client through both proxies to the server, that stays.
struct Kept(TcpStream);

impl Kept {
    async fn open(address: &str) -> Self {
        let mut kept = Self(TcpStream::connect(address).await.unwrap());
        kept.ask().await;
        kept
    }

    async fn ask(&mut self) {
        self.0.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        let mut answer = vec![0; "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none".len()];
        self.0.read_exact(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"one"));
    }
}

/// The certificates that a proxy has loaded.
async fn certificates(stage: &Stage, name: &str) -> String {
    ask_socket(&stage.site.admin(name, 0), "GET", "/certs").await.unwrap().body
}

/// The serial numbers of the workload's certificate as a proxy has it: several while a connection is open that began with an older one.
async fn leaves(stage: &Stage, name: &str) -> BTreeSet<String> {
    let shown = certificates(stage, name).await;
    let first =
        |chain: &str| Some(chain.split_once("\"serial_number\": \"")?.1.split_once('"')?.0.to_owned());
    shown.split("\"cert_chain\"").skip(1).filter_map(first).collect()
}

async fn listeners(stage: &Stage, name: &str) -> (Option<u64>, Option<u64>) {
    let admin = stage.site.admin(name, 0);
    let stat = async |which: &str| envoy::stat(&admin, &format!("listener_manager.listener_{which}")).await;
    (stat("modified").await, stat("in_place_updated").await)
}

/// Hands the agent what was renewed, and waits until every proxy has it.
async fn renew(stage: &Stage, inside: &Inside, enrolment: Enrolment) {
    let mut before = Vec::new();
    for name in ["echo-1", "client-1", "other-1"] {
        before.push((name, leaves(stage, name).await));
    }
    inside.renew(enrolment);
    for (name, before) in before {
        eventually(&format!("{name} has a new certificate"), async || {
            (!leaves(stage, name).await.is_subset(&before)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_fails_no_request_and_drops_no_connection() {
    let Some((stage, inside)) = Stage::start_inside(plan(1).strict().bytes()).await else {
        return;
    };
    stage.await_mutual().await;
    let mut kept = Kept::open(&stage.client).await;
    let before = (listeners(&stage, "echo-1").await, listeners(&stage, "client-1").await);
    let load = Load::start(&stage.client);

    // Workloads' certificates, and the authority of the site with them.
    for _ in 0..5 {
        renew(&stage, &inside, stage.mesh.enrol(&[])).await;
        load.go_on().await;
    }
    // The root of the mesh: both for a while, then the new one alone. The first step brings root and authority at once.
    let new = Mesh::new("mesh.local");
    renew(&stage, &inside, new.enrol(&[stage.mesh.root()])).await;
    load.go_on().await;
    renew(&stage, &inside, new.enrol(&[])).await;
    load.go_on().await;
    // A site that was dark for a whole rotation, or hears of one in an emergency: it is told of the new root alone.
    let newest = Mesh::new("mesh.local");
    renew(&stage, &inside, newest.enrol(&[])).await;
    load.go_on().await;
    for name in ["echo-1", "client-1"] {
        eventually(&format!("{name} believes the newest root alone"), async || {
            let shown = certificates(&stage, name).await;
            let is_alone = ![stage.mesh.root(), new.root()].iter().any(|root| shown.contains(root.serial()));
            (is_alone && shown.contains(newest.root().serial())).then_some(())
        })
        .await;
    }
    load.go_on().await;

    kept.ask().await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    assert_eq!(before, (listeners(&stage, "echo-1").await, listeners(&stage, "client-1").await));
}

/// A site that was cut off for longer than its authority lasts: nobody can prove anything, and what may be called in plain
/// text still is. With a new authority all is as before.
#[tokio::test(flavor = "multi_thread")]
async fn past_the_end_of_the_authority_permissive_services_go_on_in_plain_text() {
    let Some((stage, inside)) = Stage::start_inside(plan(1)).await else { return };
    stage.await_mutual().await;
    let mut last = stage.mesh.enrol(&[]);
    last.authority = stage.mesh.authority_for("store-1", &Validity::starting(now(), Duration::from_secs(4)));
    inside.renew(last);
    eventually("the site says that it is over", async || {
        let state = stage.core.log().state()?;
        state
            .workload_problems
            .iter()
            .any(|it| it.contains("authority of site store-1 is over"))
            .then_some(())
    })
    .await;
    eventually("the client is served", async || {
        get(&stage.client, "/").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    let before = stage.handshakes("client-1").await;
    let load = Load::start(&stage.client);
    load.go_on().await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    assert_eq!(stage.handshakes("client-1").await, before);

    inside.renew(stage.mesh.enrol(&[]));
    stage.core.publish(&plan(2).strict().supervised().publish());
    eventually("plain text is refused, and the client is served", async || {
        let is_served = get(&stage.client, "/").await.is_ok_and(|answer| answer.status == 200);
        (is_served && get(&stage.echo, "/").await.is_err()).then_some(())
    })
    .await;
}
