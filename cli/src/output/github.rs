//! Diagnostics as workflow commands, which a forge shows beside the lines of a pull request.

use skerry_core::diagnostic::{Diagnostic, Severity};

/// Renders diagnostics, one on each line.
pub fn render<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>, folder: &str) -> String {
    diagnostics.into_iter().map(|diagnostic| command(diagnostic, folder)).collect()
}

fn command(diagnostic: &Diagnostic, folder: &str) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let location = &diagnostic.location;
    // An absolute path stays one: a runner takes what is below its workspace for relative itself.
    let folder = folder.trim_start_matches("./").trim_end_matches('/');
    let file = match folder {
        "" | "." => location.file.clone(),
        folder => format!("{folder}/{}", location.file),
    };
    let mut properties = vec![format!("file={}", property(&file))];
    for (name, number) in [("line", location.line), ("col", location.column)] {
        if number > 0 {
            properties.push(format!("{name}={number}"));
        }
    }
    properties.push(format!("title={}", property(&diagnostic.code.to_string())));
    format!("::{level} {}::{}\n", properties.join(","), message(diagnostic))
}

fn message(diagnostic: &Diagnostic) -> String {
    let object = diagnostic.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
    let field = if diagnostic.field.is_empty() { String::new() } else { format!("{}: ", diagnostic.field) };
    let help =
        if diagnostic.help.is_empty() { String::new() } else { format!("\nhelp: {}", diagnostic.help) };
    escape(&format!("{object}{field}{}{help}", diagnostic.message))
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_core::diagnostic::{Code, Location};

    #[test]
    fn text_cannot_break_out_of_its_command() {
        let location = Location { file: "a,b:c.yaml".into(), line: 3, column: 5 };
        let diagnostic =
            Diagnostic::error(Code::UnknownField, location, "100% wrong\n::error::x").help("mend it");
        let expected = "::error file=policies/a%2Cb%3Ac.yaml,line=3,col=5,title=UnknownField::\
                        100%25 wrong%0A::error::x%0Ahelp: mend it\n";
        assert_eq!(render([&diagnostic], "./policies/"), expected);
        let absolute = expected.replace("file=policies/", "file=/srv/policies/");
        assert_eq!(render([&diagnostic], "/srv/policies/"), absolute);
    }
}
