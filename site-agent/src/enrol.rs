//! `skerry-agent enroll`: becomes the box of a site with a join token.
//!
//! The keys are made here, and kept before the core is asked: a token is good for one key, and an answer may be lost. Run
//! again with the same token it goes on where it was.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::SiteCa;
use skerry_identity::certificate::Certificate;
use skerry_identity::csr;
use skerry_identity::key::EcdsaKey;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::token::{EnrolTime, JoinToken, MAX_TOKEN_BYTES};
use skerry_identity::trust_root::{SignedRoot, TrustedRoot};
use skerry_identity::verify::tls::{Verifier, client_config};
use skerry_identity::verify::{Anchors, verify_peer, verify_site_ca};
use skerry_proto::tls::Connector;
use skerry_proto::v1::enrolment_client::EnrolmentClient;
use skerry_proto::v1::{Credentials, EnrolRequest, RenewRequest, Trust};
use tokio::runtime::Builder;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use zeroize::Zeroizing;

use crate::args::EnrollArgs;
use crate::clock::{share, wall_ms};
use crate::config::check_core;
use crate::enrolment::Enrolment;
use crate::layout::{Layout, replace_file};

mod policy_pins;

use policy_pins::PolicyPins;

/// How long the core may take, names, handshake and all.
const DEADLINE: Duration = Duration::from_secs(30);

/// The exit code for a wrong command line, as that of the argument parser.
const WRONG_USAGE: u8 = 2;

/// The exit code where the offline root has not signed yet (EX_TEMPFAIL of sysexits.h).
const TRY_AGAIN: u8 = 75;

/// How often it is asked whether the offline root has signed: a ceremony takes people hours.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// Runs the verb.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "this is the program's own voice")]
pub(crate) fn main(args: &EnrollArgs) -> ExitCode {
    match enroll(args) {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<WrongUsage>() {
                WRONG_USAGE.into()
            } else if error.is::<Waits>() {
                TRY_AGAIN.into()
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

/// The offline root has not signed yet.
#[derive(Debug, thiserror::Error)]
#[error(
    "the mesh root is kept offline and has not signed for this box yet: site `{site}`, key {key} (help: `skerry root requests` has what \
     waits; run this again with the same token afterwards)"
)]
struct Waits {
    site: SiteId,
    /// What whoever runs the ceremony compares.
    key: String,
}

fn wrong(words: impl Into<String>) -> anyhow::Error {
    WrongUsage(words.into()).into()
}

fn enroll(args: &EnrollArgs) -> anyhow::Result<String> {
    let (text, exposure) = read_token(&args.token_file)?;
    let token: JoinToken = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let core = args.core.clone().or_else(|| token.core.clone());
    let core = core.ok_or_else(|| {
        wrong("the token names no core (help: give its address with --core https://HOST:PORT)")
    })?;
    let core = check_core(core).map_err(|error| wrong(error.to_string()))?;
    let pins = PolicyPins::read(&args.policy_key).map_err(wrong)?;
    let layout = Layout::new(std::path::absolute(&args.data_dir)?);
    layout.prepare()?;
    let path = layout.enrolment();
    check_folder(&path, &token, args.replace)?;
    let pending = layout.pending_keys();
    let keys = Keys::load_or_make(&pending, &token)?;
    let time = token.time(Timestamp(wall_ms()));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asking = Asking { token: &token, core: &core, keys: &keys, time };
    let (credentials, link_root) = runtime.block_on(asking.until_signed(args.no_wait))?;
    let enrolment = take(&token, core, keys, credentials, &link_root, time)?;
    pins.check(enrolment.trust_root.root()).map_err(anyhow::Error::msg)?;
    enrolment.keep(&layout)?;
    fs_err::remove_file(&pending)?;
    let clock = match time {
        EnrolTime::Clock(_) => "",
        EnrolTime::Suspect(_) => {
            "; the clock of this machine cannot be right, the time of the token was used"
        }
    };
    let restart = if args.replace { "; restart the agent if it runs" } else { "" };
    Ok(format!(
        "site `{}` of mesh `{}` is enrolled at {}{clock}{restart}{}",
        enrolment.site(),
        token.mesh.as_str(),
        enrolment.core,
        exposure
            .map(|mode| format!("; others could read the token's file until it was used (mode {mode:03o})"))
            .unwrap_or_default()
    ))
}

/// Says whether a new identity may be put into a data folder. Before the core is asked: a token is good once.
fn check_folder(path: &Path, token: &JoinToken, replace: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let found = match Enrolment::load(path) {
        Ok(None) => return Ok(()),
        Ok(Some(enrolled)) => {
            let site = enrolled.site();
            if *site != token.site {
                let help = "give each site a data folder of its own";
                return Err(wrong(format!(
                    "{shown} is the identity of site `{site}`, and the token is for `{}` (help: {help})",
                    token.site
                )));
            }
            format!("{shown} has the identity of site `{site}` already")
        }
        Err(error) => error.to_string(),
    };
    if replace {
        return Ok(());
    }
    Err(wrong(format!(
        "{found} (help: --replace puts a new one in its place; an agent that runs is to be restarted then)"
    )))
}

/// Reads the token from a file, or from standard input: on the command line every process could read it. With the mode of a
/// file that others may read too.
fn read_token(path: &Path) -> anyhow::Result<(Zeroizing<String>, Option<u32>)> {
    let mut text = Zeroizing::new(String::with_capacity(2 * MAX_TOKEN_BYTES));
    let limit = 2 * MAX_TOKEN_BYTES as u64;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text).map(|_| None)
    } else {
        std::fs::File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            let mode = metadata.permissions().mode() & 0o777;
            file.take(limit).read_to_string(&mut text)?;
            Ok((metadata.is_file() && mode & 0o077 != 0).then_some(mode))
        })
    };
    let exposure = read.map_err(|error| wrong(format!("--token-file {}: {error}", path.display())))?;
    Ok((text, exposure))
}

