//! Who calls → Envoy's principals: matches of the URI in the caller's certificate.
//!
//! Only a URI name counts, and only of a certificate that was validated. Envoy's `authenticated` principal would take a
//! DNS name too: whom a peer is taken for would hang on every authority excluding those.
//! A TLS session that is resumed counts as not validated, so whoever calls with one is refused: listeners that ask for
//! certificates must not resume sessions.

use skerry_core::bundle::v1;
use skerry_core::bundle::v1::spiffe_id_match::Kind as Id;

use crate::envoy::core::TypedExtensionConfig;
use crate::envoy::matcher::StringMatcher;
use crate::envoy::mtls_authenticated::Config;
use crate::envoy::rbac::Principal;
use crate::envoy::rbac::principal::Identifier;
use crate::envoy::tls::SubjectAltNameMatcher;
use crate::envoy::tls::subject_alt_name_matcher::SanType;
use crate::envoy::{beginning, exactly, matching, pack, quote};

/// A site's name in a trust domain: one label (RFC 1123).
const ANY_SITE: &str = "[a-z0-9-]+";

/// Lowers the sources of a rule; none: nobody is meant.
pub(super) fn of_rule(rule: &v1::AuthorizationRule, trust_domain: &str) -> Vec<Principal> {
    if rule.any_source {
        return vec![Principal { identifier: Some(Identifier::Any(true)) }];
    }
    let matchers = rule.sources.iter().flat_map(|source| of_source(source, trust_domain));
    matchers.map(to_principal).collect()
}

/// Plain comparisons where one site is named, and one expression where there may be several: the number of matches
/// never is the product of two lists.
fn of_source(source: &v1::Source, trust_domain: &str) -> Vec<StringMatcher> {
    if !source.spiffe_ids.is_empty() {
        return source.spiffe_ids.iter().flat_map(of_id).collect();
    }
    let accounts = source.service_accounts.iter();
    match (source.sites.as_slice(), source.service_accounts.is_empty(), source.namespaces.is_empty()) {
        (sites, true, true) => sites.iter().map(|site| beginning(&root(site, trust_domain))).collect(),
        ([site], false, _) => accounts
            .map(|account| exactly(&format!("{}{}", root(site, trust_domain), path(account, str::to_owned))))
            .collect(),
        ([site], true, false) => {
            let namespaces = source.namespaces.iter();
            namespaces.map(|name| beginning(&format!("{}ns/{name}/sa/", root(site, trust_domain)))).collect()
        }
        (sites, false, _) => {
            let accounts = accounts.map(|account| path(account, quote));
            vec![matching(&expression(sites, trust_domain, &one_of(accounts)))]
        }
        (sites, true, false) => {
            let namespaces = one_of(source.namespaces.iter().map(|name| quote(name)));
            vec![matching(&expression(sites, trust_domain, &format!("ns/{namespaces}/sa/[^/]+")))]
        }
    }
}

fn root(site: &str, trust_domain: &str) -> String {
    format!("spiffe://{site}.{trust_domain}/")
}

fn path(account: &v1::ServiceAccount, write: impl Fn(&str) -> String) -> String {
    format!("ns/{}/sa/{}", write(&account.namespace), write(&account.name))
}

fn expression(sites: &[String], trust_domain: &str, path: &str) -> String {
    let site = match sites {
        [] => ANY_SITE.to_owned(),
        sites => one_of(sites.iter().map(|site| quote(site))),
    };
    format!("spiffe://{site}\\.{}/{path}", quote(trust_domain))
}

fn one_of(alternatives: impl Iterator<Item = String>) -> String {
    format!("(?:{})", alternatives.collect::<Vec<_>>().join("|"))
}

fn of_id(id: &v1::SpiffeIdMatch) -> Vec<StringMatcher> {
    match &id.kind {
        Some(Id::Exact(id)) => vec![exactly(id)],
        Some(Id::Prefix(prefix)) => vec![exactly(prefix), beginning(&format!("{prefix}/"))],
        Some(Id::Regex(regex)) => vec![matching(regex)],
        // `verify` lets none through.
        None => Vec::new(),
    }
}

fn to_principal(matcher: StringMatcher) -> Principal {
    let san_matcher =
        SubjectAltNameMatcher { san_type: SanType::Uri.into(), matcher: Some(matcher), ..Default::default() };
    let config = Config { san_matcher: Some(san_matcher), any_validated_client_certificate: false };
    let custom = TypedExtensionConfig {
        name: "envoy.rbac.principals.mtls_authenticated".to_owned(),
        typed_config: Some(pack(&config)),
    };
    Principal { identifier: Some(Identifier::Custom(custom)) }
}
