//! What the core knows of the authorities of sites where the mesh root is kept offline: what is asked for, and what was signed.
//!
//! Pure; time is an argument. The ceremony itself is `skerry_identity::ceremony`.

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ceremony::SigningRequest;
use skerry_identity::certificate::Certificate;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::verify::{Anchors, Refusal, verify_site_ca};

use super::roll::Enrolled;

/// What is asked for a site's authority, and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The key of the site's authority.
    pub key: Thumbprint,
    /// What was asked for last.
    pub request: SigningRequest,
    /// Since when it waits; `None`: it was signed.
    pub since: Option<Timestamp>,
    /// What was signed last for this key, PEM.
    pub certificate: Option<String>,
}

/// Why a certificate is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The whole file is of another mesh, or of another root.
    #[error(
        "this was signed by root {root} of mesh `{mesh}`, and the core has root {wanted} of mesh `{core}`: nothing of it is taken"
    )]
    OtherRoot {
        /// The mesh of the file.
        mesh: String,
        /// The root that signed.
        root: String,
        /// The mesh of the core.
        core: String,
        /// Its roots.
        wanted: String,
    },
    /// Nobody is enrolled, or somebody who was revoked.
    #[error("no box is enrolled for site `{0}`")]
    NotEnrolled(SiteId),
    /// The box has another key by now.
    #[error("it is for another key than that of the box that is enrolled ({0})")]
    OtherKey(String),
    /// It proves nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is there was signed later.
    #[error("it was signed before the one that the site has")]
    Older,
}

impl Asked {
    /// What is known after a site has asked: it waits if it has nothing yet, if a third of what it has is over, or if it shall
    /// last for another time.
    pub fn next(before: Option<Self>, key: Thumbprint, request: SigningRequest, now: Timestamp) -> Self {
        let Some(before) = before.filter(|before| before.key == key) else {
            return Self { key, request, since: Some(now), certificate: None };
        };
        let is_due = || {
            let signed = before.certificate().map(|certificate| certificate.validity());
            signed.is_none_or(|validity| validity.rotate_at(0.0) <= now)
        };
        let is_other = before.request.lasts_seconds != request.lasts_seconds;
        let since = before.since.or((is_other || is_due()).then_some(now));
        // The same key signs another request each time: the first does as well.
        let request = if is_other { request } else { before.request };
        Self { key, request, since, certificate: before.certificate }
    }

    /// Returns what the site has.
    pub fn certificate(&self) -> Option<Certificate> {
        Certificate::from_pem(self.certificate.as_deref()?).ok()
    }

    /// Returns what a site may be given now.
    pub fn usable(&self, now: Timestamp) -> Option<Certificate> {
        self.certificate().filter(|certificate| certificate.not_after() > now)
    }

