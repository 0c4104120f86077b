//! The Kubernetes-shaped types of Skerry's own kinds, group `skerry.dev`: one kind per file.
//!
//! Each is what the YAML says and no more: the types carry schemas, descriptions, printer columns and
//! CEL rules for the generated CRDs. Defaults and rules that CEL cannot word are in `decode`.
#![expect(unreachable_pub, reason = "kube's derive repeats each type inside a function")]

pub mod authorization_policy;
pub mod duration;
pub mod mesh;
pub mod mtls;
pub mod policy_source;
pub mod site;
pub mod site_override;
pub mod status;
pub mod traffic_policy;
pub mod workload;

/// The group of all kinds of ours.
pub const GROUP: &str = "skerry.dev";

/// The only version of them.
pub const VERSION: &str = "v1alpha1";

/// The annotation that selects sites for a standard kind (`Service`, `HTTPRoute`), in the form of
/// `kubectl -l`: `tier=retail,region in (eu,us)`. Without it an object is for the whole fleet.
pub const SITES_ANNOTATION: &str = "skerry.dev/sites";

/// An IPv4 network of 4 to 16,777,216 addresses (prefix length 8 to 30), as a regular expression.
pub(crate) const OUTBOUND_CIDR: &str =
    r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])/([89]|[12][0-9]|30)$";
