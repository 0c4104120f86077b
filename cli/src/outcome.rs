//! How a verb that did its work ends.

/// What a verb found; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is there.
    Done,
    /// The policy has errors. What could be shown was shown.
    PolicyErrors,
    /// There are differences, and the caller asked for an exit code that says so.
    Changes,
}

impl Outcome {
    /// Returns the exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::PolicyErrors => 1,
            Self::Changes => 10,
        }
    }

    /// Is [`Outcome::PolicyErrors`] when there are any.
    pub fn of_errors(any: bool) -> Self {
        if any { Self::PolicyErrors } else { Self::Done }
    }
}
