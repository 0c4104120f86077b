//! `skerry explain`: where values come from.

use crate::folder::Folder;
use crate::policy::{DENY, OVERRIDE, SHOP};
use crate::run::{Ran, skerry};

/// The override came with a second commit, so its lines have another hash.
fn shop() -> Folder {
    let (last, first) = SHOP.split_last().unwrap();
    assert_eq!(last.1, OVERRIDE);
    let mut folder = Folder::committed(first);
    folder.write(last.0, last.1);
    folder.commit("another split at the harbour");
    folder
}

fn explain(folder: &Folder, args: &[&str]) -> Ran {
    skerry(folder.path(), &[&["explain"], args].concat())
}

#[test]
fn a_route_with_an_override_and_commits() {
    insta::assert_snapshot!(explain(&shop(), &["HTTPRoute", "shop/reviews", "--site", "harbour"]));
}

#[test]
fn a_service_with_its_effective_settings() {
    insta::assert_snapshot!(explain(
        &shop(),
        &["service", "shop/reviews", "--site", "store-1", "--rev", "HEAD"]
    ));
}

/// A rule that only the harbour has, and a timeout of a policy that is another one there.
#[test]
fn settings_that_an_override_set_name_it() {
    let folder = Folder::of(SHOP);
    folder.write(
        "shop/patience.yaml",
        "apiVersion: skerry.dev/v1alpha1
kind: SiteOverride
metadata: {name: patience, namespace: shop}
spec:
  sites: {matchLabels: {tier: port}}
  patches:
    - target: {kind: HTTPRoute, name: reviews}
      json:
        - op: add
          path: /spec/rules/-
          value:
            matches: [{path: {value: /slow}}]
            timeouts: {request: 3s}
            backendRefs: [{name: reviews, port: 9080}]
    - target: {kind: TrafficPolicy, name: patience}
      merge: {spec: {retries: {attempts: 4}}}
",
    );
    let service = ["service", "shop/reviews", "--site", "harbour"];
    let attempts = ["service", "shop/reviews", "spec.retries.attempts", "--site", "harbour", "-o", "yaml"];
    insta::assert_snapshot!(format!("{}\n{}", explain(&folder, &service), explain(&folder, &attempts)));
}

#[test]
fn one_field_for_programs() {
    let args = [
        "httproutes",
        "shop/reviews",
        "spec.rules[0].backendRefs[0].weight",
        "--site",
        "harbour",
        "-o",
        "json",
    ];
    insta::assert_snapshot!(explain(&shop(), &args));
}

#[test]
fn an_object_that_is_not_for_the_site() {
    insta::assert_snapshot!(explain(
        &shop(),
        &["siteoverride", "shop/harbour", "spec.precedence", "--site", "store-1"]
    ));
}

#[test]
fn lines_that_are_not_committed_and_folders_without_commits() {
    let folder = shop();
    folder.edit("shop/reviews.yaml", "weight: 90", "weight: 80");
    let field = ["httproute", "shop/reviews", "spec.rules[0].backendRefs", "--site", "harbour"];
    insta::assert_snapshot!(format!("{}\n{}", explain(&folder, &field), explain(&Folder::of(SHOP), &field)));
}

#[test]
fn what_is_not_there() {
    let folder = shop();
    let runs = [
        explain(&folder, &["httproute", "shop/review", "--site", "store-1"]),
        explain(&folder, &["mesh", "fleet", "--site", "store-1"]),
        explain(&folder, &["httproute", "shop/reviews", "spec.nothing", "--site", "store-1"]),
        explain(&folder, &["httproute", "shop/reviews", "--site", "stor-1"]),
        explain(&folder, &["pod", "shop/reviews", "--site", "store-1"]),
        explain(&folder, &["service", "shop/", "--site", "store-1"]),
    ];
    insta::assert_snapshot!(runs.map(|ran| ran.to_string()).join("\n"));
}

/// ADR 0003: what is in force at a core that followed the history, with the lines and commits of the version that it keeps.
#[test]
fn a_broken_object_is_shown_as_a_core_keeps_it() {
    let mut folder = Folder::committed(SHOP);
    folder.write("shop/deny.yaml", format!("# what is not allowed\n{DENY}"));
    folder.commit("a denial");
    folder.write("shop/deny.yaml", DENY.replace("action: Deny", "action: deny"));
    let explain_both = |folder: &Folder, rev: &[&str]| {
        let policy = ["authorizationpolicy", "shop/no-deletes", "--site", "store-1"];
        let service = ["service", "shop/reviews", "--site", "store-1"];
        [&policy[..], &service[..]].map(|args| explain(folder, &[args, rev].concat()).to_string()).join("\n")
    };
    let as_they_are = explain_both(&folder, &[]);
    folder.commit("broken");
    folder.edit("shop/reviews.yaml", "weight: 90", "weight: 80");
    folder.commit("more");
    insta::assert_snapshot!(format!("{as_they_are}\n{}", explain_both(&folder, &["--rev", "HEAD"])));
}
