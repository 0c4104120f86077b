//! Renewal of what the site was given: the agent's certificate and that of the site's authority.
//!
//! When a third of a life is over, with jitter, whatever the other link does; when the core says that whom the site shall believe has
//! changed (`news`), and when the bundle has another offline budget (`budget`). With nothing but the enrolled key, so that a site
//! whose certificates are all over comes back by itself. What comes is checked before it is kept, and kept before it is used. Never
//! ends what runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use skerry_core::id::Timestamp;
use skerry_identity::ca::{Authority as _, SiteCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr;
use skerry_identity::key::EcdsaKey;
use skerry_identity::trust_root::{MAX_STEPS, PolicyDemand, RootRefusal, TrustedRoot};
use skerry_identity::verify::{Anchors, verify_peer, verify_site_ca};
use skerry_proto::tls::Connector;
use skerry_proto::v1::enrolment_client::EnrolmentClient;
use skerry_proto::v1::{Credentials, RenewRequest};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tracing::{info, warn};

use super::backoff::Backoff;
use super::explain;
use super::failure::pushback;
use super::news::{Heard, News};
use super::secure::{self, LinkTime, Showing};
use crate::clock::{Clock, Elapsed, share, wall_ms};
use crate::enrol::Received;
use crate::enrolment::Enrolment;
use crate::layout::Layout;
use crate::site::Desired;

mod budget;

use budget::Budget;

/// How long the core may take, names, handshake and all: a satellite link needs 8 round trips of 0.7 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often it is looked whether something is due: much less than the third of the shortest life, 8 h.
const LOOK: Duration = Duration::from_secs(60);

/// How long at least between two renewals that clocks ask for: an eighth of the third of the shortest life.
const SELDOM: Duration = Duration::from_secs(3_600);

/// How many times in a row the core is asked by a site that slept through more versions of the trust root than one answer holds: 1,024
/// versions in all.
const WALKS: usize = 16;

/// The core answered, and not with certificates.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct Refused {
    /// When to come back.
    pause: Duration,
    words: String,
}

/// Renews for as long as the agent runs.
pub(crate) struct Renewal {
    /// The core's address.
    pub(crate) core: String,
    /// Where it is kept.
    pub(crate) layout: Layout,
    /// The time.
    pub(crate) time: Arc<dyn LinkTime>,
    /// Counts the time between renewals.
    pub(crate) clock: Clock,
    /// Told when the machine slept, or its clock was set.
    pub(crate) moved: Arc<Notify>,
    /// Told when the core does not know the agent.
    pub(crate) not_known: Arc<Notify>,
    /// What the core says of the version of trust.
    pub(crate) heard: watch::Receiver<Heard>,
    /// What the site asks for of policy keys.
    pub(crate) demand: PolicyDemand,
    /// What the bundle says, its offline budget among it.
    pub(crate) desired: watch::Receiver<Desired>,
    /// What the site has.
    pub(crate) enrolment: watch::Sender<Option<Arc<Enrolment>>>,
}

/// When the next renewal is due. Time and chance are arguments.
struct Schedule {
    backoff: Backoff,
    /// Drawn once for each certificate: 0 to 1.
    jitter: f64,
    /// When it was renewed last, or asked for out of turn.
    last: Option<Elapsed>,
    /// The core does not know the agent.
    is_refused: bool,
    /// The core has another version of whom the site believes.
    news: News,
    /// The bundle has another offline budget.
    budget: Budget,
}

impl Schedule {
    fn new(jitter: f64) -> Self {
        Self {
            backoff: Backoff::default(),
            jitter,
            last: None,
            is_refused: false,
            news: News::default(),
            budget: Budget::default(),
        }
    }

    /// Clocks that are ahead, ours or the core's, make it early, and not more often than once in a while.
    fn is_due(&self, now: Elapsed, enrolment: &Enrolment, clocks: [Timestamp; 2]) -> bool {
        let due = due_at(enrolment, self.jitter);
        let is_rare = self.last.is_none_or(|last| now.saturating_sub(last) > SELDOM);
        let has_news = self.until_told(now).is_some_and(|left| left.is_zero());
        self.is_refused || has_news || is_rare && clocks.iter().any(|clock| *clock >= due)
    }

