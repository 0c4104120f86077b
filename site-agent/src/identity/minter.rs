//! Which identities there are, and when each is minted anew. Synchronous: takes the hour and chance as arguments, and
//! draws keys from the crypto provider alone.
//!
//! A workload has a key of its own, also where several have one service account, and it goes with the workload.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use skerry_core::bundle::Bundle;
use skerry_core::id::{NamespacedName, SiteId, Timestamp};
use skerry_core::workload::Workload;
use skerry_identity::ca::{Authority as _, CaError, Svid};
use skerry_identity::certificate::{Certificate, chain_to_pem};
use skerry_identity::lifetimes::{Ceilings, Lifetimes, MAX_BUDGET, MAX_SVID, Validity, left as time_left};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_xds::lower::{Domain, Identity};
use skerry_xds::resource::ResourceSet;
use skerry_xds::secret::{Dates, Secret};

use super::leaving::Leaving;
use super::time::{Clocks, Hour, Wall};
use super::{Entry, Issued, believed};
use crate::enrolment::Enrolment;

/// How long what signed and who is trusted may differ before it is minted anew all the same: proxies take new roots in
/// milliseconds, those that hang never do.
const SPREAD: Duration = Duration::from_secs(10);

/// How long a new authority waits once every proxy knows its root: a handshake that began before may still go by the roots of then.
const SETTLE: Duration = Duration::from_secs(1);

/// How soon a mint is tried again that failed.
const RETRY: Duration = Duration::from_secs(60);

/// Mints what a site's workloads need.
#[derive(Default)]
pub(crate) struct Minter {
    enrolment: Option<Arc<Enrolment>>,
    /// The service account of each workload that needs an identity: one with a proxy, or a user.
    wanted: BTreeMap<NamespacedName, String>,
    /// The user of each workload that has one.
    users: BTreeMap<NamespacedName, u32>,
    held: BTreeMap<NamespacedName, Held>,
    /// Why a workload has none, and when it is tried again.
    failed: BTreeMap<NamespacedName, (String, Timestamp)>,
    /// Other sites whose workloads are believed here.
    believed: BTreeSet<SiteId>,
    roots: Option<Roots>,
    wall: Option<Wall>,
    /// A new authority waits for the proxies to know its root.
    spread: Option<Spread>,
    /// Roots that the core believes no more are believed here until proxies show nothing below them.
    leaving: Option<Leaving>,
    /// The authority has ended: nobody can prove anything.
    is_over: bool,
    /// The site was enrolled, and what it had is lost: nobody can prove anything, and what was closed to plain text stays closed.
    is_lost: bool,
}

/// A workload's identity.
struct Held {
    account: String,
    svid: Svid,
    secret: Secret,
    rotate_at: Timestamp,
}

/// A root on its way to the proxies.
struct Spread {
    until: Timestamp,
    /// Every proxy knows it.
    is_known: bool,
}

/// The roots as proxies are given them.
struct Roots {
    certificates: Vec<Certificate>,
    domains: Vec<String>,
    dates: Dates,
    secret: Secret,
}

/// What is new after a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The workloads whose secrets differ.
    pub(crate) secrets: BTreeSet<NamespacedName>,
    /// Who has an identity at all differs: proxies are lowered anew.
    pub(crate) holders: bool,
}

impl Minter {
    /// Takes what the site has; `None`: it is not enrolled, and nobody has an identity.
    pub(crate) fn handle_enrolment(&mut self, enrolment: Option<Arc<Enrolment>>, clocks: Clocks) {
        if enrolment.is_none() || self.is_over {
            self.held.clear();
            self.leaving = None;
        }
        if enrolment.is_none() {
            self.roots = None;
        }
        let roots = |enrolment: &Option<Arc<Enrolment>>| enrolment.as_ref().map(|it| it.mesh_roots.clone());
        if let (Some(before), Some(after), false) =
            (roots(&self.enrolment), roots(&enrolment), self.held.is_empty())
        {
            self.leaving = Leaving::of(&before, self.leaving.take(), &after);
        }
        let issuer = |enrolment: &Arc<Enrolment>| enrolment.authority.certificate().clone();
        let is_new_root = self.roots.as_ref().is_some_and(|roots| {
            enrolment.as_ref().is_some_and(|enrolment| {
                enrolment.mesh_roots.iter().any(|root| !roots.certificates.contains(root))
            })
        });
        let is_new_issuer = self.enrolment.as_ref().map(issuer) != enrolment.as_ref().map(issuer);
        if is_new_root && is_new_issuer && !self.held.is_empty() {
            let now = clocks.judge(end_of(enrolment.as_ref())).now;
            self.spread = Some(Spread { until: after(now, SPREAD), is_known: false });
        }
        self.failed.clear();
        self.is_lost &= enrolment.is_none();
        self.enrolment = enrolment;
        self.is_over = false;
    }

