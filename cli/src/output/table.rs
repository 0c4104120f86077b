//! Tables for people: no lines, two blanks between columns, nothing wrapped, so that other tools can cut them.

use comfy_table::{Color, ContentArrangement, Table, presets};

use super::paint::Paint;
use super::printable::printable;

/// One cell: its text and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

/// What the text of a cell means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// All is well.
    Good,
    /// Needs a look.
    Warning,
    /// Is wrong.
    Error,
    /// Is not known.
    Dim,
}

impl Cell {
    /// Makes a cell with a meaning.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: printable(&text.into()).replace('\n', " "), tone }
    }

    fn styled(&self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(&self.text);
        match self.tone {
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Warning => cell.fg(Color::DarkYellow),
            Tone::Error => cell.fg(Color::DarkRed),
            Tone::Dim => cell.fg(Color::DarkGrey),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Lays rows out under a heading.
pub fn table(paint: Paint, heading: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    match paint {
        Paint::Plain => table.force_no_tty(),
        Paint::Ansi => table.enforce_styling(),
    };
    table.set_header(heading);
    for row in rows {
        table.add_row(row.iter().map(Cell::styled));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Vec<Cell>; 2] {
        [vec!["store-1".into(), "x".into()], vec![Cell::toned("b", Tone::Good), "".into()]]
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        assert_eq!(table(Paint::Plain, &["SITE", "STATE"], rows()), "SITE     STATE\nstore-1  x\nb\n");
    }

    #[test]
    fn colour_does_not_move_columns() {
        let text = table(Paint::Ansi, &["SITE", "STATE"], rows());
        assert!(text.contains("\x1b["));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.starts_with("SITE     STATE\nstore-1  x\n"), "{plain}");
    }
}