    /// Says whether a word of the core's may ask for it out of turn.
    fn may_ask(&self, now: Elapsed) -> bool {
        self.last.is_none_or(|last| now.saturating_sub(last) > LOOK)
    }

    /// Returns when to look again while nothing is due.
    fn until_look(&self, now: Elapsed) -> Duration {
        self.until_told(now).map_or(LOOK, |left| left.min(LOOK))
    }

    /// Returns how long it is until a renewal is due that no clock asks for.
    fn until_told(&self, now: Elapsed) -> Option<Duration> {
        self.news.until_due(now).into_iter().chain(self.budget.until_due(now)).min()
    }

    fn handle_renewed(&mut self, now: Elapsed, jitter: f64) {
        let (mut news, mut budget) = (std::mem::take(&mut self.news), std::mem::take(&mut self.budget));
        news.handle_renewed(now);
        budget.handle_renewed();
        *self = Self { last: Some(now), news, budget, ..Self::new(jitter) };
    }

    /// Returns when to try again, not before the core has asked for.
    fn handle_failure(&mut self, now: Elapsed, error: &anyhow::Error, share: f64) -> Duration {
        if std::mem::take(&mut self.is_refused) {
            self.last = Some(now);
        }
        let asked = error.downcast_ref::<Refused>().map_or(Duration::ZERO, |refused| refused.pause);
        self.backoff.next_pause(share).max(self.backoff.spread(asked, share))
    }
}

impl Renewal {
    /// Runs until the process ends.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut schedule = Schedule::new(share());
        loop {
            let Some(enrolment) = self.enrolment.borrow().clone() else {
                cancel.cancelled().await;
                return Ok(());
            };
            let clocks = [self.time.now(), Timestamp(wall_ms())];
            let now = self.clock.elapsed();
            let wanted = self.desired.borrow_and_update().offline_budget;
            schedule.budget.handle_wanted(wanted, enrolment.offline_budget, now, share());
            let is_due = schedule.is_due(now, &enrolment, clocks);
            let pause =
                if is_due { self.turn(&enrolment, &mut schedule).await } else { schedule.until_look(now) };
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                () = self.moved.notified(), if !is_due => {}
                Ok(()) = self.desired.changed(), if !is_due => {}
                () = self.not_known.notified(), if !is_due && schedule.may_ask(self.clock.elapsed()) => {
                    schedule.is_refused = true;
                }
                Ok(()) = self.heard.changed(), if !is_due => {
                    let (heard, has) = (*self.heard.borrow_and_update(), enrolment.trust_version);
                    schedule.news.handle_heard(heard, has, self.clock.elapsed(), share());
                }
            }
        }
    }

    /// Renews once; returns when to look again.
    async fn turn(&self, enrolment: &Enrolment, schedule: &mut Schedule) -> Duration {
        match self.renew(enrolment).await {
            Ok(renewed) => {
                let (agent, authority) =
                    (renewed.agent.not_after(), renewed.authority.certificate().not_after());
                info!(
                    agent_until_ms = agent.0,
                    authority_until_ms = authority.0,
                    "the site's certificates are renewed"
                );
                self.enrolment.send_replace(Some(Arc::new(renewed)));
                schedule.handle_renewed(self.clock.elapsed(), share());
                // There may be news by now.
                Duration::ZERO
            }
            Err(error) => {
                let pause = schedule.handle_failure(self.clock.elapsed(), &error, share());
                warn!(pause_ms = pause.as_millis(), "the site's certificates are not renewed yet: {error:#}");
                pause
            }
        }
    }

    async fn renew(&self, enrolment: &Enrolment) -> anyhow::Result<Enrolment> {
        let (mut renewed, mut has_more) = self.walk(enrolment).await?;
        for _ in 1..WALKS {
            if has_more {
                (renewed, has_more) = self.walk(&renewed).await?;
            }
        }
        keep(renewed, enrolment.trust_version, &self.layout)
    }

    /// Asks once; says whether the core may have later versions of the trust root still.
    async fn walk(&self, enrolment: &Enrolment) -> anyhow::Result<(Enrolment, bool)> {
        let credentials = tokio::time::timeout(DEADLINE, self.ask(enrolment)).await;
        let credentials =
            credentials.map_err(|_| anyhow!("the core did not answer within {} s", DEADLINE.as_secs()))??;
        let steps = credentials.trust.as_ref().map_or(0, |trust| trust.trust_roots.len());
        Ok((take(enrolment, credentials, self.demand)?, steps >= MAX_STEPS))
    }

    async fn ask(&self, enrolment: &Enrolment) -> anyhow::Result<Credentials> {
        let tls = secure::configure(enrolment, Showing::Nothing, Arc::clone(&self.time))?;
        let endpoint = Endpoint::from_shared(self.core.clone())?;
        let channel = endpoint.connect_with_connector(Connector::new(tls)).await;
        let channel = channel.map_err(|error| anyhow!("no core at {}: {}", self.core, explain(&error)))?;
        let answer = EnrolmentClient::new(channel).renew(request(enrolment)?).await;
        let answer = answer.map_err(|status| {
            let pause = pushback(&status).unwrap_or_default();
            anyhow::Error::new(Refused { pause, words: format!("{}: {}", status.code(), status.message()) })
        })?;
        answer.into_inner().credentials.ok_or_else(|| anyhow!("the core's answer is empty"))
    }
}

