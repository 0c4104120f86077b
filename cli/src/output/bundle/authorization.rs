//! Who may call a service, as plain values.

use serde_json::{Value, json};
use skerry_core::bundle::v1;

use super::{list, object, path_match, text};

/// Renders who may call a service.
pub(super) fn authorization(given: &v1::Authorization) -> Value {
    object([
        ("deny", list(&given.deny, rule)),
        ("allow", list(&given.allow, rule)),
        ("closed", flag(given.closed)),
        ("audits", list(&given.audits, audit)),
    ])
}

fn audit(audit: &v1::Audit) -> Value {
    object([("name", text(&audit.name)), ("rules", list(&audit.rules, rule))])
}

fn rule(rule: &v1::AuthorizationRule) -> Value {
    object([
        ("name", text(&rule.name)),
        ("anySource", flag(rule.any_source)),
        ("sources", list(&rule.sources, source)),
        ("anyOperation", flag(rule.any_operation)),
        ("operations", list(&rule.operations, operation)),
    ])
}

fn source(source: &v1::Source) -> Value {
    let account =
        |account: &v1::ServiceAccount| json!({"namespace": account.namespace, "name": account.name});
    object([
        ("sites", list(&source.sites, |site| json!(site))),
        ("serviceAccounts", list(&source.service_accounts, account)),
        ("namespaces", list(&source.namespaces, |namespace| json!(namespace))),
        ("spiffeIds", list(&source.spiffe_ids, spiffe_id)),
    ])
}

fn spiffe_id(id: &v1::SpiffeIdMatch) -> Value {
    match &id.kind {
        Some(v1::spiffe_id_match::Kind::Exact(id)) => json!({"exact": id}),
        Some(v1::spiffe_id_match::Kind::Prefix(prefix)) => json!({"prefix": prefix}),
        Some(v1::spiffe_id_match::Kind::Regex(regex)) => json!({"regex": regex}),
        None => Value::Null,
    }
}

fn operation(operation: &v1::Operation) -> Value {
    object([
        ("ports", list(&operation.ports, |port| json!(port))),
        ("methods", list(&operation.methods, |method| json!(method))),
        ("paths", list(&operation.paths, path_match)),
    ])
}

fn flag(flag: bool) -> Value {
    if flag { json!(true) } else { Value::Null }
}
