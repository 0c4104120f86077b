//! Verifies who may call a service. What is not understood refuses the bundle: it must not be lowered to less.

use crate::bundle::v1;
use crate::bundle::v1::path_match::Kind as Path;
use crate::bundle::v1::spiffe_id_match::Kind as Id;
use crate::id::is_dns_label;

/// Verifies order and every rule; an error says what is wrong.
pub(super) fn verify(authorization: &v1::Authorization) -> Result<(), String> {
    rules(&authorization.deny)?;
    rules(&authorization.allow)?;
    if !authorization.audits.is_sorted_by(|a, b| a.name < b.name) {
        return Err("audits are not sorted, or one is there twice".to_owned());
    }
    authorization.audits.iter().try_for_each(|audit| rules(&audit.rules))
}

fn rules(rules: &[v1::AuthorizationRule]) -> Result<(), String> {
    if !rules.is_sorted_by(|a, b| a.name < b.name) {
        return Err("rules are not sorted, or one is there twice".to_owned());
    }
    rules
        .iter()
        .try_for_each(|rule| verify_rule(rule).map_err(|reason| format!("rule {}: {reason}", rule.name)))
}

fn verify_rule(rule: &v1::AuthorizationRule) -> Result<(), &'static str> {
    if rule.any_source != rule.sources.is_empty() || rule.any_operation != rule.operations.is_empty() {
        return Err("it has both everything and something, or nothing");
    }
    rule.sources.iter().try_for_each(verify_source)?;
    rule.operations.iter().try_for_each(verify_operation)
}

fn verify_source(source: &v1::Source) -> Result<(), &'static str> {
    let v1::Source { sites, service_accounts, namespaces, spiffe_ids } = source;
    let lists = [service_accounts.is_empty(), namespaces.is_empty(), spiffe_ids.is_empty()];
    let given = lists.into_iter().filter(|is_empty| !is_empty).count();
    if given > 1 || (given == 0 && sites.is_empty()) || !(sites.is_empty() || spiffe_ids.is_empty()) {
        return Err("a source is none, or two at once");
    }
    let is_name = |name: &String| is_path_segment(name);
    let accounts = service_accounts.iter().flat_map(|account| [&account.namespace, &account.name]);
    if !sites.iter().all(|site| is_dns_label(site)) || !namespaces.iter().chain(accounts).all(is_name) {
        return Err("a source has a name that none can have");
    }
    match spiffe_ids.iter().all(is_id) {
        true => Ok(()),
        false => Err("a source has a SPIFFE ID that is none"),
    }
}

/// What a namespace and a service account can be named, and no more: it becomes part of a URI.
fn is_path_segment(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(is_known)
}

fn is_id(id: &v1::SpiffeIdMatch) -> bool {
    match &id.kind {
        Some(Id::Exact(id) | Id::Prefix(id)) => id.starts_with("spiffe://") && !id.ends_with('/'),
        Some(Id::Regex(regex)) => !regex.is_empty(),
        None => false,
    }
}

fn verify_operation(operation: &v1::Operation) -> Result<(), &'static str> {
    if *operation == v1::Operation::default() {
        return Err("an operation is none");
    }
    if operation.methods.iter().any(String::is_empty) {
        return Err("an operation has a method without a name");
    }
    let is_path = |path: &v1::PathMatch| matches!(&path.kind, Some(Path::Exact(path) | Path::Prefix(path)) if path.starts_with('/'));
    if operation.paths.iter().all(is_path) { Ok(()) } else { Err("an operation has a path that is none") }
}
