//! What services and routes compile to, and what is said of those that cannot be compiled whole.

use prost::Message as _;
use skerry_core::bundle::v1;
use skerry_core::bundle::v1::route::Action;

use crate::builder::{
    compile, contents, index as index_of, route_names, route_yaml, service, service_yaml, services,
    site_yaml, text, upsert,
};

fn only_action(compiled: &skerry_core::index::Compiled) -> Action {
    let service = service(compiled, "s1", "shop/cart");
    service.tables[0].routes[0].action.clone().unwrap()
}

fn with_backends(backends: &str) -> skerry_core::index::Compiled {
    let spec = format!(
        "{{parentRefs: [{{kind: Service, group: '', name: cart}}], rules: [{{backendRefs: [{backends}]}}]}}"
    );
    let world =
        site_yaml("s1", "") + &service_yaml("cart") + &service_yaml("cart-v2") + &route_yaml("r", &spec);
    compile(&world)
}

#[test]
fn backends_keep_their_weights_and_those_of_weight_0_are_left_out() {
    let compiled = with_backends(
        "{name: cart, port: 80, weight: 9}, {name: cart-v2, port: 80}, {name: cart-v2, port: 80, weight: 0}",
    );
    let Action::Forward(forward) = only_action(&compiled) else { panic!("not forwarded") };
    let shares: Vec<_> =
        forward.backends.iter().map(|backend| (backend.name.as_str(), backend.weight)).collect();
    assert_eq!(shares, [("cart", 9), ("cart-v2", 1)]);
    assert_eq!(text(&compiled.diagnostics), "");
}

fn link(compiled: &skerry_core::index::Compiled, site: &str) -> Option<v1::Link> {
    let settings = contents(compiled, site).fragments.iter().find(|fragment| &*fragment.name == "settings");
    match v1::Fragment::decode(&*settings.unwrap().bytes).unwrap().kind {
        Some(v1::fragment::Kind::Settings(settings)) => settings.link,
        other => panic!("no settings: {other:?}"),
    }
}

/// Invariant 2: the uplink of one site is in its own bundle, and in nobody else's.
#[test]
fn invariant_2_a_site_s_uplink_paces_its_own_link() {
    let plain = site_yaml("s1", "") + &site_yaml("s2", "") + &site_yaml("s3", "") + &service_yaml("cart");
    let uplink = |site, uplink| {
        let kind = "apiVersion: skerry.dev/v1alpha1\nkind: Site\n";
        format!("{kind}metadata: {{name: {site}}}\nspec: {{uplink: {uplink}}}\n---\n")
    };
    let metered =
        uplink("s2", "{class: Metered}") + &uplink("s3", "{class: Satellite, bytesPerDay: 1000000}");
    let (before, after) =
        (compile(&plain), compile(&(site_yaml("s1", "") + &metered + &service_yaml("cart"))));

    assert_eq!((link(&after, "s1"), link(&before, "s2")), (None, None));
    assert_eq!(contents(&after, "s1").digest, contents(&before, "s1").digest);
    let paced = |keepalive_seconds, keepalive_timeout_seconds, report_seconds| {
        Some(v1::Link { keepalive_seconds, keepalive_timeout_seconds, report_seconds })
    };
    assert_eq!(link(&after, "s2"), paced(900, 30, 1_800));
    assert_eq!(link(&after, "s3"), paced(3_600, 60, 3_600));
    assert_eq!(services(contents(&after, "s2")), services(contents(&after, "s1")), "services are shared");
}