    /// Takes what was signed for the box that is enrolled.
    pub fn deliver(
        self,
        enrolled: Option<&Enrolled>,
        certificate: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<Self, Undelivered> {
        let site = &self.request.site;
        let enrolled = enrolled.filter(|enrolled| enrolled.revoked.is_none());
        let enrolled = enrolled.ok_or_else(|| Undelivered::NotEnrolled(site.clone()))?;
        if certificate.thumbprint() != enrolled.authority || self.key != enrolled.authority {
            return Err(Undelivered::OtherKey(enrolled.authority.short()));
        }
        verify_site_ca(certificate, site, anchors, now)?;
        // One that shall last for a shorter time may end earlier.
        let issued = |certificate: &Certificate| certificate.validity().issued;
        if self.certificate().is_some_and(|before| issued(&before) > issued(certificate)) {
            return Err(Undelivered::Older);
        }
        Ok(Self { since: None, certificate: Some(certificate.to_pem()), ..self })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skerry_identity::ca::{Authority as _, MeshRoot};
    use skerry_identity::csr::{self, ProvenKey};
    use skerry_identity::key::EcdsaKey;
    use skerry_identity::lifetimes::{ROOT, Validity};
    use skerry_identity::spiffe_id::MeshDomain;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY: u64 = 86_400_000;

    fn at(days: u64) -> Timestamp {
        Timestamp(NOW.0 + days * DAY)
    }

    fn site() -> SiteId {
        SiteId::new("oslo").unwrap()
    }

    fn mesh() -> MeshDomain {
        MeshDomain::new("mesh.local").unwrap()
    }

    fn request(key: &EcdsaKey, days: u64) -> SigningRequest {
        SigningRequest::new(site(), &csr::create(key).unwrap(), Duration::from_secs(days * 86_400))
    }

    fn root(at: Timestamp) -> MeshRoot {
        MeshRoot::create(&mesh(), &Validity::starting(at, ROOT)).unwrap()
    }

    fn sign(root: &MeshRoot, key: &EcdsaKey, from: Timestamp, days: u64) -> Certificate {
        let validity = Validity::starting(from, Duration::from_secs(days * 86_400));
        root.sign_site(&site(), &ProvenKey::from(key), &validity).unwrap()
    }

    fn enrolled(key: &EcdsaKey) -> Enrolled {
        Enrolled {
            key: key.thumbprint(),
            authority: key.thumbprint(),
            at: NOW,
            revoked: None,
            agent_until: at(60),
            authority_until: NOW,
            astray: None,
        }
    }

    #[test]
    fn a_site_waits_from_its_first_word_and_again_when_a_third_is_over() {
        let (root, key) = (root(NOW), EcdsaKey::generate().unwrap());
        let ask = |before: Option<Asked>, days, when| {
            Asked::next(before, key.thumbprint(), request(&key, days), when)
        };
        let first = ask(None, 30, NOW);
        assert_eq!((first.since, first.usable(NOW)), (Some(NOW), None));
        assert_eq!(ask(Some(first.clone()), 30, at(1)), first, "asked again it waits since the first time");

        let certificate = sign(&root, &key, NOW, 30);
        let anchors = Anchors { mesh: mesh(), roots: vec![root.certificate().clone()] };
        let signed = first.deliver(Some(&enrolled(&key)), &certificate, &anchors, NOW).unwrap();
        assert_eq!((signed.since, signed.usable(at(1))), (None, Some(certificate.clone())));
        assert_eq!(ask(Some(signed.clone()), 30, at(9)).since, None);
        let due = ask(Some(signed.clone()), 30, at(10));
        assert_eq!((due.since, due.usable(at(10))), (Some(at(10)), Some(certificate)));
        assert_eq!(ask(Some(signed.clone()), 60, at(1)).since, Some(at(1)), "its budget is another");
        assert_eq!(due.usable(at(31)), None, "what is over is not handed out");

        let other = EcdsaKey::generate().unwrap();
        let anew = Asked::next(Some(signed), other.thumbprint(), request(&other, 30), at(2));
        assert_eq!((anew.since, anew.certificate), (Some(at(2)), None), "another box");
    }

    #[test]
    fn what_was_signed_is_taken_for_the_box_that_is_enrolled_alone() {
        let (root, key, other) = (root(NOW), EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
        let anchors = Anchors { mesh: mesh(), roots: vec![root.certificate().clone()] };
        let asked = || Asked::next(None, key.thumbprint(), request(&key, 30), NOW);
        let has = |days| {
            let certificate = sign(&root, &key, NOW, days);
            asked().deliver(Some(&enrolled(&key)), &certificate, &anchors, NOW).unwrap()
        };
        let revoked = Enrolled { revoked: Some(NOW), ..enrolled(&key) };
        let stranger = self::root(NOW);
        type Case = (Asked, Option<Enrolled>, Certificate, fn(&Undelivered) -> bool);
        let cases: [Case; 6] = [
            (asked(), None, sign(&root, &key, NOW, 30), |it| matches!(it, Undelivered::NotEnrolled(_))),
            (asked(), Some(revoked), sign(&root, &key, NOW, 30), |it| {
                matches!(it, Undelivered::NotEnrolled(_))
            }),
            (asked(), Some(enrolled(&key)), sign(&root, &other, NOW, 30), |it| {
                matches!(it, Undelivered::OtherKey(_))
            }),
            (asked(), Some(enrolled(&other)), sign(&root, &other, NOW, 30), |it| {
                matches!(it, Undelivered::OtherKey(_))
            }),
            (asked(), Some(enrolled(&key)), sign(&stranger, &key, NOW, 30), |it| {
                matches!(it, Undelivered::Refused(_))
            }),
            (has(30), Some(enrolled(&key)), sign(&root, &key, Timestamp(NOW.0 - 60_000), 40), |it| {
                *it == Undelivered::Older
            }),
        ];
        for (number, (asked, enrolled, certificate, is_expected)) in cases.into_iter().enumerate() {
            let error = asked.deliver(enrolled.as_ref(), &certificate, &anchors, NOW).unwrap_err();
            assert!(is_expected(&error), "{number}: {error}");
        }
        let shorter = sign(&root, &key, at(1), 20);
        assert!(
            has(30).deliver(Some(&enrolled(&key)), &shorter, &anchors, at(1)).is_ok(),
            "its budget is smaller"
        );
        let late = sign(&root, &key, at(2), 30);
        let early = asked().deliver(Some(&enrolled(&key)), &late, &anchors, NOW).unwrap_err();
        assert!(matches!(early, Undelivered::Refused(Refusal::NotYetValid(..))), "the clock there is ahead");
    }
}
