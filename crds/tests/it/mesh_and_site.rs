//! `Mesh` and `Site` → settings, with their defaults and bounds.

use skerry_core::bundle::v1::{MtlsMode, Supervision};
use skerry_core::policy::authorization_policy::Access;
use skerry_core::policy::site::{DataPlane, Location, Uplink, UplinkClass};
use skerry_core::policy::{Mesh, Site, Spec};

use crate::outcome::{explain, object};

fn mesh(spec: &str) -> String {
    format!("apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: default}}\n{spec}\n")
}

fn site(spec: &str) -> String {
    format!("apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: s1}}\n{spec}\n")
}

#[test]
fn a_mesh_without_a_word_has_the_defaults() {
    for spec in ["", "spec: {}", "spec: null", "spec: {trustDomain: null}"] {
        assert_eq!(object(&mesh(spec)).spec, Spec::Mesh(Mesh::default()), "{spec}");
    }
}

#[test]
fn a_mesh_is_read() {
    let spec = "spec: {trustDomain: edge.example.com, outboundCIDR: 240.0.0.0/8, maxRemovalPercent: 100, staleAfter: 1h30m, authorization: {default: Deny}, mtls: {mode: Strict}}";
    let expected = Mesh {
        trust_domain: "edge.example.com".to_owned(),
        outbound_cidr: "240.0.0.0/8".parse().unwrap(),
        max_removal_percent: 100,
        stale_after_seconds: 5_400,
        default_access: Access::Deny,
        mtls: MtlsMode::Strict,
    };
    assert_eq!(object(&mesh(spec)).spec, Spec::Mesh(expected));
}

#[test]
fn a_site_without_a_word_has_the_defaults() {
    for spec in ["", "spec: {}", "spec: {location: {}, uplink: {}, dataPlane: {}}"] {
        assert_eq!(object(&site(spec)).spec, Spec::Site(Site::default()), "{spec}");
    }
}

#[test]
fn a_site_is_read() {
    let spec = r#"
spec:
  location: {region: eu, zone: kitchen, coordinates: {latitude: 59.33, longitude: -18}}
  uplink: {class: Satellite, bytesPerDay: 5000000}
  dataPlane: {supervision: Agent, drainTimeout: 1h}
  offlineBudget: 336h
"#;
    let (region, zone) = ("eu".to_owned(), "kitchen".to_owned());
    let expected = Site {
        location: Location { region, zone, coordinates: Some((59.33, -18.0)) },
        uplink: Uplink { class: UplinkClass::Satellite, bytes_per_day: Some(5_000_000) },
        data_plane: DataPlane { supervision: Supervision::Agent, drain_seconds: 3_600 },
        offline_seconds: 14 * 86_400,
    };
    assert_eq!(object(&site(spec)).spec, Spec::Site(expected));
}

#[test]
fn values_out_of_bounds_are_refused() {
    let documents = [
        mesh("spec: {trustDomain: Example.com}"),
        mesh("spec: {trustDomain: a..b}"),
        mesh("spec: {outboundCIDR: 10.0.0.0/7}"),
        mesh("spec: {outboundCIDR: 10.0.0.1/24}"),
        mesh("spec: {outboundCIDR: \"fd00::/64\"}"),
        mesh("spec: {maxRemovalPercent: 0}"),
        mesh("spec: {maxRemovalPercent: 101}"),
        mesh("spec: {staleAfter: 1500ms}"),
        mesh("spec: {staleAfter: 5}"),
        mesh("spec: {mutualTLS: {mode: Strict}}"),
        mesh("spec: {mtls: {mode: strict}}"),
        mesh("spec: {authorization: {default: deny}}"),
        site("spec: {location: {coordinates: {latitude: 90.5, longitude: 181}}}"),
        site("spec: {location: {coordinates: {latitude: 1}}}"),
        site("spec: {uplink: {class: broadband}}"),
        site("spec: {uplink: {bytesPerDay: 0}}"),
        site("spec: {dataPlane: {drainTimeout: 0s}}"),
        site("spec: {dataPlane: {drainTimeout: 2h}}"),
        site("spec: {offlineBudget: 30m}"),
        site("spec: {offlineBudget: 4321h}"),
        site("spec: {region: eu}"),
        "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: s.1}\n".to_owned(),
        site("spec: {offlineBudget: 30d}"),
    ];
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}