    /// The site was enrolled, and what it had is lost.
    pub(crate) fn handle_lost(&mut self) {
        self.is_lost = true;
    }

    /// Takes the site's workloads. The key of one that went, or has another account now, goes.
    pub(crate) fn handle_workloads(&mut self, workloads: &[Workload]) {
        let users = workloads.iter().filter_map(|workload| Some((workload.name.clone(), workload.uid?)));
        self.users = users.collect();
        let needs = workloads.iter().filter(|workload| workload.proxy.is_some() || workload.uid.is_some());
        self.wanted =
            needs.map(|workload| (workload.name.clone(), workload.service_account.clone())).collect();
        self.held.retain(|name, held| self.wanted.get(name) == Some(&held.account));
        self.failed.retain(|name, _| self.wanted.contains_key(name));
    }

    /// Every proxy has the newest of everything: what comes next waits for handshakes alone.
    pub(crate) fn handle_spread(&mut self, clocks: Clocks) {
        let now = clocks.judge(end_of(self.enrolment.as_ref())).now;
        if let Some(spread) = self.spread.as_mut() {
            if !spread.is_known {
                *spread = Spread { until: spread.until.min(after(now, SETTLE)), is_known: true };
            }
        } else if let Some(leaving) = &mut self.leaving {
            leaving.handle_known(after(now, SETTLE));
        }
    }

    /// Says whether something waits for the proxies to know something: a new authority for its root to be known, an old root for
    /// nothing below it to be shown.
    pub(crate) fn is_spreading(&self) -> bool {
        match (&self.spread, &self.leaving) {
            (Some(spread), _) => !spread.is_known,
            (None, leaving) => leaving.as_ref().is_some_and(Leaving::is_on_its_way),
        }
    }

    /// Mints what is due. `jitter` draws a number from 0 to 1 for each certificate. A thousand take about 0.3 s.
    pub(crate) fn handle_time(&mut self, clocks: Clocks, mut jitter: impl FnMut() -> f64) -> News {
        let Some(enrolment) = self.enrolment.clone() else { return News::default() };
        let hour = clocks.judge(end_of(Some(&enrolment)));
        self.wall = Some(hour.wall);
        let mut news = News::default();
        self.leaving.take_if(|leaving| leaving.is_over(hour.now));
        if self.renew_roots(&enrolment, hour.wall) {
            news.secrets.extend(self.held.keys().cloned());
        }
        self.spread.take_if(|spread| spread.until <= hour.now);
        let was_over = std::mem::replace(&mut self.is_over, end_of(Some(&enrolment)) <= hour.now);
        news.holders = was_over != self.is_over;
        if self.is_over {
            return news;
        }
        self.mint_due(&enrolment, hour, &mut jitter, &mut news);
        if let (None, Some(leaving)) = (&self.spread, &mut self.leaving) {
            leaving.handle_minted(after(hour.now, SPREAD));
        }
        news
    }

    fn mint_due(
        &mut self,
        enrolment: &Enrolment,
        hour: Hour,
        jitter: &mut impl FnMut() -> f64,
        news: &mut News,
    ) {
        let due: Vec<(NamespacedName, String)> = self
            .wanted
            .iter()
            .filter(|(name, _)| self.is_due(name, enrolment, hour.now))
            .map(|(name, account)| (name.clone(), account.clone()))
            .collect();
        for (name, account) in due {
            match mint(enrolment, &name, &account, hour, jitter()) {
                Ok(held) => {
                    self.failed.remove(&name);
                    news.holders |= self.held.insert(name.clone(), held).is_none();
                    news.secrets.insert(name);
                }
                Err(error) => {
                    let again = after(hour.now, RETRY);
                    self.failed.insert(name, (error.to_string(), again));
                }
            }
        }
    }

