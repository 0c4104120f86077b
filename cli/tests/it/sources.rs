//! Sources that cannot be read, and the rules by which one is read.

use crate::folder::Folder;
use crate::policy::{ROUTE, SERVICES, SHOP, SITES};
use crate::run::{Ran, command, skerry};

fn validate(folder: &Folder, args: &[&str]) -> Ran {
    skerry(folder.path(), &[&["validate"], args].concat())
}

#[test]
fn no_such_folder() {
    insta::assert_snapshot!(validate(&Folder::empty(), &["--source", "gone"]));
}

#[test]
fn an_empty_folder() {
    insta::assert_snapshot!(validate(&Folder::empty(), &[]));
}

#[test]
fn a_wrong_path_in_a_folder() {
    insta::assert_snapshot!(validate(&Folder::of(SHOP), &["--path", "shopp"]));
}

#[test]
fn a_wrong_path_in_a_commit() {
    insta::assert_snapshot!(validate(&Folder::committed(SHOP), &["--rev", "main", "--path", "shopp"]));
}

#[test]
fn a_path_that_leads_out_of_the_source() {
    let folder = Folder::of(&[("w/a.yaml", SERVICES), ("v/b.yaml", SERVICES)]);
    let out = validate(&folder, &["--source", "v", "--path", "../w"]);
    let absolute = validate(&folder, &["--source", "v", "--path", "/etc"]);
    insta::assert_snapshot!(format!("{out}\n{absolute}"));
    assert_eq!(validate(&folder, &["--path", "./w/"]).code, 0);
}

#[test]
fn a_folder_of_the_source_without_policies() {
    let folder = Folder::of(&[("v/read.me", ""), ("w/a.yaml", SERVICES)]);
    insta::assert_snapshot!(validate(&folder, &["--source", ".", "--path", "v"]));
}

#[test]
fn an_empty_repository() {
    let folder = Folder::empty();
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    insta::assert_snapshot!(validate(&folder, &["--rev", "main"]));
    let bare = Folder::empty();
    bare.git(&["init", "--quiet", "--bare", "--initial-branch=main", "policies.git"]);
    insta::assert_snapshot!("an_empty_bare_repository", validate(&bare, &["--source", "policies.git"]));
}

#[test]
fn a_deleted_branch() {
    let folder = Folder::committed(SHOP);
    folder.git(&["branch", "release"]);
    assert_eq!(validate(&folder, &["--rev", "release"]).code, 0);
    folder.git(&["branch", "--delete", "release"]);
    insta::assert_snapshot!(validate(&folder, &["--rev", "release"]));
}

#[test]
fn a_revision_of_a_plain_folder() {
    insta::assert_snapshot!(validate(&Folder::of(SHOP), &["--rev", "main"]));
}

#[test]
fn a_url() {
    for url in ["https://git.example/policies.git", "git@git.example:policies.git"] {
        let ran = validate(&Folder::empty(), &["--source", url]);
        assert_eq!(ran.code, 3);
        assert!(ran.stderr.contains("clone it first"), "{ran}");
    }
    insta::assert_snapshot!(validate(&Folder::empty(), &["--source", "https://git.example/policies.git"]));
}

#[test]
fn a_work_tree_is_read_as_it_is_and_a_revision_as_it_was_committed() {
    let folder = Folder::committed(SHOP);
    folder.edit("shop/reviews.yaml", "name: reviews-v2", "name: reviews-v9");
    assert_eq!(validate(&folder, &[]).code, 1);
    assert_eq!(validate(&folder, &["--rev", "HEAD"]).code, 0);
}

#[test]
fn a_bare_repository_is_read_at_its_head() {
    let folder = Folder::committed(SHOP);
    folder.git(&["clone", "--quiet", "--bare", ".", "policies.git"]);
    let ran = validate(&folder, &["--source", "policies.git"]);
    assert_eq!(ran.stdout, "5 files, 9 objects, 0 foreign, 0 errors, 0 warnings\n");
    assert_eq!(validate(&folder, &["--source", "policies.git", "--path", "shop"]).code, 0);
}

