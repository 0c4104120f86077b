//! Inbound listeners that take mutual TLS, alone or beside plain text.

use skerry_core::bundle::v1::{MtlsMode, ServicePort};

use crate::envoy::listener::filter::ConfigType;
use crate::envoy::listener::listener_filter::ConfigType as ListenerConfigType;
use crate::envoy::listener::{Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter};
use crate::envoy::rbac::Action;
use crate::envoy::rbac::rbac::Action as Verdict;
use crate::envoy::ssl_inputs::UriSanInput;
use crate::envoy::tls_inspector::TlsInspector;
use crate::envoy::xds_core::TypedExtensionConfig;
use crate::envoy::xds_matcher::matcher::matcher_list::predicate::{
    MatchType, SinglePredicate, single_predicate,
};
use crate::envoy::xds_matcher::matcher::matcher_list::{FieldMatcher, Predicate};
use crate::envoy::xds_matcher::matcher::{MatcherList, MatcherType, OnMatch, on_match};
use crate::envoy::xds_matcher::regex_matcher::{EngineType, GoogleRe2};
use crate::envoy::xds_matcher::string_matcher::MatchPattern;
use crate::envoy::xds_matcher::{Matcher, RegexMatcher, StringMatcher};
use crate::envoy::{Any, millis, network_rbac, pack};
use crate::lower::cluster::Upstream;
use crate::lower::{Scope, identity, tls};

/// The names of the two filter chains: Envoy keeps the connections of one that stays as it is.
const MUTUAL: &str = "mutual-tls";
const PLAIN: &str = "plain-text";

/// How long a caller may take to show that it speaks TLS where the server may have to speak first: 1 s. A proxy of the
/// mesh says so at once; on other ports the caller speaks first anyway, and Envoy waits for 15 s.
const SILENCE_MS: u64 = 1_000;

/// What a port takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Plain text: nobody can prove anything here.
    Plain,
    /// Both.
    Both,
    /// Mutual TLS alone.
    Mutual,
}

/// How callers of a port are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mutual {
    pub(super) takes: Takes,
    /// Matches the names of callers.
    workload: String,
    server_first: bool,
}

impl Mutual {
    /// Decides for a port that stands for these ports of services; each with its service's mode. An error says why there
    /// can be no listener.
    pub(super) fn of<'a>(
        scope: &Scope<'a>,
        is_lenient: bool,
        ports: impl Iterator<Item = (MtlsMode, &'a ServicePort)>,
    ) -> Result<Self, &'static str> {
        let (mut is_strict, mut server_first, mut is_known) = (false, false, false);
        let is_strict_mode = |mode| match mode {
            MtlsMode::Unspecified => scope.bundle.settings.mtls() == MtlsMode::Strict,
            MtlsMode::Permissive => false,
            MtlsMode::Strict => true,
        };
        for (mode, port) in ports {
            is_known = true;
            is_strict |= is_strict_mode(mode);
            server_first |= port.server_first;
        }
        is_strict |= !is_known && is_strict_mode(MtlsMode::Unspecified);
        let (takes, workload) = match scope.identity {
            identity::Identity::NotEnrolled => (Takes::Plain, String::new()),
            identity::Identity::Missing if is_strict => {
                return Err("its callers must use mutual TLS, and the workload has no certificate");
            }
            identity::Identity::Missing => (Takes::Plain, String::new()),
            identity::Identity::Held(domain) => {
                let takes = if is_strict && !is_lenient { Takes::Mutual } else { Takes::Both };
                (takes, domain.any_workload())
            }
        };
        Ok(Self { takes, workload, server_first })
    }

    /// Puts it before a listener that has one chain.
    ///
    /// The chain of mutual TLS is the same in both modes as far as it can be: a change of the mode cuts nobody off who
    /// uses it.
    pub(super) fn guard(&self, listener: &mut Listener, upstream: Upstream) {
        if self.takes == Takes::Plain {
            return;
        }
        let Some(plain) = listener.filter_chains.pop() else { return };
        listener.listener_filters.push(inspector());
        listener.filter_chains.push(self.chain(plain.filters.clone(), &listener.name, upstream));
        if self.takes == Takes::Both {
            listener.default_filter_chain = Some(FilterChain { name: PLAIN.to_owned(), ..plain });
            listener.continue_on_listener_filters_timeout = true;
            listener.listener_filters_timeout = self.server_first.then(|| millis(SILENCE_MS));
        }
    }

    /// A port that carries bytes may carry TLS of the workload's own: only proxies of the mesh are met with ours there,
    /// unless it must be.
    fn chain(&self, mut filters: Vec<Filter>, stat_prefix: &str, upstream: Upstream) -> FilterChain {
        let is_ambiguous = upstream == Upstream::Tcp && self.takes == Takes::Both;
        let application_protocols = if is_ambiguous { vec![tls::ALPN.to_owned()] } else { Vec::new() };
        filters.insert(0, one_name(&self.workload, stat_prefix));
        FilterChain {
            name: MUTUAL.to_owned(),
            filter_chain_match: Some(FilterChainMatch {
                transport_protocol: "tls".to_owned(),
                application_protocols,
                ..Default::default()
            }),
            filters,
            transport_socket: Some(tls::server(&self.workload, upstream)),
            ..Default::default()
        }
    }
}

/// Tells TLS from plain text by the first bytes.
fn inspector() -> ListenerFilter {
    let config = TlsInspector::default();
    ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".to_owned(),
        config_type: Some(ListenerConfigType::TypedConfig(pack(&config))),
        ..Default::default()
    }
}

/// Makes the filter that closes a connection whose caller has other than exactly one name (X509-SVID §2): the transport
/// socket takes a certificate when one of its names fits. The input is all of them, with commas between.
fn one_name(workload: &str, stat_prefix: &str) -> Filter {
    let input = extension("uri-names", pack(&UriSanInput {}));
    let regex =
        RegexMatcher { regex: workload.to_owned(), engine_type: Some(EngineType::GoogleRe2(GoogleRe2 {})) };
    let value = StringMatcher { match_pattern: Some(MatchPattern::SafeRegex(regex)), ..Default::default() };
    let predicate =
        SinglePredicate { input: Some(input), matcher: Some(single_predicate::Matcher::ValueMatch(value)) };
    let allow = Action { name: MUTUAL.to_owned(), action: Verdict::Allow.into() };
    let on_match = OnMatch {
        on_match: Some(on_match::OnMatch::Action(extension("allow", pack(&allow)))),
        ..Default::default()
    };
    let matcher = FieldMatcher {
        predicate: Some(Predicate { match_type: Some(MatchType::SinglePredicate(predicate)) }),
        on_match: Some(on_match),
    };
    let list = MatcherList { matchers: vec![matcher] };
    let rbac = network_rbac::Rbac {
        // What matches nothing is denied.
        matcher: Some(Matcher { matcher_type: Some(MatcherType::MatcherList(list)), ..Default::default() }),
        stat_prefix: format!("{stat_prefix}.identity."),
        ..Default::default()
    };
    Filter { name: "identity".to_owned(), config_type: Some(ConfigType::TypedConfig(pack(&rbac))) }
}

fn extension(name: &str, config: Any) -> TypedExtensionConfig {
    TypedExtensionConfig { name: name.to_owned(), typed_config: Some(config) }
}
