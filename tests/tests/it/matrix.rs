//! Every workload of Online Boutique asks every service, through real Envoys and over mutual TLS: what its network policies
//! allow is answered, everything else is refused. Who may call whom is the table of [`crate::boutique`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use hyper::StatusCode;
use skerry_identity::ca::Svid;
use skerry_tests::fleet::{Agent, Core, Workload, XdsMode};
use skerry_tests::http::Request;
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;
use skerry_tests::sample::Echo;
use skerry_tests::wait::eventually;

use crate::boutique::{ALLOWED, NAMESPACE};
use crate::place::{DEADLINE, Place, Source, run};

mod direct;

use direct::Authority;

/// The site without an uplink that is metered: it says at once what it runs.
const SITE: &str = "market";
/// The one that calls and is not called.
const SHOPPERS: &str = "loadgenerator";
/// An account that no workload has.
const STRANGER: &str = "stranger";
/// The service that carries bytes: who is refused there is hung up on.
const BYTES: &str = "redis-cart";

/// The port of each service and that of its workload, in the order of their names, which is that of their addresses. The
/// front's own port, 80, takes root.
const PORTS: [(&str, u16, u16); 11] = [
    ("adservice", 9555, 9555),
    ("cartservice", 7070, 7070),
    ("checkoutservice", 5050, 5050),
    ("currencyservice", 7000, 7000),
    ("emailservice", 5000, 8080),
    ("frontend", 8080, 8080),
    ("paymentservice", 50051, 50051),
    ("productcatalogservice", 3550, 3550),
    ("recommendationservice", 8080, 8080),
    (BYTES, 6379, 6379),
    ("shippingservice", 50051, 50051),
];

/// From whom to whom.
type Pair = (String, String);

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Served,
    Refused,
    /// Neither: somebody is not there yet.
    Unclear(String),
}

struct Boutique {
    source: Source,
    place: Place,
    authority: Authority,
    _agent: Agent,
}

impl Boutique {
    /// The whole of it at one site, in a mesh that takes mutual TLS alone.
    async fn start() -> Self {
        let run = run();
        let mut source = start_source(&run).await;
        let mut place = Place::new(&run, SITE, NAMESPACE);
        place.workloads = vec![workload(&run, SHOPPERS)];
        for (service, _, port) in PORTS {
            let workload = workload(&run, service).ports(&[("", port)]);
            place.serve(workload, service, "v1").await;
        }
        let agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
        source.publish("the boutique", &[SITE]).await;
        let authority = Authority::of(agent.data());
        Self { source, place, authority, _agent: agent }
    }

    /// Asks a service as the proxy of a workload has it.
    async fn ask(&self, from: &Workload, index: u8) -> Outcome {
        let (service, port, _) = PORTS[usize::from(index) - 1];
        let address = from.virtual_address(index).expect("each has a sidecar");
        let request = Request::get("/").header("host", service).deadline(Duration::from_secs(5));
        match request.send(SocketAddr::from((address, port))).await {
            Ok(reply) if reply.status == 200 => match reply.json::<Echo>() {
                Ok(echo) if echo.identity.service == service => Outcome::Served,
                _ => Outcome::Unclear(format!("it is somebody else: {}", reply.text())),
            },
            Ok(reply) if reply.status == 403 => Outcome::Refused,
            Ok(reply) => Outcome::Unclear(format!("{} {}", reply.status, reply.text())),
            Err(_) if service == BYTES => Outcome::Refused,
            Err(error) => Outcome::Unclear(format!("{error:#}")),
        }
    }

    /// Asks the proxy of a service's workload, with a certificate and no proxy in front.
    async fn ask_directly(&self, own: &Svid, to: &Workload) -> Outcome {
        let inbound = to.inbound().expect("each has a sidecar");
        match self.authority.ask(own, inbound, &to.name).await {
            Ok(StatusCode::OK) => Outcome::Served,
            Ok(StatusCode::FORBIDDEN) => Outcome::Refused,
            Ok(status) => Outcome::Unclear(status.to_string()),
            Err(_) if to.name == BYTES => Outcome::Refused,
            Err(error) => Outcome::Unclear(format!("{error:#}")),
        }
    }

    /// Asks for every pair, through the callers' proxies. A workload that calls itself does not leave its own.
    async fn probe(&self) -> BTreeMap<Pair, Outcome> {
        let mut seen = BTreeMap::new();
        for from in &self.place.workloads {
            for (index, (to, ..)) in (1..).zip(PORTS).filter(|(_, (to, ..))| *to != from.name) {
                seen.insert((from.name.clone(), to.to_owned()), self.ask(from, index).await);
            }
        }
        seen
    }

    /// Asks for every pair, and for an account that nobody has heard of, without a proxy in front.
    async fn probe_directly(&self) -> BTreeMap<Pair, Outcome> {
        let mut seen = BTreeMap::new();
        for from in self.place.workloads.iter().map(|from| from.name.as_str()).chain([STRANGER]) {
            let own = self.authority.mint(from);
            for to in &self.place.workloads[1..] {
                seen.insert((from.to_owned(), to.name.clone()), self.ask_directly(&own, to).await);
            }
        }
        seen
    }

