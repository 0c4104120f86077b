//! The desk for people: signs for operators, and takes back.

use std::time::Duration;

use skerry_identity::ca::CaError;
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::thumbprint::Thumbprint;
use tracing::{info, warn};

use super::{Desk, NotHanded};
use crate::identity::operators::{Backing, MAX_LIFE, May, NoOperator, Operator};
use crate::identity::rotation::TrustKey;
use crate::store::StoreError;

impl Desk {
    /// Says what may be done with a key, if it is that of an operator.
    pub fn judge_operator(&self, name: &str, key: Thumbprint) -> Result<May, NoOperator> {
        self.operators.read().judge((name, key), &self.believed(), self.now())
    }

    /// Returns the operators, those that are over among them, and how long the authority that signed for each is believed.
    pub fn operators(&self) -> Vec<(Operator, Backing)> {
        let (authority, believed) = (self.authority(), self.believed());
        let (signs, stage) = (authority.pin(), authority.stage(TrustKey::LinkRoot));
        let backing = |operator: &Operator| Backing::of(operator.root, &believed, signs, stage);
        let listed = |operator: &Operator| (operator.clone(), backing(operator));
        self.operators.read().all().iter().map(listed).collect()
    }

    /// The authorities whose word counts.
    fn believed(&self) -> Vec<Thumbprint> {
        self.authority().link_roots().iter().map(Certificate::thumbprint).collect()
    }

    /// Signs for an operator, who is known by this key from then on.
    ///
    /// # Errors
    /// The name breaks its rule, it would last too long, there are too many, or it cannot be kept.
    pub fn add_operator(
        &self,
        name: &str,
        key: &ProvenKey,
        life: Duration,
        may: May,
        by: &str,
    ) -> Result<Certificate, NotHanded> {
        let now = self.now();
        if life.is_zero() || life > MAX_LIFE {
            return Err(NotHanded::Invalid("credentials last 366 days at most".to_owned()));
        }
        let _writing = self.writers.lock();
        let signed = self.authority().sign_operator(name, key, life, now);
        let certificate = signed.map_err(|error| match error {
            CaError::Name(error) => NotHanded::Invalid(error.to_string()),
            error => NotHanded::NotGiven(error.into()),
        })?;
        let operator = Operator {
            name: name.to_owned(),
            key: certificate.thumbprint(),
            since: now,
            until: certificate.not_after(),
            by: by.to_owned(),
            root: self.authority().pin(),
            may,
        };
        let operators = self.operators.read().with(operator, now);
        let operators = operators.map_err(|error| NotHanded::Invalid(error.to_string()))?;
        self.store.keep_operators(operators.all())?;
        *self.operators.write() = operators;
        info!(name, by, ?may, key = certificate.thumbprint().short(), "an operator may ask");
        Ok(certificate)
    }

    /// Takes everything back that was signed for an operator; returns how many keys that were. They are cut off first and that is
    /// kept then: a disk that takes nothing helps no thief.
    ///
    /// # Errors
    /// It cannot be kept: it does not outlive the core.
    pub fn revoke_operator(&self, name: &str, by: &str) -> Result<usize, StoreError> {
        let _writing = self.writers.lock();
        let (left, gone) = self.operators.read().without(name);
        *self.operators.write() = left.clone();
        if gone > 0 {
            self.changes.send_modify(|count| *count += 1);
            warn!(name, by, keys = gone, "an operator is revoked");
        }
        self.store.keep_operators(left.all())?;
        Ok(gone)
    }
}
