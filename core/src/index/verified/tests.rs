//! A compiler with a bug: what it makes is not published, and what sites run stays.

use super::*;
use crate::bundle::v1;
use crate::compile::CompiledService;
use crate::diagnostic::Location;
use crate::document::{Document, Spans};
use crate::form::Form;
use crate::index::classes::ClassKey;
use crate::index::service::Made;
use crate::index::variants::Variant;
use crate::policy::{Decoded, Object, Service, Spec};
use crate::world::{Age, Aged, ServiceIndexes};

fn index() -> Index {
    let nothing = |_: &Document| Decoded::Foreign { api_version: String::new(), kind: String::new() };
    let mut index = Index::new(nothing, ServiceIndexes::default());
    let key = ObjectKey::service(&name());
    let document = Document {
        location: Location::file("cart.yaml"),
        value: serde_json::Value::Null,
        spans: Spans::default(),
    };
    let object = Object {
        key: key.clone(),
        labels: Arc::default(),
        created: None,
        sites: None,
        spec: Spec::Service(Service::default()),
        document: Arc::new(document.pack()),
    };
    let form = Form::plain(Aged { age: Age::Unknown, object: Arc::new(object) });
    index.objects.insert(key, Arc::new(Variant { id: 1, form, sites: None, stamps: vec![1] }));
    index
}

fn name() -> NamespacedName {
    NamespacedName::new("shop", "cart")
}

/// A service with one port and a route to a port of its own.
fn made(index: u32, port: u32, to: u32) -> Arc<Made> {
    let NamespacedName { namespace, name } = name();
    let backend = v1::Backend {
        namespace: namespace.clone(),
        name: name.clone(),
        port: to,
        weight: 1,
        ..v1::Backend::default()
    };
    let forward = v1::Forward { backends: vec![backend], ..v1::Forward::default() };
    let route = v1::Route { action: Some(v1::route::Action::Forward(forward)), ..v1::Route::default() };
    let fragment = EncodedFragment::service(v1::Service {
        namespace,
        name,
        index,
        ports: vec![v1::ServicePort { port, ..v1::ServicePort::default() }],
        tables: vec![v1::RouteTable { port, client_namespace: String::new(), routes: vec![route] }],
        ..v1::Service::default()
    });
    let facts = Facts::of(&fragment);
    let compiled = CompiledService { fragment: Arc::new(fragment), diagnostics: Vec::new() };
    Arc::new(Made { id: 1, versions: vec![1], compiled, facts })
}

#[test]
fn invariant_7_contents_that_do_not_verify_are_named_and_the_last_good_ones_stay() {
    let (mut index, mut cell) = (index(), Cell { key: ClassKey::default(), ..Cell::default() });
    let class = index.classes.base();
    let mut settle = |cell: &mut Cell, made: Arc<Made>| {
        let mut changed = Changed::default();
        let before = cell.services.insert(Arc::new(name()), Arc::clone(&made));
        let before = before.as_ref().and_then(|before| before.facts.as_ref().ok());
        changed.note(name(), before, made.facts.as_ref().ok());
        index.settle(class, cell, &changed);
        let said: Vec<String> = index.board.gather().iter().map(ToString::to_string).collect();
        (cell.contents.clone(), said)
    };
    let (good, said) = settle(&mut cell, made(1, 80, 80));
    assert!(good.is_some() && said.is_empty(), "{said:?}");
    for (what, bad) in [("no address index", made(0, 80, 80)), ("is not in the bundle", made(1, 81, 80))] {
        let (contents, said) = settle(&mut cell, bad);
        assert_eq!(contents, good);
        assert!(
            said.len() == 1 && said[0].contains("error[Unverified]") && said[0].contains(what),
            "{said:?}"
        );
        assert!(!cell.is_verified);
    }
    let (next, said) = settle(&mut cell, made(2, 80, 80));
    assert!(next.is_some() && next != good && said.is_empty(), "{said:?}");
}