    /// Fails unless these pairs are answered and all others are refused.
    async fn check(&self, allowed: &BTreeSet<Pair>) -> Result<()> {
        let probes = [(self.probe().await, 12 * 11 - 11), (self.probe_directly().await, 13 * 11)];
        for (seen, pairs) in probes {
            ensure!(seen.len() == pairs, "{} pairs, not {pairs}", seen.len());
            let of = |pair: &Pair| if allowed.contains(pair) { Outcome::Served } else { Outcome::Refused };
            let wrong: Vec<_> = seen.into_iter().filter(|(pair, outcome)| *outcome != of(pair)).collect();
            ensure!(wrong.is_empty(), "{} pairs are otherwise: {wrong:?}", wrong.len());
        }
        Ok(())
    }

    /// Fails unless no workload is reached in plain text.
    async fn check_strict(&self) -> Result<()> {
        for workload in &self.place.workloads {
            let inbound = workload.inbound().expect("each has a sidecar");
            if let Ok(reply) = Request::get("/").send(inbound).await {
                anyhow::bail!("{} takes plain text: {}", workload.name, reply.status);
            }
        }
        Ok(())
    }

    /// Takes one pair out of the policies; waits until it is closed.
    async fn close(&mut self, (from, to): (&str, &str), old: &str, new: &str) {
        self.source.repo.replace("boutique/authorization.yaml", old, new).expect("the policy is there");
        self.source.publish(&format!("{from} calls {to} no more"), &[SITE]).await;
        let caller = self.place.workloads.iter().find(|workload| workload.name == from).expect("it is there");
        let at = PORTS.iter().position(|(service, ..)| *service == to).expect("it is there");
        let index = u8::try_from(at + 1).expect("there are eleven");
        let is_closed = async || {
            let outcome = self.ask(caller, index).await;
            ensure!(outcome == Outcome::Refused, "{from} -> {to}: {outcome:?}");
            Ok(())
        };
        eventually("the pair is closed", DEADLINE, is_closed).await.expect("it is closed");
    }
}

/// A repository with the example, and its core.
async fn start_source(run: &Arc<Run>) -> Source {
    let repo = PolicyRepo::init(run.folder()).expect("a repository can be made");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/online-boutique");
    repo.copy_from(&example).expect("the example is there");
    let strict = "spec:\n  mtls: {mode: Strict}\n";
    repo.replace("mesh.yaml", "spec:\n", strict).expect("there is a mesh");
    let (root_port, port) = ("port: 80, targetPort: 8080", "port: 8080, targetPort: 8080");
    repo.replace("boutique/services.yaml", root_port, port).expect("there is a front");
    let core = Core::new(run, "core", &repo.url()).expect("the core's folders can be made");
    let mut core = core.of_mesh("boutique.example");
    core.start().await.expect("the core starts");
    Source { repo, core }
}

/// A workload of the account of its name, with a sidecar.
fn workload(run: &Run, name: &str) -> Workload {
    let workload = Workload::new(NAMESPACE, name, run.net().address()).label("app", name);
    workload.sidecar(&run.net().range())
}

/// The table as pairs; `*` is everybody.
fn allowed() -> BTreeSet<Pair> {
    let callers = || PORTS.iter().map(|(name, ..)| *name).chain([SHOPPERS, STRANGER]);
    let of_row = |(to, from): (&str, &[&str])| -> Vec<Pair> {
        let may = |caller: &&str| from.contains(caller) || from.contains(&"*");
        callers().filter(may).map(|caller| (caller.to_owned(), to.to_owned())).collect()
    };
    ALLOWED.into_iter().flat_map(of_row).collect()
}

#[tokio::test]
async fn every_pair_is_answered_or_refused_as_the_policies_say() {
    let mut allowed = allowed();
    assert_eq!(allowed.len(), 15 + 13, "those of the table, and all who may ask the front");
    let mut boutique = Boutique::start().await;
    eventually("all is mutual TLS", DEADLINE, async || boutique.check_strict().await).await.expect("it is");
    eventually("all is as allowed", DEADLINE, async || boutique.check(&allowed).await).await.expect("it is");

    let (from, to) = ("recommendationservice", "productcatalogservice");
    boutique.close((from, to), ", {name: recommendationservice}]", "]").await;
    assert!(allowed.remove(&(from.to_owned(), to.to_owned())));
    boutique.check(&allowed).await.expect("one pair is closed, and no other");

    let (from, to) = ("cartservice", BYTES);
    boutique.close((from, to), "- from: [{serviceAccounts: [{name: cartservice}]}]", "- from: []").await;
    assert!(allowed.remove(&(from.to_owned(), to.to_owned())));
    boutique.check(&allowed).await.expect("one more");
    boutique.check_strict().await.expect("nobody speaks in plain text");
}
