//! Verification: a compiled bundle passes, and every way to spoil it is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use skerry_core::accept::Refusal;
use skerry_core::bundle::{EncodedFragment, v1};
use skerry_core::id::{Digest, Revision, Timestamp};
use skerry_core::ledger::{Ledger, Terms, encode};
use skerry_core::verify::{verify, verify_after, verify_content};

use crate::builder::{compile, contents, route_yaml, service_yaml, site, site_yaml};
use crate::ledger::NONE;

struct Parts {
    manifest: v1::Manifest,
    list: Vec<u8>,
    fragments: BTreeMap<Digest, Arc<[u8]>>,
}

impl Parts {
    fn new() -> Self {
        let route = "{parentRefs: [{group: '', kind: Service, name: cart}], rules: [{backendRefs: [{name: till, port: 80}]}]}";
        let compiled = compile(
            &(site_yaml("s1", "") + &service_yaml("cart") + &service_yaml("till") + &route_yaml("r", route)),
        );
        let contents = contents(&compiled, "s1");
        let mut ledger = Ledger::default();
        ledger.publish(&compiled, |_| None, NONE, &Revision::folder(), Timestamp(1));
        Self {
            manifest: ledger.row(&site("s1")).unwrap().manifest(&site("s1"), Terms::default()),
            list: contents.list.to_vec(),
            fragments: contents
                .fragments
                .iter()
                .map(|fragment| (fragment.id, Arc::clone(&fragment.bytes)))
                .collect(),
        }
    }

    fn verify(&self) -> Result<skerry_core::bundle::Bundle, Refusal> {
        verify(&encode(&self.manifest).0, &self.list, |id| self.fragments.get(id).cloned())
    }

    /// Changes the list and names the new one in the manifest.
    fn relist(&mut self, change: impl Fn(&mut v1::FragmentList)) {
        let mut list = v1::FragmentList::decode(&*self.list).unwrap();
        change(&mut list);
        self.list = list.encode_to_vec();
        self.manifest.list = Digest::of(&self.list).as_bytes().to_vec();
    }

    /// Replaces a service's fragment, list and manifest, as a compiler with a bug would.
    fn miscompile(&mut self, name: &str, change: impl Fn(&mut v1::Service)) {
        let bundle = self.verify().unwrap();
        let mut service = v1::Service::clone(&bundle.services[&name.parse().unwrap()]);
        change(&mut service);
        let fragment = EncodedFragment::service(service);
        let length = u32::try_from(fragment.bytes.len()).unwrap();
        let key = format!("service/{name}");
        self.relist(|list| {
            let entry = list.fragments.iter_mut().find(|entry| entry.key == key).unwrap();
            entry.id = fragment.id.as_bytes().to_vec();
            entry.length = length;
        });
        self.fragments.insert(fragment.id, fragment.bytes);
    }
}

#[test]
fn what_compile_makes_is_verified() {
    let bundle = Parts::new().verify().unwrap();
    assert_eq!(bundle.services.len(), 2);
    assert_eq!(bundle.settings.trust_domain, "mesh.local");
}

#[test]
fn a_list_that_the_manifest_does_not_name_is_refused() {
    let mut parts = Parts::new();
    parts.list.push(0);
    assert_eq!(parts.verify().unwrap_err(), Refusal::WrongList);
}

#[test]
fn a_list_out_of_order_or_with_a_key_twice_is_refused() {
    for change in [
        |list: &mut v1::FragmentList| list.fragments.reverse(),
        |list: &mut v1::FragmentList| {
            let first = list.fragments[0].clone();
            list.fragments.insert(0, first);
        },
    ] {
        let mut parts = Parts::new();
        parts.relist(change);
        assert!(matches!(parts.verify().unwrap_err(), Refusal::Inconsistent(_)));
    }
}

#[test]
fn a_fragment_that_is_missing_altered_or_mislabelled_is_refused() {
    let mut missing = Parts::new();
    missing.fragments.pop_first();
    assert!(matches!(missing.verify().unwrap_err(), Refusal::BadFragment { .. }));

    for at in 0..Parts::new().fragments.values().next().unwrap().len() {
        let mut altered = Parts::new();
        let bytes = altered.fragments.values_mut().next().unwrap();
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        *bytes = changed.into();
        assert!(matches!(altered.verify().unwrap_err(), Refusal::BadFragment { .. }), "byte {at}");
    }

    let mut mislabelled = Parts::new();
    mislabelled.relist(|list| list.fragments[0].key = "service/shop/aaa".to_owned());
    assert!(mislabelled.verify().is_err());

    let mut longer = Parts::new();
    longer.relist(|list| list.fragments[0].length += 1);
    assert!(matches!(longer.verify().unwrap_err(), Refusal::BadFragment { .. }));
}

