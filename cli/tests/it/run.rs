//! Runs the binary and shows what came of it.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Prepares the binary as a person in `folder` would run it, with nothing in the environment.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skerry"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Runs the binary in a folder. The folder's own path is shown as `<dir>`.
pub(crate) fn skerry(folder: &Path, args: &[&str]) -> Ran {
    let output = command(folder).args(args).output().unwrap();
    let real = folder.canonicalize().unwrap();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replace(real.to_str().unwrap(), "<dir>").replace(folder.to_str().unwrap(), "<dir>")
    };
    let code = output.status.code().expect("it ended by itself");
    assert!(![70, 101].contains(&code), "a bug: {args:?}: {}", text(&output.stderr));
    Ran { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code: {}", self.code)?;
        for (name, text) in [("standard output", &self.stdout), ("standard error", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}
