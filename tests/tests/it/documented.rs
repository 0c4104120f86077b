//! What README.md and the guides tell to type is what the programs take, and the tests that the reference names are there.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser as _;

/// The lines of console blocks.
fn typed(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    blocks.flat_map(str::lines)
}

/// Parses a line as the program would; `None` when it is of another one.
fn parse(line: &str) -> Option<Result<(), clap::Error>> {
    let words = || line.split_whitespace().filter(|word| *word != "&");
    match words().next()? {
        "skerry-controller" => Some(skerry_controller::args::Args::try_parse_from(words()).map(drop)),
        "skerry-agent" => Some(skerry_agent::args::Args::try_parse_from(words()).map(drop)),
        _ => None,
    }
}

#[test]
fn the_lines_that_start_servers_are_taken() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in a workspace");
    let guides = fs_err::read_dir(top.join("docs/guide")).expect("there are guides");
    let mut files: Vec<_> = guides.map(|entry| entry.expect("it can be listed").path()).collect();
    files.push(top.join("README.md"));
    let mut servers = 0;
    for file in files {
        let text = fs_err::read_to_string(&file).expect("it can be read");
        for (line, parsed) in typed(&text).filter_map(|line| Some((line, parse(line)?))) {
            servers += 1;
            assert!(parsed.is_ok(), "{}: {line}: {}", file.display(), parsed.unwrap_err());
        }
    }
    assert!(servers >= 4, "README.md and the first guide each start a core and an agent: {servers}");
}

/// The names of functions in the Rust files below a folder.
fn functions(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs_err::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        // Build folders are marked as caches.
        if path.is_dir() && !path.join("CACHEDIR.TAG").is_file() {
            names.extend(functions(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs_err::read_to_string(&path).expect("it can be read");
            let parts = text.lines().filter_map(|line| Some(line.split_once("fn ")?.1.split_once('(')?.0));
            names.extend(parts.map(str::to_owned));
        }
    }
    names
}

/// Each row of the table of attacks names tests, and they are there; and each test that is called an attack has a row.
#[test]
fn each_test_that_the_table_of_attacks_names_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in a workspace");
    let text = fs_err::read_to_string(top.join("docs/reference/attacks.md")).expect("it can be read");
    let functions = functions(top);
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack "));
    let mut named = BTreeSet::new();
    for row in rows.filter(|row| !row.starts_with("| ---")) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let tests: BTreeSet<String> = last.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!tests.is_empty() && tests.is_subset(&functions), "{row}");
        named.extend(tests);
    }
    assert!(named.len() > 40, "{named:?}");
    let attacks = functions.iter().filter(|name| name.starts_with("attack_"));
    let missing: Vec<&String> = attacks.filter(|name| !named.contains(*name)).collect();
    assert_eq!(missing, [] as [&String; 0], "they have no row");
}
