//! Text from elsewhere, made safe for a terminal: policies and sites must not move the cursor.

/// Replaces control characters, one for one; tabs and line ends stay.
pub fn printable(text: &str) -> String {
    let safe = |character: char| match character {
        '\n' | '\t' => character,
        other if other.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(safe).collect()
}

/// The same for what has to stay on its line: a name with a line end in it must not pass for a line of ours.
pub fn on_one_line(text: &str) -> String {
    printable(&text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_disarmed_and_columns_stay() {
        assert_eq!(printable("a\x1b[2Jb\tc\nd\u{9b}"), "a\u{fffd}[2Jb\tc\nd\u{fffd}");
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(on_one_line("a\nerror: b\r\x1b"), "a\\nerror: b\\r\u{fffd}");
    }
}
