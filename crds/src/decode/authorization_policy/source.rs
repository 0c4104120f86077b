//! `from`: who calls. Every mistake is noted; what is returned with one is never used.

use skerry_core::bundle::v1::spiffe_id_match::Kind;
use skerry_core::bundle::v1::{ServiceAccount, Source, SpiffeIdMatch};

use crate::api::authorization_policy::{
    AuthorizationSource, ServiceAccountRef, SpiffeIdMatch as Given, SpiffeIdMatchType,
};
use crate::decode::{dns, invalid, regex, spiffe};
use crate::findings::{Findings, below};

/// Converts a source; a service account without a namespace is of `namespace`.
pub(super) fn convert(
    given: &AuthorizationSource,
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Source {
    check_union(given, pointer, findings);
    let sites = given.sites.as_deref().unwrap_or_default();
    let namespaces = given.namespaces.as_deref().unwrap_or_default();
    check_labels(sites, "site", &below(pointer, "sites"), findings);
    check_labels(namespaces, "namespace", &below(pointer, "namespaces"), findings);
    let accounts = given.service_accounts.iter().flatten().enumerate();
    let accounts = accounts.map(|(at, account)| {
        to_account(account, namespace, &format!("{pointer}/serviceAccounts/{at}"), findings)
    });
    let service_accounts = accounts.collect();
    let ids = given.spiffe_ids.iter().flatten().enumerate();
    let ids = ids.map(|(at, id)| to_id(id, &format!("{pointer}/spiffeIDs/{at}/value"), findings));
    let spiffe_ids = ids.collect();
    Source { sites: sites.to_vec(), service_accounts, namespaces: namespaces.to_vec(), spiffe_ids }
}

/// The CRD has these rules too.
fn check_union(given: &AuthorizationSource, pointer: &str, findings: &mut Findings<'_>) {
    let names = [given.service_accounts.is_some(), given.namespaces.is_some(), given.spiffe_ids.is_some()];
    let names = names.into_iter().filter(|is_given| *is_given).count();
    if names > 1 {
        let message = "a source has at most one of serviceAccounts, namespaces and spiffeIDs";
        invalid(findings, pointer, message, "give each a source of its own: sources are alternatives");
    }
    if names == 0 && given.sites.is_none() {
        let message = "the source says nothing";
        let help = "give serviceAccounts, namespaces, spiffeIDs or sites; to mean anyone, leave `from` out";
        invalid(findings, pointer, message, help);
    }
    if given.sites.is_some() && given.spiffe_ids.is_some() {
        let help = "write the site into the ID: spiffe://<site>.<trust domain>/ns/<namespace>/sa/<account>";
        invalid(findings, &below(pointer, "sites"), "a SPIFFE ID names its site itself", help);
    }
}

fn check_labels(names: &[String], what: &str, pointer: &str, findings: &mut Findings<'_>) {
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !dns::is_label(name)) {
        let message = format!("`{name}` is not the name of a {what}");
        invalid(findings, &format!("{pointer}/{at}"), message, format!("use {}", dns::LABEL_RULE));
    }
}

fn to_account(
    given: &ServiceAccountRef,
    own: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> ServiceAccount {
    let namespace = given.namespace.as_deref().unwrap_or(own);
    if !dns::is_label(namespace) {
        let message = format!("`{namespace}` is not a namespace");
        invalid(findings, &below(pointer, "namespace"), message, format!("use {}", dns::LABEL_RULE));
    }
    if !dns::is_subdomain(&given.name) {
        let help = match given.name.as_str() {
            "*" => "for all service accounts of a namespace, give `namespaces`".to_owned(),
            _ => format!("use {}", dns::SUBDOMAIN_RULE),
        };
        let message = format!("`{}` is not the name of a service account", given.name);
        invalid(findings, &below(pointer, "name"), message, help);
    }
    ServiceAccount { namespace: namespace.to_owned(), name: given.name.clone() }
}

fn to_id(given: &Given, pointer: &str, findings: &mut Findings<'_>) -> SpiffeIdMatch {
    let value = given.value.as_str();
    let mut refuse = |what: &str| {
        invalid(findings, pointer, format!("`{value}` is not {what}"), format!("write {}", spiffe::ID_RULE));
    };
    let kind = match given.r#type {
        Some(SpiffeIdMatchType::Exact) | None => {
            if !spiffe::is_id(value) {
                refuse("the SPIFFE ID of a workload");
            }
            Kind::Exact(value.to_owned())
        }
        Some(SpiffeIdMatchType::Prefix) => {
            let prefix = value.strip_suffix('/').unwrap_or(value);
            if !spiffe::is_prefix(prefix) {
                refuse("the beginning of a SPIFFE ID");
            }
            Kind::Prefix(prefix.to_owned())
        }
        Some(SpiffeIdMatchType::RegularExpression) => {
            if let Err(flaw) = regex::check(value) {
                let message = format!("the regular expression cannot be used: {flaw}");
                invalid(findings, pointer, message, flaw.help());
            }
            Kind::Regex(value.to_owned())
        }
    };
    SpiffeIdMatch { kind: Some(kind) }
}
