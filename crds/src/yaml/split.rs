//! A YAML stream → the text of each document, by its markers alone.
//!
//! `---` and `...` at the start of a line end a document whatever surrounds them: YAML forbids both
//! inside any scalar (YAML 1.2 §9.1.2, `c-forbidden`). So a broken document cannot swallow the next.

/// The text of one document, its `---` line with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'t> {
    /// The line in the file at which `text` starts, from 1.
    pub(super) first_line: u32,
    /// The text.
    pub(super) text: &'t str,
}

/// Walks the parts of a stream that hold content; comments, directives and blanks alone are none.
pub(super) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    Parts { rest: text, line: 1 }.filter(|part| part.text.lines().any(is_content))
}

struct Parts<'t> {
    rest: &'t str,
    line: u32,
}

impl<'t> Iterator for Parts<'t> {
    type Item = Part<'t>;

    fn next(&mut self) -> Option<Part<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        let (first_line, whole) = (self.line, self.rest);
        let (mut taken, mut has_content) = (0, false);
        for line in whole.split_inclusive('\n') {
            if is_marker(line, "...") {
                self.advance(taken + line.len(), 1);
                return Some(Part { first_line, text: &whole[..taken] });
            }
            if has_content && is_marker(line, "---") {
                break;
            }
            has_content |= is_content(line) || is_marker(line, "---");
            taken += line.len();
            self.line = self.line.saturating_add(1);
        }
        self.advance(taken, 0);
        Some(Part { first_line, text: &whole[..taken] })
    }
}

impl Parts<'_> {
    fn advance(&mut self, bytes: usize, lines: u32) {
        self.rest = &self.rest[bytes..];
        self.line = self.line.saturating_add(lines);
    }
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Says whether a line can be part of a document: more than a blank, a comment, a directive or a bare `---`.
fn is_content(line: &str) -> bool {
    let line = if is_marker(line, "---") { &line[3..] } else { line };
    let trimmed = line.trim_start();
    !trimmed.is_empty() && !trimmed.starts_with('#') && !line.starts_with('%')
}
