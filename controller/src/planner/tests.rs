//! The planner: the order of its steps, and what a change touches.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use skerry_core::id::{Kind, Revision, Timestamp};
use skerry_core::policy::Decoded;
use skerry_core::world::{Age, Aged};

use super::*;
use crate::presence::Connection;
use crate::publish::Lookup;
use crate::samples::store::FakeStore;
use crate::samples::{at, nothing, site};
use crate::source::event::Confirmed;
use crate::store::Accepted;

const SITES: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: s1, labels: {tier: retail}}
---
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: s2}
";

fn service(name: &str, port: u16, sites: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\n\
         metadata: {{name: {name}, namespace: shop, annotations: {{skerry.dev/sites: '{sites}'}}}}\n\
         spec: {{selector: {{app: a}}, ports: [{{port: {port}}}]}}\n"
    )
}

fn objects(text: &str) -> Vec<Aged> {
    let parsed = skerry_crds::parse("all.yaml", text.as_bytes());
    let decoded = parsed.documents.iter().map(skerry_crds::decode);
    decoded
        .map(|decoded| match decoded {
            Decoded::Object(object, _) => Aged { age: Age::Unknown, object: Arc::from(object) },
            other => panic!("not an object: {other:?}"),
        })
        .collect()
}

fn event(scope: Scope, number: u8, text: &str) -> SourceEvent {
    let hash = format!("{number:040x}");
    let accepted = Accepted {
        commit: hash.parse().expect("40 digits are a commit"),
        revision: Revision::commit("main", &hash),
        path: String::new(),
        holds: Vec::new(),
        kept: skerry_gitops::snapshot::kept::KeptFiles::default(),
        recent: skerry_gitops::removal::Recent::default(),
        signature: crate::store::Signature::default(),
    };
    SourceEvent {
        scope,
        upserts: objects(text),
        deletes: Vec::new(),
        accepted,
        ages: None,
        diagnostics: Diagnostics::new(),
        foreign: BTreeMap::new(),
        confirmed: Confirmed::No,
    }
}

fn planner() -> Planner<FakeStore> {
    let around = Surroundings {
        store: Arc::new(FakeStore::default()),
        published: Arc::new(nothing()),
        presence: Arc::new(Presence::default()),
        board: Arc::new(SourceBoard::default()),
        clock: Clock::of(|| Timestamp(5)),
    };
    Planner::new(Index::new(skerry_crds::decode, ServiceIndexes::default()), Ledger::default(), around)
}

/// Plans, keeps and shows; returns the number of changed rows.
fn take(planner: &mut Planner<FakeStore>, event: SourceEvent) -> usize {
    let (plan, edition) = planner.plan(event);
    plan.keep(&*planner.around.store).expect("the store works");
    let changed = plan.publication.changed;
    planner.show(plan, edition);
    changed
}

fn generation(planner: &Planner<FakeStore>, name: &str) -> Option<u64> {
    planner.around.published.entry(&site(name)).map(|entry| entry.row.generation.0)
}

fn is_woken(connection: &Connection) -> bool {
    connection.woken().now_or_never().is_some()
}

#[test]
fn nothing_is_shown_before_it_is_kept() {
    let mut planner = planner();
    let (plan, edition) = planner.plan(event(Scope::Whole, 1, SITES));
    planner.around.store.set_full(true);

    assert!(plan.keep(&*planner.around.store).is_err());
    let lookup = planner.around.published.lookup(&site("s1"));
    assert!(matches!(lookup, Lookup::Starting(None)), "{lookup:?}");

    planner.around.store.set_full(false);
    plan.keep(&*planner.around.store).unwrap();
    planner.show(plan, edition);
    assert!(matches!(planner.around.published.lookup(&site("s1")), Lookup::Known(_)));
    assert_eq!(planner.around.store.generations(), [1]);
}

/// Invariant 2: only sites that a change touches get another manifest, and only they are woken.
#[test]
fn only_sites_that_a_change_touches_are_woken() {
    let mut planner = planner();
    take(&mut planner, event(Scope::Whole, 1, &format!("{SITES}{}", service("cart", 80, "tier=retail"))));
    let connect = |name| planner.around.presence.connect(&site(name), Default::default(), at(1)).unwrap();
    let (first, second) = (connect("s1"), connect("s2"));

    let changed = take(&mut planner, event(Scope::Changes, 2, &service("cart", 81, "tier=retail")));

    assert_eq!((changed, generation(&planner, "s1"), generation(&planner, "s2")), (1, Some(2), Some(1)));
    assert_eq!((is_woken(&first), is_woken(&second)), (true, false));
}

