//! Verification: whether manifest, list and fragments belong together and make sense. The only way
//! to a `Bundle`. Written apart from `compile`, so that a bug in one is found by the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;

use crate::accept::Refusal;
use crate::bundle::{Bundle, FragmentKey, MAX_FRAGMENT_BYTES, MAX_FRAGMENTS, v1};
use crate::id::{DNS_LABEL_RULE, Digest, NamespacedName, is_dns_label};

mod authorization;

/// Verifies a bundle. `fragment` finds the bytes of a fragment by id.
pub fn verify(
    manifest: &[u8],
    list: &[u8],
    fragment: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Bundle, Refusal> {
    verify_after(None, manifest, list, fragment)
}

/// Verifies a bundle as [`verify`] does, with the same result. A fragment that the bundle before it has too is
/// taken from there, and neither looked for nor read again.
pub fn verify_after(
    before: Option<&Bundle>,
    manifest: &[u8],
    list: &[u8],
    fragment: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Bundle, Refusal> {
    let digest = Digest::of(manifest);
    let manifest = v1::Manifest::decode(manifest).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let list = verify_list(&manifest, list)?;
    let mut settings = None;
    let mut services = BTreeMap::new();
    for entry in &list.fragments {
        let known = before.and_then(|before| find(before, entry));
        match known.map_or_else(|| verify_fragment(entry, &fragment), Ok)? {
            Part::Settings(found) => settings = Some(*found),
            Part::Service(name, service) => drop(services.insert(name, service)),
        }
    }
    let settings =
        settings.ok_or_else(|| Refusal::Inconsistent("there is no `settings` fragment".to_owned()))?;
    for (name, service) in &services {
        let offers =
            |name: &NamespacedName, port: u32| services.get(name).is_some_and(|found| offers(found, port));
        verify_needs(name, needs(service), offers)?;
    }
    Ok(Bundle { manifest, digest, list, settings, services })
}

/// A fragment that was verified by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// What holds for the whole site.
    Settings(Box<v1::Settings>),
    /// One service, with its name.
    Service(NamespacedName, Arc<v1::Service>),
}

/// Finds a fragment of the same key, id and length.
fn find(before: &Bundle, entry: &v1::FragmentRef) -> Option<Part> {
    let at = before.list.fragments.binary_search_by(|known| known.key.cmp(&entry.key)).ok()?;
    if before.list.fragments[at] != *entry {
        return None;
    }
    let Some(name) = entry.key.strip_prefix("service/") else {
        return Some(Part::Settings(Box::new(before.settings.clone())));
    };
    let name: NamespacedName = name.parse().ok()?;
    let service = Arc::clone(before.services.get(&name)?);
    Some(Part::Service(name, service))
}

/// Verifies a fragment list against its manifest: digest, order, bounds.
pub fn verify_list(manifest: &v1::Manifest, list: &[u8]) -> Result<v1::FragmentList, Refusal> {
    if Digest::of(list).as_bytes()[..] != manifest.list[..] {
        return Err(Refusal::WrongList);
    }
    let list = v1::FragmentList::decode(list).map_err(|error| Refusal::Malformed(error.to_string()))?;
    verify_count(list.fragments.len())?;
    if !list.fragments.is_sorted_by(|a, b| a.key < b.key) {
        return Err(Refusal::Inconsistent(
            "the fragment list is not sorted, or names a key twice".to_owned(),
        ));
    }
    Ok(list)
}

/// Verifies that a list is not over its bound.
pub fn verify_count(fragments: usize) -> Result<(), Refusal> {
    if fragments <= MAX_FRAGMENTS {
        return Ok(());
    }
    Err(Refusal::Inconsistent(format!("{fragments} fragments, more than {MAX_FRAGMENTS}")))
}

fn verify_fragment(
    entry: &v1::FragmentRef,
    fragment: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Part, Refusal> {
    let bad = |reason: &str| Refusal::BadFragment { key: entry.key.clone(), reason: reason.to_owned() };
    let id = Digest::from_slice(&entry.id).map_err(|error| bad(&error.to_string()))?;
    let bytes = fragment(&id).ok_or_else(|| bad("is missing"))?;
    if u32::try_from(bytes.len()) != Ok(entry.length) {
        return Err(bad("has another length than the list says"));
    }
    if Digest::of(&bytes) != id {
        return Err(bad("was altered"));
    }
    verify_content(&entry.key, &bytes)
}

/// Verifies what a fragment says, as far as that can be told from it alone.
pub fn verify_content(key: &str, bytes: &[u8]) -> Result<Part, Refusal> {
    let bad = |reason: &str| Refusal::BadFragment { key: key.to_owned(), reason: reason.to_owned() };
    if bytes.len() > MAX_FRAGMENT_BYTES {
        return Err(bad("is over the limit"));
    }
    let kind = v1::Fragment::decode(bytes).map_err(|error| bad(&error.to_string()))?.kind;
    let (held, part) = match kind.ok_or_else(|| bad("is of a kind that this agent does not know"))? {
        v1::fragment::Kind::Settings(settings) => {
            verify_mtls(settings.mtls).map_err(|reason| bad(&reason))?;
            (FragmentKey::Settings, Part::Settings(Box::new(settings)))
        }
        v1::fragment::Kind::Service(service) => {
            let name = NamespacedName::new(service.namespace.clone(), service.name.clone());
            verify_service(&service).map_err(|reason| inconsistent(&name, &reason))?;
            (FragmentKey::Service(name.clone()), Part::Service(name, Arc::new(service)))
        }
    };
    if held.to_string() == key { Ok(part) } else { Err(bad(&format!("holds `{held}`"))) }
}

fn inconsistent(service: &NamespacedName, reason: &str) -> Refusal {
    Refusal::Inconsistent(format!("service {service}: {reason}"))
}

/// Says whether a service has a port.
pub fn offers(service: &v1::Service, port: u32) -> bool {
    service.ports.iter().any(|found| found.port == port)
}

/// Lists the services and ports that a service's routes send to.
pub fn needs(service: &v1::Service) -> impl Iterator<Item = (NamespacedName, u32)> {
    let routes = service.tables.iter().flat_map(|table| &table.routes);
    let forwards = routes.filter_map(|route| match &route.action {
        Some(v1::route::Action::Forward(forward)) => Some(&forward.backends),
        _ => None,
    });
    let usable = forwards.flatten().filter(|backend| !backend.invalid);
    usable.map(|backend| (NamespacedName::new(&*backend.namespace, &*backend.name), backend.port))
}

/// Verifies that the bundle has everything that a service's routes send to.
pub fn verify_needs(
    service: &NamespacedName,
    needs: impl IntoIterator<Item = (NamespacedName, u32)>,
    offers: impl Fn(&NamespacedName, u32) -> bool,
) -> Result<(), Refusal> {
    match needs.into_iter().find(|(name, port)| !offers(name, *port)) {
        None => Ok(()),
        Some((name, port)) => {
            Err(inconsistent(service, &format!("backend {name}:{port} is not in the bundle")))
        }
    }
}

fn verify_service(service: &v1::Service) -> Result<(), String> {
    // What is made of names (keys, names of Envoy's resources) can be taken apart again.
    if ![&service.namespace, &service.name].into_iter().all(|name| is_dns_label(name)) {
        return Err(format!("namespace and name are DNS labels: {DNS_LABEL_RULE}"));
    }
    if service.index == 0 {
        return Err("it has no address index".to_owned());
    }
    for port in &service.ports {
        if u16::try_from(port.port).is_ok_and(|number| number > 0) {
            continue;
        }
        return Err(format!("port {} is out of range", port.port));
    }
    for table in &service.tables {
        if service.ports.iter().all(|port| port.port != table.port) {
            return Err(format!("routes for port {}, which it does not have", table.port));
        }
        table.routes.iter().try_for_each(verify_route)?;
    }
    verify_mtls(service.mtls)?;
    service.authorization.iter().try_for_each(authorization::verify)
}

/// A mode that is not known must not be lowered to a weaker one.
fn verify_mtls(mode: i32) -> Result<(), String> {
    let known = v1::MtlsMode::try_from(mode);
    known.map(drop).map_err(|_| format!("mode {mode} of mutual TLS is not known to this agent"))
}

fn verify_route(route: &v1::Route) -> Result<(), String> {
    let fail = |reason: String| Err(format!("route {}: {reason}", route.name));
    match &route.action {
        None => fail("it has no action".to_owned()),
        Some(v1::route::Action::DirectResponse(code)) if !(200..=599).contains(code) => {
            fail(format!("{code} is not a status code to answer with"))
        }
        Some(v1::route::Action::Redirect(redirect))
            if ![301, 302, 303, 307, 308].contains(&redirect.status_code) =>
        {
            fail(format!("{} is not a redirect", redirect.status_code))
        }
        Some(v1::route::Action::Forward(forward))
            if forward.backends.iter().all(|backend| backend.invalid) =>
        {
            fail("it has no backend".to_owned())
        }
        Some(_) => Ok(()),
    }
}
