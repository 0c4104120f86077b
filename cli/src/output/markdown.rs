//! A comparison of policies as Markdown, for a pull request.

use skerry_core::diagnostic::Diagnostic;

use crate::diff::{Comparison, Fate, FragmentChange, Group};

use super::diagnostics::word;
use super::difference::{SITES, about, bytes, group_title, summary, title};
use super::printable::on_one_line;

/// Renders a comparison.
pub fn render(comparison: &Comparison) -> String {
    let mut text =
        format!("### Skerry: {}\n\n{}\n", escape(&summary(comparison)), escape(&title(comparison)));
    for group in &comparison.fleet.groups {
        text.push_str(&section(group));
    }
    for (title, list) in [("Held", &comparison.held), ("New diagnostics", &comparison.new_diagnostics)] {
        if !list.is_empty() {
            text.push_str(&format!("\n#### {title}\n\n"));
            text.extend(list.iter().map(item));
        }
    }
    text
}

fn section(group: &Group) -> String {
    let title = group_title(group);
    let mut text = format!("\n#### {}\n", escape(&title));
    if group.fate != Fate::Removed {
        let rows: String = group.fragments.iter().map(row).collect();
        text.push_str(&format!("\n| Change | About | Bytes |\n| --- | --- | ---: |\n{rows}"));
    }
    if group.sites.len() > SITES {
        let (count, names) = (group.sites.len(), escape(&group.sites.join(", ")));
        text.push_str(&format!("\n<details><summary>all {count} sites</summary>\n\n{names}\n\n</details>\n"));
    }
    text
}

fn row(change: &FragmentChange) -> String {
    let (word, size) = match change.fate {
        Fate::Changed => ("changed", bytes(change.bytes)),
        Fate::Added => ("added", bytes(change.bytes)),
        Fate::Removed => ("removed", "-".to_owned()),
    };
    format!("| {word} | {} | {size} |\n", escape(&about(&change.key)))
}

fn item(diagnostic: &Diagnostic) -> String {
    let object = diagnostic.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
    let field = if diagnostic.field.is_empty() { String::new() } else { format!("`{}`: ", diagnostic.field) };
    let severity = word(diagnostic.severity);
    let text = format!("{}{field}{}", escape(&object), escape(&diagnostic.message));
    let item = format!("* **{severity}[{}]** `{}` {text}", diagnostic.code, diagnostic.location);
    on_one_line(&item) + "\n"
}

/// Keeps names from being taken as markup.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        if matches!(character, '\\' | '*' | '_' | '<' | '>' | '|' | '[' | ']' | '#') {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}