    /// Returns how long it is until something is due.
    pub(crate) fn until_due(&self, clocks: Clocks) -> Option<Duration> {
        let enrolment = self.enrolment.as_ref()?;
        let end = end_of(Some(enrolment));
        let now = clocks.judge(end).now;
        let wait = |name: &NamespacedName| match (self.held.get(name), self.failed.get(name)) {
            (_, Some((_, again))) => *again,
            (Some(held), None) if is_by(held, enrolment) => held.rotate_at,
            (Some(_), None) => self.spread.as_ref().map_or(now, |spread| spread.until),
            (None, None) => now,
        };
        let left = self.leaving.as_ref().and_then(Leaving::until);
        let next = self.wanted.keys().map(wait).chain([end]).chain(left).min()?;
        (now < end).then(|| time_left(next, now))
    }

    fn is_due(&self, name: &NamespacedName, enrolment: &Enrolment, now: Timestamp) -> bool {
        if self.failed.get(name).is_some_and(|(_, again)| *again > now) {
            return false;
        }
        let Some(held) = self.held.get(name) else { return true };
        if is_by(held, enrolment) { held.rotate_at <= now } else { self.spread.is_none() }
    }

    fn renew_roots(&mut self, enrolment: &Enrolment, wall: Wall) -> bool {
        let dates = match wall {
            Wall::Plausible => Dates::Checked,
            Wall::Suspect => Dates::Ignored,
        };
        // What proxies hold peers to, and nothing that workloads are told: a bundle of their API names domains that there are.
        let domains = self.domains(enrolment, |site| !enrolment.revoked_sites.contains(site));
        let certificates = self.believed_roots(enrolment);
        let is_known = |roots: &Roots| {
            roots.certificates == certificates && roots.domains == domains && roots.dates == dates
        };
        if self.roots.as_ref().is_some_and(is_known) {
            return false;
        }
        let secret = Secret::mesh_roots(&chain_to_pem(&certificates), &domains, dates);
        self.roots = Some(Roots { certificates, domains, dates, secret });
        true
    }

    /// The roots that are believed here: those of the core, and those on their way out.
    fn believed_roots(&self, enrolment: &Enrolment) -> Vec<Certificate> {
        let leaving = self.leaving.iter().flat_map(Leaving::certificates);
        enrolment.mesh_roots.iter().chain(leaving).cloned().collect()
    }

    /// The trust domains that policies let in: the site's own first, then those of other sites that count.
    fn domains(&self, enrolment: &Enrolment, counts: impl Fn(&SiteId) -> bool) -> Vec<String> {
        let others = self.believed.iter().filter(|site| *site != enrolment.site() && counts(site));
        let others = others.take(believed::MAX_SITES);
        let domain = |site: &SiteId| enrolment.mesh().site_domain(site).as_str().to_owned();
        [enrolment.site()].into_iter().chain(others).map(domain).collect()
    }

    /// Takes the bundle that is about to be lowered: its policies say who else is let in. True if that is others now.
    pub(crate) fn handle_bundle(&mut self, bundle: &Bundle) -> bool {
        let Some(enrolment) = self.enrolment.clone() else { return false };
        let believed = believed::sites(bundle, enrolment.mesh());
        let differs = std::mem::replace(&mut self.believed, believed) != self.believed;
        if let (true, Some(wall)) = (differs, self.wall) {
            self.renew_roots(&enrolment, wall);
        }
        differs
    }

    /// Says what a workload can prove.
    pub(crate) fn identity(&self, name: &NamespacedName) -> Identity {
        let Some(enrolment) = &self.enrolment else {
            return if self.is_lost { Identity::Missing } else { Identity::NotEnrolled };
        };
        if self.held.contains_key(name) && !self.is_over {
            let (site, mesh) = (enrolment.site().to_string(), enrolment.mesh().as_str().to_owned());
            Identity::Held(Domain { site, mesh })
        } else {
            Identity::Missing
        }
    }

    /// Adds to a set the secrets that it names.
    pub(crate) fn fill(&self, name: &NamespacedName, set: &mut ResourceSet) {
        if let (true, Some(held), Some(roots)) = (set.names_secrets(), self.held.get(name), &self.roots) {
            set.add_secret(&held.secret);
            set.add_secret(&roots.secret);
        }
    }

