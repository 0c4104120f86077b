//! Relative links in Markdown lead to files that are there.

use super::tree::{Tree, follow};
use super::violation::Violation;

/// Lists links into the repository that lead nowhere.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files()
        .filter(|(path, _)| path.ends_with(".md"))
        .flat_map(|(path, text)| targets(text).into_iter().map(move |(line, target)| (path, line, target)))
        .filter(|(path, _, target)| !leads_somewhere(tree, path, target))
        .map(|(path, line, target)| violation(path, line, target))
        .collect()
}

fn violation(path: &str, line: usize, target: &str) -> Violation {
    Violation::error(
        path,
        line,
        format!("the link `{target}` leads nowhere"),
        "correct the path, relative to this file",
    )
}

fn leads_somewhere(tree: &Tree, path: &str, target: &str) -> bool {
    let file = target.split(['#', '?']).next().unwrap_or_default();
    if file.is_empty() || has_scheme(target) {
        return true;
    }
    // A leading slash is the repository's root, as on the forges.
    let from = if file.starts_with('/') { "" } else { path };
    follow(from, file).is_some_and(|found| tree.has(&found))
}

fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}

/// The targets of all links outside code, with their line from 1.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => found.extend(targets_of_line(line).into_iter().map(|target| (index + 1, target))),
        }
    }
    found
}

fn targets_of_line(line: &str) -> Vec<&str> {
    if let Some(target) = definition(line) {
        return vec![target];
    }
    let code = code_spans(line);
    line.match_indices("](")
        .filter(|(start, _)| !code.iter().any(|span| span.contains(start)))
        .filter_map(|(start, mark)| destination(&line[start + mark.len()..]))
        .collect()
}

/// `[label]: target`
fn definition(line: &str) -> Option<&str> {
    let (label, rest) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    // `[^1]: text` is a footnote.
    if label.starts_with('^') || label.contains(']') {
        return None;
    }
    rest.split_whitespace().next().map(|target| target.trim_start_matches('<').trim_end_matches('>'))
}

/// Takes `target` out of `target "title") and so on`, or `<target>)`.
fn destination(rest: &str) -> Option<&str> {
    if let Some(rest) = rest.strip_prefix('<') {
        return rest.split_once('>').map(|(target, _)| target);
    }
    rest.split_once(')')?.0.split_whitespace().next()
}

/// Where the line is code, from a backtick to the next.
fn code_spans(line: &str) -> Vec<std::ops::Range<usize>> {
    let ticks: Vec<usize> = line.match_indices('`').map(|(start, _)| start).collect();
    ticks.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let tree = Tree::of(&[("docs/guide.md", text), ("README.md", ""), ("docs/adr/1.md", "")]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_quiet() {
        let text = "[a](../README.md) [b](adr/1.md#why) [c](adr/) [d](#here) [e](/README.md \"title\")\n\
                    [f](https://example.com/x) [g](mailto:a@example.com) ![h](<../README.md>)\n\
                    [i]: ../README.md\n[^1]: A note.\n";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_or_out_are_named_with_their_line() {
        let lines = found("[a](gone.md)\n\n[b]: ../../other/x.md\n[c](../README.md) [d](adr/2.md#x)\n");
        let starts = [
            "docs/guide.md:1: the link `gone.md`",
            "docs/guide.md:3: ",
            "docs/guide.md:4: the link `adr/2.md#x`",
        ];
        assert_eq!(lines.len(), starts.len());
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn code_is_not_read() {
        assert_eq!(found("```md\n[a](gone.md)\n```\n`[b](gone.md)` and `x[0](y)`\n"), Vec::<String>::new());
    }
}
