//! Workloads prove who they are: mutual TLS between real Envoys of an enrolled site.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skerry_core::id::Timestamp;
use skerry_identity::ca::{Authority as _, SiteCa};
use skerry_proto::limits::BOOT_BYTES;
use skerry_proto::v1::ReportRequest;
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::authority::{Forgery, Mesh, Proof, now, svid};
use crate::bundle::plan;
use crate::callee::Callee;
use crate::caller::call;
use crate::core::Core;
use crate::envoy;
use crate::eventually::eventually;
use crate::http::get;
use crate::site::Site;

mod lost;
mod rotation;
mod stage;
mod workload_api;

use stage::{INBOUND, MATCH, Server, Setting, Stage, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn workloads_call_each_other_by_mutual_tls_and_plain_text_is_taken_while_permissive() {
    let Some(stage) = Stage::start(plan(1)).await else { return };
    assert_eq!(get(&stage.client, "/").await.unwrap().body, "one");
    assert_eq!(get(&stage.echo, "/").await.unwrap().body, "one", "plain text is taken");
    assert_eq!(stage.call(&svid(&stage.authority, "client")).await, Ok(200));

    stage.core.publish(&plan(2).strict().supervised().publish());
    eventually("plain text is refused", async || get(&stage.echo, "/").await.is_err().then_some(())).await;
    assert_eq!(get(&stage.client, "/").await.unwrap().body, "one");
    assert_eq!(stage.call(&svid(&stage.authority, "client")).await, Ok(200));
    assert!(call(&stage.echo, None).await.is_err(), "TLS without a certificate is refused");
}

/// The other variant of xDS: secrets come by it as well.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_handed_out_as_state_of_the_world_too() {
    let setting =
        Setting { arguments: &["--xds", "sotw"], ..Setting::of(plan(1).strict().only_for("client")) };
    let Some(stage) = Stage::start_in(setting).await else { return };
    stage.await_mutual().await;
    assert_eq!(get(&stage.client, "/").await.unwrap().status, 200);
    assert_eq!(get(&stage.other, "/").await.unwrap().status, 403);
    assert!(get(&stage.echo, "/").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_goes_by_mutual_tls() {
    let setting =
        Setting { server: Server::Core, ..Setting::of(plan(1).strict().http2().only_for("client")) };
    let Some(stage) = Stage::start_in(setting).await else { return };
    let ask = async |address: &str| {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await;
        let mut client =
            SiteSyncClient::new(channel.map_err(|error| Status::unavailable(error.to_string()))?);
        client.report(ReportRequest { boot: vec![0; BOOT_BYTES], ..ReportRequest::default() }).await
    };
    eventually("the client is answered", async || {
        ask(&stage.client).await.ok()?;
        (stage.handshakes("client-1").await > 0).then_some(())
    })
    .await;
    assert_eq!(ask(&stage.client).await.map(drop).map_err(|status| status.code()), Ok(()));
    eventually("the other is refused", async || {
        (ask(&stage.other).await.err()?.code() == Code::PermissionDenied).then_some(())
    })
    .await;
}

/// A port that carries bytes may carry TLS of the workload's own, which is not ours to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_workloads_own_tls_passes_a_permissive_port_of_bytes() {
    let Some(envoy) = envoy::find() else { return };
    let core = Core::start().await;
    core.publish(&plan(1).bytes().supervised().publish());
    let mut site = Site::new(&core).with(&["--envoy", envoy.to_str().unwrap()]);
    let mesh = Mesh::new("mesh.local");
    let enrolment = mesh.enrol(&[]);
    site.enrol(&enrolment);
    let callee = Callee::start(&svid(&mesh.authority("elsewhere"), "echo"));
    let inbound = free_port();
    site.write_account("echo-1", "echo", "echo", callee.address.port(), inbound);
    let client = site.write_account("client-1", "client", "client", INBOUND - 1, free_port());
    site.start();
    // Directly, and through the client's proxy, which wraps it into mutual TLS.
    for address in [&format!("127.0.0.1:{inbound}"), &client] {
        eventually(&format!("{address} is served"), async || call(address, None).await.ok()).await;
    }
    eventually("the proxies use mutual TLS", async || {
        call(&client, None).await.ok()?;
        let stat = envoy::stat(&site.admin("client-1", 0), "cluster.shop/echo/8080.ssl.handshake").await;
        stat.filter(|handshakes| *handshakes > 0)
    })
    .await;
    assert_eq!(call(&format!("127.0.0.1:{inbound}"), None).await, Ok(200));
    assert_eq!(call(&client, None).await, Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_know_callers_by_their_service_account() {
    let Some(stage) = Stage::start(plan(1).strict().only_for("client")).await else { return };
    assert_eq!(get(&stage.client, "/").await.unwrap().status, 200);
    assert_eq!(get(&stage.other, "/").await.unwrap().status, 403);
    assert_eq!(stage.call(&svid(&stage.authority, "client")).await, Ok(200));
    assert_eq!(stage.call(&svid(&stage.authority, "other")).await, Ok(403));
    let elsewhere = stage.mesh.authority("store-2");
    assert!(stage.call(&svid(&elsewhere, "client")).await.is_err(), "no policy names the site");
    stage.core.publish(&plan(2).supervised().strict().only_for("client@store-2").publish());
    let guest = svid(&elsewhere, "client");
    eventually("the other site is let in", async || (stage.call(&guest).await == Ok(200)).then_some(()))
        .await;
    assert_eq!(stage.call(&svid(&elsewhere, "other")).await, Ok(403));
    assert_eq!(stage.call(&svid(&stage.authority, "client")).await, Ok(403));
    assert!(stage.call(&svid(&stage.mesh.authority("store-3"), "client")).await.is_err());
    let id = "spiffe://store-2.mesh.local/ns/shop/sa/client";
    assert!(
        stage.call(&Forgery::new(&[id]).sign(&stage.authority)).await.is_err(),
        "for another site's domain"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_know_callers_on_ports_of_bytes() {
    let setting = Setting::of(plan(1).strict().bytes().only_for("client"));
    let Some(stage) = Stage::start_in(setting).await else { return };
    eventually("the client is served", async || {
        get(&stage.client, "/").await.ok().filter(|answer| answer.status == 200)?;
        (stage.handshakes("client-1").await > 0).then_some(())
    })
    .await;
    eventually("the other uses mutual TLS", async || {
        let _refused = get(&stage.other, "/").await;
        (stage.handshakes("other-1").await > 0).then_some(())
    })
    .await;
    assert!(get(&stage.other, "/").await.is_err());
    assert!(stage.call(&svid(&stage.authority, "other")).await.is_err());
    assert_eq!(stage.call(&svid(&stage.authority, "client")).await, Ok(200));
}

/// What policies refuse is counted, and the core hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_policies_refuse_is_counted_in_reports() {
    let Some(stage) = Stage::start(plan(1).strict().only_for("client")).await else { return };
    assert_eq!(get(&stage.other, "/").await.unwrap().status, 403);
    let counted = eventually("the core hears of it", async || stage.core.log().state()?.counted).await;
    assert!(counted.not_allowed >= 1 && counted.denied == 0, "{counted:?}");
}

/// What the holder of a site's key could try, and what others could.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_prove_nothing_are_refused() {
    let Some(stage) = Stage::start(plan(1).strict()).await else { return };
    let id = "spiffe://store-1.mesh.local/ns/shop/sa/client";
    let own = &stage.authority;
    let good = || Forgery::new(&[id]);
    assert_eq!(stage.call(&good().sign(own)).await, Ok(200), "a forgery is good but for one thing");
    let ca = [rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyCertSign];
    let sub = good().usages(&ca).authority().sign(own);
    let authority = Proof { chain: vec![own.certificate().der().clone()], key: copy(own.key()) };
    let mut alone = good().sign(own);
    alone.chain.truncate(1);
    let other_mesh = Mesh::new("mesh.local");
    let root_leaf = "spiffe://store-1.mesh.local";
    let cases = [
        ("another site's name", Forgery::new(&["spiffe://store-2.mesh.local/ns/shop/sa/client"]).sign(own)),
        ("two names", Forgery::new(&[id, "spiffe://store-1.mesh.local/ns/shop/sa/other"]).sign(own)),
        ("the same name twice", Forgery::new(&[id, id]).sign(own)),
        ("no name", Forgery::new(&[]).dns("store-1.mesh.local").sign(own)),
        ("a host beside its name", good().dns("client.shop").sign(own)),
        ("the name of a site", Forgery::new(&[root_leaf]).sign(own)),
        ("the name of nothing", Forgery::new(&["spiffe://store-1.mesh.local/ns/shop"]).sign(own)),
        ("it is over", good().valid(-48, -1).sign(own)),
        ("it is not yet", good().valid(1, 48).sign(own)),
        ("the site's authority itself", authority),
        ("by a workload that signs", good().sign_by(&sub.chain[0], &sub.key, &sub.chain[1..])),
        ("of another mesh of that name", svid(&other_mesh.authority("store-1"), "client")),
        ("of another mesh", svid(&Mesh::new("other.local").authority("store-1"), "client")),
        ("without the authority", alone),
        ("an authority as a workload", sub),
    ];
    let mut taken = Vec::new();
    for (what, proof) in &cases {
        if let Ok(status) = stage.call(proof).await {
            taken.push((*what, status));
        }
    }
    assert_eq!(taken, []);
    assert_eq!(stage.call(&good().sign(own)).await, Ok(200));
}

fn copy(key: &skerry_identity::key::EcdsaKey) -> skerry_identity::key::EcdsaKey {
    skerry_identity::key::EcdsaKey::from_pem(&key.to_pem().unwrap()).unwrap()
}

/// What the service is at the site.
const ECHO: &str = "spiffe://store-1.mesh.local/ns/shop/sa/echo";

/// What a server may show that is not the service; `own` is the site's authority.
fn impostors(own: &SiteCa, mesh: &Mesh) -> Vec<(&'static str, Proof)> {
    let elsewhere = "spiffe://store-2.mesh.local/ns/shop/sa/echo";
    let ca = [rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyCertSign];
    let authority = Proof { chain: vec![own.certificate().der().clone()], key: copy(own.key()) };
    vec![
        ("another account", svid(own, "impostor")),
        ("another namespace", Forgery::new(&["spiffe://store-1.mesh.local/ns/till/sa/echo"]).sign(own)),
        ("the account at another site", svid(&mesh.authority("store-2"), "echo")),
        ("by another site for this one", Forgery::new(&[ECHO]).sign(&mesh.authority("store-2"))),
        ("this account, by this site for another", Forgery::new(&[elsewhere]).sign(own)),
        ("of another mesh of that name", svid(&Mesh::new("mesh.local").authority("store-1"), "echo")),
        ("of another mesh", svid(&Mesh::new("other.local").authority("store-1"), "echo")),
        ("it is over", Forgery::new(&[ECHO]).valid(-48, -1).sign(own)),
        ("it is not yet", Forgery::new(&[ECHO]).valid(1, 48).sign(own)),
        ("an authority as a workload", Forgery::new(&[ECHO]).usages(&ca).authority().sign(own)),
        ("the site's authority itself", authority),
        ("no name", Forgery::new(&[]).dns("store-1.mesh.local").sign(own)),
    ]
}

/// A server that proves to be somebody else is not spoken to.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_must_be_what_the_service_is_at_this_site() {
    let Some(envoy) = envoy::find() else { return };
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    let mesh = Mesh::new("mesh.local");
    let enrolment = mesh.enrol(&[]);
    site.enrol(&enrolment);
    let own = enrolment.authority;
    let callee = Callee::start(&svid(&own, "echo"));
    // The place of the service's own proxy, as it was seen to listen.
    let folder = site.proxy("echo-1");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::write(folder.join("listening"), format!("{} mtls\n", callee.address)).unwrap();
    site.write_account("echo-1", "echo", "echo", free_port(), callee.address.port());
    let client = site.write_account("client-1", "client", "client", INBOUND - 1, free_port());
    site.start();
    let mut launcher = site.launch("client-1", &envoy);
    eventually("the service is served", async || {
        get(&client, "/").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    for (what, proof) in &impostors(&own, &mesh) {
        callee.become_another(proof);
        assert_eq!(get(&client, "/").await.unwrap().status, 503, "{what}");
    }
    callee.become_another(&Forgery::new(&[ECHO]).sign(&own));
    assert_eq!(get(&client, "/").await.unwrap().status, 200);
    let _asked = launcher.kill();
    let _ended = launcher.wait();
}

/// Invariant 5: agent and Envoys gone, the core away. Envoys that start from their snapshots prove who they are.
#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_starts_without_the_agent_has_its_certificate() {
    let Some(mut stage) = Stage::start(plan(1).strict().only_for("client")).await else { return };
    let knows = [("echo-1", "workload.secret.pb"), ("client-1", MATCH), ("other-1", MATCH)];
    for (name, words) in knows {
        let snapshot = stage.site.proxy(name).join("static.pb");
        eventually("the snapshot is that of mutual TLS", async || {
            let bytes = fs_err::read(&snapshot).ok()?;
            String::from_utf8_lossy(&bytes).contains(words).then_some(())
        })
        .await;
    }
    stage.core.stop().await;
    stage.site.kill();
    let names = ["echo-1", "client-1", "other-1"];
    for name in names {
        let pid = stage.site.launcher(name)["processes"][0]["pid"].as_i64().unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    for name in names {
        stage.site.await_mode(name, "static").await;
    }
    for (address, status) in [(&stage.client, 200), (&stage.other, 403)] {
        eventually(&format!("it is answered {status}"), async || {
            get(address, "/").await.ok().filter(|answer| answer.status == status)
        })
        .await;
    }
    assert!(get(&stage.echo, "/").await.is_err(), "plain text is refused");
    assert_eq!(stage.call(&svid(&stage.authority, "client")).await, Ok(200));

    // The agent is back: certificates are new, and nobody notices.
    stage.site.start();
    stage.site.await_mode("client-1", "ads").await;
    stage.site.await_mode("echo-1", "ads").await;
    assert_eq!(get(&stage.client, "/").await.unwrap().status, 200);
}

/// A machine whose clock is ten days behind, and one whose clock is past the end of all that was signed: certificates are not
/// in force by its clock, and that is all that is wrong with them.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_clock_cannot_be_right_workloads_call_each_other_all_the_same() {
    const DAYS: u64 = 24 * 3_600_000;
    let starts = [Timestamp(now().0 + 10 * DAYS), Timestamp(now().0 - 40 * DAYS)];
    for start in starts {
        let mesh = Mesh::starting("mesh.local", start);
        let setting = Setting { mesh, ..Setting::of(plan(1).strict().only_for("client")) };
        let Some(stage) = Stage::start_in(setting).await else { return };
        stage.await_mutual().await;
        assert_eq!(get(&stage.client, "/").await.unwrap().status, 200);
        assert_eq!(get(&stage.other, "/").await.unwrap().status, 403);
        assert!(get(&stage.echo, "/").await.is_err());
        let id = "spiffe://store-1.mesh.local/ns/shop/sa/client";
        let stranger = Mesh::starting("mesh.local", start).authority("store-1");
        assert!(stage.call(&Forgery::new(&[id]).sign(&stranger)).await.is_err(), "who signed is looked at");
        eventually("the core hears of the clock", async || {
            let state = stage.core.log().state()?;
            state.workload_problems.iter().any(|problem| problem.starts_with("ClockSuspect: ")).then_some(())
        })
        .await;
    }
}

/// Keys are in few places on disk, for their owner alone, and said nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_for_their_owner_alone_and_are_said_nowhere() {
    let Some(stage) = Stage::start(plan(1)).await else { return };
    let folder = stage.site.proxy("client-1");
    let secret = folder.join("workload.secret.pb");
    eventually("the snapshot", async || secret.exists().then_some(())).await;
    let bytes = fs_err::read(&secret).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let key = text.split("BEGIN PRIVATE KEY-----\n").nth(1).unwrap().lines().next().unwrap().to_owned();
    let mut holders = Vec::new();
    for entry in walk(&stage.site.data()) {
        let Ok(content) = fs_err::read(&entry) else { continue };
        let has_key = String::from_utf8_lossy(&content).contains("PRIVATE KEY");
        if has_key {
            let mode = fs_err::metadata(&entry).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.display());
            holders.push(entry.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    holders.sort();
    holders.dedup();
    assert_eq!(holders, ["identity.copy.json", "identity.json", "workload.secret.pb"]);
    assert!(!stage.site.log().contains("PRIVATE KEY") && !stage.site.log().contains(&key));
    assert!(!stage.site.show().to_string().contains("PRIVATE"));
    let reports = format!("{:?}", stage.core.log().events()) + &format!("{:?}", stage.core.log().state());
    assert!(!reports.contains("PRIVATE") && !reports.contains(&key));
    let admin = stage.site.admin("client-1", 0);
    let dump = crate::http::ask_socket(&admin, "GET", "/config_dump").await.unwrap().body;
    assert!(dump.contains("[redacted]") && !dump.contains(&key), "Envoy shows no key either");
    for name in ["echo-1", "other-1"] {
        let other = fs_err::read(stage.site.proxy(name).join("workload.secret.pb")).unwrap();
        assert!(!String::from_utf8_lossy(&other).contains(&key), "each has its own");
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files.extend(walk(&entry.path())),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