#[test]
fn a_dangling_backend_keeps_its_share_and_is_named() {
    let compiled = with_backends("{name: cart, port: 80, weight: 9}, {name: gone, port: 80, weight: 1}");
    let Action::Forward(forward) = only_action(&compiled) else { panic!("not forwarded") };
    let usable: Vec<_> = forward.backends.iter().map(|backend| backend.invalid).collect();
    assert_eq!(usable, [false, true]);
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

#[test]
fn a_rule_without_a_usable_backend_answers_500() {
    for backends in
        ["", "{name: gone, port: 80}", "{name: cart, port: 81}", "{name: cart, port: 80, weight: 0}"]
    {
        assert_eq!(only_action(&with_backends(backends)), Action::DirectResponse(500), "{backends}");
    }
}

#[test]
fn a_backend_without_port_takes_the_only_one_or_says_why_not() {
    let two_ports = "apiVersion: v1\nkind: Service\nmetadata: {name: two, namespace: shop}\n\
        spec: {ports: [{name: a, port: 1}, {name: b, port: 2}]}\n---\n";
    let route = |name: &str| {
        route_yaml(
            "r",
            &format!(
                "{{parentRefs: [{{kind: Service, group: '', name: cart}}], rules: [{{backendRefs: [{{name: {name}}}]}}]}}"
            ),
        )
    };
    let world = site_yaml("s1", "") + &service_yaml("cart") + two_ports;
    assert_eq!(text(&compile(&(world.clone() + &route("cart"))).diagnostics), "");
    insta::assert_snapshot!(text(&compile(&(world + &route("two"))).diagnostics));
}

#[test]
fn a_port_is_what_it_says_and_http_when_a_route_attaches_to_one_that_says_nothing() {
    let ports = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
        spec: {ports: [{name: grpc-api, port: 1}, {name: tcp-x, port: 2}, {name: plain, port: 3}, {name: other, port: 4, appProtocol: http}]}\n---\n";
    let route =
        route_yaml("r", "{parentRefs: [{kind: Service, group: '', name: cart, port: 3}], rules: [{}]}");
    let protocols = |yaml: String| -> Vec<i32> {
        service(&compile(&yaml), "s1", "shop/cart").ports.iter().map(|port| port.protocol).collect()
    };
    use v1::Protocol::{Http, Http2, Tcp};
    let plain = site_yaml("s1", "") + ports;
    assert_eq!(protocols(plain.clone()), [Http2, Tcp, Tcp, Http].map(i32::from));
    assert_eq!(protocols(plain + &route), [Http2, Tcp, Http, Http].map(i32::from));
}

#[test]
fn a_route_on_a_port_that_is_tcp_or_not_there_is_named() {
    let tcp = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{name: tcp, port: 9}]}\n---\n";
    let spec = |port: u16| {
        format!("{{parentRefs: [{{kind: Service, group: '', name: cart, port: {port}}}], rules: [{{}}]}}")
    };
    let world =
        site_yaml("s1", "") + tcp + &route_yaml("on-tcp", &spec(9)) + &route_yaml("on-none", &spec(10));
    insta::assert_snapshot!(text(&compile(&world).diagnostics));
}

/// Invariant 11: a route that attaches to no port says so.
#[test]
fn a_route_on_a_service_without_an_http_port_is_named() {
    let store = |ports: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: store, namespace: shop}}\nspec: {{ports: [{ports}]}}\n---\n"
        )
    };
    let route = |namespace: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: mine, namespace: {namespace}}}\n\
             spec: {{parentRefs: [{{group: '', kind: Service, name: store, namespace: shop}}], \
             rules: [{{backendRefs: [{{name: store, namespace: shop, port: 6379}}]}}]}}\n---\n"
        )
    };
    let said = |ports: &str, namespace: &str| {
        let compiled = compile(&(site_yaml("s1", "") + &store(ports) + &route(namespace)));
        (service(&compiled, "s1", "shop/store").tables.len(), text(&compiled.diagnostics))
    };
    assert_eq!(said("{port: 6379}", "shop"), (1, String::new()), "a producer's route makes it HTTP");
    assert_eq!(
        said("{name: x, port: 6379}, {name: http, port: 80}", "office").1,
        "",
        "there is a port for it"
    );
    let (tables, of_a_consumer) = said("{port: 6379}", "office");
    assert_eq!(tables, 0);
    insta::assert_snapshot!(said("{name: tcp, port: 6379}", "shop").1 + &of_a_consumer);
}

#[test]
fn a_parent_names_a_port_by_number_or_name_and_both_must_agree() {
    let ports = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
        spec: {ports: [{name: http, port: 80}, {name: http-admin, port: 81}, {name: tcp, port: 82}]}\n---\n";
    let routed = |parent: &str| {
        let spec = format!(
            "{{parentRefs: [{{kind: Service, group: '', name: cart, {parent}}}], rules: [{{backendRefs: [{{name: cart, port: 80}}]}}]}}"
        );
        let compiled = compile(&(site_yaml("s1", "") + ports + &route_yaml("r", &spec)));
        let service = service(&compiled, "s1", "shop/cart");
        let is_routed = |port: &u32| route_names(&service, *port, "") == ["shop/r/0/0"];
        ([80, 81].into_iter().filter(is_routed).collect::<Vec<u32>>(), text(&compiled.diagnostics))
    };
    for parent in ["port: 81", "sectionName: http-admin", "port: 81, sectionName: http-admin"] {
        assert_eq!(routed(parent), (vec![81], String::new()), "{parent}");
    }
    assert_eq!(routed("sectionName: ''"), (vec![80, 81], String::new()));
    let mut words = String::new();
    for parent in [
        "port: 80, sectionName: http-admin",
        "port: 83, sectionName: http",
        "sectionName: grpc",
        "sectionName: tcp",
    ] {
        let (ports, said) = routed(parent);
        assert_eq!(ports, [0; 0], "{parent}");
        words += &said;
    }
    insta::assert_snapshot!(words);
}

