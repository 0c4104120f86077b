//! What README.md shows is what the command takes: its policy, and the commands that need no server.

use crate::folder::Folder;
use crate::run::skerry;

const README: &str = include_str!("../../../README.md");

/// The text of the first block of a language after some words.
fn block(after: &str, language: &str) -> &'static str {
    let (_, rest) = README.split_once(after).expect("the words are in README.md");
    let (_, rest) = rest.split_once(&format!("```{language}\n")).expect("a block comes after them");
    rest.split_once("```").expect("it ends").0
}

#[test]
fn the_policy_and_the_commands_of_the_readme_work() {
    let policy = block("A policy repository is plain Kubernetes YAML", "yaml");
    let workload = block("Save this as `workloads/checkout.yaml`", "yaml");
    let folder = Folder::of(&[("policies/fleet.yaml", policy)]);
    folder.write("workloads/checkout.yaml", workload);
    let git = |args: &[&str]| folder.git(&[&["-C", "policies"], args].concat());
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "first"]);
    folder.edit("policies/fleet.yaml", "weight: 90", "weight: 50");
    let here = folder.path().join("policies");
    let ran = skerry(&here, &["validate", "--source", "."]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("0 errors, 0 warnings"), "{ran}");
    let commands = block("Check it, see what a change does", "console");
    assert_eq!(commands.lines().count(), 4);
    for line in commands.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = skerry(&here, &words[1..]);
        assert!(words[0] == "skerry" && ran.code == 0 && !ran.stdout.is_empty(), "{line}: {ran}");
    }
}
