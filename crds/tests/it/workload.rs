//! `Workload` files of a site.

use std::num::NonZeroU16;

use skerry_core::id::NamespacedName;
use skerry_core::selector::Labels;
use skerry_core::workload::{Proxy, ProxyRole, Workload, WorkloadPort};
use skerry_crds::{decode_workload, load_workloads};

use crate::outcome::{document, lines};

const CHECKOUT: &str = r#"apiVersion: skerry.dev/v1alpha1
kind: Workload
metadata: {name: checkout-1, namespace: shop, labels: {app: checkout, version: v1}}
spec:
  serviceAccount: checkout
  address: 127.0.0.1
  ports: [{name: http, port: 9080}]
  uid: 1042
  proxy: {role: Sidecar, outboundCIDR: 127.65.0.0/16, inboundPort: 15006}
"#;

fn with_spec(spec: &str) -> String {
    format!("apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: a}}\nspec: {spec}\n")
}

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("not 0")
}

#[test]
fn a_workload_is_read() {
    let labels =
        [("app", "checkout"), ("version", "v1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let expected = Workload {
        name: NamespacedName::new("shop", "checkout-1"),
        labels: Labels::from(labels),
        service_account: "checkout".to_owned(),
        address: "127.0.0.1".parse().unwrap(),
        ports: vec![WorkloadPort { name: "http".to_owned(), port: port(9080) }],
        uid: Some(1042),
        proxy: Some(Proxy {
            role: ProxyRole::Sidecar,
            outbound_cidr: Some("127.65.0.0/16".parse().unwrap()),
            inbound_port: port(15006),
        }),
    };
    assert_eq!(decode_workload(&document(CHECKOUT)), Ok(expected));
}

#[test]
fn what_is_left_out_has_a_default() {
    let workload = decode_workload(&document(&with_spec("{address: \"::1\", proxy: {}}"))).unwrap();
    assert_eq!(workload.name.to_string(), "default/a");
    assert_eq!(workload.service_account, "default");
    assert_eq!((workload.ports, workload.uid), (Vec::new(), None));
    let expected = Proxy { role: ProxyRole::Sidecar, outbound_cidr: None, inbound_port: port(15006) };
    assert_eq!(workload.proxy, Some(expected));
    assert_eq!(decode_workload(&document(&with_spec("{address: 10.0.0.1}"))).unwrap().proxy, None);
}

#[test]
fn mistakes_are_refused() {
    let specs = [
        "{}",
        "{address: localhost}",
        "{address: 0.0.0.0}",
        "{address: 10.0.0.1, ports: [{port: 0}, {port: 70000}, {name: x}]}",
        "{address: 10.0.0.1, ports: [{port: 80, name: a}, {port: 80, name: a}, {port: 81, name: A}]}",
        "{address: 10.0.0.1, proxy: {role: Node}}",
        "{address: 10.0.0.1, proxy: {role: sidecar}}",
        "{address: 10.0.0.1, proxy: {outboundCIDR: 10.0.0.0/31}}",
        "{address: 10.0.0.1, ports: [{port: 80}, {port: 81}], proxy: {inboundPort: 65535}}",
        "{address: 10.0.0.1, ports: [{port: 80}, {port: 15007}], proxy: {}}",
        "{address: 10.0.0.1, serviceAccount: Check Out}",
        "{address: 10.0.0.1, port: 80}",
        "{address: 10.0.0.1, uid: -1}",
        "{address: 10.0.0.1, uid: 4294967295}",
        "{address: 10.0.0.1, uid: nobody}",
    ];
    let errors = specs.map(|spec| lines(&decode_workload(&document(&with_spec(spec))).unwrap_err()));
    insta::assert_snapshot!(errors.join("--\n"));
}

#[test]
fn another_kind_is_not_a_workload() {
    let errors = decode_workload(&document("apiVersion: v1\nkind: Service\n")).unwrap_err();
    insta::assert_snapshot!(lines(&errors));
}

#[test]
fn a_folder_is_loaded_whatever_is_wrong_in_it() {
    let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    let good = with_spec("{address: 10.0.0.1}");
    let files = [
        file("z.yaml", CHECKOUT),
        file("b.yaml", &format!("{good}---\nnot: [closed\n---\napiVersion: v1\nkind: ConfigMap\n")),
        file(
            "a.yaml",
            &format!("# first\n---\n{}---\n{}", good.replace("10.0.0.1", "10.0.0.9"), with_spec("{}")),
        ),
        file("c.yaml", "apiVersion: skerry.dev/v1alpha1\nkind: Worklaod\nmetadata: {name: x}\n"),
        file("d.yaml", "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: x}\n"),
    ];
    let (workloads, diagnostics) = load_workloads(&files);
    let loaded: Vec<_> = workloads.iter().map(|it| format!("{} {}", it.name, it.address)).collect();
    assert_eq!(loaded, ["default/a 10.0.0.9", "shop/checkout-1 127.0.0.1"]);
    insta::assert_snapshot!(lines(&diagnostics));
}
