//! Who may ask a core of a run, and how the boxes of its sites are enrolled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::UnixTime;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use skerry_agent::enrolment::Enrolment;
use skerry_agent::link::secure::{self, LinkTime, Showing};
use skerry_controller::identity::authority::Authority;
use skerry_controller::identity::roll::Enrolled;
use skerry_controller::identity::seal;
use skerry_controller::identity::store::{Entry, IdentityStore as _};
use skerry_controller::store::redb::RedbStore;
use skerry_core::id::{Epoch, SiteId, Timestamp};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::EcdsaKey;
use skerry_identity::lifetimes::DEFAULT_BUDGET;
use skerry_identity::operator::OperatorCredentials;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{Verifier, client_config, credentials};
use skerry_proto::tls::Connector;
use tonic::transport::{Channel, Endpoint};

use crate::run::Run;

/// The mesh of every core here.
const MESH: &str = "mesh.local";

/// How long a core may take to be there for an enrolment.
const DEADLINE: Duration = Duration::from_secs(60);

/// The data folders of the cores of this process, by address.
static CORES: Mutex<BTreeMap<SocketAddr, PathBuf>> = Mutex::new(BTreeMap::new());

/// Notes a core.
pub(super) fn register(core: SocketAddr, data: &Path) {
    CORES.lock().unwrap_or_else(PoisonError::into_inner).insert(core, data.to_owned());
}

/// The credentials that a core wrote for people.
pub fn credentials_file(core: SocketAddr) -> Result<PathBuf> {
    let cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    let data = cores.get(&core).with_context(|| format!("no core of this process is at {core}"))?;
    Ok(data.join("operator.json"))
}

/// `skerry`, as people run it who may ask a core.
pub fn skerry(run: &Run, core: SocketAddr) -> Result<Command> {
    let mut command = Command::new(run.binaries().ours("skerry")?);
    command.env("SKERRY_CREDENTIALS", credentials_file(core)?).env("SKERRY_CORE", format!("https://{core}"));
    Ok(command)
}

/// Connects to a core as people do.
pub(super) async fn connect(core: SocketAddr) -> Result<Channel> {
    let operator = OperatorCredentials::from_json(&fs_err::read(credentials_file(core)?)?)?;
    let own = credentials([&operator.certificate], &operator.key)?;
    let anchors = Anchors { mesh: operator.mesh, roots: operator.roots };
    let config =
        client_config(Verifier::core(anchors, now, |_| {}), Some(own), Arc::new(DefaultTimeProvider))?;
    let endpoint = Endpoint::from_shared(format!("https://{core}"))?.timeout(Duration::from_secs(30));
    let connecting = endpoint.connect_with_connector(Connector::new(Arc::new(config)));
    connecting.await.context("the core is not there")
}

/// Enrols the box of a site with the core of a run, by the commands that people type; waits for the core to be there. The
/// box speaks to the core at another address, if there is a link in front of it.
pub(super) fn enrol(run: &Run, site: &str, core: SocketAddr, data: &Path) -> Result<()> {
    let first = {
        let cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
        let of_run = cores.iter().find(|(_, data)| data.starts_with(run.folder()));
        *of_run.context("the run has no core to enrol with")?.0
    };
    let start = std::time::Instant::now();
    let token = loop {
        let output = skerry(run, first)?.args(["site", "enroll", site, "--replace"]).output()?;
        if output.status.success() {
            break output.stdout;
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(start.elapsed() < DEADLINE, "`skerry site enroll` failed: {errors}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut command = Command::new(run.binaries().ours("skerry-agent")?);
    command.args(["enroll", "--core", &format!("https://{first}"), "--data-dir"]).arg(data);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().context("it is piped")?, &token)?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "`skerry-agent enroll` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // It is told the core's own address, and the link's at each start.
    let path = data.join("identity.json");
    let mut enrolment = Enrolment::load(&path)?.context("it is enrolled")?;
    enrolment.core = format!("https://{core}");
    Ok(enrolment.save(&path)?)
}

/// TLS as the agent does it that has a data folder.
pub fn agent_tls(data: &Path) -> Result<Arc<ClientConfig>> {
    let enrolment = Enrolment::load(&data.join("identity.json"))?.context("it is not enrolled")?;
    secure::configure(&enrolment, Showing::Itself, Arc::new(Wall))
}

#[derive(Debug)]
struct Wall;

impl LinkTime for Wall {
    fn now(&self) -> Timestamp {
        now()
    }

    fn observe(&self, _: Timestamp) {}
}

fn now() -> Timestamp {
    let since = DefaultTimeProvider.current_time().unwrap_or(UnixTime::since_unix_epoch(Duration::ZERO));
    Timestamp(since.as_secs() * 1000)
}

/// What simulated agents of many sites show: one key, and a certificate for each.
#[derive(Debug)]
pub struct Papers {
    key: EcdsaKey,
    anchors: Anchors,
    certificates: BTreeMap<SiteId, Certificate>,
}

impl Papers {
    /// Enrols sites in the folder of a core that has not started yet.
    pub(super) fn make(data: &Path, sites: impl IntoIterator<Item = SiteId>) -> Result<Self> {
        let store = RedbStore::open(&data.join("identity.redb"), Epoch(1))?;
        let mesh = MeshDomain::new(MESH)?;
        let authority = Authority::create(&mesh, None, now())?;
        store.keep_authority(&authority.to_record(&seal::find(None, None, data, true)?)?)?;
        let (key, below) = (EcdsaKey::generate()?, EcdsaKey::generate()?);
        let proven = (ProvenKey::from(&key), ProvenKey::from(&below));
        let given = sites.into_iter().map(|site| {
            let given = authority.sign_site(&site, (&proven.0, &proven.1), DEFAULT_BUDGET, now());
            given.map(|given| (site, given)).map_err(|why| anyhow!("{why}"))
        });
        let given = given.collect::<Result<Vec<_>>>()?;
        let enrolled = Enrolled {
            astray: None,
            key: key.thumbprint(),
            authority: below.thumbprint(),
            at: now(),
            revoked: None,
            agent_until: given.first().map_or(now(), |(_, given)| given.agent.not_after()),
            authority_until: now(),
        };
        let entries = given.iter().map(|(site, _)| Entry { enrolled: Some(&enrolled), ..Entry::of(site) });
        store.keep_entries(&entries.collect::<Vec<_>>())?;
        let anchors = Anchors { mesh, roots: authority.link_roots() };
        Ok(Self {
            key,
            anchors,
            certificates: given.into_iter().map(|(site, given)| (site, given.agent)).collect(),
        })
    }

    /// TLS of a site's agent.
    pub fn tls(&self, site: &SiteId) -> Result<Arc<ClientConfig>> {
        let certificate = self.certificates.get(site).with_context(|| format!("{site} is not enrolled"))?;
        let own = credentials([certificate], &self.key)?;
        let verifier = Verifier::core(self.anchors.clone(), now, |_| {});
        let mut config = client_config(verifier, Some(own), Arc::new(DefaultTimeProvider))?;
        // Of thousands in one process each keeps one session.
        config.resumption = Resumption::in_memory_sessions(1);
        Ok(Arc::new(config))
    }
}
