//! What README.md and the guides tell to type is what the programs take.

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
