//! Join tokens: text that people copy.

use skerry_identity::token::JoinToken;

use crate::Reach;

/// Reads a token. Taken if it is one: then it is written as it was read, and shows no secret.
pub fn body(bytes: &[u8]) -> Reach {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<JoinToken>() {
        Ok(token) => {
            let written = token.to_text().expect("what was read can be written");
            assert_eq!(written.as_str(), text.trim());
            let shown = format!("{token:?}");
            let secret: Vec<String> = token.secret.as_bytes().iter().map(u8::to_string).collect();
            assert!(!shown.contains(&secret.join(", ")), "{shown}");
            Reach::Taken
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Reach::Refused
        }
    }
}
