//! The ports of a service and the route table of each: producers' and consumers' (GEP-1294).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use prost::Message;

use crate::bundle::v1;
use crate::bundle::v1::route::Action as Act;
use crate::diagnostic::{Code, Diagnostic};
use crate::form::Input;
use crate::id::NamespacedName;
use crate::policy::http_route::{Action, Match, ParentRef, Rule};
use crate::policy::service::Port;
use crate::policy::{HttpRoute, Service};
use crate::world::Age;

use super::order::{RouteOrder, Specificity};
use super::{ServiceInputs, backends, traffic};

/// Port and client namespace (empty: producers' routes).
type TableKey = (u16, String);

struct Entry {
    order: RouteOrder,
    route: v1::Route,
    pointer: String,
}

/// Compiles ports and tables; both sorted as `bundle.proto` says.
pub(super) fn compile_ports(
    inputs: &ServiceInputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<v1::ServicePort>, Vec<v1::RouteTable>) {
    let mut tables: BTreeMap<TableKey, Vec<Entry>> = BTreeMap::new();
    let namespace = &inputs.service.key().namespace;
    let (producers, consumers): (Vec<Input<'_, HttpRoute>>, Vec<Input<'_, HttpRoute>>) =
        inputs.routes.iter().partition(|route| route.key().namespace == *namespace);
    for route in producers.into_iter().chain(consumers) {
        attach(inputs, route, &mut tables, diagnostics);
    }
    let ports: Vec<_> =
        inputs.service.spec.ports.iter().map(|port| (port, protocol(port, &tables))).collect();
    for (port, protocol) in &ports {
        let key = (port.port, String::new());
        if *protocol != v1::Protocol::Tcp && !tables.contains_key(&key) {
            let entry = default_entry(inputs, port.port, diagnostics);
            tables.insert(key, vec![entry]);
        }
    }
    let ports = ports.into_iter().map(|(port, protocol)| to_port(port, protocol)).collect();
    let tables = tables.into_iter().map(|(key, entries)| finish(inputs, key, entries, diagnostics)).collect();
    (ports, tables)
}

fn protocol(port: &Port, tables: &BTreeMap<TableKey, Vec<Entry>>) -> v1::Protocol {
    let routed = || tables.contains_key(&(port.port, String::new()));
    port.protocol.unwrap_or_else(|| if routed() { v1::Protocol::Http } else { v1::Protocol::Tcp })
}

fn to_port(port: &Port, protocol: v1::Protocol) -> v1::ServicePort {
    v1::ServicePort {
        name: port.name.clone(),
        port: port.port.into(),
        target: Some(port.target.clone()),
        protocol: protocol.into(),
        server_first: port.server_first,
    }
}

fn attach(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    tables: &mut BTreeMap<TableKey, Vec<Entry>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let service = inputs.service.key().namespaced_name();
    let mut ports = std::collections::BTreeSet::new();
    for parent in route.spec.parents.iter().filter(|parent| parent.service == service) {
        ports.extend(attached_ports(inputs, route, parent, tables, diagnostics));
    }
    if ports.is_empty() {
        return;
    }
    let key = route.key();
    let client = if key.namespace == service.namespace { String::new() } else { key.namespace.clone() };
    let entries: Vec<_> = route
        .spec
        .rules
        .iter()
        .enumerate()
        .map(|rule| compile_rule(inputs, route, rule, diagnostics))
        .collect();
    for port in ports {
        let table = tables.entry((port, client.clone())).or_default();
        table.extend(entries.iter().flatten().map(|entry| Entry {
            order: entry.order.clone(),
            route: entry.route.clone(),
            pointer: entry.pointer.clone(),
        }));
    }
}