/// The keys of a box that is not enrolled yet.
struct Keys {
    agent: EcdsaKey,
    authority: EcdsaKey,
    /// They were made for this token before, and the core may know them.
    are_old: bool,
}

impl Keys {
    /// Takes those that were made for this token before, or makes them. One file: two keys as PEM, and for which token.
    fn load_or_make(path: &Path, token: &JoinToken) -> anyhow::Result<Self> {
        let head = format!("for {} {}\n", token.site, Thumbprint::of_spki(token.secret.as_bytes()));
        if let Ok(bytes) = fs_err::read(path).map(Zeroizing::new)
            && let Some(rest) = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix(&head))
            && let Some((agent, authority)) = rest.split_once("\n\n")
            && let (Ok(agent), Ok(authority)) = (EcdsaKey::from_pem(agent), EcdsaKey::from_pem(authority))
        {
            return Ok(Self { agent, authority, are_old: true });
        }
        let keys = Self { agent: EcdsaKey::generate()?, authority: EcdsaKey::generate()?, are_old: false };
        let (agent, authority) = (keys.agent.to_pem()?, keys.authority.to_pem()?);
        let text = Zeroizing::new([&head, agent.trim_end(), "\n\n", &authority].concat());
        replace_file(path, text.as_bytes()).context("the new keys cannot be kept")?;
        Ok(keys)
    }
}

/// The token's time, for the handshake.
#[derive(Debug)]
struct Stopped(Timestamp);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.0)))
    }
}

/// What a box asks, and whom.
struct Asking<'a> {
    token: &'a JoinToken,
    core: &'a str,
    keys: &'a Keys,
    time: EnrolTime,
}

impl Asking<'_> {
    /// Asks until there is all that a site needs: an offline root takes its time, and the box is enrolled meanwhile, so its key
    /// is enough to ask again.
    #[expect(clippy::print_stderr, reason = "this is the program's own voice")]
    async fn until_signed(&self, no_wait: bool) -> anyhow::Result<(Credentials, Certificate)> {
        // A box that waited before is enrolled, even if its token has ended since.
        let again = if self.keys.are_old { self.once(Way::Renew).await.ok() } else { None };
        let mut answer = match again {
            Some(answer) => answer,
            None => self.once(Way::Enrol).await?,
        };
        let mut is_said = false;
        while answer.0.authority.is_empty() {
            if no_wait {
                let key = self.keys.authority.thumbprint().short();
                return Err(Waits { site: self.token.site.clone(), key }.into());
            }
            if !std::mem::replace(&mut is_said, true) {
                eprintln!(
                    "waiting for the offline root to sign for site `{}`, key {}: `skerry root requests` has the request",
                    self.token.site,
                    self.keys.authority.thumbprint().short()
                );
            }
            tokio::time::sleep(ASK_EVERY.mul_f64(0.5 + share())).await;
            match self.once(Way::Renew).await {
                Ok(next) => answer = next,
                Err(error) if error.is::<Refused>() => return Err(error),
                Err(error) => eprintln!("still waiting: {error:#}"),
            }
        }
        Ok(answer)
    }

    async fn once(&self, way: Way) -> anyhow::Result<(Credentials, Certificate)> {
        let Self { token, core, .. } = self;
        let (verifier, found): (_, Arc<OnceLock<Certificate>>) =
            Verifier::pinned_core(token.mesh.clone(), token.pin);
        let config = client_config(verifier, None, Arc::new(Stopped(self.time.now())))?;
        let endpoint = Endpoint::from_shared((*core).to_owned())
            .map_err(|_| wrong(format!("{core}: not an address")))?;
        let asking = async {
            let channel = endpoint.connect_with_connector(Connector::new(Arc::new(config))).await;
            let channel =
                channel.map_err(|error| anyhow!("no core at {core}: {}", crate::link::explain(&error)))?;
            self.call(EnrolmentClient::new(channel), way).await
        };
        let answer = tokio::time::timeout(DEADLINE, asking).await;
        let answer = answer
            .map_err(|_| anyhow!("the core at {core} did not answer within {} s", DEADLINE.as_secs()))??;
        let credentials = answer.ok_or_else(|| anyhow!("the core's answer is empty"))?;
        let root = found.get().cloned().ok_or_else(|| anyhow!("the core was not verified"))?;
        Ok((credentials, root))
    }

    async fn call(
        &self,
        mut client: EnrolmentClient<Channel>,
        way: Way,
    ) -> anyhow::Result<Option<Credentials>> {
        let (site, token) = (self.token.site.to_string(), self.token);
        let (agent, authority) = (csr::create(&self.keys.agent)?, csr::create(&self.keys.authority)?);
        let answer = match way {
            Way::Enrol => {
                let secret = token.secret.as_bytes().to_vec();
                let request = EnrolRequest { site, secret, agent, authority };
                client.enrol(request).await.map(|answer| answer.into_inner().credentials)
            }
            Way::Renew => {
                // None is known here: the newest is the first.
                let request = RenewRequest { site, agent, authority, ..RenewRequest::default() };
                client.renew(request).await.map(|answer| answer.into_inner().credentials)
            }
        };
        answer.map_err(|status| match status.code() {
            Code::ResourceExhausted | Code::Unavailable | Code::Internal => {
                anyhow!("the core cannot answer now: {}", status.message())
            }
            _ => Refused(status.message().to_owned()).into(),
        })
    }
}

