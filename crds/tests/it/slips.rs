//! A slip in `apiVersion` or `kind`, or in the name of an annotation: nothing is passed over that was meant to be ours.

use skerry_core::diagnostic::{Code, Severity};
use skerry_core::policy::Decoded;

use crate::outcome::document;

fn decode(api_version: &str, kind: &str) -> Decoded {
    let api_version =
        if api_version.is_empty() { String::new() } else { format!("apiVersion: {api_version}\n") };
    skerry_crds::decode(&document(&format!(
        "{api_version}kind: {kind}\nmetadata: {{name: a, namespace: shop}}\nspec: {{}}\n"
    )))
}

/// One error says what to write. It names no object, so whatever the file had is held (`gitops`).
#[test]
fn what_is_nearly_of_a_known_kind_is_held_and_named() {
    for (api_version, kind) in [
        ("skery.dev/v1alpha1", "Site"),
        ("skerry.dev/v1alpha1", "site"),
        ("skerry.dev/v1", "AuthorizationPolicy"),
        ("sskerry.dev/v1alpha1", "AuthorizationPolicy"),
        ("skerry.dev/v1alpha1", "AuthorisationPolicy"),
        ("skerry.dev/v1alpha1", "TraficPolicy"),
        ("", "Site"),
        ("", "HTTPRoute"),
        ("gateway.networking.k8s.io/v1", "HttpRoute"),
        ("gateway.networking.k8s.oi/v1", "HTTPRoute"),
        ("v1", "service"),
        ("v2", "Service"),
        ("", "Service"),
    ] {
        let Decoded::Refused { key, diagnostics } = decode(api_version, kind) else {
            panic!("{api_version} {kind} is passed over");
        };
        assert_eq!(key, None, "{api_version} {kind}");
        let [found] = &diagnostics[..] else { panic!("{diagnostics:?}") };
        assert_eq!((found.severity, found.code), (Severity::Error, Code::UnknownValue), "{found}");
        assert!(!found.help.is_empty() && found.location.line > 0, "{found}");
    }
}

#[test]
fn other_systems_have_kinds_of_the_same_names() {
    for (api_version, kind) in [
        ("security.istio.io/v1", "AuthorizationPolicy"),
        ("kuma.io/v1alpha1", "Mesh"),
        ("serving.knative.dev/v1", "Service"),
        ("v1", "ServiceAccount"),
        ("v1", "Secret"),
        ("", "Chart"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    ] {
        assert!(matches!(decode(api_version, kind), Decoded::Foreign { .. }), "{api_version} {kind}");
    }
}

#[test]
fn an_annotation_of_ours_that_there_is_not_is_named() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations: {skerry.dev/site: tier=lab, other.io/x: y}\n\
                spec:\n  ports: [{port: 80}]\n";
    let Decoded::Object(_, diagnostics) = skerry_crds::decode(&document(text)) else {
        panic!("it is an object")
    };
    let found: Vec<_> = diagnostics.iter().filter(|found| found.code == Code::UnknownField).collect();
    assert_eq!(found.len(), 1, "{diagnostics:?}");
    assert!(found[0].help.contains("skerry.dev/sites"), "{}", found[0]);
}
