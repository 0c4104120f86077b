//! `skerry render`: bundles and Envoy configuration.

use crate::folder::Folder;
use crate::policy::{DENY, SERVICES, SHOP, SITES, WORKLOADS};
use crate::run::{Ran, skerry};

/// A shop with a site's workloads beside it.
fn shop() -> Folder {
    let folder = Folder::empty();
    SHOP.iter().for_each(|(path, text)| folder.write(&format!("policies/{path}"), text));
    folder.write("workloads/reviews.yaml", WORKLOADS);
    folder
}

fn render(folder: &Folder, what: &str, args: &[&str]) -> Ran {
    skerry(folder.path(), &[&["render", what, "--source", "policies"], args].concat())
}

const REVIEWS: &[&str] = &["--workload", "shop/reviews-1", "--workloads", "workloads", "--site"];

fn envoy(folder: &Folder, args: &[&str]) -> Ran {
    render(folder, "envoy", &[REVIEWS, args].concat())
}

#[test]
fn the_bundle_of_a_site() {
    insta::assert_snapshot!(render(&shop(), "bundle", &["--site", "harbour", "-o", "yaml"]));
}

#[test]
fn bundles_are_the_same_in_every_form() {
    let folder = shop();
    let json = render(&folder, "bundle", &["--site", "store-1"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["manifest"]["site"], "store-1");
    let mut command = crate::run::command(folder.path());
    command.args(["render", "bundle", "--source", "policies", "--site", "store-1", "-o", "pb"]);
    let offer = command.output().unwrap().stdout;
    let offer = <skerry_proto::v1::Offer as prost::Message>::decode(offer.as_slice()).unwrap();
    let list = offer.list.unwrap();
    let keys: Vec<&str> = list.upserts.iter().map(|entry| entry.key.as_str()).collect();
    let expected: Vec<&str> = json["fragments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fragment| fragment["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, expected);
    assert_eq!(offer.fragments.len(), keys.len());
}

#[test]
fn a_bootstrap_that_needs_nothing_else() {
    let ran = envoy(&shop(), &["harbour", "--static"]);
    assert!(!ran.stdout.contains("dynamic_resources") && !ran.stdout.contains("dynamicResources"));
    insta::assert_snapshot!(ran);
}

#[test]
fn mutual_tls_is_shown_with_certificates_by_path_or_said_to_be_left_out() {
    let folder = shop();
    let without = envoy(&folder, &["harbour", "--static"]);
    assert!(!without.stderr.contains("plain text"), "nobody asks for it: {}", without.stderr);
    let mesh = "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: default}\nspec: {mtls: {mode: Strict}}\n";
    folder.write("policies/strict.yaml", mesh);
    let without = envoy(&folder, &["harbour", "--static"]);
    assert!(without.stderr.contains("the policy says Strict"), "{}", without.stderr);
    assert!(!without.stdout.contains("transport_socket"));
    let with = envoy(&folder, &["harbour", "--static", "--secrets", "/run/proxy"]);
    assert!(!with.stderr.contains("the policy says Strict"), "{}", with.stderr);
    for words in
        ["/run/proxy/workload.secret.pb", "/run/proxy/mesh-roots.secret.pb", "require_client_certificate"]
    {
        assert!(with.stdout.contains(words), "{words}");
    }
}

#[test]
fn resources_as_a_proxy_would_get_them() {
    let ran = envoy(&shop(), &["store-1", "--no-dns"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let names = |kind: &str| json[kind].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join("\n");
    let names =
        ["clusters", "endpoints", "listeners", "routes"].map(|kind| format!("{kind}:\n{}\n", names(kind)));
    insta::assert_snapshot!(names.join("\n"));
}

/// More services than a site can have: a core goes on with what it had, and a command says why it has nothing.
#[test]
fn a_site_whose_contents_do_not_verify_is_no_unknown_site() {
    let service = |at: usize| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: s{at}, namespace: shop}}, spec: {{ports: [{{port: 80}}]}}}}\n"
        )
    };
    let services: Vec<String> = (0..skerry_core::bundle::MAX_FRAGMENTS).map(service).collect();
    let folder = Folder::of(&[("sites.yaml", SITES)]);
    for (at, part) in services.chunks(5_000).enumerate() {
        folder.write(&format!("services-{at}.yaml"), part.join("---\n"));
    }
    let ran = skerry(folder.path(), &["render", "bundle", "--site", "harbour"]);
    assert!(ran.code == 1 && ran.stderr.contains("does not pass verification"), "{ran}");
}

#[test]
fn a_bad_document_hurts_only_itself() {
    let folder = shop();
    let good = envoy(&folder, &["store-1", "--static"]);
    folder.write("policies/shop/bad.yaml", "kind: Service\napiVersion: v1\nmetadata: {name: UPPER}\n");
    folder.write(
        "workloads/bad.yaml",
        WORKLOADS.replace("address: 127.0.0.1", "address: nowhere").replace("reviews-", "bad-"),
    );
    let ran = envoy(&folder, &["store-1", "--static"]);
    assert_eq!((good.code, ran.code), (0, 1));
    assert_eq!(ran.stdout, good.stdout);
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn a_policy_without_sites_is_rendered_for_a_site_without_labels() {
    let folder = shop();
    std::fs::remove_file(folder.path().join("policies/sites.yaml")).unwrap();
    let ran = envoy(&folder, &["anywhere", "--static"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (0, "warning: the policy declares no site: `anywhere` is taken as one without labels\n")
    );
    assert!(ran.stdout.starts_with('{'));
    assert_eq!(envoy(&folder, &["anywhere", "--static", "--quiet"]).stderr, "");
}

#[test]
fn a_site_that_is_not_declared() {
    insta::assert_snapshot!(envoy(&shop(), &["store-11", "--static"]));
}

#[test]
fn a_workload_that_is_not_there_or_has_no_proxy() {
    let folder = shop();
    let with = |name: &str| {
        let args = ["--site", "store-1", "--workloads", "workloads", "--workload", name];
        render(&folder, "envoy", &args)
    };
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        with("shop/reviews-3"),
        with("shop/reviews-2"),
        with("reviews")
    ));
}

#[test]
fn a_workload_folder_that_is_not_there() {
    let args = ["--site", "store-1", "--workloads", "gone", "--workload", "shop/reviews-1"];
    let ran = render(&shop(), "envoy", &args);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("gone"), "{ran}");
}

#[test]
fn invariant_1_equal_policies_give_equal_bytes_whatever_the_files() {
    let one = Folder::of(&[(
        "policies/all.yaml",
        &SHOP.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("---\n"),
    )]);
    one.write("workloads/reviews.yaml", WORKLOADS);
    assert_eq!(envoy(&one, &["harbour", "--static"]).stdout, envoy(&shop(), &["harbour", "--static"]).stdout);
    let plain = Folder::of(&[("policies/services.yaml", SERVICES), ("workloads/reviews.yaml", WORKLOADS)]);
    assert_ne!(
        envoy(&plain, &["harbour", "--static"]).stdout,
        envoy(&shop(), &["harbour", "--static"]).stdout
    );
}

/// ADR 0014: nobody stands in front of `reviews-2`.
#[test]
fn a_policy_that_no_proxy_enforces_is_a_warning() {
    let folder = shop();
    folder.write("policies/shop/deny.yaml", DENY);
    let ran = envoy(&folder, &["store-1"]);
    let words = "warning: service shop/reviews has a policy, and there is no proxy in front of workload `shop/reviews-2`";
    assert!(ran.code == 0 && ran.stderr.contains(words), "{}", ran.stderr);
}
