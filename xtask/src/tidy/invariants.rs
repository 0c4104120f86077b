//! Every invariant of ARCHITECTURE.md has a test that names it: a function `invariant_<n>_…`.

use super::tree::Tree;
use super::violation::Violation;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Invariants";

/// Lists the invariants that no test names, and tests that name one which is not in the list.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let listed = listed(tree.files().find(|(path, _)| *path == ARCHITECTURE).map_or("", |(_, text)| text));
    let named: Vec<(&str, usize, u32)> = tree
        .written_rust()
        .flat_map(|(path, text)| named(text).map(move |(line, n)| (path, line, n)))
        .collect();
    let untested = listed.iter().filter(|(_, n)| !named.iter().any(|(_, _, name)| name == n));
    let untested = untested.map(|(line, n)| {
        let help = "name the test that holds it `invariant_<n>_<what>`, or write one";
        Violation::error(ARCHITECTURE, *line, format!("no test names invariant {n}"), help)
    });
    let unlisted = named.iter().filter(|(_, _, n)| !listed.iter().any(|(_, number)| number == n));
    let unlisted = unlisted.map(|(path, line, n)| {
        let help = "take the number from ARCHITECTURE.md";
        Violation::error(path, *line, format!("there is no invariant {n}"), help)
    });
    untested.chain(unlisted).collect()
}

/// The numbers of the list below the heading, with their lines.
fn listed(text: &str) -> Vec<(usize, u32)> {
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != HEADING).skip(1);
    let lines = lines.take_while(|(_, line)| !line.starts_with("## "));
    lines.filter_map(|(at, line)| Some((at + 1, line.split_once(". ")?.0.parse().ok()?))).collect()
}

/// The numbers that functions name, with their lines.
fn named(text: &str) -> impl Iterator<Item = (usize, u32)> {
    text.lines().enumerate().filter_map(|(at, line)| {
        let (_, rest) = line.split_once(concat!("fn inv", "ariant_"))?;
        Some((at + 1, rest.split_once('_')?.0.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# A\n\n1. no\n\n## Invariants\n\nWords.\n\n1. One.\n2. Two,\n   2. on.\n12. Twelve.\n\n## B\n\n9. no\n";

    #[test]
    fn invariants_without_a_test_and_tests_without_an_invariant_are_found() {
        let name = |n: u32| format!("    async fn {}_{n}_holds() {{}}\n", concat!("inv", "ariant"));
        let tree = Tree::of(&[(ARCHITECTURE, LIST), ("a.rs", &(name(1) + &name(3))), ("b.md", &name(2))]);
        let lines: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "ARCHITECTURE.md:10: no test names invariant 2 (help: name the test that holds it \
                 `invariant_<n>_<what>`, or write one)",
                "ARCHITECTURE.md:12: no test names invariant 12 (help: name the test that holds it \
                 `invariant_<n>_<what>`, or write one)",
                "a.rs:2: there is no invariant 3 (help: take the number from ARCHITECTURE.md)",
            ]
        );
    }
}
