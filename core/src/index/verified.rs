//! Verifies what was compiled before anybody is told: only fragments that are new, and only what they may have
//! broken. A class that does not pass keeps its last good contents.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::accept::Refusal;
use crate::bundle::{Contents, EncodedFragment};
use crate::diagnostic::{Code, Diagnostic};
use crate::id::{NamespacedName, ObjectKey};
use crate::verify::{Part, needs, verify_content, verify_count, verify_needs};

use super::board::Owner;
use super::classes::ClassId;
use super::{Cell, Index};

/// What a verified fragment offers to others and needs of them.
#[derive(Debug)]
pub(super) struct Facts {
    ports: BTreeSet<u32>,
    needs: BTreeSet<(NamespacedName, u32)>,
}

impl Facts {
    /// Verifies the fragment of a service by itself.
    pub(super) fn of(fragment: &EncodedFragment) -> Result<Self, Refusal> {
        match verify_content(&fragment.name, &fragment.bytes)? {
            Part::Service(_, service) => Ok(Self {
                ports: service.ports.iter().map(|port| port.port).collect(),
                needs: needs(&service).collect(),
            }),
            Part::Settings(_) => Err(Refusal::BadFragment {
                key: fragment.name.to_string(),
                reason: "is no service".to_owned(),
            }),
        }
    }
}

/// What changed in a class since its contents were verified.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Services with another fragment.
    pub(super) services: BTreeSet<NamespacedName>,
    /// Whether the contents are others for another reason.
    pub(super) otherwise: bool,
    /// Whether all services are to be looked at: one is gone, or has not all the ports that it had.
    pub(super) shrunk: bool,
}

impl Changed {
    /// Notes that a service has another fragment; `None` is one that does not verify, or none at all.
    pub(super) fn note(&mut self, service: NamespacedName, before: Option<&Facts>, after: Option<&Facts>) {
        let offered = before.map(|before| &before.ports);
        let offers = after.map(|after| &after.ports);
        self.shrunk |= offered.is_some_and(|old| offers.is_none_or(|new| !old.is_subset(new)));
        self.services.insert(service);
    }

    /// Says whether the contents are others.
    pub(super) fn any(&self) -> bool {
        self.otherwise || !self.services.is_empty()
    }
}

impl Cell {
    /// Verifies what may have broken; names the service at fault, if it is one.
    fn verify(&self, changed: &Changed) -> Result<(), (Option<NamespacedName>, Refusal)> {
        verify_count(self.services.len() + 1).map_err(|refusal| (None, refusal))?;
        let all = changed.shrunk || changed.otherwise;
        for (name, made) in &self.services {
            if !all && !changed.services.contains(&**name) {
                continue;
            }
            let at_fault = |refusal: &Refusal| (Some(NamespacedName::clone(name)), refusal.clone());
            let facts = made.facts.as_ref().map_err(at_fault)?;
            let offers = |name: &NamespacedName, port: u32| {
                let found = self.services.get(name).and_then(|made| made.facts.as_ref().ok());
                found.is_some_and(|facts| facts.ports.contains(&port))
            };
            verify_needs(name, facts.needs.iter().cloned(), offers).map_err(|refusal| at_fault(&refusal))?;
        }
        Ok(())
    }
}

impl Index {
    /// Makes the contents of a class of what was compiled, if they pass.
    pub(super) fn settle(&mut self, id: ClassId, cell: &mut Cell, changed: &Changed) {
        let found = match cell.verify(changed) {
            Ok(()) => {
                let fragments = cell.services.values().map(|made| Arc::clone(&made.compiled.fragment));
                let contents = Contents::new(fragments.chain(cell.settings.clone()).collect());
                cell.contents = Some(Arc::new(contents));
                None
            }
            Err((service, refusal)) => {
                let last = || cell.services.keys().next_back().map(|name| NamespacedName::clone(name));
                let service = service.or_else(last);
                service.and_then(|service| self.unverified(cell, &service, &refusal))
            }
        };
        cell.is_verified = found.is_none();
        self.board.set(Owner::Class(id), found.into_iter().collect());
    }

    fn unverified(&self, cell: &Cell, service: &NamespacedName, refusal: &Refusal) -> Option<Diagnostic> {
        let form = &self.objects.get(&ObjectKey::service(service))?.form;
        let sites = self.classes.describe(&cell.key);
        let message =
            format!("what was compiled for {sites} does not verify: {refusal}; they keep what they run");
        let help = "have fewer services at these sites; if there are few, it is a fault of Skerry: report it";
        Some(form.error(Code::Unverified, "", message).help(help))
    }
}

#[cfg(test)]
mod tests;
