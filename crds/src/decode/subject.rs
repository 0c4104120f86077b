//! Which kind a document is of, by `apiVersion` and `kind`: ours, another system's, or one to speak about.

use serde_json::Value;
use skerry_core::diagnostic::Code;
use skerry_core::document::Document;
use skerry_core::id::Kind;

use crate::api;
use crate::findings::Findings;
use crate::shape;

const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// Kinds of the Gateway API that would be missed if they were passed over silently.
const GATEWAY_KINDS: [&str; 9] = [
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "UDPRoute",
    "Gateway",
    "GatewayClass",
    "ListenerSet",
    "BackendTLSPolicy",
    "ReferenceGrant",
];

/// Kinds of ours that may be written in Git, and the two that live elsewhere.
const OUR_KINDS: [&str; 7] =
    ["Mesh", "Site", "TrafficPolicy", "AuthorizationPolicy", "SiteOverride", "PolicySource", "Workload"];

/// What a document is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A kind that a world holds.
    Ours(Kind),
    /// A kind of another system, or no kind at all.
    Foreign {
        /// `apiVersion`, or empty.
        api_version: String,
        /// `kind`, or empty.
        kind: String,
    },
    /// A kind that is not decoded, but not passed over either.
    Unusable(Unusable),
}

/// Why a kind is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// A kind or version of the Gateway API that is not supported yet.
    Gateway {
        /// `kind`.
        kind: String,
        /// `apiVersion`.
        api_version: String,
    },
    /// `Workload` is a file of a site.
    Workload,
    /// A kind of ours that there is not.
    UnknownKind(String),
    /// A version of ours that there is not.
    UnknownVersion(String),
}

impl Subject {
    /// Classifies a document; looks at nothing but `apiVersion` and `kind`.
    pub(crate) fn of(document: &Document) -> Self {
        let text = |field: &str| document.value.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let foreign = || Self::Foreign { api_version: api_version.to_owned(), kind: kind.to_owned() };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match (group, version, kind) {
            ("", "v1", "Service") => Self::Ours(Kind::Service),
            (GATEWAY_GROUP, "v1" | "v1beta1", "HTTPRoute") => Self::Ours(Kind::HttpRoute),
            (GATEWAY_GROUP, _, kind) if kind == "HTTPRoute" || GATEWAY_KINDS.contains(&kind) => {
                let (kind, api_version) = (kind.to_owned(), api_version.to_owned());
                Self::Unusable(Unusable::Gateway { kind, api_version })
            }
            (api::GROUP, api::VERSION, kind) => Self::of_ours(kind, foreign),
            (api::GROUP, version, _) => Self::Unusable(Unusable::UnknownVersion(version.to_owned())),
            _ => foreign(),
        }
    }

    fn of_ours(kind: &str, foreign: impl FnOnce() -> Self) -> Self {
        match kind {
            "Mesh" => Self::Ours(Kind::Mesh),
            "Site" => Self::Ours(Kind::Site),
            "TrafficPolicy" => Self::Ours(Kind::TrafficPolicy),
            "AuthorizationPolicy" => Self::Ours(Kind::AuthorizationPolicy),
            "SiteOverride" => Self::Ours(Kind::SiteOverride),
            // Bootstrap of an operator, often kept beside the policies that it names.
            "PolicySource" => foreign(),
            "Workload" => Self::Unusable(Unusable::Workload),
            other => Self::Unusable(Unusable::UnknownKind(other.to_owned())),
        }
    }
}

impl Unusable {
    /// Says why, in one diagnostic.
    pub(crate) fn explain(&self, document: &Document, findings: &mut Findings<'_>) {
        let name = display_name(document);
        match self {
            Self::Gateway { kind, api_version } => explain_gateway(kind, api_version, &name, findings),
            Self::Workload => {
                let message = format!("Workload{name} cannot come from Git");
                let help = "Workload is a local file of a site, not policy: put it into the agent's workloads folder";
                findings.error(Code::Unsupported, "/kind", message, help);
            }
            Self::UnknownKind(kind) => {
                let help = shape::did_you_mean(kind, OUR_KINDS.into_iter());
                findings.error(
                    Code::UnknownValue,
                    "/kind",
                    format!("{} has no kind `{kind}`", api::GROUP),
                    help,
                );
            }
            Self::UnknownVersion(version) => {
                let message = format!("{} has no version `{version}`", api::GROUP);
                let help = format!("use {}/{}", api::GROUP, api::VERSION);
                findings.error(Code::UnknownValue, "/apiVersion", message, help);
            }
        }
    }
}

fn explain_gateway(kind: &str, api_version: &str, name: &str, findings: &mut Findings<'_>) {
    let (field, message, help) = match kind {
        "HTTPRoute" => (
            "/apiVersion",
            format!("HTTPRoute{name} of version {api_version} is not supported; it has no effect"),
            "use gateway.networking.k8s.io/v1",
        ),
        "ReferenceGrant" => (
            "/kind",
            format!("ReferenceGrant{name} is not read; it has no effect"),
            "a route on a Service needs no grant for backends in other namespaces \
             (docs/adr/0007-cross-namespace-backends-need-no-grant.md); who may call them is said by AuthorizationPolicy",
        ),
        _ => (
            "/kind",
            format!("{kind}{name} is not supported yet; it has no effect"),
            "of the Gateway API, HTTPRoute with a Service as parent is supported",
        ),
    };
    findings.warning(Code::Unsupported, field, message, help);
}

/// The object's name as written, with a blank before it, for a message about a kind that has no key.
fn display_name(document: &Document) -> String {
    let text = |pointer: &str| document.value.pointer(pointer).and_then(Value::as_str);
    match (text("/metadata/namespace"), text("/metadata/name")) {
        (Some(namespace), Some(name)) => format!(" {namespace}/{name}"),
        (None, Some(name)) => format!(" {name}"),
        _ => String::new(),
    }
}
