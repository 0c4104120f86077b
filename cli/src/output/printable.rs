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

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escape_sequences_are_disarmed_and_columns_stay() {
        assert_eq!(printable("a\x1b[2Jb\tc\nd\u{9b}"), "a\u{fffd}[2Jb\tc\nd\u{fffd}");
    }
}
