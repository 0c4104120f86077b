//! Lists of patterns as OpenSSH writes them (ssh_config(5), "PATTERNS"): `*` is any run of characters, `?` any one, and
//! `!` before a pattern excludes what it matches.
//!
//! Pure, and linear in space. Must not fold case; that is for a caller whose texts have none.

/// A list of patterns, at least one of which must match, and none of those with `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    excludes: bool,
}

impl Patterns {
    /// Reads a list with commas between patterns.
    pub fn parse(list: &str) -> Self {
        Self::of(list.split(','))
    }

    /// Takes patterns one by one.
    pub fn of<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Self {
        let pattern = |text: T| match text.as_ref().strip_prefix('!') {
            Some(text) => Pattern { text: text.to_owned(), excludes: true },
            None => Pattern { text: text.as_ref().to_owned(), excludes: false },
        };
        Self(patterns.into_iter().map(pattern).collect())
    }

    /// Says whether a text matches. A list that only excludes matches nothing.
    pub fn matches(&self, text: &str) -> bool {
        let mut is_found = false;
        for pattern in &self.0 {
            let is_match = matches(pattern.text.as_bytes(), text.as_bytes());
            if is_match && pattern.excludes {
                return false;
            }
            is_found |= is_match;
        }
        is_found
    }
}

impl std::fmt::Display for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, pattern) in self.0.iter().enumerate() {
            let (comma, mark) = (if place > 0 { "," } else { "" }, if pattern.excludes { "!" } else { "" });
            write!(f, "{comma}{mark}{}", pattern.text)?;
        }
        Ok(())
    }
}

/// On a mismatch the last `*` takes one more.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[seen] => (at, seen) = (at + 1, seen + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, seen) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::Patterns;

    #[test]
    fn patterns_match_as_in_openssh() {
        let table = [
            ("alice@example.com", "alice@example.com", true),
            ("alice@example.com", "Alice@example.com", false),
            ("alice@example.com", "xalice@example.com", false),
            ("*@example.com", "bob@example.com", true),
            ("*@example.com", "bob@example.com.evil.test", false),
            ("*@example.com,!bob@example.com", "bob@example.com", false),
            ("!bob@*,*@example.com", "alice@example.com", true),
            ("!bob@example.com", "alice@example.com", false),
            ("a?c@x", "abc@x", true),
            ("a?c@x", "ac@x", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
        ];
        for (list, text, expected) in table {
            assert_eq!(Patterns::parse(list).matches(text), expected, "`{list}` and `{text}`");
            assert_eq!(Patterns::parse(list).to_string(), list);
        }
    }
}