    /// Everything that processes of the site can ask for. Nothing once the authority is over.
    pub(crate) fn issued(&self) -> Issued {
        let Some(enrolment) = self.enrolment.as_ref().filter(|_| !self.is_over) else {
            return Issued::default();
        };
        let mut issued = Issued::default();
        let roots = self.believed_roots(enrolment);
        let roots: Vec<u8> = roots.iter().flat_map(|root| root.der().to_vec()).collect();
        let domains = self.domains(enrolment, |_| true);
        let ids = domains.iter().map(|domain| format!("spiffe://{domain}"));
        issued.roots = ids.map(|id| (id, roots.clone())).collect();
        issued.own = enrolment.mesh().site_domain(enrolment.site()).id().to_string();
        for (name, uid) in &self.users {
            issued
                .by_uid
                .entry(*uid)
                .or_default()
                .extend(self.held.get(name).and_then(|held| entry(name, held)));
        }
        issued.by_uid.retain(|_, entries| !entries.is_empty());
        issued
    }

    /// When identity ends here with no word from the core, and how long it shall last.
    pub(crate) fn runway(&self) -> Option<(Timestamp, Duration)> {
        let enrolment = self.enrolment.as_ref()?;
        Some((end_of_authority(enrolment), enrolment.offline_budget))
    }

    /// The mesh that the site is enrolled in.
    pub(crate) fn mesh(&self) -> Option<&MeshDomain> {
        self.enrolment.as_ref().map(|enrolment| enrolment.mesh())
    }

    /// What people should know.
    pub(crate) fn problems(&self, clocks: Clocks) -> Vec<String> {
        let Some(enrolment) = &self.enrolment else { return Vec::new() };
        let mut problems: Vec<String> = self
            .failed
            .iter()
            .map(|(name, (reason, _))| format!("workload {name} has no identity: {reason}"))
            .collect();
        let end = end_of(Some(enrolment));
        let hour = clocks.judge(end);
        if hour.wall == Wall::Suspect {
            problems.insert(0, suspect(clocks));
        }
        if end <= hour.now {
            problems.insert(0, over(enrolment.site()));
        }
        if self.believed.len() > believed::MAX_SITES {
            problems.push(format!(
                "policies let {} other sites in by name, and the callers of {} of them are believed (help: name fewer)",
                self.believed.len(),
                believed::MAX_SITES
            ));
        }
        problems
    }
}

fn mint(
    enrolment: &Enrolment,
    name: &NamespacedName,
    account: &str,
    hour: Hour,
    jitter: f64,
) -> Result<Held, CaError> {
    let lasts = Lifetimes::for_budget(enrolment.offline_budget.min(MAX_BUDGET), &Ceilings::NEW)
        .map_or(MAX_SVID, |lifetimes| lifetimes.svid);
    let end = end_of_authority(enrolment);
    let life = Validity::starting(hour.now, lasts).ending_by(end);
    // It is in force for each clock that may be right.
    let validity = Validity { issued: hour.earliest, until: life.until };
    let svid = enrolment.authority.mint(&name.namespace, account, &validity)?;
    let secret = Secret::workload(&svid.chain_pem(), &svid.key_pem()?);
    // One that ends with its authority gains nothing by another.
    let rotate_at = if life.until < end { life.rotate_at(jitter) } else { Timestamp(u64::MAX) };
    Ok(Held { account: account.to_owned(), svid, secret, rotate_at })
}

fn entry(name: &NamespacedName, held: &Held) -> Option<Entry> {
    let chain = held.svid.chain.iter().flat_map(|certificate| certificate.der().to_vec());
    let key = held.svid.key.to_pkcs8().ok()?;
    Some(Entry { id: held.svid.id.to_string(), hint: name.to_string(), chain: chain.collect(), key })
}

fn is_by(held: &Held, enrolment: &Enrolment) -> bool {
    held.svid.chain[1] == *enrolment.authority.certificate()
}

fn end_of_authority(enrolment: &Enrolment) -> Timestamp {
    enrolment.authority.certificate().not_after()
}

fn end_of(enrolment: Option<&Arc<Enrolment>>) -> Timestamp {
    enrolment.map_or(Timestamp(u64::MAX), |enrolment| end_of_authority(enrolment))
}

fn after(start: Timestamp, time: Duration) -> Timestamp {
    Timestamp(start.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

fn suspect(clocks: Clocks) -> String {
    format!(
        "ClockSuspect: the machine's clock says {}, and by what was signed it is {} at the earliest; the dates of certificates are not \
         looked at here until it is right (help: set the clock)",
        clocks.wall, clocks.trusted
    )
}

fn over(site: &SiteId) -> String {
    format!(
        "the authority of site {site} is over: no certificate of a workload is valid any more, and calls by mutual TLS fail \
         (help: bring the link back)"
    )
}

#[cfg(test)]
mod tests;
