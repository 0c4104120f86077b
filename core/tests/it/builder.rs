//! Builds worlds from YAML, and reads what they compile to.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::{Contents, v1};
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{NamespacedName, SiteId};
use skerry_core::index::{Change, Compiled, Index};
use skerry_core::policy::{Decoded, Object};
use skerry_core::world::{Age, ServiceIndexes};

/// Decodes all documents of a YAML text; panics on any that is refused.
pub fn objects(yaml: &str) -> Vec<Object> {
    let parsed = skerry_crds::parse("policy.yaml", yaml.as_bytes());
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    parsed.documents.iter().map(object).collect()
}

fn object(document: &skerry_core::document::Document) -> Object {
    match skerry_crds::decode(document) {
        Decoded::Object(object, _) => *object,
        other => panic!("{other:?}"),
    }
}

/// An index that holds the objects of a YAML text, all of one age.
pub fn index(yaml: &str) -> Index {
    let mut index = Index::new(skerry_crds::decode, ServiceIndexes::default());
    upsert(&mut index, yaml, 0);
    index
}

/// Adds objects of the given age.
pub fn upsert(index: &mut Index, yaml: &str, age: i64) {
    for object in objects(yaml) {
        index.apply(Change::Upsert(Arc::new(object), Age::Known(age)));
    }
}

/// Compiles a YAML text.
pub fn compile(yaml: &str) -> Compiled {
    Compiled::clone(&index(yaml).compile())
}

/// Parses a site name.
pub fn site(name: &str) -> SiteId {
    name.parse().unwrap()
}

/// Returns what a site runs.
pub fn contents<'a>(compiled: &'a Compiled, name: &str) -> &'a Contents {
    compiled.contents(&site(name)).unwrap()
}

/// Decodes the services of a site.
pub fn services(contents: &Contents) -> BTreeMap<NamespacedName, v1::Service> {
    let decode = |bytes: &[u8]| v1::Fragment::decode(bytes).unwrap().kind.unwrap();
    let kinds = contents.fragments.iter().map(|fragment| decode(&fragment.bytes));
    kinds
        .filter_map(|kind| match kind {
            v1::fragment::Kind::Service(service) => {
                Some((NamespacedName::new(service.namespace.clone(), service.name.clone()), service))
            }
            v1::fragment::Kind::Settings(_) => None,
        })
        .collect()
}

/// Decodes one service of a site.
pub fn service(compiled: &Compiled, site: &str, name: &str) -> v1::Service {
    services(contents(compiled, site)).remove(&name.parse().unwrap()).unwrap()
}

/// Lists the names of a table's routes, in order.
pub fn route_names(service: &v1::Service, port: u32, client: &str) -> Vec<String> {
    let table = service.tables.iter().find(|table| table.port == port && table.client_namespace == client);
    table.map(|table| table.routes.iter().map(|route| route.name.clone()).collect()).unwrap_or_default()
}

/// Writes diagnostics one a line, as the log has them.
pub fn text(diagnostics: &Diagnostics) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// A site with labels, as YAML.
pub fn site_yaml(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n"
    )
}

/// A service with one HTTP port, as YAML.
pub fn service_yaml(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n"
    )
}

/// A route in namespace `shop` with the given spec, as YAML.
pub fn route_yaml(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n---\n"
    )
}

/// Decodes what holds for a whole site.
pub fn settings(compiled: &Compiled, site: &str) -> v1::Settings {
    let fragments = contents(compiled, site).fragments.iter();
    let decode = |bytes: &[u8]| v1::Fragment::decode(bytes).unwrap().kind.unwrap();
    let mut kinds = fragments.map(|fragment| decode(&fragment.bytes));
    kinds
        .find_map(|kind| match kind {
            v1::fragment::Kind::Settings(settings) => Some(settings),
            v1::fragment::Kind::Service(_) => None,
        })
        .unwrap()
}
