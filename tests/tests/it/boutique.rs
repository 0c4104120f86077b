//! Who may call whom in `examples/online-boutique`: the matrix of what is compiled, against the table of its README and
//! against the network policies of Online Boutique itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use skerry_core::bundle::{EncodedFragment, v1};
use skerry_core::id::{Kind, NamespacedName, ObjectKey};
use skerry_core::policy::authorization_policy::Part as Side;
use skerry_core::policy::{Object, Spec};
use skerry_core::verify::{Part, verify_content};
use skerry_core::world::World;
use skerry_gitops::snapshot::load::load_folder;

use crate::corpora;

pub(crate) const NAMESPACE: &str = "boutique";

/// Who calls most.
const FRONT: &str = "frontend";
const CHECKOUT: &str = "checkoutservice";

/// The table of the README: each service, and the accounts that may call it; `*` is anyone.
pub(crate) const ALLOWED: [(&str, &[&str]); 11] = [
    ("adservice", &[FRONT]),
    ("cartservice", &[FRONT, CHECKOUT]),
    (CHECKOUT, &[FRONT]),
    ("currencyservice", &[FRONT, CHECKOUT]),
    ("emailservice", &[CHECKOUT]),
    (FRONT, &["*"]),
    ("paymentservice", &[CHECKOUT]),
    ("productcatalogservice", &[FRONT, CHECKOUT, "recommendationservice"]),
    ("recommendationservice", &[FRONT]),
    ("redis-cart", &["cartservice"]),
    ("shippingservice", &[FRONT, CHECKOUT]),
];

/// Accounts by the service that they may call; `*` is anyone.
type Matrix = BTreeMap<String, BTreeSet<String>>;

fn world() -> World {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/online-boutique");
    let loaded = load_folder(&folder, "").expect("the example can be read");
    assert_eq!(loaded.diagnostics.into_iter().collect::<Vec<_>>(), []);
    let mut world = World::new(loaded.objects);
    let services: Vec<NamespacedName> = world
        .objects
        .keys()
        .filter(|key| key.kind == Kind::Service)
        .map(ObjectKey::namespaced_name)
        .collect();
    world.indexes.assign(&services);
    world
}

/// Reads who may call whom out of the fragments of a site. Every service must be closed to all others.
fn matrix(world: &World) -> Matrix {
    let compiled = skerry_core::index::compile(world, skerry_crds::decode);
    assert_eq!(compiled.diagnostics.iter().cloned().collect::<Vec<_>>(), []);
    let contents = compiled.contents(&"harbour".parse().expect("a site")).expect("the site has contents");
    let part =
        |fragment: &EncodedFragment| verify_content(&fragment.name, &fragment.bytes).expect("it is sound");
    let services = contents.fragments.iter().filter_map(|fragment| match part(fragment) {
        Part::Service(_, service) => Some(service),
        Part::Settings(_) => None,
    });
    services.map(|service| (service.name.clone(), callers(&service))).collect()
}

fn callers(service: &v1::Service) -> BTreeSet<String> {
    let authorization = service.authorization.as_ref().expect("every service has a policy");
    assert!(authorization.closed && authorization.deny.is_empty(), "{authorization:?}");
    let ports: Vec<u32> = service.ports.iter().map(|port| port.port).collect();
    let of_rule = |rule: &v1::AuthorizationRule| -> BTreeSet<String> {
        if rule.any_source {
            return BTreeSet::from(["*".to_owned()]);
        }
        let [operation] = rule.operations.as_slice() else { panic!("{rule:?} has not one operation") };
        assert_eq!(operation.ports, ports, "{rule:?}");
        let accounts = rule.sources.iter().flat_map(|source| &source.service_accounts);
        accounts
            .inspect(|it| assert_eq!(it.namespace, NAMESPACE))
            .map(|account| account.name.clone())
            .collect()
    };
    authorization.allow.iter().flat_map(of_rule).collect()
}

#[test]
fn the_table_of_the_readme_is_what_is_compiled() {
    let owned = |accounts: &[&str]| accounts.iter().map(|account| (*account).to_owned()).collect();
    let expected: Matrix = ALLOWED.iter().map(|(to, from)| ((*to).to_owned(), owned(from))).collect();
    assert_eq!(matrix(&world()), expected);
}

/// The network policies name pods by `app`; here service accounts have the same names.
#[test]
fn it_is_what_the_network_policies_allow() {
    let Some(folder) = corpora::find("online-boutique/network-policies") else { return };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut allowed = Matrix::new();
    for file in files {
        let text = std::fs::read(&file).expect("a file");
        for document in skerry_crds::parse("policy.yaml", &text).documents {
            let spec = &document.value["spec"];
            let Some(app) = spec["podSelector"]["matchLabels"]["app"].as_str() else { continue };
            let Some(ingress) = spec["ingress"].as_array() else { continue };
            allowed.insert(app.to_owned(), ingress.iter().flat_map(peers).collect());
        }
    }
    assert_eq!(matrix(&world()), allowed);
}

fn peers(rule: &Value) -> Vec<String> {
    let Some(from) = rule["from"].as_array() else { return vec!["*".to_owned()] };
    let app = |peer: &Value| peer["podSelector"]["matchLabels"]["app"].as_str().map(str::to_owned);
    from.iter().filter_map(app).collect()
}

/// Each allowance alone opens its pair: without it exactly that pair is closed.
#[test]
fn removing_one_allowance_closes_one_pair() {
    let whole = matrix(&world());
    let pairs: Vec<(String, String)> = whole
        .iter()
        .flat_map(|(to, from)| from.iter().filter(|from| *from != "*").map(|from| (to.clone(), from.clone())))
        .collect();
    assert_eq!(pairs.len(), 15);
    for (to, from) in pairs {
        let mut world = world();
        remove(&mut world, &to, &from);
        let mut expected = whole.clone();
        expected.get_mut(&to).expect("the service is there").remove(&from);
        assert_eq!(matrix(&world), expected, "{from} -> {to}");
    }
}

/// Takes one account out of the policy of a service.
fn remove(world: &mut World, service: &str, account: &str) {
    let key = ObjectKey::new(Kind::AuthorizationPolicy, NAMESPACE, service);
    let aged = world.objects.get_mut(&key).expect("the policy is there");
    let mut object = Object::clone(&aged.object);
    let Spec::AuthorizationPolicy(policy) = &mut object.spec else { panic!("{key} is no policy") };
    for rule in &mut policy.rules {
        let Side::Of(sources) = &mut rule.from else { continue };
        sources.iter_mut().for_each(|source| source.service_accounts.retain(|known| known.name != account));
        sources.retain(|source| *source != v1::Source::default());
    }
    aged.object = object.into();
}
