//! The invariants of ARCHITECTURE.md that the core alone can hold, as properties over random worlds.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use skerry_core::diagnostic::{Code, Diagnostic};
use skerry_core::document::{Document, field_path};
use skerry_core::id::{Digest, Kind, ObjectKey, SiteId};
use skerry_core::id::{Revision, Timestamp};
use skerry_core::index::{Change, Compiled, Index, compile};
use skerry_core::ledger::{Ledger, Terms, encode};
use skerry_core::verify::verify;
use skerry_core::world::{Age, Aged, ServiceIndexes, World};

use crate::events;
use crate::ledger::NONE;

fn digests(compiled: &Compiled) -> BTreeMap<SiteId, Digest> {
    compiled.sites().map(|site| (site.clone(), compiled.contents(site).unwrap().digest)).collect()
}

fn play(index: &mut Index, events: &[Change]) {
    for event in events {
        index.apply(event.clone());
    }
}

fn empty() -> Index {
    Index::new(skerry_crds::decode, ServiceIndexes::default())
}

fn key(change: &Change) -> &ObjectKey {
    match change {
        Change::Upsert(object, _) => &object.key,
        Change::Delete(key) => key,
    }
}

/// The world that events end in.
fn world(events: &[Change], indexes: &ServiceIndexes) -> World {
    let mut objects: BTreeMap<ObjectKey, Aged> = BTreeMap::new();
    for event in events {
        match event.clone() {
            Change::Upsert(object, age) => {
                objects.insert(object.key.clone(), Aged { age, object });
            }
            Change::Delete(key) => {
                objects.remove(&key);
            }
        }
    }
    World { objects, indexes: indexes.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariant_1_equal_worlds_compile_to_equal_bytes_whatever_the_order(events in events::events(), seed in any::<u64>()) {
        let mut named = empty();
        play(&mut named, &events);
        named.compile();
        let world = world(&events, named.indexes());
        let mut shuffled: Vec<Change> =
            world.objects.values().map(|aged| Change::Upsert(Arc::clone(&aged.object), aged.age)).collect();
        shuffled.sort_by_key(|change| Digest::of(format!("{seed} {:?}", key(change)).as_bytes()));
        let mut other = Index::new(skerry_crds::decode, named.indexes().clone());
        play(&mut other, &shuffled);
        let (one, two) = (compile(&world, skerry_crds::decode), other.compile());
        prop_assert_eq!(digests(&one), digests(&two));
        prop_assert_eq!(&one.diagnostics, &two.diagnostics);
    }

    #[test]
    fn invariant_2_a_change_that_does_not_select_a_site_leaves_its_contents(
        events in events::events(),
        change in events::event(),
    ) {
        let mut index = empty();
        play(&mut index, &events);
        index.apply(events::upsert(&json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Site", "metadata": {"name": "far", "labels": {"tier": "far"}}}), Age::Known(0)));
        let before = digests(&index.compile());
        let far = "far".parse::<SiteId>().unwrap();
        let elsewhere = match &change {
            Change::Upsert(object, _) if object.key.kind == Kind::Site => true,
            Change::Upsert(object, _) => object.sites.is_some() && index.object(&object.key).is_none(),
            Change::Delete(key) if key.kind == Kind::Site => true,
            Change::Delete(key) => index.object(key).is_none_or(|aged| aged.object.sites.is_some()),
        };
        index.apply(change);
        let after = digests(&index.compile());
        if elsewhere {
            prop_assert_eq!(before.get(&far), after.get(&far));
        }
    }

    #[test]
    fn invariant_3_incremental_equals_from_scratch(events in events::events(), cuts in prop::collection::vec(any::<bool>(), 40)) {
        let mut index = empty();
        for (event, cut) in events.iter().zip(cuts) {
            index.apply(event.clone());
            if cut {
                index.compile();
            }
        }
        let incremental = index.compile();
        let scratch = compile(&world(&events, index.indexes()), skerry_crds::decode);
        prop_assert_eq!(digests(&incremental), digests(&scratch));
        prop_assert_eq!(&incremental.diagnostics, &scratch.diagnostics);
    }

    /// Rows are given to groups of sites that move and merge; one by one they must come out the same.
    #[test]
    fn invariant_2_a_site_has_a_new_row_when_its_contents_change_and_at_no_other_time(
        events in events::events(),
        cuts in prop::collection::vec(0_u8..4, 40),
    ) {
        let (mut index, mut ledger) = (empty(), Ledger::default());
        let mut expected: BTreeMap<SiteId, (Digest, u64)> = BTreeMap::new();
        for (event, cut) in events.iter().zip(cuts) {
            index.apply(event.clone());
            if cut == 0 {
                continue;
            }
            let compiled = index.compile();
            if cut == 1 {
                // The core starts again.
                let rows: Vec<_> = expected.keys().map(|site| (site.clone(), ledger.row(site).unwrap().clone())).collect();
                ledger = Ledger::restore(ledger.generation(), rows);
            }
            let publication = ledger.publish(&compiled, |_| None, NONE, &Revision::folder(), Timestamp(1));
            let mut changed = Vec::new();
            for (site, digest) in digests(&compiled) {
                if expected.get(&site).is_none_or(|(list, _)| *list != digest) {
                    expected.insert(site.clone(), (digest, publication.generation.0));
                    changed.push(site);
                }
            }
            prop_assert_eq!(publication.changed, changed.len());
            let mut told: Vec<SiteId> = ledger.changed(&publication).map(|(site, _)| site.clone()).collect();
            told.sort();
            prop_assert_eq!(told, changed);
            for (site, (list, generation)) in &expected {
                let row = ledger.row(site).unwrap();
                prop_assert_eq!((row.list, row.generation.0), (*list, *generation), "{}", site);
            }
            prop_assert!(ledger.rows().sites().eq(compiled.sites()));
        }
    }

    #[test]
    fn invariant_7_a_policy_that_cannot_be_applied_changes_nothing_else(events in events::events()) {
        let mut index = empty();
        play(&mut index, &events);
        index.compile();
        let before = digests(&index.compile());
        for bad in bad_objects() {
            index.apply(events::upsert(&bad, Age::Known(9)));
        }
        let after = index.compile();
        prop_assert_eq!(before, digests(&after));
        prop_assert!(bad_objects().iter().all(|bad| {
            let name = bad["metadata"]["name"].as_str().unwrap();
            after.diagnostics.iter().any(|found| found.object.as_ref().is_some_and(|key| key.name == name))
        }), "each is named in a diagnostic");
    }

    #[test]
    fn what_is_compiled_is_always_verified(events in events::events()) {
        let mut index = empty();
        play(&mut index, &events);
        let compiled = index.compile();
        let mut ledger = Ledger::default();
        ledger.publish(&compiled, |_| None, NONE, &Revision::folder(), Timestamp(1));
        for site in compiled.sites() {
            let contents = compiled.contents(site).unwrap();
            let manifest = encode(&ledger.row(site).unwrap().manifest(site, Terms::default())).0;
            let find = |id: &Digest| contents.fragments.iter().find(|f| f.id == *id).map(|f| f.bytes.clone());
            prop_assert!(verify(&manifest, &contents.list, find).is_ok());
        }
    }

    #[test]
    fn invariant_11_every_diagnostic_has_a_place_a_field_an_object_and_a_help_line(events in events::events_of_files()) {
        let mut index = empty();
        play(&mut index, &events);
        let compiled = index.compile();
        let objects: Vec<_> = index.keys().filter_map(|key| index.object(key)).collect();
        for found in &*compiled.diagnostics {
            prop_assert!(!found.help.is_empty() && found.object.is_some(), "{}", found);
            prop_assert!(!found.field.is_empty() || is_about_all(found), "{}", found);
            // An override's field has its place in the override's file.
            let document = objects.iter().map(|aged| &aged.object.document).find(|document| document.location.file == found.location.file);
            let document = document.expect("the file of an object").unpack();
            let place = (found.location.line, found.location.column);
            prop_assert!(document.spans.0.values().any(|known| *known == place), "{}", found);
            let own = index.object(found.object.as_ref().expect("checked above")).expect("an object that is there");
            if own.object.document.location.file == found.location.file {
                prop_assert_eq!(place, place_of(&found.field, &document), "{}", found);
            }
        }
    }
}

/// Diagnostics about an object as a whole.
fn is_about_all(found: &Diagnostic) -> bool {
    let is_mesh = found.object.as_ref().is_some_and(|object| object.kind == Kind::Mesh);
    found.code == Code::Unverified || (found.code == Code::Conflicted && is_mesh)
}

/// The place of a field, or of its nearest parent that the text has.
fn place_of(field: &str, document: &Document) -> (u32, u32) {
    let places: BTreeMap<String, (u32, u32)> =
        document.spans.0.iter().map(|(pointer, place)| (field_path(pointer), *place)).collect();
    let mut path = field;
    while !places.contains_key(path) {
        path = &path[..path.rfind(['.', '[']).unwrap_or_default()];
    }
    places[path]
}

/// Objects that are well-formed and cannot be applied: each refers to what is not there.
fn bad_objects() -> [serde_json::Value; 4] {
    let ours = "skerry.dev/v1alpha1";
    [
        json!({"apiVersion": ours, "kind": "TrafficPolicy", "metadata": {"name": "bad-policy", "namespace": "shop"},
               "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "nowhere"}], "timeouts": {"request": "1s"}}}),
        json!({"apiVersion": ours, "kind": "AuthorizationPolicy", "metadata": {"name": "bad-authorization", "namespace": "shop"},
               "spec": {"targetRefs": [{"kind": "Service", "name": "nowhere"}], "action": "Allow"}}),
        json!({"apiVersion": ours, "kind": "SiteOverride", "metadata": {"name": "bad-override", "namespace": "shop"},
               "spec": {"patches": [{"target": {"kind": "Service", "name": "nowhere"}, "merge": {"spec": {"ports": []}}}]}}),
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "bad-route", "namespace": "shop"},
               "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "nowhere"}], "rules": [{}]}}),
    ]
}
