//! Colours by meaning, or none.

use anstream::ColorChoice;

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Not at all.
    Plain,
    /// With the terminal's own 16 colours.
    Ansi,
}

impl Paint {
    /// Takes what was decided for a stream.
    pub fn of(choice: ColorChoice) -> Self {
        match choice {
            ColorChoice::Never => Self::Plain,
            ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => Self::Ansi,
        }
    }

    /// Something is wrong, or gone.
    pub fn error(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Something needs a look.
    pub fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Something is well, or new.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Something that helps.
    pub fn help(self, text: &str) -> String {
        self.with("36", text)
    }

    /// Something that is not known, or matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A title.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Ansi if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Ansi | Self::Plain => text.to_owned(),
        }
    }
}