#[test]
fn a_commit_that_changes_nothing_for_sites_has_no_generation() {
    let mut planner = planner();
    take(&mut planner, event(Scope::Whole, 1, SITES));

    assert_eq!(take(&mut planner, event(Scope::Changes, 2, "")), 0);

    assert_eq!(generation(&planner, "s1"), Some(1));
    let world = planner.around.published.world().unwrap();
    assert_eq!(world.revision.as_str(), format!("main@sha1:{:040x}", 2), "people see the newest revision");
    assert_eq!(planner.around.store.generations(), [1, 1]);
}

#[test]
fn what_a_whole_world_does_not_name_is_gone() {
    let mut planner = planner();
    let (cart, web) = (service("cart", 80, ""), service("web", 80, ""));
    take(&mut planner, event(Scope::Whole, 1, &format!("{SITES}{cart}{web}")));
    let connection = planner.around.presence.connect(&site("s2"), Default::default(), at(1)).unwrap();
    let only_first = SITES.split("---").next().unwrap();

    let mut whole = event(Scope::Whole, 2, &format!("{only_first}{cart}"));
    whole.confirmed = Confirmed::Change;
    take(&mut planner, whole);

    assert!(matches!(planner.around.published.lookup(&site("s2")), Lookup::Unknown));
    assert!(is_woken(&connection), "it is told");
    let row = planner.around.published.entry(&site("s1")).unwrap().row;
    assert_eq!((row.generation.0, row.removals), (2, 1), "removals are counted against what was in force");
}

/// Invariant 6: what the source removes by name is declared to sites; what goes in another way is not, until confirmed.
#[test]
fn invariant_6_removals_are_declared_by_name_or_by_confirmation() {
    let mut planner = planner();
    let (cart, web) = (service("cart", 80, ""), service("web", 80, ""));
    take(&mut planner, event(Scope::Whole, 1, &format!("{SITES}{cart}{web}")));
    let removals = |planner: &Planner<FakeStore>| {
        planner.around.published.entry(&site("s1")).map(|entry| entry.row.removals)
    };

    // A selector that does not take the site any more.
    take(&mut planner, event(Scope::Changes, 2, &service("web", 80, "tier=other")));
    assert_eq!((generation(&planner, "s1"), removals(&planner)), (Some(2), Some(0)));

    let mut removal = event(Scope::Changes, 3, "");
    removal.deletes = vec![ObjectKey::new(Kind::Service, "shop", "cart")];
    take(&mut planner, removal);
    assert_eq!((generation(&planner, "s1"), removals(&planner)), (Some(3), Some(1)));

    let confirmed = SourceEvent { confirmed: Confirmed::InForce, ..event(Scope::Changes, 3, "") };
    assert_eq!(take(&mut planner, confirmed), 2, "every site is told again");
    assert_eq!((generation(&planner, "s1"), removals(&planner)), (Some(4), Some(10_001)));
}

#[test]
fn a_site_that_comes_back_unchanged_keeps_its_generation() {
    let mut planner = planner();
    take(&mut planner, event(Scope::Whole, 1, SITES));
    let mut removal = event(Scope::Changes, 2, "");
    removal.deletes = vec![ObjectKey::new(Kind::Site, "", "s2")];
    take(&mut planner, removal);
    assert_eq!(generation(&planner, "s2"), None);

    take(&mut planner, event(Scope::Changes, 3, SITES));

    assert_eq!((generation(&planner, "s1"), generation(&planner, "s2")), (Some(1), Some(1)));
}

#[test]
fn address_indexes_are_stored_when_they_are_given() {
    let mut planner = planner();
    let (plan, edition) =
        planner.plan(event(Scope::Whole, 1, &format!("{SITES}{}", service("cart", 80, ""))));
    assert_eq!(plan.indexes.as_ref().and_then(|indexes| indexes.get(&"shop/cart".parse().unwrap())), Some(1));
    planner.show(plan, edition);

    let (plan, _) = planner.plan(event(Scope::Changes, 2, &service("cart", 81, "")));
    assert_eq!(plan.indexes, None);
}
