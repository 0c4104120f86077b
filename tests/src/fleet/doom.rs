//! The step at which a core or an agent is to kill itself.

use std::fmt;
use std::process::Command;

use anyhow::Result;

use crate::run::Run;

/// A step, and at the how many-th time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doom {
    /// As in `skerry_agent::step::STEPS` and `skerry_controller::step::STEPS`.
    pub step: &'static str,
    /// From 1.
    pub nth: u32,
}

impl Doom {
    /// The first time that a step is taken.
    pub fn at(step: &'static str) -> Self {
        Self { step, nth: 1 }
    }

    pub(super) fn command(&self, run: &Run) -> Result<Command> {
        let mut command = Command::new(run.binaries().ours("skerry-victim")?);
        command.args(["--step", self.step, "--nth", &self.nth.to_string()]);
        Ok(command)
    }
}

impl fmt::Display for Doom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, time {}", self.step, self.nth)
    }
}
