//! Why a verb could not do its work: a kind, which is the exit code, one sentence, and lines that help.
//!
//! A mistake in a policy is no such error: it is a diagnostic, and the outcome says that there are some.

use skerry_gitops::read_error::ReadError;

/// The kinds of errors. Scripts branch on their exit codes, so these never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The policy has errors that leave nothing to show.
    Policy,
    /// Arguments that do not fit together.
    Usage,
    /// The source cannot be read: no such folder, revision or path, no repository, an empty one.
    Source,
    /// There is no such site, workload or object.
    NotFound,
    /// No core answered in time.
    Unreachable,
    /// The core answered, and refused.
    Refused,
    /// The output cannot be written: a full disk, say.
    Output,
    /// A bug of this program.
    Internal,
    /// Whoever read the output went away.
    BrokenPipe,
}

impl ErrorKind {
    /// Returns the exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Policy => 1,
            Self::Usage => 2,
            Self::Source => 3,
            Self::NotFound => 4,
            Self::Unreachable => 5,
            Self::Refused => 6,
            Self::Output => 74,
            Self::Internal => 70,
            Self::BrokenPipe => 141,
        }
    }
}

/// An error as it is shown: `error: <message>`, then a `help:` line for each hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would help, one sentence each.
    pub hints: Vec<String>,
}

impl CliError {
    /// Makes an error without hints.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// Makes an error that the user cannot mend.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
            .hint("this is a bug of skerry: report it with the command and its input")
    }

    /// Makes an error of an answer of the core's that does not hold what was asked for.
    pub fn not_understood(error: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Refused, format!("the core's answer cannot be understood: {error}"))
    }

    /// Adds a line that helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Makes an error of a failure to write output.
    pub fn write(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(ErrorKind::BrokenPipe, "the output was closed"),
            _ => Self::new(ErrorKind::Output, format!("cannot write the output: {error}"))
                .hint("see that there is room and that the file may be written, and run it again"),
        }
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        Self::new(ErrorKind::Source, error.to_string()).hint(error.help())
    }
}