/// What the core is asked for, and told of what the site has.
fn request(enrolment: &Enrolment) -> anyhow::Result<RenewRequest> {
    Ok(RenewRequest {
        site: enrolment.site().to_string(),
        agent: csr::create(&enrolment.agent_key)?,
        authority: csr::create(enrolment.authority.key())?,
        trust_root_version: enrolment.trust_root.root().version,
        trust_root_digest: enrolment.trust_root.signed().digest().to_vec(),
    })
}

/// When to renew: what is to be renewed first. A certificate is backdated by an hour, of lives of a day and more.
fn due_at(enrolment: &Enrolment, jitter: f64) -> Timestamp {
    let due = |certificate: &Certificate| certificate.validity().rotate_at(jitter);
    due(&enrolment.agent).min(due(enrolment.authority.certificate()))
}

/// Checks what the core gave. Whom the site believes is what the core says now: it is the core that it asked, by the
/// transport authority that it had.
fn take(before: &Enrolment, credentials: Credentials, demand: PolicyDemand) -> anyhow::Result<Enrolment> {
    let trust = credentials.trust.unwrap_or_default();
    // A root that is kept offline has not signed anew: the one that is there lasts.
    let authority = match credentials.authority.as_slice() {
        [] => before.authority.certificate().der(),
        signed => signed,
    };
    let received = Received::of(&credentials.agent, authority, &trust)?;
    let (trust_root, trust_version) = match before.trust_root.walk(&received.trust_roots, demand) {
        Ok(root) => (root, received.trust_version),
        Err(refusal) => (go_on(before, &refusal), before.trust_version),
    };
    let anchors = |roots: &[Certificate]| Anchors { mesh: before.mesh().clone(), roots: roots.to_vec() };
    // They were signed a moment ago by the core that was verified: whatever our clock shows, that is the time for them.
    let now = |certificate: &Certificate| certificate.validity().issued;
    let (mesh_roots, link_roots) = (anchors(&received.mesh_roots), anchors(&received.link_roots));
    verify_site_ca(&received.authority, before.site(), &mesh_roots, now(&received.authority))?;
    let peer = verify_peer(&[received.agent.der().clone()], &link_roots, now(&received.agent))?;
    if peer.key != before.agent_key.thumbprint() {
        bail!("the core's answer is for another key");
    }
    let copy = |key: &EcdsaKey| -> anyhow::Result<EcdsaKey> { Ok(EcdsaKey::from_pkcs8(&key.to_pkcs8()?)?) };
    Ok(Enrolment {
        core: before.core.clone(),
        agent_key: copy(&before.agent_key)?,
        agent: received.agent,
        authority: SiteCa::load(
            before.mesh(),
            before.site(),
            received.authority,
            copy(before.authority.key())?,
        )?,
        mesh_roots: received.mesh_roots,
        link_roots: received.link_roots,
        trust_root,
        revoked: received.revoked.into_iter().collect(),
        revoked_sites: received.revoked_sites,
        trust_version,
        offline_budget: Duration::from_secs(credentials.offline_budget_seconds),
    })
}

