//! Explaining a value: file and line of each effective field, and the policy behind each setting.

use skerry_core::id::{Kind, ObjectKey};
use skerry_core::index::Explanation;

use crate::builder::{index, service_yaml, site, site_yaml};

const WORLD: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: cart}]
  timeouts:
    request: 1s
    backendRequest: 500ms
  mtls: {mode: Permissive}
---
apiVersion: skerry.dev/v1alpha1
kind: SiteOverride
metadata: {name: slow-link, namespace: shop}
spec:
  sites: {matchLabels: {link: slow}}
  patches:
  - target: {kind: TrafficPolicy, name: cart}
    merge:
      spec:
        timeouts:
          request: 5s
        mtls: {mode: Strict}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - timeouts:
      backendRequest: 250ms
    backendRefs: [{name: cart, port: 80}]
---
";

fn explain(site_name: &str, kind: Kind, name: &str) -> Explanation {
    let world =
        WORLD.to_owned() + &service_yaml("cart") + &site_yaml("fast", "") + &site_yaml("slow", "link: slow");
    let mut index = index(&world);
    index.compile();
    index.explain(&site(site_name), &ObjectKey::new(kind, "shop", name)).unwrap()
}

fn fields(explanation: &Explanation) -> String {
    let line = |field: &skerry_core::index::FieldOrigin| {
        format!("{} = {} ({}, {})\n", field.field, field.value, field.by, field.location)
    };
    explanation.fields.iter().filter(|field| field.field.starts_with("spec.timeouts")).map(line).collect()
}

#[test]
fn a_field_comes_from_the_object_where_no_override_touches_it() {
    insta::assert_snapshot!(fields(&explain("fast", Kind::TrafficPolicy, "cart")));
}

#[test]
fn a_field_that_an_override_set_comes_from_the_override() {
    insta::assert_snapshot!(fields(&explain("slow", Kind::TrafficPolicy, "cart")));
}

#[test]
fn a_service_tells_the_settings_of_its_rules() {
    let explanation = explain("slow", Kind::Service, "cart");
    let line = |setting: &skerry_core::index::SettingOrigin| {
        format!(
            "{}: {} = {} ({} by {}, {})\n",
            setting.scope, setting.field, setting.value, setting.level, setting.by, setting.location
        )
    };
    insta::assert_snapshot!(explanation.settings.iter().map(line).collect::<String>());
}

/// What no policy says comes from the mesh, also if an override put it there.
#[test]
fn a_service_tells_what_the_mesh_says_where_no_policy_does() {
    let mesh = "apiVersion: skerry.dev/v1alpha1
kind: Mesh
metadata: {name: fleet}
spec:
  mtls: {mode: Strict}
  authorization: {default: Deny}
---
";
    let world = mesh.to_owned()
        + WORLD
        + &service_yaml("cart")
        + "---\n"
        + &service_yaml("bare")
        + &site_yaml("fast", "");
    let mut index = index(&world);
    index.compile();
    let told = |name: &str| -> Vec<String> {
        let explanation = index.explain(&site("fast"), &ObjectKey::new(Kind::Service, "shop", name)).unwrap();
        let settings = explanation.settings.iter().filter(|setting| setting.scope == "service");
        let settings = settings.filter(|setting| !setting.field.starts_with("spec.timeouts"));
        settings.map(|setting| format!("{} = {} by {}", setting.field, setting.value, setting.by)).collect()
    };
    let default = "spec.authorization.default = \"Deny\" by Mesh fleet";
    assert_eq!(told("bare"), ["spec.mtls.mode = \"Strict\" by Mesh fleet", default]);
    assert_eq!(told("cart"), ["spec.mtls.mode = \"Permissive\" by TrafficPolicy shop/cart", default]);
}
