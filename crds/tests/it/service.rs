//! `Service` → ports, protocols, selectors.

use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::policy::Spec;
use skerry_core::policy::service::Service;

use crate::outcome::{explain, object, object_with};

fn service(spec: &str) -> Service {
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}\n");
    match object_with(&text).0.spec {
        Spec::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_protocol_comes_from_app_protocol_then_from_the_name() {
    let (tcp, http, http2) = (Some(Protocol::Tcp), Some(Protocol::Http), Some(Protocol::Http2));
    let cases = [
        ("{port: 80}", None),
        ("{port: 80, name: web}", None),
        ("{port: 80, name: http}", http),
        ("{port: 80, name: http-admin}", http),
        ("{port: 80, name: http2}", http2),
        ("{port: 80, name: grpc-api}", http2),
        ("{port: 80, name: grpc-web}", http),
        ("{port: 80, name: h2c}", http2),
        ("{port: 80, name: tcp-db}", tcp),
        ("{port: 80, name: https}", tcp),
        ("{port: 80, name: redis}", tcp),
        ("{port: 80, name: httpd}", None),
        ("{port: 80, appProtocol: http}", http),
        ("{port: 80, appProtocol: HTTP}", http),
        ("{port: 80, appProtocol: kubernetes.io/h2c}", http2),
        ("{port: 80, appProtocol: kubernetes.io/ws}", http),
        ("{port: 80, appProtocol: kubernetes.io/wss}", tcp),
        ("{port: 80, appProtocol: grpc}", http2),
        ("{port: 80, appProtocol: tcp, name: http}", tcp),
        ("{port: 80, appProtocol: https, name: http}", tcp),
        ("{port: 80, appProtocol: example.com/own, name: http}", http),
        ("{port: 80, appProtocol: example.com/own}", None),
    ];
    for (port, expected) in cases {
        assert_eq!(service(&format!("{{ports: [{port}]}}")).ports[0].protocol, expected, "{port}");
    }
}

#[test]
fn the_target_port_is_a_number_a_name_or_the_port_itself() {
    let cases = [
        ("{port: 80}", Target::TargetNumber(80)),
        ("{port: 80, targetPort: 8080}", Target::TargetNumber(8080)),
        ("{port: 80, targetPort: web}", Target::TargetName("web".to_owned())),
        ("{port: 80, targetPort: null}", Target::TargetNumber(80)),
    ];
    for (port, expected) in cases {
        assert_eq!(service(&format!("{{ports: [{port}]}}")).ports[0].target, expected, "{port}");
    }
}

#[test]
fn an_address_is_kept_and_headless_is_none() {
    let cases =
        [("10.0.0.1", Some("10.0.0.1")), ("None", None), ("\"\"", None), ("fd00::1", Some("fd00::1"))];
    for (text, expected) in cases {
        let address = service(&format!("{{clusterIP: {text}}}")).cluster_ip;
        assert_eq!(address, expected.map(|address| address.parse().unwrap()), "{text}");
    }
}

#[test]
fn fields_that_the_mesh_has_no_use_for_are_taken() {
    let text = r#"
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ipFamilies: [IPv4]
  publishNotReadyAddresses: true
  ports: [{port: 80, nodePort: 30080}]
"#;
    object(text);
}

#[test]
fn other_transports_are_left_out_with_a_warning() {
    insta::assert_snapshot!(explain(
        "apiVersion: v1\nkind: Service\nmetadata: {name: dns}\nspec:\n  sessionAffinity: ClientIP\n  ports:\n  - {name: tcp, port: 53}\n  - {name: udp, port: 53, protocol: UDP}\n"
    ));
}

/// `010` is octal to YAML 1.1 and decimal to 1.2; `1e400` is a number to neither.
#[test]
fn numbers_that_are_text_are_explained() {
    let site = |latitude: &str| {
        format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: a}}\nspec: {{location: {{coordinates: \
             {{latitude: {latitude}, longitude: 1}}}}}}\n"
        )
    };
    let port = |port: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: {port}}}]}}\n")
    };
    let words: String = ["010", "-0755", "009", "00", "1e400", "'80'"].map(|it| explain(&port(it))).concat()
        + &["1e400", "010", "'1.5'", "north"].map(|it| explain(&site(it))).concat();
    insta::assert_snapshot!(words);
}

#[test]
fn labels_and_ports_are_bounded() {
    let long = "x".repeat(64);
    let ports: String = (1..=251).map(|port| format!("{{name: p{port}, port: {port}}},")).collect();
    let cases = [
        ("{clusterIP: 0.0.0.0}".to_owned(), "is no single host's address"),
        ("{clusterIP: 224.0.0.1}".to_owned(), "is no single host's address"),
        (format!("{{selector: {{app: {long}}}}}"), "the label is too long"),
        (format!("{{ports: [{ports}]}}"), "the service has 251 ports; at most 250 are taken"),
    ];
    for (spec, expected) in cases {
        let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}\n");
        assert!(explain(&text).contains(expected), "{expected}");
    }
    let label = format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: a, labels: {{b: {long}}}}}\n"
    );
    assert!(explain(&label).contains("the label is too long"));
}

#[test]
fn a_service_that_nobody_can_call_is_warned_about() {
    for spec in ["", "spec: {}\n", "spec: {ports: []}\n"] {
        let said = explain(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: shop}}\n{spec}"
        ));
        assert!(
            said.contains("warning[InvalidValue]: Service shop/a: spec.ports: the service has no port"),
            "{said}"
        );
    }
}
