//! The mesh's trust domain, the sites' domains below it, and the names of workloads.
//!
//! Must not accept more than Kubernetes does as a name: what goes into an identity also goes into policies.

use skerry_core::id::{DNS_LABEL_RULE, InvalidId, SiteId, is_dns_label};

use super::{SpiffeId, TrustDomain};

/// The longest trust domain of a mesh: a site's label of 63 bytes and a dot go before it, and a DNS name has 253.
pub const MAX_MESH_DOMAIN_BYTES: usize = 189;

/// The trust domain of the whole fleet; each site has one of its own below it. A DNS name, since it stands in the name
/// constraint of each site's authority, which knows hosts only (RFC 5280 §4.2.1.10).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeshDomain(TrustDomain);

/// Who a workload is: the account that its site gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// The site.
    pub site: SiteId,
    /// The namespace: a DNS label.
    pub namespace: String,
    /// The service account: a DNS subdomain.
    pub service_account: String,
}

impl MeshDomain {
    /// Parses a name: DNS labels joined by dots, at most 189 bytes.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        let is_domain = name.len() <= MAX_MESH_DOMAIN_BYTES && name.split('.').all(is_dns_label);
        let rule = "a DNS name in lower case, at most 189 characters";
        let fail = || InvalidId { what: "trust domain of a mesh", value: name.to_owned(), rule };
        if is_domain { TrustDomain::new(name).map(Self) } else { Err(fail()) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns it as a trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0
    }

    /// Returns the trust domain of a site: `<site>.<mesh>`.
    pub fn site_domain(&self, site: &SiteId) -> TrustDomain {
        TrustDomain(format!("{site}.{}", self.0).into())
    }

    /// Says whose trust domain it is; nothing if it is not exactly one label below this one.
    pub fn site_of(&self, domain: &str) -> Option<SiteId> {
        let label = domain.strip_suffix(self.as_str())?.strip_suffix('.')?;
        SiteId::new(label).ok()
    }

    /// Names a workload: `spiffe://<site>.<mesh>/ns/<namespace>/sa/<service account>`.
    pub fn workload_id(&self, workload: &Workload) -> Result<SpiffeId, InvalidId> {
        let Workload { site, namespace, service_account } = workload;
        if !is_dns_label(namespace) {
            return Err(InvalidId { what: "namespace", value: namespace.clone(), rule: DNS_LABEL_RULE });
        }
        if !is_dns_subdomain(service_account) {
            let rule = "lower-case letters, digits, `-` and `.`, at most 253 (RFC 1123)";
            return Err(InvalidId { what: "service account", value: service_account.clone(), rule });
        }
        SpiffeId::new(&format!("spiffe://{site}.{}/ns/{namespace}/sa/{service_account}", self.0))
    }

    /// Reads the name of a workload back; nothing if it is none of this mesh.
    pub fn workload_of(&self, id: &SpiffeId) -> Option<Workload> {
        let site = self.site_of(id.domain())?;
        let (namespace, service_account) = id.path().strip_prefix("/ns/")?.split_once("/sa/")?;
        let is_name = is_dns_label(namespace) && is_dns_subdomain(service_account);
        let (namespace, service_account) = (namespace.to_owned(), service_account.to_owned());
        is_name.then_some(Workload { site, namespace, service_account })
    }
}

/// A subdomain as Kubernetes has it: at most 253 bytes, of parts that may be longer than 63.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(edge)
            && bytes.last().is_some_and(edge)
            && bytes.iter().all(|byte| edge(byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh() -> MeshDomain {
        MeshDomain::new("mesh.local").unwrap()
    }

    fn workload(site: &str, namespace: &str, service_account: &str) -> Workload {
        let site = SiteId::new(site).unwrap();
        Workload { site, namespace: namespace.to_owned(), service_account: service_account.to_owned() }
    }

    #[test]
    fn a_workload_is_named_and_read_back() {
        let longest = "a".repeat(253);
        for (namespace, account) in [("shop", "checkout"), ("shop", "a.b-c"), ("shop", longest.as_str())] {
            let workload = workload("oslo", namespace, account);
            let id = mesh().workload_id(&workload).unwrap();
            assert_eq!(id.as_str(), format!("spiffe://oslo.mesh.local/ns/{namespace}/sa/{account}"));
            assert_eq!(mesh().workload_of(&id), Some(workload));
        }
    }

    #[test]
    fn names_that_are_not_of_kubernetes_are_refused() {
        for (namespace, account) in
            [("", "a"), ("Shop", "a"), ("a/b", "a"), ("a.b", "a"), ("a", ""), ("a", "b/c")]
        {
            assert!(
                mesh().workload_id(&workload("oslo", namespace, account)).is_err(),
                "{namespace} {account}"
            );
        }
    }

    #[test]
    fn names_of_others_are_no_workloads() {
        let others = [
            "spiffe://mesh.local/ns/shop/sa/checkout",
            "spiffe://oslo.mesh.local",
            "spiffe://oslo.mesh.local/ns/shop",
            "spiffe://oslo.mesh.local/ns/shop/sa/a/b",
            "spiffe://oslo.mesh.local/sa/a/ns/shop",
            "spiffe://x.oslo.mesh.local/ns/shop/sa/checkout",
            "spiffe://oslo_1.mesh.local/ns/shop/sa/checkout",
            "spiffe://oslomesh.local/ns/shop/sa/checkout",
            "spiffe://oslo.other.local/ns/shop/sa/checkout",
            "spiffe://mesh.local.oslo/ns/shop/sa/checkout",
        ];
        for id in others {
            assert_eq!(mesh().workload_of(&SpiffeId::new(id).unwrap()), None, "{id}");
        }
    }

    #[test]
    fn every_site_has_a_domain_that_fits() {
        let longest = MeshDomain::new(&["m".repeat(63), "n".repeat(63), "o".repeat(61)].join(".")).unwrap();
        let site = SiteId::new("s".repeat(63)).unwrap();
        let domain = longest.site_domain(&site);
        assert_eq!(domain.as_str().len(), 253);
        assert_eq!(TrustDomain::new(domain.as_str()).unwrap(), domain);
        assert_eq!(longest.site_of(domain.as_str()), Some(site));
        for name in
            ["", "Mesh", "a..b", ".a", "a_b", &["m".repeat(63), "n".repeat(63), "o".repeat(62)].join(".")]
        {
            assert!(MeshDomain::new(name).is_err(), "{name}");
        }
    }
}