/// A trust root that is not believed costs the site no certificate: it goes on with the one that it has, and so believes whom it
/// believed. It does not say that it has what the core named, so that no rotation goes on without it unseen.
fn go_on(before: &Enrolment, refusal: &RootRefusal) -> TrustedRoot {
    let version = before.trust_root.root().version;
    warn!(version, "goes on with its trust root, since the core's is not believed: {refusal}");
    before.trust_root.clone()
}

/// Keeps what was renewed; returns it as it is used, with the version of trust that the site says it has.
fn keep(mut renewed: Enrolment, had: u64, layout: &Layout) -> anyhow::Result<Enrolment> {
    // Somebody may have enrolled the box anew meanwhile: those keys are nowhere else.
    match Enrolment::load(&layout.enrolment()) {
        Ok(Some(kept)) if kept.agent_key.thumbprint() != renewed.agent_key.thumbprint() => {
            bail!("the data folder has another identity by now: restart the agent to use it");
        }
        _ => {}
    }
    // The next run would have what is older, and renew it: no reason to go without it now. The core does not hear that the site
    // has it, so that no rotation goes on as if it had, and names it again: then it is tried again.
    if let Err(error) = renewed.keep(layout) {
        warn!("the renewed certificates are not kept: {error}");
        renewed.trust_version = had;
    }
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use skerry_identity::key::SigningKey;
    use skerry_identity::thumbprint::Thumbprint;
    use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot};
    use skerry_proto::v1::Trust;

    use super::*;
    use crate::enrolment::tests::enrolment;

    const HOUR_MS: u64 = 3_600_000;

    /// The table of renewals of certificates for 300 h: by what two clocks show, by how long ago the last was, and by the core.
    #[test]
    fn it_is_renewed_after_a_third_and_never_in_a_row() {
        let enrolment = enrolment();
        let issued = enrolment.signed_at().0;
        let at = |hours: u64| Timestamp(issued + hours * HOUR_MS);
        let now = 10 * SELDOM;
        for (trusted, wall, last, is_refused, expected) in [
            (0, 0, None, false, false),
            (99, 99, None, false, false),
            (101, 0, None, false, true),
            (0, 101, None, false, true),
            // The core's clock was behind, or ours is ahead: what it gave is due at once, and has to wait.
            (101, 101, Some(now), false, false),
            (101, 101, Some(now - SELDOM / 2), false, false),
            (101, 101, Some(now - 2 * SELDOM), false, true),
            (0, 0, Some(now), true, true),
        ] {
            let schedule = Schedule { last, is_refused, ..Schedule::new(0.0) };
            let is_due = schedule.is_due(now, &enrolment, [at(trusted), at(wall)]);
            assert_eq!(is_due, expected, "{trusted} {wall} {is_refused}");
        }
        let jitter = Schedule::new(1.0);
        assert!(jitter.is_due(now, &enrolment, [at(81), at(0)]), "up to a fifth earlier");
    }

    /// Invariant 9: a pause that the core asks for is kept, and spread; the core is not asked out of turn again and again.
    #[test]
    fn invariant_9_a_core_that_refuses_is_asked_when_it_says() {
        let (mut schedule, now) = (Schedule::new(0.0), 10 * SELDOM);
        schedule.is_refused = true;
        let refused = anyhow::Error::new(Refused { pause: Duration::from_secs(300), words: "no".to_owned() });
        let pause = schedule.handle_failure(now, &refused, 0.5);
        assert!(pause > Duration::from_secs(300) && pause < Duration::from_secs(400), "{pause:?}");
        assert!(!schedule.is_refused && !schedule.may_ask(now) && schedule.may_ask(now + 2 * LOOK));
        let lost = anyhow!("no core");
        let pauses: Vec<Duration> = (0..9).map(|_| schedule.handle_failure(now, &lost, 1.0)).collect();
        assert!(pauses.is_sorted() && pauses[8] == Duration::from_secs(30), "{pauses:?}");
        schedule.handle_renewed(now, 0.0);
        assert!(!schedule.may_ask(now));
    }

    /// Else a core that has made the same version anew would take it for its own.
    #[test]
    fn it_says_which_trust_root_it_has_and_not_only_its_number() {
        let (one, two) = (enrolment(), enrolment());
        let asked = [&one, &two].map(|enrolment| request(enrolment).unwrap());
        assert_eq!(asked[0].trust_root_version, asked[1].trust_root_version);
        assert_eq!(asked[0].trust_root_digest, one.trust_root.signed().digest());
        assert_ne!(asked[0].trust_root_digest, asked[1].trust_root_digest);
    }

    /// What a site has after it was handed another trust root, and the version of trust that it says it has.
    fn renew(before: &Enrolment, next: &SignedRoot) -> (TrustedRoot, u64) {
        let ders = |all: &[Certificate]| all.iter().map(|one| one.der().to_vec()).collect();
        let trust = Trust {
            mesh_roots: ders(&before.mesh_roots),
            link_roots: ders(&before.link_roots),
            trust_roots: vec![serde_json::to_vec(next).unwrap()],
            version: 8,
            ..Trust::default()
        };
        let credentials = Credentials {
            agent: before.agent.der().to_vec(),
            authority: before.authority.certificate().der().to_vec(),
            trust: Some(trust),
            ..Credentials::default()
        };
        let taken = take(before, credentials, PolicyDemand::AsRoot).unwrap();
        (taken.trust_root, taken.trust_version)
    }

    /// Where policy keys have a say, a core that was broken into takes it from them at no site; certificates are renewed all
    /// the same.
    #[test]
    fn a_core_alone_drops_no_policy_keys() {
        let (core, policy) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let root = |version, keys: &[&SigningKey]| TrustRoot {
            mesh: enrolment().mesh().clone(),
            version,
            expires: 1_900_000_000,
            core: Role::new(1, [core.public()]),
            policy: keys.first().map(|_| Role::new(1, keys.iter().map(|key| key.public()))),
            require_policy: !keys.is_empty(),
        };
        let signed = |root: &TrustRoot, by: &[&SigningKey]| {
            let mut signed = SignedRoot::new(root).unwrap();
            by.iter().for_each(|key| signed.sign(key).unwrap());
            signed
        };
        let first = TrustedRoot::first(signed(&root(1, &[&policy]), &[&core, &policy])).unwrap();
        let before = Enrolment { trust_root: first, ..enrolment() };
        let kept = (before.trust_root.clone(), before.trust_version);
        assert_eq!(
            renew(&before, &signed(&root(2, &[]), &[&core])),
            kept,
            "and it does not say that it has what was named"
        );
        let agreed = signed(&root(2, &[]), &[&core, &policy]);
        let (trust_root, version) = renew(&before, &agreed);
        assert_eq!((trust_root.signed(), version), (&agreed, 8));
    }

    fn renewed() -> (Enrolment, Thumbprint) {
        let renewed = Enrolment { trust_version: 8, ..enrolment() };
        let key = renewed.agent_key.thumbprint();
        (renewed, key)
    }

    /// A rotation does not go on as if the site had what its next run will not have.
    #[test]
    fn what_a_disk_does_not_keep_is_used_and_not_said_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let (no_folder, (lost, key)) = (folder.path().join("file"), renewed());
        fs_err::write(&no_folder, "").unwrap();
        let used = keep(lost, 7, &Layout::new(&no_folder)).unwrap();
        assert_eq!((used.agent_key.thumbprint(), used.trust_version), (key, 7));

        let (kept, key) = renewed();
        let used = keep(kept, 7, &Layout::new(folder.path())).unwrap();
        assert_eq!((used.agent_key.thumbprint(), used.trust_version), (key, 8));
    }

    #[test]
    fn a_box_that_was_enrolled_anew_meanwhile_keeps_its_new_keys() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, anew) = (Layout::new(folder.path()), enrolment());
        anew.keep(&layout).unwrap();
        let error = keep(renewed().0, 7, &layout).unwrap_err().to_string();
        assert!(error.contains("another identity by now: restart the agent"), "{error}");
        let kept = Enrolment::load(&layout.enrolment()).unwrap().unwrap();
        assert_eq!((kept.agent_key.thumbprint(), kept.trust_version), (anew.agent_key.thumbprint(), 7));
    }
}
