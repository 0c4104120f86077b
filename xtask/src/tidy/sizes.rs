//! Files that one can read in one go. Functions are clippy's part (`too_many_lines`).

use super::tree::Tree;
use super::violation::Violation;

/// More lines than this are worth a look.
const SOFT: usize = 400;
/// More lines than this are refused.
const HARD: usize = 700;
const HELP: &str = "move a behaviour into a file of its own";

/// Lists Rust files that are too long, test modules at their end not counted.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.written_rust().filter_map(|(path, text)| judge(path, lines_without_tests(text))).collect()
}

fn judge(path: &str, lines: usize) -> Option<Violation> {
    if lines > HARD {
        let message = format!("{lines} lines without tests, over the limit of {HARD}");
        Some(Violation::error(path, HARD, message, HELP))
    } else if lines > SOFT {
        let message = format!("{lines} lines without tests, over {SOFT}");
        Some(Violation::warning(path, SOFT, message, HELP))
    } else {
        None
    }
}

/// Counts up to the first `#[cfg(test)]` that stands before a module with a body.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    lines.windows(2).position(|pair| opens_tests(pair[0], pair[1])).unwrap_or(lines.len())
}

fn opens_tests(line: &str, next: &str) -> bool {
    line == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: usize, tests: usize) -> Vec<String> {
        let text = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(code), "x\n".repeat(tests));
        check(&Tree::of(&[("a.rs", &text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tests_do_not_count() {
        assert_eq!(found(SOFT, 1_000), Vec::<String>::new());
    }

    #[test]
    fn over_the_soft_limit_warns_and_over_the_hard_limit_fails() {
        assert_eq!(
            found(401, 0),
            [format!("a.rs:400: warning: 401 lines without tests, over 400 (help: {HELP})")]
        );
        let hard = format!("a.rs:700: 701 lines without tests, over the limit of 700 (help: {HELP})");
        assert_eq!(found(701, 0), [hard]);
    }

    #[test]
    fn a_test_module_in_another_file_does_not_end_the_count() {
        let text = format!("#[cfg(test)]\nmod tests;\n{}", "x\n".repeat(SOFT));
        assert_eq!(check(&Tree::of(&[("a.rs", &text)])).len(), 1);
    }
}
