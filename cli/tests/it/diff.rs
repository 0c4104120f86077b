//! `skerry diff`: which sites a change reaches.

use crate::folder::Folder;
use crate::policy::{SERVICES, SHOP, SITES};
use crate::run::{Ran, skerry};

/// A second commit: another split everywhere but at the harbour, whose override hides it; a longer timeout for all; a
/// new service; and a site fewer.
fn changed() -> Folder {
    let mut folder = Folder::committed(SHOP);
    folder.edit("shop/reviews.yaml", "weight: 90", "weight: 50");
    folder.write("shop/basket.yaml", SERVICES.split("---").next().unwrap().replace("reviews", "basket"));
    folder.edit("sites.yaml", "name: store-2, labels", "name: store-3, labels");
    folder.commit("second");
    folder
}

fn diff(folder: &Folder, args: &[&str]) -> Ran {
    skerry(folder.path(), &[&["diff"], args].concat())
}

#[test]
fn two_commits_as_text() {
    insta::assert_snapshot!(diff(&changed(), &["HEAD~1..HEAD"]));
}

#[test]
fn two_commits_as_markdown() {
    insta::assert_snapshot!(diff(&changed(), &["HEAD~1..HEAD", "-o", "markdown"]));
}

#[test]
fn two_commits_as_json() {
    insta::assert_snapshot!(diff(&changed(), &["--base", "HEAD~1", "--head", "HEAD", "-o", "json"]));
}

/// Invariant 2: a change that does not select a site leaves it alone.
#[test]
fn a_change_that_an_override_hides_does_not_reach_its_site() {
    let folder = Folder::committed(SHOP);
    folder.edit("shop/reviews.yaml", "weight: 90", "weight: 50");
    insta::assert_snapshot!(diff(&folder, &[]));
}

#[test]
fn nothing_changes() {
    let folder = Folder::committed(SHOP);
    folder.write("README.md", "words\n");
    let ran = diff(&folder, &["--exit-code"]);
    assert_eq!(
        ran.to_string(),
        "exit code: 0\n--- standard output\nmain@7a10fe62 → the files as they are: none of 3 sites changes\n"
    );
}

#[test]
fn differences_have_an_exit_code_of_their_own() {
    let folder = changed();
    assert_eq!(diff(&folder, &["HEAD~1..HEAD"]).code, 0);
    assert_eq!(diff(&folder, &["HEAD~1..", "--exit-code"]).code, 10);
    assert_eq!(diff(&folder, &["HEAD~1", "--exit-code"]).code, 10);
    assert_eq!(diff(&folder, &["--exit-code"]).code, 0);
}

#[test]
fn many_sites_are_named_in_part() {
    let site = |number| {
        format!("apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: store-{number:02}}}\n")
    };
    let sites: Vec<String> = (1..=12).map(site).collect();
    let folder = Folder::committed(&[("sites.yaml", &sites.join("---\n")), ("services.yaml", SERVICES)]);
    folder.write("services.yaml", SERVICES.replacen("9080", "9090", 1));
    let shown = [diff(&folder, &[]), diff(&folder, &["-o", "markdown"])];
    insta::assert_snapshot!(shown.map(|ran| ran.to_string()).join("\n"));
}

#[test]
fn two_folders_without_sites() {
    let folder = Folder::of(&[("old/services.yaml", SERVICES)]);
    folder.write("new/services.yaml", SERVICES.replacen("9080", "9090", 1));
    insta::assert_snapshot!(diff(&folder, &["--source", "new", "--against", "old"]));
}

#[test]
fn a_new_mistake_is_shown_and_an_old_one_is_not() {
    let mut folder = Folder::committed(SHOP);
    folder.edit("shop/reviews.yaml", "name: reviews-v2", "name: reviews-v8");
    folder.commit("second");
    folder.write("shop/services.yaml", format!("# moves all lines\n{SERVICES}"));
    folder.edit("sites.yaml", "kind: Site\nmetadata: {name: harbour", "kind: Site\nmetadata: {naem: harbour");
    insta::assert_snapshot!(diff(&folder, &[]));
}

/// A new service takes an index after all others, as at a core: else every later one would seem to change.
#[test]
fn a_new_service_moves_no_other() {
    let folder = Folder::committed(&[("sites.yaml", SITES), ("services.yaml", SERVICES)]);
    folder.write("first.yaml", SERVICES.split("---").next().unwrap().replace("reviews", "aardvark"));
    let ran = diff(&folder, &[]);
    assert!(ran.stdout.contains("service shop/aardvark") && !ran.stdout.contains("shop/reviews"), "{ran}");
}

#[test]
fn what_cannot_be_compared() {
    let folder = Folder::committed(SHOP);
    let plain = Folder::of(SHOP);
    let runs = [
        diff(&folder, &["main...HEAD"]),
        diff(&folder, &["gone..HEAD"]),
        diff(&folder, &["main..HEAD", "--base", "main"]),
        diff(&plain, &[]),
    ];
    insta::assert_snapshot!(runs.map(|ran| ran.to_string()).join("\n"));
}