#[test]
fn a_folder_of_a_clone_is_a_plain_folder_unless_a_revision_is_named() {
    let folder = Folder::committed(SHOP);
    folder.write("shop/new.yaml", ROUTE.replace("name: reviews\n", "name: other\n"));
    assert!(validate(&folder, &["--source", "shop"]).stdout.contains("5 files"), "with the new one");
    assert!(validate(&folder, &["--source", "shop", "--rev", "HEAD"]).stdout.contains("4 files"));
}

/// The real Git makes a clone with as few commits as asked.
fn shallow(folder: &Folder, depth: &str) {
    let source = format!("file://{}", folder.path().display());
    folder.git(&["clone", "--quiet", "--depth", depth, &source, "shallow"]);
}

/// Ages are never guessed: a clone that lacks the history says so, whatever is asked of it.
#[test]
fn a_shallow_clone_that_cannot_tell_ages_is_refused() {
    let mut folder = Folder::committed(SHOP);
    folder.edit("shop/reviews.yaml", "weight: 90", "weight: 50");
    folder.commit("second");
    shallow(&folder, "1");
    for args in [
        &["validate"][..],
        &["render", "bundle", "--site", "harbour"],
        &["explain", "HTTPRoute", "shop/reviews", "--site", "harbour"],
        &["validate", "--rev", "HEAD"],
    ] {
        let ran = skerry(folder.path(), &[args, &["--source", "shallow"]].concat());
        assert!(ran.code == 3 && ran.stderr.contains("the clone is shallow"), "{ran}");
        assert!(ran.stderr.contains("git fetch --unshallow"), "{ran}");
    }
    folder.git(&["-C", "shallow", "fetch", "--quiet", "--unshallow"]);
    assert_eq!(validate(&folder, &["--source", "shallow"]).code, 0);
}

#[test]
fn a_shallow_clone_that_can_tell_ages_is_read() {
    let mut folder = Folder::committed(&[("README.md", "words")]);
    folder.commit("nothing yet");
    SHOP.iter().for_each(|(path, text)| folder.write(path, text));
    folder.commit("the shop");
    shallow(&folder, "2");
    assert_eq!(validate(&folder, &["--source", "shallow"]).code, 0);
}

/// Invariant 1: equal inputs give equal bytes, whatever the depth of the clone, the order in which files were written, the
/// locale and the time zone.
#[test]
fn invariant_1_a_bundle_is_the_same_bytes_wherever_it_is_rendered() {
    let mut folder = Folder::committed(&[("README.md", "words")]);
    folder.commit("nothing yet");
    SHOP.iter().for_each(|(path, text)| folder.write(path, text));
    folder.commit("the shop");
    let backwards = Folder::empty();
    SHOP.iter().rev().for_each(|(path, text)| backwards.write(path, text));
    let render = |folder: &Folder, source: &str, variables: &[(&str, &str)]| {
        let mut command = command(folder.path());
        command
            .args(["render", "bundle", "--site", "store-1", "--source", source])
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{source}: {}", String::from_utf8_lossy(&output.stderr));
        let bundle: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        // Which commit it is of is in the manifest.
        serde_json::to_string_pretty(&bundle["fragments"]).unwrap()
    };
    let bundle = render(&folder, ".", &[]);
    assert!(bundle.len() > 100, "{bundle}");
    assert_eq!(render(&backwards, ".", &[]), bundle, "files written in another order");
    let elsewhere = [("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8"), ("TZ", "Pacific/Kiritimati")];
    assert_eq!(render(&folder, ".", &elsewhere), bundle, "another locale and time zone");
    shallow(&folder, "2");
    assert_eq!(render(&folder, "shallow", &[]), bundle, "a shallow clone");
}

