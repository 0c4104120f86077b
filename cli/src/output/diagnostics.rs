//! Diagnostics for people: code, place, the lines in question, the field, and what would help.

use std::collections::BTreeMap;
use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use skerry_core::diagnostic::{Diagnostic, Location, Severity};

use super::paint::Paint;
use super::printable::{on_one_line, printable};

/// Lines shown above and below the one in question.
const CONTEXT_LINES: usize = 2;

/// Longer lines (generated, one-line JSON) are not shown.
const LONGEST_LINE: usize = 400;

/// Finds the text of a file of the source, if it can be shown.
pub type ReadText<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Renders diagnostics, each followed by a blank line. `folder` is put before every path, so that it can be opened
/// from where the command was typed.
pub fn render<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
    folder: &str,
    read: &ReadText<'_>,
    paint: Paint,
) -> String {
    let handler = handler(paint);
    let mut files: BTreeMap<&str, Option<Lines>> = BTreeMap::new();
    let mut text = String::new();
    for diagnostic in diagnostics {
        let file = diagnostic.location.file.as_str();
        let lines = files.entry(file).or_insert_with(|| read(file).map(|text| Lines::new(&text)));
        let span = lines.as_ref().and_then(|lines| lines.span(&diagnostic.location));
        let report = Report { diagnostic, folder, lines: lines.as_ref(), span };
        // Writing to a string does not fail; a snippet that cannot be shown is left out by the handler.
        let _ = handler.render_report(&mut text, &report);
        text.push('\n');
    }
    text
}

/// Writes `folder/file:line:column`.
pub fn place(folder: &str, location: &Location) -> String {
    on_one_line(&match folder {
        "" | "." => location.to_string(),
        folder => format!("{}/{location}", folder.trim_end_matches('/')),
    })
}

/// Renders a diagnostic on one line.
pub fn line(diagnostic: &Diagnostic, folder: &str, paint: Paint) -> String {
    let about = diagnostic.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
    let place = place(folder, &diagnostic.location);
    let field = if diagnostic.field.is_empty() { String::new() } else { format!("{}: ", diagnostic.field) };
    let head = toned(diagnostic.severity, &head(diagnostic), paint);
    format!("{place}: {head}: {}\n", on_one_line(&format!("{about}{field}{}", diagnostic.message)))
}

fn toned(severity: Severity, text: &str, paint: Paint) -> String {
    match severity {
        Severity::Error => paint.error(text),
        Severity::Warning => paint.warning(text),
    }
}

/// Writes the word for a severity.
pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn head(diagnostic: &Diagnostic) -> String {
    format!("{}[{}]", word(diagnostic.severity), diagnostic.code)
}

fn handler(paint: Paint) -> GraphicalReportHandler {
    let styles = match paint {
        Paint::Plain => ThemeStyles::none(),
        Paint::Ansi => ThemeStyles::ansi(),
    };
    let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(CONTEXT_LINES);
    handler.with_wrap_lines(false).with_width(120).without_syntax_highlighting()
}

/// A file cut into lines once, for all its diagnostics.
struct Lines {
    text: String,
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        // A carriage return is part of a line end, or nothing that can be shown.
        let text = printable(&text.replace("\r\n", "\n"));
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { text, starts }
    }

    /// Returns a line, from 0, with its end.
    fn line(&self, at: usize) -> Option<&str> {
        let start = *self.starts.get(at)?;
        self.text.get(start..self.starts.get(at + 1).copied().unwrap_or(self.text.len()))
    }

    /// Returns where the thing at a place begins and how long it is, on its own line.
    fn span(&self, location: &Location) -> Option<SourceSpan> {
        let at = usize::try_from(location.line.checked_sub(1)?).ok()?;
        let line = self.line(at)?.trim_end();
        let column = usize::try_from(location.column.max(1) - 1).ok()?;
        let offset = line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset);
        let length = length(&line[offset..]);
        let window = at.saturating_sub(CONTEXT_LINES)..=at + CONTEXT_LINES;
        let is_readable = window.filter_map(|at| self.line(at)).all(|line| line.len() <= LONGEST_LINE);
        is_readable.then(|| SourceSpan::new((self.starts[at] + offset).into(), length))
    }
}

/// Returns how long the YAML node is that a text begins with: a quoted text, what a flow collection goes on after, or
/// all up to a comment.
fn length(text: &str) -> usize {
    let end = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].find(quote).map(|end| end + 2),
        Some('{' | '[') => text.find(" #"),
        _ => [", ", "}", "]", " #"].iter().filter_map(|mark| text.find(mark)).min(),
    };
    text[..end.unwrap_or(text.len())].trim_end().len()
}

/// A diagnostic with the text that it points into, in the handler's terms.
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    folder: &'a str,
    lines: Option<&'a Lines>,
    /// Where in the text; `None`: the place is named in words alone.
    span: Option<SourceSpan>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.span.is_none() {
            write!(f, "{}: ", place(self.folder, &self.diagnostic.location))?;
            if !self.diagnostic.field.is_empty() {
                write!(f, "{}: ", on_one_line(&self.diagnostic.field))?;
            }
        }
        f.write_str(&on_one_line(&self.diagnostic.message))
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let head = head(self.diagnostic);
        let object = self.diagnostic.object.as_ref();
        Some(Box::new(object.map_or(head.clone(), |object| on_one_line(&format!("{head}: {object}")))))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = &self.diagnostic.help;
        (!help.is_empty()).then(|| Box::new(on_one_line(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.map(|_| self as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let field = Some(on_one_line(&self.diagnostic.field)).filter(|field| !field.is_empty());
        let label = LabeledSpan::new_with_span(field, self.span?);
        Some(Box::new(std::iter::once(label)))
    }
}

impl SourceCode for Report<'_> {
    /// Reads around the span by the cut lines; miette's own way walks through the whole file each time.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let lines = self.lines.ok_or(MietteError::OutOfBounds)?;
        let at = lines.starts.partition_point(|start| *start <= span.offset()).saturating_sub(1);
        let first = at.saturating_sub(before);
        let last = (at + after).min(lines.starts.len() - 1);
        let (start, end) =
            (lines.starts[first], lines.starts.get(last + 1).copied().unwrap_or(lines.text.len()));
        let window = lines.text.as_bytes().get(start..end).ok_or(MietteError::OutOfBounds)?;
        let location = &self.diagnostic.location;
        let column = if before == 0 { location.column.max(1) - 1 } else { 0 };
        let column = usize::try_from(column).unwrap_or_default();
        let name = place(self.folder, &Location::file(&location.file));
        let (whole, count) = (SourceSpan::new(start.into(), end - start), last - first + 1);
        Ok(Box::new(MietteSpanContents::new_named(name, window, whole, first, column, count)))
    }
}
