//! What `-h` says, and that the reference of the command is what would be written now.

use crate::folder::Folder;
use crate::run::skerry;

const VERBS: &[&str] = &[
    "",
    "status",
    "site",
    "site get",
    "site describe",
    "source",
    "source get",
    "source confirm",
    "validate",
    "render",
    "render bundle",
    "render envoy",
    "diff",
    "explain",
    "bundle",
    "bundle keygen",
    "bundle sign",
    "bundle attach",
    "trust",
    "trust show",
    "trust rotate",
    "trust policy",
    "completions",
];

#[test]
fn every_verb_has_words_and_examples() {
    let folder = Folder::empty();
    for verb in VERBS {
        let args: Vec<&str> = verb.split_whitespace().chain(["-h"]).collect();
        let ran = skerry(folder.path(), &args);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("Examples:\n  "), "{verb} lacks examples");
        insta::assert_snapshot!(format!("help_{}", verb.replace(' ', "_")), ran.stdout);
    }
}

#[test]
fn the_reference_is_current() {
    let folder = Folder::empty();
    assert_eq!(skerry(folder.path(), &["generate-docs", "out"]).code, 0);
    let made = std::fs::read_to_string(folder.path().join("out/docs/reference/cli.md")).unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
    let committed = std::fs::read_to_string(committed).unwrap_or_default();
    assert!(made == committed, "run `cargo xtask codegen` and commit docs/reference/cli.md");
    let groups = ["", "site", "source", "render", "bundle", "trust"];
    for verb in VERBS.iter().filter(|verb| !groups.contains(verb)) {
        assert!(made.contains(&format!("\n## `skerry {verb}`\n")), "{verb} is not in the reference");
    }
}

#[test]
fn wrong_usage() {
    let folder = Folder::empty();
    let cases: [&[&str]; 5] = [
        &[],
        &["stauts"],
        &["validate", "-o", "xml"],
        &["status", "--interval", "5"],
        &["status", "--core", "ftp://x"],
    ];
    let shown = cases.map(|args| format!("$ skerry {}\n{}", args.join(" "), skerry(folder.path(), args)));
    insta::assert_snapshot!(shown.join("\n"));
}

/// A full disk is none that help was written to.
#[test]
fn help_that_cannot_be_written_is_an_error() {
    for args in [&["--help"][..], &["status", "-h"], &["--version"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = crate::run::command(std::path::Path::new("/"));
        let output = command.args(args).stdout(full).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(74), "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: cannot write the output:"), "{stderr}");
    }
}