/// A port that does not say what it speaks becomes HTTP by a producer's route, never by a consumer's: that
/// one holds for the clients of its own namespace alone.
fn attached_ports(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    parent: &ParentRef,
    tables: &BTreeMap<TableKey, Vec<Entry>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<u16> {
    let is_producer = route.key().namespace == inputs.service.key().namespace;
    let is_http = |port: &&Port| match port.protocol {
        Some(protocol) => protocol != v1::Protocol::Tcp,
        None => is_producer || tables.contains_key(&(port.port, String::new())),
    };
    let service = inputs.service.spec;
    let named: Vec<&Port> = service.ports.iter().filter(|port| parent.means(port)).collect();
    let ports: Vec<u16> = named.iter().copied().filter(is_http).map(|port| port.port).collect();
    if ports.is_empty() {
        let Refusal { code, field, message, help } = refuse(parent, service, &named);
        let pointer = format!("{}{field}", parent.pointer);
        diagnostics.push(route.form.error(code, &pointer, message).help(help));
    }
    ports
}

/// Why a route cannot attach to the ports that a parent means.
struct Refusal {
    code: Code,
    /// The field of the parent, as a JSON pointer.
    field: &'static str,
    message: String,
    help: &'static str,
}

/// `named`: the ports of the service that the parent means, none of them HTTP.
fn refuse(parent: &ParentRef, service: &Service, named: &[&Port]) -> Refusal {
    let ParentRef { service: name, port, section, .. } = parent;
    let has = |port: u16| service.port(port).is_some();
    let (field, which) = match (port, section) {
        (Some(port), _) => ("/port", format!("port {port} of Service {name} is TCP")),
        (None, Some(section)) => ("/sectionName", format!("port `{section}` of Service {name} is TCP")),
        (None, None) => ("", format!("no port of Service {name} is HTTP")),
    };
    if !named.is_empty() || field.is_empty() {
        let message = format!("{which}, so an HTTPRoute cannot attach to it");
        let help = match field {
            "" => "set `appProtocol: http` (or `kubernetes.io/h2c`) at a port of the Service",
            _ => "set the port's `appProtocol: http` (or `kubernetes.io/h2c`), or take another port",
        };
        return Refusal { code: Code::InvalidValue, field, message, help };
    }
    let (field, message, help) = match (port, section) {
        (Some(port), Some(section)) if has(*port) => (
            "/sectionName",
            format!("port {port} of Service {name} is not named `{section}`"),
            "`port` and `sectionName` must mean one port of the Service: correct one of the two, or leave it out",
        ),
        (Some(port), _) => (
            "/port",
            format!("Service {name} has no port {port}"),
            "name a port of the Service, or leave `port` out to attach to all its HTTP ports",
        ),
        (None, section) => (
            "/sectionName",
            format!("Service {name} has no port named `{}`", section.as_deref().unwrap_or_default()),
            "name a port of the Service, or leave `sectionName` out to attach to all its HTTP ports",
        ),
    };
    Refusal { code: Code::DanglingReference, field, message, help }
}

fn compile_rule(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    (at_rule, rule): (usize, &Rule),
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    let name = route.key().namespaced_name();
    let action = compile_action(inputs, route, rule, diagnostics);
    let to_entry = |Match { at, route_match }: &Match| Entry {
        order: RouteOrder {
            specificity: Specificity::of(route_match),
            age: route.form.aged.age,
            name: name.clone(),
            rule: at_rule,
            at: at.unwrap_or_default(),
        },
        route: v1::Route {
            name: format!("{name}/{at_rule}/{}", at.unwrap_or_default()),
            r#match: Some(route_match.clone()),
            request_headers: rule.request_headers.clone(),
            response_headers: rule.response_headers.clone(),
            action: Some(action.clone()),
        },
        pointer: match at {
            Some(at) => format!("/spec/rules/{at_rule}/matches/{at}"),
            None => format!("/spec/rules/{at_rule}/matches"),
        },
    };
    rule.matches.iter().map(to_entry).collect()
}

fn compile_action(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    rule: &Rule,
    diagnostics: &mut Vec<Diagnostic>,
) -> Act {
    match &rule.action {
        Action::Fail => Act::DirectResponse(500),
        Action::Redirect(redirect) => Act::Redirect(redirect.clone()),
        Action::Forward { backends, rewrite } => {
            let backends = backends::resolve(inputs, route, backends, diagnostics);
            if backends.iter().all(|backend| backend.invalid) {
                return Act::DirectResponse(500);
            }
            let settings = traffic::for_rule(inputs, route, rule, diagnostics);
            Act::Forward(v1::Forward {
                backends,
                rewrite: rewrite.clone(),
                timeouts: settings.timeouts(),
                retry: settings.retry(),
            })
        }
    }
}

fn default_entry(inputs: &ServiceInputs<'_>, port: u16, diagnostics: &mut Vec<Diagnostic>) -> Entry {
    let settings = traffic::for_service(inputs, diagnostics);
    diagnostics.extend(traffic::longer_try(inputs, &settings, inputs.service.form));
    let name: NamespacedName = inputs.service.key().namespaced_name();
    let backend = v1::Backend {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        port: port.into(),
        weight: 1,
        ..v1::Backend::default()
    };
    let forward = v1::Forward {
        backends: vec![backend],
        rewrite: None,
        timeouts: settings.timeouts(),
        retry: settings.retry(),
    };
    let everything = v1::RouteMatch::default();
    Entry {
        order: RouteOrder {
            specificity: Specificity::of(&everything),
            age: Age::Unknown,
            name,
            rule: 0,
            at: 0,
        },
        route: v1::Route {
            name: "default".to_owned(),
            r#match: Some(everything),
            request_headers: None,
            response_headers: None,
            action: Some(Act::Forward(forward)),
        },
        pointer: String::new(),
    }
}

fn finish(
    inputs: &ServiceInputs<'_>,
    (port, client_namespace): TableKey,
    mut entries: Vec<Entry>,
    diagnostics: &mut Vec<Diagnostic>,
) -> v1::RouteTable {
    entries.sort_by(|a, b| a.order.cmp(&b.order));
    let mut first: BTreeMap<Vec<u8>, &Entry> = BTreeMap::new();
    for entry in &entries {
        let matched = entry.route.r#match.as_ref().map(Message::encode_to_vec).unwrap_or_default();
        match first.entry(matched) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
            Slot::Occupied(winner) => diagnostics.extend(tie(inputs, winner.get(), entry)),
        }
    }
    let routes = entries.into_iter().map(|entry| entry.route).collect();
    v1::RouteTable { port: port.into(), client_namespace, routes }
}

