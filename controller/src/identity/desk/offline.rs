//! The desk where the mesh root is offline: what waits to be signed is handed out, and what was signed comes back.

use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ceremony::SigningRequest;
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::verify::Anchors;
use tracing::info;

use super::{Change, Desk, NotHanded};
use crate::identity::authority::SiteAuthority;
use crate::identity::offline::{Asked, Undelivered};
use crate::identity::roll::Enrolled;
use crate::identity::store::Entry;
use crate::store::StoreError;

/// The most requests that are handed out at once: 2,000 of 700 B are 1.4 MiB of a message's 4.
const MAX_PAGE: usize = 2_000;

/// A page of what waits.
#[derive(Debug)]
pub struct Waiting {
    /// The key of the root that shall sign; `None`: the root is here, and nothing ever waits.
    pub root: Option<Thumbprint>,
    /// What waits, by site.
    pub requests: Vec<SigningRequest>,
    /// There may be more after this site.
    pub more_after: Option<SiteId>,
}

impl Desk {
    /// Returns the certificate of a site's authority: the one that was signed just now, or what an offline root has signed before
    /// for this key. Notes what it is asked for.
    pub(super) fn authority_of(
        &self,
        site: &SiteId,
        (key, request): (&ProvenKey, &[u8]),
        signed: SiteAuthority,
        now: Timestamp,
    ) -> Result<Option<Certificate>, NotHanded> {
        let lasts = match signed {
            SiteAuthority::Signed(certificate) => return Ok(Some(certificate)),
            SiteAuthority::Lasts(lasts) => lasts,
        };
        let before = self.store.asked(site)?;
        let request = SigningRequest::new(site.clone(), request, lasts);
        let asked = Asked::next(before.clone(), key.public().thumbprint(), request, now);
        let usable = asked.usable(now);
        if before.as_ref() != Some(&asked) {
            self.store.keep_asked(&[(site.clone(), asked)])?;
        }
        Ok(usable)
    }

    /// Returns what waits for the offline root, of sites after one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn waiting(&self, after: &str) -> Result<Waiting, StoreError> {
        let root = self.authority().offline_root().map(Certificate::thumbprint);
        let mut waiting = self.store.all_waiting(after, MAX_PAGE + 1)?;
        let is_cut = waiting.len() > MAX_PAGE;
        waiting.truncate(MAX_PAGE);
        let more_after = waiting.last().filter(|_| is_cut).map(|(site, _)| site.clone());
        let roll = self.roll.read();
        let is_enrolled = |(site, asked): &(SiteId, Asked)| {
            let enrolled = roll.enrolled(site).filter(|enrolled| enrolled.revoked.is_none());
            enrolled.is_some_and(|enrolled| enrolled.authority == asked.key)
        };
        let requests = waiting.into_iter().filter(is_enrolled).map(|(_, asked)| asked.request).collect();
        Ok(Waiting { root, requests, more_after })
    }

    /// Says whether what a ceremony has signed is of the mesh and the root of this core: a file of another mesh is told as one, and not
    /// certificate by certificate.
    pub fn check_signed(&self, mesh: &str, root: Thumbprint) -> Result<(), Undelivered> {
        let authority = self.authority();
        let own = authority.mesh_roots();
        if mesh == authority.mesh().as_str() && own.iter().any(|own| own.thumbprint() == root) {
            return Ok(());
        }
        let wanted: Vec<String> = own.iter().map(|own| own.thumbprint().short()).collect();
        Err(Undelivered::OtherRoot {
            mesh: mesh.to_owned(),
            root: root.short(),
            core: authority.mesh().to_string(),
            wanted: wanted.join(", "),
        })
    }

    /// Takes what was signed for a site.
    ///
    /// # Errors
    /// It is not what was asked for, or it cannot be kept.
    pub fn deliver(&self, site: &SiteId, certificate: &Certificate, now: Timestamp) -> Result<(), NotHanded> {
        let _writing = self.writers.lock();
        let enrolled = self.roll.read().enrolled(site).cloned();
        let asked = self.store.asked(site)?.ok_or_else(|| Undelivered::NotEnrolled(site.clone()))?;
        let authority = self.authority();
        let anchors = Anchors { mesh: authority.mesh().clone(), roots: authority.mesh_roots() };
        let asked = asked.deliver(enrolled.as_ref(), certificate, &anchors, now)?;
        self.store.keep_asked(&[(site.clone(), asked)])?;
        if let Some(before) = enrolled {
            let authority_until = before.authority_until.max(certificate.not_after());
            let enrolled = Enrolled { authority_until, ..before };
            let change = Change::default();
            self.store.keep_entries(&[Entry { enrolled: Some(&enrolled), ..Entry::of(site) }])?;
            self.roll.write().note(site, enrolled, &change, Vec::new());
        }
        info!(%site, until_ms = certificate.not_after().0, "the authority of a site was signed offline");
        Ok(())
    }
}
