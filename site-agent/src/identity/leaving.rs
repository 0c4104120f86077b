//! Roots on their way out: the core believes them no more, and certificates below them are with proxies still.
//!
//! They are dropped when proxies show something else. A site that is told of a rotation when it is over, or of one in an emergency, fails no
//! call of its own by that. Pure: time is an argument.

use skerry_core::id::Timestamp;
use skerry_identity::certificate::Certificate;

/// Such roots.
pub(super) struct Leaving {
    certificates: Vec<Certificate>,
    /// Other certificates have been minted and are on their way: until then at most.
    until: Option<Timestamp>,
    /// Every proxy has them.
    is_known: bool,
}

impl Leaving {
    /// Takes the roots of before, and of those that were leaving already, that are not among the roots of now; nothing if there is none.
    pub(super) fn of(before: &[Certificate], left: Option<Self>, now: &[Certificate]) -> Option<Self> {
        let left = left.map_or_else(Vec::new, |left| left.certificates);
        let mut certificates: Vec<Certificate> = before.iter().cloned().chain(left).collect();
        certificates.retain(|root| !now.contains(root));
        (!certificates.is_empty()).then_some(Self { certificates, until: None, is_known: false })
    }

    /// The roots.
    pub(super) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Everything that proxies show has been minted anew, and is on its way to them until then at most.
    pub(super) fn handle_minted(&mut self, until: Timestamp) {
        self.until.get_or_insert(until);
    }

    /// Every proxy has what is newest: handshakes that began before are over by then.
    pub(super) fn handle_known(&mut self, settled: Timestamp) {
        if let Some(until) = self.until.as_mut().filter(|_| !self.is_known) {
            *until = settled.min(*until);
            self.is_known = true;
        }
    }

    /// Says whether it waits for proxies.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.until.is_some() && !self.is_known
    }

    /// Returns when it is over, if that can be told.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Says whether it is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}