#[test]
fn a_clone_without_commits_or_without_its_repository() {
    let folder = Folder::of(SHOP);
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    assert_eq!(validate(&folder, &[]).code, 0, "everything is as young");
    std::fs::remove_dir_all(folder.path().join(".git")).unwrap();
    folder.write(".git", "gitdir: /nowhere/at/all\n");
    let ran = validate(&folder, &[]);
    assert!(ran.code == 3 && ran.stderr.contains("its `.git` leads to no repository"), "{ran}");
}

#[test]
fn links_alone_are_named() {
    let folder = Folder::of(&[("real/services.yaml", SERVICES), ("policies/read.me", "")]);
    std::os::unix::fs::symlink("../real/services.yaml", folder.path().join("policies/services.yaml"))
        .unwrap();
    let ran = validate(&folder, &["--source", "policies"]);
    assert!(ran.code == 3 && ran.stderr.contains("help: services.yaml: "), "{ran}");
}

#[test]
fn a_password_in_an_address_is_not_printed() {
    for url in
        ["https://ada:s3cret@git.example/p.git", "ada:s3cret@git.example:p.git", "ada@x.example:s3cret@h:p"]
    {
        let ran = validate(&Folder::empty(), &["--source", url]);
        assert!(ran.code == 3 && !ran.to_string().contains("s3cret"), "{ran}");
    }
}

/// Of two routes that tie, the older wins (design, section 5): a clone knows who is older, a folder does not.
#[test]
fn a_work_tree_knows_the_ages_of_what_is_committed() {
    let route = |name: &str, backend: &str| {
        let text = ROUTE.replacen("name: reviews\n", &format!("name: {name}\n"), 1);
        text.replace("- {name: reviews-v2, port: 9080, weight: 10}\n", "").replace("reviews-v1", backend)
    };
    let mut folder = Folder::committed(&[("services.yaml", SERVICES), ("z.yaml", &route("z", "reviews-v1"))]);
    folder.write("a.yaml", route("a", "reviews-v2"));
    let first = |folder: &Folder, args: &[&str]| {
        let ran = skerry(folder.path(), &[&["render", "bundle", "--site", "any", "-q"], args].concat());
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let fragments = json["fragments"].as_array().unwrap();
        let reviews = fragments.iter().find(|fragment| fragment["key"] == "service/shop/reviews").unwrap();
        reviews["service"]["tables"][0]["routes"][0]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(first(&folder, &[]), "shop/z/0/0", "what is not committed yet is younger");
    folder.commit("second");
    assert_eq!(first(&folder, &[]), "shop/z/0/0");
    assert_eq!(first(&folder, &["--rev", "HEAD"]), "shop/z/0/0");
    let copy = Folder::of(&[("services.yaml", SERVICES), ("z.yaml", &route("z", "reviews-v1"))]);
    copy.write("a.yaml", route("a", "reviews-v2"));
    assert_eq!(first(&copy, &[]), "shop/a/0/0", "a folder has no history: names decide");
}

/// A policy without a site runs nowhere: a slip in the kind of the only one looks like that, too.
#[test]
fn a_policy_without_a_site_is_told_so() {
    let folder = Folder::of(&[("services.yaml", SERVICES)]);
    let ran = skerry(folder.path(), &["validate"]);
    assert_eq!(ran.stderr, "warning: the policy declares no site, so no site runs any of it\n");
    let json = skerry(folder.path(), &["validate", "-o", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["summary"]["sites"], 0);
    let site =
        "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: oslo}\nspec: {offlineBudget: 30d}\n";
    folder.write("site.yaml", site);
    let ran = skerry(folder.path(), &["validate"]);
    assert_eq!(ran.stderr, "warning: no site that the policy declares is right, so no site runs any of it\n");
    folder.write("sites.yaml", SITES);
    assert_eq!(skerry(folder.path(), &["validate"]).stderr, "");
}
