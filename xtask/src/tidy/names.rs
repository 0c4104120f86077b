//! Rooms are named for what is in them: no drawers for all the rest.

use super::tree::Tree;
use super::violation::Violation;

const FORBIDDEN: &[&str] = &["common", "manager", "mod", "util", "utils"];

/// Lists Rust files with a part in their path that names no behaviour.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.written_rust()
        .filter_map(|(path, _)| forbidden_part(path).map(|part| violation(path, part)))
        .collect()
}

fn forbidden_part(path: &str) -> Option<&str> {
    path.split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part))
        .find(|part| FORBIDDEN.contains(part) || part.starts_with("helper"))
}

fn violation(path: &str, part: &str) -> Violation {
    let help = match part {
        "mod" => "use `foo.rs` beside `foo/`",
        _ => "name it for the behaviour that somebody would look for",
    };
    Violation::error(path, 1, format!("`{part}` is no name for a room"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawers_are_found_wherever_they_are_in_the_path() {
        let tree = Tree::of(&[
            ("a/src/utility_cluster.rs", ""),
            ("a/src/util.rs", ""),
            ("a/src/helpers/x.rs", ""),
            ("a/tests/x/mod.rs", ""),
        ]);
        let lines: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "a/src/helpers/x.rs:1: `helpers` is no name for a room (help: name it for the behaviour that \
                 somebody would look for)",
                "a/src/util.rs:1: `util` is no name for a room (help: name it for the behaviour that somebody \
                 would look for)",
                "a/tests/x/mod.rs:1: `mod` is no name for a room (help: use `foo.rs` beside `foo/`)",
            ]
        );
    }
}