/// One run names all that is wrong with it.
#[test]
fn backends_of_a_route_without_a_parent_that_is_there_are_looked_at() {
    let spec = "{parentRefs: [{kind: Service, group: '', name: lost}], \
        rules: [{backendRefs: [{name: gone}, {name: cart, port: 81}, {name: cart, port: 80}]}]}";
    let base = site_yaml("s1", "") + &service_yaml("cart");
    let mut index = index_of(&(base.clone() + &route_yaml("r", spec)));
    let said = |index: &mut skerry_core::index::Index| text(&index.compile().diagnostics);
    insta::assert_snapshot!(said(&mut index));
    upsert(&mut index, &service_yaml("gone"), 0);
    assert!(!said(&mut index).contains("gone"), "{}", said(&mut index));
    let with_parent = base + &service_yaml("lost") + &route_yaml("r", spec);
    let found = compile(&with_parent).diagnostics.len();
    assert_eq!(found, 2, "and once where the parent is there");
}

#[test]
fn objects_for_selected_sites_are_at_those_sites_alone() {
    let only_retail = service_yaml("cart")
        .replace("namespace: shop}", "namespace: shop, annotations: {skerry.dev/sites: tier=retail}}");
    let compiled = compile(&(site_yaml("s1", "tier: retail") + &site_yaml("s2", "tier: lab") + &only_retail));
    let names = |site: &str| services(contents(&compiled, site)).len();
    assert_eq!((names("s1"), names("s2")), (1, 0));
}