#[test]
fn a_bundle_without_settings_is_refused() {
    let mut parts = Parts::new();
    parts.relist(|list| list.fragments.retain(|entry| entry.key != "settings"));
    assert!(matches!(parts.verify().unwrap_err(), Refusal::Inconsistent(_)));
}

#[test]
fn a_service_has_the_name_of_one() {
    let verify = |namespace: &str, name: &str| {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let service = v1::Service { namespace, name, index: 1, ..v1::Service::default() };
        let fragment = EncodedFragment::service(service);
        verify_content(&fragment.name, &fragment.bytes)
    };
    assert!(verify("shop", "cart").is_ok());
    for (namespace, name) in
        [("", "cart"), ("shop", ""), ("sh/op", "cart"), ("shop", "ca/rt"), ("shop", "Cart")]
    {
        let verdict = verify(namespace, name);
        assert!(matches!(verdict, Err(Refusal::Inconsistent(_))), "{namespace} {name}: {verdict:?}");
    }
}

#[test]
fn a_bundle_that_contradicts_itself_is_refused() {
    use v1::route::Action;
    type Spoil = fn(&mut v1::Service);
    let spoil: [(&str, Spoil); 7] = [
        ("no address index", |service| service.index = 0),
        ("a port out of range", |service| service.ports[0].port = 70_000),
        ("a table without its port", |service| service.tables[0].port = 81),
        ("a route without action", |service| service.tables[0].routes[0].action = None),
        ("a backend that is not there", |service| {
            if let Some(Action::Forward(forward)) = &mut service.tables[0].routes[0].action {
                forward.backends[0].name = "gone".to_owned();
            }
        }),
        ("a status that is none", |service| {
            service.tables[0].routes[0].action = Some(Action::DirectResponse(42));
        }),
        ("a mode of mutual TLS that is none", |service| service.mtls = 3),
    ];
    for (what, change) in spoil {
        let mut parts = Parts::new();
        parts.miscompile("shop/cart", change);
        assert!(matches!(parts.verify(), Err(Refusal::Inconsistent(_))), "{what}");
    }
}

#[test]
fn what_the_bundle_before_has_too_is_taken_from_there_with_the_same_result() {
    let mut parts = Parts::new();
    let before = parts.verify().unwrap();
    parts.miscompile("shop/cart", |cart| cart.index += 7);
    let changed: BTreeMap<_, _> = parts.fragments.clone();
    let known: Vec<Vec<u8>> = before.list.fragments.iter().map(|entry| entry.id.clone()).collect();
    let only_new = |id: &Digest| {
        assert!(!known.contains(&id.as_bytes().to_vec()), "a fragment that is known is looked for");
        changed.get(id).cloned()
    };
    let after = verify_after(Some(&before), &encode(&parts.manifest).0, &parts.list, only_new).unwrap();
    assert_eq!(after, parts.verify().unwrap());
    let till = before.services.keys().find(|name| name.name == "till").unwrap().clone();
    assert!(Arc::ptr_eq(&before.services[&till], &after.services[&till]));

    // Nothing of it is taken on trust: neither the length, nor what the others need of it.
    parts.relist(|list| list.fragments.iter_mut().for_each(|entry| entry.length += 1));
    let found = |id: &Digest| parts.fragments.get(id).cloned();
    let refused = verify_after(Some(&after), &encode(&parts.manifest).0, &parts.list, found);
    assert!(matches!(refused, Err(Refusal::BadFragment { .. })), "{refused:?}");
    let mut parts = Parts::new();
    parts.miscompile("shop/till", |till| till.ports.clear());
    let found = |id: &Digest| parts.fragments.get(id).cloned();
    let refused = verify_after(Some(&before), &encode(&parts.manifest).0, &parts.list, found);
    assert!(matches!(refused, Err(Refusal::Inconsistent(_))), "{refused:?}");
}

