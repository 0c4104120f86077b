//! The reference of diagnostics, held against what the tests of all crates saw.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skerry_core::diagnostic::Code;

/// Code and severity.
type Row = (String, String);

/// What no golden file shows; tests of the core (`index/verified`) and of gitops (`folder`) see them.
const ELSEWHERE: [(&str, &str); 2] = [("Unverified", "error"), ("Unreadable", "error")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documented() -> BTreeSet<Row> {
    let text = std::fs::read_to_string(root().join("docs/reference/diagnostics.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let code = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((code.to_owned(), (*cells.get(cells.len().checked_sub(2)?)?).to_owned()))
    };
    text.lines().filter_map(row).collect()
}

fn snapshots(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            snapshots(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "snap") {
            found.push(path);
        }
    }
}

/// Each `error[Code]` and `warning[Code]` in a text.
fn rows(text: &str) -> impl Iterator<Item = Row> {
    ["error", "warning"].into_iter().flat_map(move |severity| {
        let opening = format!("{severity}[");
        let after: Vec<&str> = text.split(opening.as_str()).skip(1).collect();
        let codes = after.into_iter().filter_map(|after| after.split_once(']'));
        let codes = codes.filter(|(code, _)| serde_json::from_value::<Code>((*code).into()).is_ok());
        codes.map(|(code, _)| (code.to_owned(), severity.to_owned())).collect::<Vec<Row>>()
    })
}

fn seen() -> BTreeSet<Row> {
    let mut files = Vec::new();
    for member in ["core", "crds", "gitops", "cli", "controller"] {
        for folder in ["src", "tests"] {
            snapshots(&root().join(member).join(folder), &mut files);
        }
    }
    files
        .iter()
        .flat_map(|file| rows(&std::fs::read_to_string(file).unwrap()).collect::<Vec<Row>>())
        .collect()
}

#[test]
fn the_reference_has_each_code_with_the_severities_that_it_comes_with() {
    let elsewhere = ELSEWHERE.map(|(code, severity)| (code.to_owned(), severity.to_owned()));
    let seen: BTreeSet<Row> = seen().into_iter().chain(elsewhere).collect();
    let documented = documented();
    assert_eq!(seen.difference(&documented).collect::<Vec<_>>(), [] as [&Row; 0], "not in the reference");
    assert_eq!(documented.difference(&seen).collect::<Vec<_>>(), [] as [&Row; 0], "not seen by a test");
}

#[test]
fn the_reference_has_every_code_there_is() {
    let source = std::fs::read_to_string(root().join("core/src/diagnostic.rs")).unwrap();
    let (_, list) = source.split_once("pub enum Code {").unwrap();
    let (list, _) = list.split_once("\n}").unwrap();
    let codes: BTreeSet<&str> = list.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let documented = documented();
    let documented: BTreeSet<&str> = documented.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(documented, codes);
}
