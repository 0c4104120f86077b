//! Bad policies: each has its error with file, line, field and help, and nothing else is lost (invariants 7 and 11).

use crate::folder::Folder;
use crate::policy::{OVERRIDE, ROUTE, SERVICES, SHOP, SITES};
use crate::run::{Ran, command, skerry};

/// Validates the shop with one more file.
fn with(path: &str, text: &str) -> Ran {
    let folder = Folder::of(SHOP);
    folder.write(path, text);
    skerry(folder.path(), &["validate"])
}

#[test]
fn a_good_policy() {
    let ran = skerry(Folder::of(SHOP).path(), &["validate"]);
    let expected = "exit code: 0\n--- standard output\n5 files, 9 objects, 0 foreign, 0 errors, 0 warnings\n";
    assert_eq!(ran.to_string(), expected);
}

#[test]
fn invalid_yaml_in_the_middle_of_a_good_file() {
    let broken = "apiVersion: v1\nkind: Service\nmetadata: {name: ratings, namespace: shop\n";
    let ran = with("shop/more.yaml", &[SERVICES_MORE, broken, SERVICES_LAST].join("---\n"));
    assert!(ran.stdout.contains("11 objects"), "the documents before and after it are read: {ran}");
    insta::assert_snapshot!(ran);
}

const SERVICES_MORE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: before, namespace: shop}
spec: {selector: {app: before}, ports: [{port: 80}]}
";

const SERVICES_LAST: &str = "\
apiVersion: v1
kind: Service
metadata: {name: after, namespace: shop}
spec: {selector: {app: after}, ports: [{port: 80}]}
";

#[test]
fn an_alias_bomb() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    insta::assert_snapshot!(with("shop/bomb.yaml", &bomb));
}

#[test]
fn a_file_of_20_mb() {
    let line = format!("# {}\n", "x".repeat(97));
    insta::assert_snapshot!(with("shop/huge.yaml", &line.repeat(200_000)));
}

#[test]
fn an_unknown_field() {
    let text = "\
apiVersion: skerry.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: quick, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  timeouts: {reqest: 1s}
";
    insta::assert_snapshot!(with("shop/quick.yaml", text));
}

#[test]
fn an_unknown_value() {
    let text = "\
apiVersion: skerry.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: quick, namespace: shop}
spec:
  targetRefs: [{kind: Sevice, name: reviews}]
  timeouts: {request: 1s}
";
    insta::assert_snapshot!(with("shop/quick.yaml", text));
}

#[test]
fn a_dangling_backend() {
    let folder = Folder::of(SHOP);
    folder.edit("shop/reviews.yaml", "name: reviews-v2, port: 9080", "name: reviews-v3, port: 9080");
    insta::assert_snapshot!(skerry(folder.path(), &["validate"]));
}

#[test]
fn two_routes_that_tie() {
    let other = ROUTE.replacen("name: reviews\n", "name: reviews-again\n", 1);
    insta::assert_snapshot!(with("shop/again.yaml", &other));
}

#[test]
fn two_overrides_of_equal_precedence_on_one_field() {
    let other = OVERRIDE.replace("name: harbour, namespace", "name: quay, namespace");
    insta::assert_snapshot!(with("shop/quay.yaml", &other));
}

#[test]
fn the_same_object_twice() {
    insta::assert_snapshot!(with("shop/twice.yaml", SITES));
}

#[test]
fn bytes_that_are_no_text_and_text_that_moves_the_cursor() {
    let folder = Folder::of(&[("services.yaml", SERVICES)]);
    folder.write("latin.yaml", b"# ok\nkind: caf\xe9\n");
    folder.write("escape.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: \"a\\e[2J\"} # \u{1b}[2J\n");
    let ran = skerry(folder.path(), &["validate"]);
    assert!(!ran.to_string().contains('\x1b'), "{ran}");
    insta::assert_snapshot!(ran);
}

/// A name cannot pass for a line of the answer.
#[test]
fn a_line_end_in_a_name_does_not_end_the_line() {
    let text =
        "apiVersion: v1\nkind: Service\nmetadata: {name: \"a\\nerror: all is lost\", namespace: shop}\n";
    let ran = with("shop/lines.yaml", text);
    assert!(!ran.stdout.lines().any(|line| line.trim_start().starts_with("error: all is lost")), "{ran}");
    let folder = Folder::of(SHOP);
    let ran = skerry(folder.path(), &["render", "bundle", "--site", "a\nerror: all is lost"]);
    assert!(!ran.stderr.lines().any(|line| line.starts_with("error: all")), "{ran}");
    assert_eq!(ran.code, 2);
}

/// A full disk is no bug of ours, and whoever closes the pipe has read enough.
#[test]
fn output_that_cannot_be_written() {
    let folder = Folder::of(SHOP);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = command(folder.path()).arg("validate").stdout(full).output().unwrap();
    assert_eq!(ran.status.code(), Some(74));
    let words = String::from_utf8(ran.stderr).unwrap();
    assert!(words.starts_with("error: cannot write the output: No space left"), "{words}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = command(folder.path()).arg("validate").stdout(writer).output().unwrap();
    assert_eq!((ran.status.code(), ran.stderr), (Some(141), vec![]));
}

#[test]
fn every_form_of_the_answer_tells_the_same() {
    let folder = Folder::of(&[("services.yaml", SERVICES)]);
    folder.write("route.yaml", ROUTE.replace("name: reviews-v2", "name: reviews-v9"));
    for format in ["json", "yaml", "github"] {
        insta::assert_snapshot!(
            format!("validate_{format}"),
            skerry(folder.path(), &["validate", "-o", format])
        );
    }
}

#[test]
fn paths_can_be_opened_from_where_the_command_was_typed() {
    let folder = Folder::of(&[("policies/shop/route.yaml", ROUTE)]);
    for args in [["-s", "policies"], ["-s", "./policies/"]] {
        let ran = skerry(folder.path(), &["validate", args[0], args[1]]);
        assert!(ran.stdout.contains("[policies/shop/route.yaml:8:"), "{ran}");
    }
}

#[test]
fn colour_is_for_those_who_want_it() {
    let folder = Folder::of(&[("route.yaml", ROUTE)]);
    let coloured = |args: &[&str]| skerry(folder.path(), args).stdout.contains('\x1b');
    assert!(!coloured(&["validate"]), "standard output is no terminal");
    assert!(coloured(&["validate", "--color", "always"]));
    assert!(!coloured(&["validate", "--color", "never"]));
}