#[test]
fn invariant_7_more_services_than_a_site_can_take_leave_it_with_what_it_runs() {
    let mut index = crate::builder::index(&(site_yaml("s1", "") + &site_yaml("s2", "tier: lab")));
    let before = index.compile();
    let value = |at: usize| {
        serde_json::json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("c{at}"), "namespace": "shop", "annotations": {"skerry.dev/sites": "tier=lab"}},
            "spec": {"ports": [{"port": 80}]}})
    };
    for at in 0..skerry_core::bundle::MAX_FRAGMENTS {
        index.apply(crate::events::upsert(&value(at), skerry_core::world::Age::Known(0)));
    }
    let after = index.compile();
    assert_eq!(contents(&after, "s1").digest, contents(&before, "s1").digest);
    assert_eq!(contents(&after, "s2").digest, contents(&before, "s2").digest, "it keeps what it runs");
    let said = crate::builder::text(&after.diagnostics);
    assert!(said.contains("error[Unverified]") && said.contains("sites with `tier=lab`"), "{said}");
    index.apply(skerry_core::index::Change::Delete(
        "Service".parse().map(|kind| skerry_core::id::ObjectKey::new(kind, "shop", "c7")).unwrap(),
    ));
    let fewer = index.compile();
    assert_eq!(contents(&fewer, "s2").fragments.len(), skerry_core::bundle::MAX_FRAGMENTS);
    assert_eq!(crate::builder::text(&fewer.diagnostics), "");
}

fn sound_rule() -> v1::AuthorizationRule {
    let source = v1::Source { namespaces: vec!["shop".to_owned()], ..v1::Source::default() };
    let operation = v1::Operation { methods: vec!["GET".to_owned()], ..v1::Operation::default() };
    v1::AuthorizationRule {
        name: "shop/p/0".to_owned(),
        sources: vec![source],
        operations: vec![operation],
        ..v1::AuthorizationRule::default()
    }
}

/// Verifies a bundle with these rules in one of the three lists.
fn verify_with(rules: &[v1::AuthorizationRule], list: usize) -> Result<skerry_core::bundle::Bundle, Refusal> {
    let mut parts = Parts::new();
    parts.miscompile("shop/cart", |service| {
        let mut authorization = v1::Authorization { closed: true, ..v1::Authorization::default() };
        match list {
            0 => authorization.deny = rules.to_vec(),
            1 => authorization.allow = rules.to_vec(),
            _ => authorization.audits = vec![v1::Audit { name: "shop/a".to_owned(), rules: rules.to_vec() }],
        }
        service.authorization = Some(authorization);
    });
    parts.verify()
}

type Spoil = fn(&mut v1::AuthorizationRule);

fn source(kinds: &[Option<v1::spiffe_id_match::Kind>]) -> v1::Source {
    let spiffe_ids = kinds.iter().map(|kind| v1::SpiffeIdMatch { kind: kind.clone() }).collect();
    v1::Source { spiffe_ids, ..v1::Source::default() }
}

const SPOILS: [(&str, Spoil); 14] = [
    ("anyone and someone", |rule| rule.any_source = true),
    ("no one", |rule| rule.sources.clear()),
    ("everything and something", |rule| rule.any_operation = true),
    ("nothing", |rule| rule.operations.clear()),
    ("a source that says nothing", |rule| rule.sources[0] = v1::Source::default()),
    ("two kinds of source", |rule| {
        rule.sources[0].service_accounts =
            vec![v1::ServiceAccount { namespace: "a".into(), name: "b".into() }];
    }),
    ("a site of a SPIFFE ID", |rule| {
        let id = v1::spiffe_id_match::Kind::Exact("spiffe://a/b".to_owned());
        rule.sources[0] = v1::Source { sites: vec!["a".to_owned()], ..source(&[Some(id)]) };
    }),
    ("a site that is no label", |rule| rule.sources[0].sites = vec!["a.b".to_owned()]),
    ("a namespace that is a path", |rule| rule.sources[0].namespaces = vec!["a/sa/b".to_owned()]),
    ("a SPIFFE ID of an unknown kind", |rule| rule.sources[0] = source(&[None])),
    ("a SPIFFE ID that is none", |rule| {
        rule.sources[0] = source(&[Some(v1::spiffe_id_match::Kind::Prefix("spiffe://a/".to_owned()))]);
    }),
    ("an operation that says nothing", |rule| rule.operations[0] = v1::Operation::default()),
    ("a method without a name", |rule| rule.operations[0].methods = vec![String::new()]),
    ("a path of an unknown kind", |rule| rule.operations[0].paths = vec![v1::PathMatch { kind: None }]),
];

/// A rule that an agent would lower to less than was meant never reaches it.
#[test]
fn an_authorization_that_means_nothing_is_refused() {
    for list in 0..3 {
        assert!(verify_with(&[sound_rule()], list).is_ok());
        assert!(verify_with(&[sound_rule(), sound_rule()], list).is_err(), "one name twice");
        for (what, spoil) in SPOILS {
            let mut rule = sound_rule();
            spoil(&mut rule);
            let found = verify_with(&[rule], list);
            assert!(matches!(found, Err(Refusal::Inconsistent(_))), "{what}, in list {list}");
        }
    }
}