/// Two routes with one match: the later one is never reached. Decided by age, or by the order of the rules in one route,
/// it is a warning; decided by nothing but the names it is an error, since a rename would turn it round.
fn tie(inputs: &ServiceInputs<'_>, winner: &Entry, loser: &Entry) -> Option<Diagnostic> {
    let input = inputs.routes.iter().find(|route| route.key().namespaced_name() == loser.order.name)?;
    if winner.order.name == loser.order.name {
        return shadowed(*input, winner, loser);
    }
    let by_name = winner.order.age == loser.order.age;
    let reason = if by_name { "whose name comes first" } else { "which is older" };
    let message = format!(
        "ties with a match of HTTPRoute {} on Service {}, {reason}; this one is never reached",
        winner.order.name,
        inputs.service.key().namespaced_name(),
    );
    let diagnostic = if by_name {
        input.form.error(Code::Tie, &loser.pointer, message)
    } else {
        input.form.warning(Code::Tie, &loser.pointer, message)
    };
    Some(diagnostic.help("make one of the two matches greater, or merge the two rules"))
}

/// Of two matches of one rule the second is superfluous, and misleads nobody.
fn shadowed(route: Input<'_, HttpRoute>, winner: &Entry, loser: &Entry) -> Option<Diagnostic> {
    if winner.order.rule == loser.order.rule {
        return None;
    }
    let place = route.form.origin(&winner.pointer).location;
    let message = format!(
        "ties with a match of an earlier rule of the same route, at {place}; this one is never reached"
    );
    let warning = route.form.warning(Code::Tie, &loser.pointer, message);
    Some(warning.help("make this match greater, or remove it"))
}
