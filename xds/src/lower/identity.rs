//! Who the workloads of a site are: their names, and what is known of how they can prove them.

use skerry_core::bundle::v1::Service;
use skerry_core::workload::Workload;

use super::{Scope, port};
use crate::envoy::quote;

/// What the workload of a proxy can prove who it is with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Identity {
    /// The site is not enrolled: nobody proves anything, and all is plain text whatever the policy says.
    #[default]
    NotEnrolled,
    /// The site is enrolled, and the workload has no certificate.
    Missing,
    /// It has one of this site.
    Held(Domain),
}

/// The trust domain of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The site's label in it.
    pub site: String,
    /// The trust domain of the mesh.
    pub mesh: String,
}

impl Domain {
    /// Names a workload of the site.
    fn id(&self, workload: &Workload) -> String {
        let (namespace, account) = (&workload.name.namespace, &workload.service_account);
        format!("spiffe://{}.{}/ns/{namespace}/sa/{account}", self.site, self.mesh)
    }

    /// Matches the name of any workload of the mesh, whole, as an RE2 expression.
    pub(super) fn any_workload(&self) -> String {
        format!("spiffe://[a-z0-9-]+\\.{}/ns/[a-z0-9-]+/sa/[a-z0-9.-]+", quote(&self.mesh))
    }
}

/// Lists who a service may be at this site: whose proxy it selects. Sorted, each once.
pub(super) fn of_service(scope: &Scope<'_>, domain: &Domain, service: &Service) -> Vec<String> {
    let selected = scope.workloads.values().filter(|workload| port::selects(service, workload));
    let mut ids: Vec<_> =
        selected.filter(|workload| workload.proxy.is_some()).map(|workload| domain.id(workload)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
