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
    /// A kind that a world holds, or `Workload`, but for a slip in `apiVersion` or `kind`.
    Misspelt(&'static Known),
}

/// A kind that is decoded, as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    group: &'static str,
    version: &'static str,
    name: &'static str,
}

const fn ours(name: &'static str) -> Known {
    Known { group: api::GROUP, version: api::VERSION, name }
}

/// Every kind that is decoded.
static KNOWN: [Known; 8] = [
    Known { group: "", version: "v1", name: "Service" },
    Known { group: GATEWAY_GROUP, version: "v1", name: "HTTPRoute" },
    ours("Mesh"),
    ours("Site"),
    ours("TrafficPolicy"),
    ours("AuthorizationPolicy"),
    ours("SiteOverride"),
    ours("Workload"),
];

impl Known {
    /// Finds what a document was meant to be that is nearly of a known kind: one of the two words is right, and the other
    /// is not there, or is it but for a slip. Passed over as another system's it would be gone without a word.
    fn meant(group: &str, version: &str, kind: &str) -> Option<&'static Self> {
        let is_group = |known: &Self| group == known.group && (!group.is_empty() || version == known.version);
        let has_slip_in_group = |known: &Self| match (group, known.group) {
            // No `apiVersion`, or another version of the core group, which has but one.
            ("", "") => true,
            ("", _) => version.is_empty(),
            (group, known) => shape::is_near(group, known),
        };
        let is_meant = |known: &&Self| {
            if kind == known.name {
                return !is_group(known) && has_slip_in_group(known);
            }
            is_group(known) && (kind.eq_ignore_ascii_case(known.name) || shape::is_near(kind, known.name))
        };
        KNOWN.iter().find(is_meant)
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

impl Subject {
    /// Classifies a document; looks at nothing but `apiVersion` and `kind`.
    pub(crate) fn of(document: &Document) -> Self {
        let text = |field: &str| document.value.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let foreign = || match Known::meant(group, version, kind) {
            Some(known) => Self::Unusable(Unusable::Misspelt(known)),
            None => Self::Foreign { api_version: api_version.to_owned(), kind: kind.to_owned() },
        };
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
            other => match foreign() {
                Self::Foreign { .. } => Self::Unusable(Unusable::UnknownKind(other.to_owned())),
                misspelt => misspelt,
            },
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
            Self::Misspelt(known) => explain_misspelt(known, document, &name, findings),
            Self::UnknownVersion(version) => {
                let message = format!("{} has no version `{version}`", api::GROUP);
                let help = format!("use {}/{}", api::GROUP, api::VERSION);
                findings.error(Code::UnknownValue, "/apiVersion", message, help);
            }
        }
    }
}

fn explain_misspelt(known: &Known, document: &Document, name: &str, findings: &mut Findings<'_>) {
    let text = |field: &str| document.value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (pointer, what) = match (kind == known.name, api_version) {
        (true, "") => ("/apiVersion", "there is no `apiVersion`".to_owned()),
        (true, version) => ("/apiVersion", format!("{} has no API version `{version}`", known.name)),
        (false, _) => ("/kind", format!("there is no kind `{kind}`")),
    };
    let help = format!("write `apiVersion: {}` and `kind: {}`", known.api_version(), known.name);
    findings.error(Code::UnknownValue, pointer, format!("{what}, so{name} is not read"), help);
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