/// How the core is asked.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// With the token.
    Enrol,
    /// By the key that it has enrolled before.
    Renew,
}

/// The core has answered, and it is no.
#[derive(Debug, thiserror::Error)]
#[error("the core refuses: {0}")]
struct Refused(String);

/// Checks what the core gave before it is kept.
fn take(
    token: &JoinToken,
    core: String,
    keys: Keys,
    credentials: Credentials,
    link_root: &Certificate,
    time: EnrolTime,
) -> anyhow::Result<Enrolment> {
    let trust = credentials.trust.unwrap_or_default();
    let received = Received::of(&credentials.agent, &credentials.authority, &trust)?;
    if !received.link_roots.contains(link_root) {
        bail!("the core's answer does not name the authority that the token pins");
    }
    let [first] = received.trust_roots.as_slice() else {
        bail!("the core's answer has {} trust roots, and one is the first", received.trust_roots.len());
    };
    let trust_root = TrustedRoot::first(first.clone())?;
    let anchors = |roots: &[Certificate]| Anchors { mesh: token.mesh.clone(), roots: roots.to_vec() };
    // Signed before now, by a clock that is not ours: what a certificate says is later than one that stands still, or that was read
    // when a ceremony was waited for.
    let now = |certificate: &Certificate| time.now().max(certificate.not_before());
    let (mesh_roots, link_roots) = (anchors(&received.mesh_roots), anchors(&received.link_roots));
    verify_site_ca(&received.authority, &token.site, &mesh_roots, now(&received.authority))?;
    let peer = verify_peer(&[received.agent.der().clone()], &link_roots, now(&received.agent))?;
    if peer.key != keys.agent.thumbprint() {
        bail!("the core's answer is for another key");
    }
    Ok(Enrolment {
        core,
        agent_key: keys.agent,
        agent: received.agent,
        authority: SiteCa::load(&token.mesh, &token.site, received.authority, keys.authority)?,
        mesh_roots: received.mesh_roots,
        link_roots: received.link_roots,
        trust_root,
        revoked: received.revoked.into_iter().collect(),
        revoked_sites: received.revoked_sites,
        trust_version: received.trust_version,
        offline_budget: Duration::from_secs(credentials.offline_budget_seconds),
    })
}

/// What came over the wire, read and not yet believed.
pub(crate) struct Received {
    pub(crate) agent: Certificate,
    pub(crate) authority: Certificate,
    pub(crate) mesh_roots: Vec<Certificate>,
    pub(crate) link_roots: Vec<Certificate>,
    pub(crate) trust_roots: Vec<SignedRoot>,
    pub(crate) revoked: Vec<Thumbprint>,
    pub(crate) revoked_sites: BTreeSet<SiteId>,
    pub(crate) trust_version: u64,
}

impl Received {
    pub(crate) fn of(agent: &[u8], authority: &[u8], trust: &Trust) -> anyhow::Result<Self> {
        let all = |ders: &[Vec<u8>]| -> anyhow::Result<Vec<Certificate>> {
            Ok(ders.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>()?)
        };
        Ok(Self {
            agent: Certificate::from_der(agent)?,
            authority: Certificate::from_der(authority)?,
            mesh_roots: all(&trust.mesh_roots)?,
            link_roots: all(&trust.link_roots)?,
            trust_roots: trust
                .trust_roots
                .iter()
                .map(|json| serde_json::from_slice(json))
                .collect::<Result<_, _>>()?,
            revoked: trust.revoked.iter().map(|key| Thumbprint::from_slice(key)).collect::<Result<_, _>>()?,
            revoked_sites: trust.revoked_sites.iter().map(SiteId::new).collect::<Result<_, _>>()?,
            trust_version: trust.version,
        })
    }
}

#[cfg(test)]
mod tests;
