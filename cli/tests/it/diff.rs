//! `skerry diff`: which sites a change reaches.

use crate::folder::Folder;
use crate::policy::{DENY, ROUTE, SERVICES, SHOP, SITES};
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

/// Messages name places of other objects: when those move, the mistake is still the old one.
#[test]
fn an_old_mistake_whose_message_names_a_place_stays_old() {
    let tie = ROUTE.replacen("name: reviews\n", "name: reviews-again\n", 1);
    let twice = SERVICES.split("---").next().unwrap();
    let mut files = SHOP.to_vec();
    files.extend([("shop/again.yaml", tie.as_str()), ("shop/twice.yaml", twice)]);
    let folder = Folder::committed(&files);
    folder.write("shop/reviews.yaml", format!("# moves all lines\n{ROUTE}"));
    folder.write("shop/services.yaml", format!("# moves all lines\n{SERVICES}"));
    let news = |folder: &Folder| {
        let ran = diff(folder, &["-o", "json"]);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        json["newDiagnostics"].as_array().unwrap().clone()
    };
    assert_eq!(news(&folder), [] as [serde_json::Value; 0]);
    // A further one of the same kind is new.
    folder.write("shop/thrice.yaml", twice);
    let found = news(&folder);
    assert!(found.len() == 1 && found[0]["code"] == "DuplicateObject", "{found:?}");
}

/// A pull request that brings the folder, or takes it away.
#[test]
fn a_folder_that_only_one_side_has_is_compared_with_nothing() {
    let mut folder = Folder::committed(&[("README.md", "words")]);
    SHOP.iter().for_each(|(path, text)| folder.write(&format!("policies/{path}"), text));
    let path = ["--path", "policies"];
    let brought = diff(&folder, &path);
    assert!(brought.code == 0 && brought.stdout.contains("3 of 3 sites"), "{brought}");
    folder.commit("second");
    let brought = diff(&folder, &[&["HEAD~1..HEAD"][..], &path].concat());
    assert!(brought.code == 0 && brought.stdout.contains("3 of 3 sites"), "{brought}");
    let taken = diff(&folder, &[&["HEAD..HEAD~1"][..], &path].concat());
    assert!(taken.code == 0 && taken.stdout.contains("3 of 3 sites"), "{taken}");
    std::fs::remove_dir_all(folder.path().join("policies")).unwrap();
    assert!(diff(&folder, &path).stdout.contains("3 of 3 sites"));
}

#[test]
fn without_any_policy_on_either_side_there_is_nothing_to_compare() {
    let mut folder = Folder::committed(&[("README.md", "words"), ("old/x.md", "x"), ("new/x.md", "x")]);
    folder.commit("second");
    for args in [
        &[][..],
        &["HEAD~1..HEAD"],
        &["HEAD~1..HEAD", "--path", "polices"],
        &["--path", "polices"],
        &["--source", "new", "--against", "old"],
    ] {
        let ran = diff(&folder, args);
        assert!(ran.code == 3 && ran.stderr.contains("there is no policy file in"), "{args:?}: {ran}");
    }
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

/// A shop with a denial, in a second commit broken in two ways: a value, and a file that is no YAML.
fn broken() -> Folder {
    let mut folder = Folder::committed(SHOP);
    folder.write("shop/deny.yaml", DENY);
    folder.commit("a denial");
    folder.edit("shop/deny.yaml", "action: Deny", "action: deny");
    folder.edit("shop/reviews.yaml", "kind: HTTPRoute", "kind: [HTTPRoute");
    folder
}

/// ADR 0003, 0014: at a core what is broken stays as it was, so no site changes.
#[test]
fn what_a_core_holds_changes_nothing_and_is_listed() {
    let mut folder = broken();
    let mut shown = vec![diff(&folder, &["--exit-code"])];
    folder.commit("broken");
    shown.push(diff(&folder, &["HEAD~1..HEAD", "--exit-code"]));
    shown.push(diff(&folder, &["HEAD~1..HEAD", "-o", "markdown"]));
    // What the base holds already is no change either, and the rest of a change is.
    folder.edit("shop/deny.yaml", "DELETE", "PUT");
    folder.edit("shop/retries.yaml", "attempts: 2", "attempts: 3");
    shown.push(diff(&folder, &[]));
    insta::assert_snapshot!(shown.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

/// Two folders have no commits, and the folder inside a clone is named from its top on both sides.
#[test]
fn folders_are_held_against_each_other_too() {
    let folder = Folder::of(SHOP);
    let mut clone = Folder::committed(&[("README.md", "words")]);
    for (path, text) in SHOP {
        folder.write(&format!("new/{path}"), text);
        folder.write(&format!("old/{path}"), text);
        clone.write(&format!("policies/{path}"), text);
    }
    clone.commit("policies");
    folder.edit("new/shop/reviews.yaml", "weight: 90", "weight: many");
    clone.edit("policies/shop/reviews.yaml", "weight: 90", "weight: many");
    for (folder, args, place) in [
        (&folder, &["--source", "new", "--against", "old"][..], " shop/reviews.yaml:1"),
        (&clone, &["--path", "policies/"][..], ", policies/shop/reviews.yaml:1"),
    ] {
        let ran = diff(folder, args);
        assert!(ran.stdout.contains("none of 3 sites changes") && ran.stdout.contains("\nHeld\n"), "{ran}");
        assert!(
            ran.stdout.contains(&format!("stays in force:{place}")) || ran.stdout.contains(place),
            "{ran}"
        );
    }
}
