//! Words that must not be committed: what is unfinished, and paths of one machine.

use super::tree::Tree;
use super::violation::Violation;

/// A text and why it must not be there.
struct Word {
    text: &'static str,
    message: &'static str,
    help: &'static str,
}

/// In Rust files. Put together from two parts, so that this file does not hold them.
const IN_RUST: &[Word] = &[
    unfinished(concat!("to", "do!(")),
    unfinished(concat!("un", "implemented!(")),
    unfinished(concat!("FIX", "ME")),
    Word {
        text: concat!("#[ig", "nore"),
        message: "an ignored test tests nothing",
        help: "make it pass, or skip at run time with a message that says what is absent",
    },
];

/// In all text files, where a path begins.
const IN_TEXT: &[Word] = &[machine_path(concat!("/ro", "ot/")), machine_path(concat!("/wo", "rk/"))];

const fn unfinished(text: &'static str) -> Word {
    Word {
        text,
        message: "unfinished",
        help: "finish it, or return an error that says what is not supported",
    }
}

const fn machine_path(text: &'static str) -> Word {
    Word { text, message: "a path of one machine", help: "use a path relative to the repository" }
}

/// Lists the lines that hold such a word.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.files() {
        violations.extend(find(path, text, IN_TEXT, begins_a_path));
    }
    for (path, text) in tree.written_rust() {
        violations.extend(find(path, text, IN_RUST, |_| true));
    }
    violations
}

/// `holds` judges what stands before the word on its line.
fn find<'a>(
    path: &'a str,
    text: &'a str,
    words: &'static [Word],
    holds: fn(&str) -> bool,
) -> impl Iterator<Item = Violation> + 'a {
    text.lines().enumerate().flat_map(move |(index, line)| {
        let present =
            move |word: &&Word| line.match_indices(word.text).any(|(start, _)| holds(&line[..start]));
        words.iter().filter(present).map(move |word| {
            let message = format!("`{}`: {}", word.text, word.message);
            Violation::error(path, index + 1, message, word.help)
        })
    })
}

/// Whether a path can begin here: `https://host/…` and `src/…` go on with one.
fn begins_a_path(before: &str) -> bool {
    !before.ends_with(|last: char| last.is_alphanumeric() || "._-}~/".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unfinished_code_is_found_in_rust_alone() {
        let text = format!("fn a() {{\n    {}\n}}\n", concat!("to", "do!()"));
        assert_eq!(found("a.rs", &text).len(), 1);
        assert!(found("a.rs", &text)[0].starts_with("a.rs:2: "));
        assert_eq!(found("a.md", &text), Vec::<String>::new());
    }

    #[test]
    fn ignored_tests_are_found_with_and_without_a_reason() {
        for text in [concat!("#[ig", "nore]"), concat!("#[ig", "nore = \"slow\"]")] {
            assert_eq!(found("a.rs", text).len(), 1);
        }
    }

    #[test]
    fn machine_paths_are_found_where_a_path_begins() {
        let path = concat!("/ro", "ot/x");
        assert_eq!(found("a.md", &format!("see `{path}`")).len(), 1);
        assert_eq!(found("a.yaml", &format!("path: {path}")).len(), 1);
        assert_eq!(found("a.md", &format!("https://example.com{path} and sys{path}")), Vec::<String>::new());
    }
}