#[test]
fn a_selector_that_matches_no_site_and_references_that_lead_nowhere_are_named() {
    let policy = "apiVersion: skerry.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: p, namespace: shop}\n\
        spec: {sites: {matchLabels: {tier: none}}, targetRefs: [{group: '', kind: Service, name: gone}], timeouts: {request: 1s}}\n---\n";
    let route = route_yaml("r", "{parentRefs: [{kind: Service, group: '', name: lost}], rules: [{}]}");
    let patch = "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {name: o, namespace: shop}\n\
        spec: {patches: [{target: {kind: TrafficPolicy, name: nowhere}, merge: {spec: {timeouts: {request: 2s}}}}]}\n---\n";
    let compiled = compile(&(site_yaml("s1", "tier: retail") + policy + &route + patch));
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

#[test]
fn a_backend_at_other_sites_is_named_with_the_sites_that_have_it() {
    let at = |name: &str, tier: &str| {
        let sites = format!("namespace: shop, annotations: {{skerry.dev/sites: tier={tier}}}}}");
        service_yaml(name).replace("namespace: shop}", &sites)
    };
    let spec = "{parentRefs: [{kind: Service, group: '', name: cart}], rules: [{backendRefs: [{name: till, port: 80}]}]}";
    let world = site_yaml("s1", "tier: retail") + &site_yaml("s2", "tier: lab");
    let compiled = compile(&(world + &service_yaml("cart") + &at("till", "lab") + &route_yaml("r", spec)));
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

/// Invariant 3: whether a backend is elsewhere or nowhere is news to sites that never had it, too.
#[test]
fn a_backend_that_comes_and_goes_elsewhere_is_told_where_it_is_named() {
    let spec = "{parentRefs: [{kind: Service, group: '', name: cart}], rules: [{backendRefs: [{name: till, port: 80}]}]}";
    let world = site_yaml("s1", "tier: retail") + &site_yaml("s2", "tier: lab") + &service_yaml("cart");
    let mut index = index_of(&(world + &route_yaml("r", spec)));
    let sites = "namespace: shop, annotations: {skerry.dev/sites: tier=lab}}";
    let till = service_yaml("till").replace("namespace: shop}", sites);
    let said = |index: &mut skerry_core::index::Index| text(&index.compile().diagnostics);

    assert!(said(&mut index).contains("Service shop/till is not in the policy"));
    upsert(&mut index, &till, 0);
    assert!(said(&mut index).contains("Service shop/till is at sites with `tier=lab` only"));
    let key = skerry_core::id::ObjectKey::service(&"shop/till".parse().unwrap());
    index.apply(skerry_core::index::Change::Delete(key));
    assert!(said(&mut index).contains("Service shop/till is not in the policy"));
}

#[test]
fn an_address_that_two_services_declare_is_the_older_ones() {
    let at = |name: &str| service_yaml(name).replace("spec: {", "spec: {clusterIP: 127.9.9.9, ");
    let mut index = index_of(&site_yaml("s1", ""));
    upsert(&mut index, &at("z-old"), 1);
    index.compile();
    upsert(&mut index, &at("a-new"), 2);
    let compiled = index.compile();
    assert_eq!(service(&compiled, "s1", "shop/z-old").cluster_ip, "127.9.9.9");
    assert_eq!(service(&compiled, "s1", "shop/a-new").cluster_ip, "");
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

#[test]
fn address_indexes_are_given_once_and_never_to_another_service() {
    let mut index = index_of(&(site_yaml("s1", "") + &service_yaml("b") + &service_yaml("d")));
    let indexes = |compiled: &skerry_core::index::Compiled| -> Vec<(String, u32)> {
        services(contents(compiled, "s1"))
            .into_values()
            .map(|service| (service.name, service.index))
            .collect()
    };
    assert_eq!(indexes(&index.compile()), [("b".to_owned(), 1), ("d".to_owned(), 2)]);
    let gone = crate::builder::objects(&service_yaml("b")).remove(0).key;
    index.apply(skerry_core::index::Change::Delete(gone));
    upsert(&mut index, &(service_yaml("a") + &service_yaml("c")), 0);
    let after = [("a".to_owned(), 3), ("c".to_owned(), 4), ("d".to_owned(), 2)];
    assert_eq!(indexes(&index.compile()), after);
}

/// Selectors that no site shares: the route has no effect, and each of them matches some site.
#[test]
fn a_route_at_none_of_its_services_sites_is_told_until_a_site_has_both() {
    let sites = |kind: &str, selector: &str| {
        kind.replacen(
            "namespace: shop}",
            &format!("namespace: shop, annotations: {{skerry.dev/sites: '{selector}'}}}}"),
            1,
        )
    };
    let route = route_yaml(
        "r",
        "{parentRefs: [{group: '', kind: Service, name: cart}], rules: [{backendRefs: [{name: other, port: 80}]}]}",
    );
    let world = site_yaml("s1", "tier: retail")
        + &site_yaml("s2", "tier: lab")
        + &sites(&service_yaml("cart"), "tier=retail")
        + &service_yaml("other")
        + &sites(&route, "tier=lab");
    let mut index = index_of(&world);
    let said = |index: &mut skerry_core::index::Index| text(&index.compile().diagnostics);
    insta::assert_snapshot!(said(&mut index));
    // A site of both.
    upsert(&mut index, &sites(&route, "tier in (lab,retail)"), 0);
    assert_eq!(said(&mut index), "");
    upsert(&mut index, &sites(&route, "region=north"), 0);
    assert!(said(&mut index).contains("no site has such labels"), "that is said of the selector alone");
    upsert(&mut index, &site_yaml("s2", "tier: lab, region: north"), 0);
    assert!(said(&mut index).contains("it has no effect there"));
    upsert(&mut index, &site_yaml("s1", "tier: retail, region: north"), 0);
    assert_eq!(said(&mut index), "");
}

#[test]
fn a_policy_on_a_mesh_that_is_not_there_is_told_so() {
    let mesh = "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: other}\n---\n";
    let policy = "apiVersion: skerry.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: p, namespace: shop}\n\
        spec: {targetRefs: [{kind: Mesh, name: fleet}], timeouts: {request: 1s}}\n---\n";
    let said = |world: &str| text(&compile(world).diagnostics);
    let none = said(&(site_yaml("s1", "") + policy));
    assert!(
        none.contains("Mesh fleet is not in the policy") && none.contains("the policy has no Mesh"),
        "{none}"
    );
    let another = said(&(site_yaml("s1", "") + mesh + policy));
    assert!(another.contains("Mesh fleet is not the Mesh of this fleet"), "{another}");
}
