//! What a command that people type has said, and how it ended.

use std::process::Command;

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// What was typed after the program's name.
    typed: String,
    /// Its exit code; `None`: a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) output: String,
    /// What it said beside that.
    pub(crate) errors: String,
}

impl Said {
    /// Runs a command to its end.
    pub(crate) fn by(command: &mut Command) -> Self {
        let output = command.output().expect("it can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let typed: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        Self {
            typed: typed.join(" "),
            code: output.status.code(),
            output: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }

    /// Whether it did what it was asked.
    pub(crate) fn is_done(&self) -> bool {
        self.code == Some(0)
    }

    /// What it printed; it must have done what it was asked.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert!(self.is_done(), "{}: {:?}: {}", self.typed, self.code, self.errors);
        self.output
    }

    /// The same as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).expect("it is JSON")
    }
}
