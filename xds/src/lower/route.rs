//! `RouteConfiguration` (RDS): one for each HTTP port of each service, with the table that the
//! proxy's namespace sees (GEP-1294), in the table's order.
//!
//! A part that Envoy would refuse is left out here and said in a problem, since Envoy refuses the
//! whole configuration for it, good routes too.

use skerry_core::bundle::v1;
use skerry_core::bundle::v1::{Protocol, Service, ServicePort};

use super::piece::Lookup;
use super::{Scope, name};
use crate::envoy::route::route::Action;
use crate::envoy::route::{DirectResponseAction, Route, RouteConfiguration, VirtualHost};
use crate::resource::{Named, Problem};

mod forward;
mod header;
mod matching;
mod path;
mod redirect;
mod retry;
pub(crate) mod timeout;

use header::Changes;

/// What the routes of one port have in common, and what is wrong with the one at hand.
struct Context<'a> {
    scope: &'a Scope<'a>,
    protocol: Protocol,
    port: u32,
    notes: Vec<String>,
    /// What was asked about other services.
    lookups: Vec<Lookup>,
}

impl Context<'_> {
    fn note(&mut self, message: impl Into<String>) {
        self.notes.push(message.into());
    }
}

/// Makes the routes of one port of a service.
pub(crate) fn lower(
    scope: &Scope<'_>,
    service: &Service,
    port: &ServicePort,
    lookups: &mut Vec<Lookup>,
    problems: &mut Vec<Problem>,
) -> Named {
    let (protocol, port) = (port.protocol(), port.port);
    let mut context = Context { scope, protocol, port, notes: Vec::new(), lookups: std::mem::take(lookups) };
    let mut routes = Vec::new();
    for route in table(service, port, &scope.owner.name.namespace) {
        routes.extend(to_route(route, &mut context));
        let subject = || format!("{}, route {}", name::subject(service), route.name);
        problems.extend(context.notes.drain(..).map(|message| Problem { subject: subject(), message }));
    }
    *lookups = context.lookups;
    Named::route(&to_configuration(&name::outbound(service, port), routes))
}

/// Makes the routes of an inbound port: everything goes to one cluster, for as long as it takes.
pub(crate) fn to_everything(name: &str, cluster: &str) -> RouteConfiguration {
    let route = Route {
        r#match: Some(matching::everything()),
        action: Some(Action::Route(forward::without_limits(cluster))),
        ..Default::default()
    };
    to_configuration(name, vec![route])
}

/// The table of the client's namespace if there is one, else that of all clients; no table: no routes.
fn table<'a>(service: &'a Service, port: u32, namespace: &str) -> &'a [v1::Route] {
    let of = |namespace: &str| {
        service.tables.iter().find(|table| table.port == port && table.client_namespace == namespace)
    };
    of(namespace).or_else(|| of("")).map_or(&[], |table| &table.routes)
}

/// The address says which service is meant, so the host decides nothing (GEP-1294).
fn to_configuration(name: &str, routes: Vec<Route>) -> RouteConfiguration {
    let host =
        VirtualHost { name: "all".to_owned(), domains: vec!["*".to_owned()], routes, ..Default::default() };
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![host],
        validate_clusters: Some(crate::envoy::BoolValue { value: false }),
        ..Default::default()
    }
}

fn to_route(route: &v1::Route, context: &mut Context<'_>) -> Option<Route> {
    let wanted = route.r#match.clone().unwrap_or_default();
    let r#match = match matching::to_match(&wanted) {
        Ok(matched) => matched,
        Err(reason) => {
            context.note(format!("can never match and is left out: {reason}"));
            return None;
        }
    };
    let mut changes = Changes::of(route.request_headers.as_ref(), route.response_headers.as_ref(), context);
    let action = to_action(route.action.as_ref(), wanted.path.as_ref(), &mut changes, context);
    Some(Route {
        name: route.name.clone(),
        r#match: Some(r#match),
        request_headers_to_add: changes.request.to_add,
        request_headers_to_remove: changes.request.to_remove,
        response_headers_to_add: changes.response.to_add,
        response_headers_to_remove: changes.response.to_remove,
        action: Some(action),
        ..Default::default()
    })
}

/// An action that is missing or unknown must not let a request through: 500.
fn to_action(
    action: Option<&v1::route::Action>,
    path: Option<&v1::PathMatch>,
    changes: &mut Changes,
    context: &mut Context<'_>,
) -> Action {
    match action {
        Some(v1::route::Action::Forward(forward)) => forward::to_action(forward, path, changes, context),
        Some(v1::route::Action::Redirect(redirect)) => redirect::to_action(redirect, path, changes, context),
        Some(v1::route::Action::DirectResponse(status)) if (200..600).contains(status) => answer(*status),
        Some(v1::route::Action::DirectResponse(_)) | None => answer(500),
    }
}

fn answer(status: u32) -> Action {
    Action::DirectResponse(DirectResponseAction { status, ..Default::default() })
}
