//! Where the workspace and its target folder are, and how programs are run in it.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The workspace that xtask was started in.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder; honours `CARGO_TARGET_DIR` and cargo's configuration.
    pub(crate) target: PathBuf,
    metadata: Metadata,
}

/// How the binaries are built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// Cargo's `dev`: what the tests and the demo run.
    Dev,
    /// Cargo's `release`: what is measured.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

impl Workspace {
    /// Asks cargo where the workspace around the working directory is.
    pub(crate) fn locate() -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cannot read the workspace")?;
        Ok(Self {
            root: metadata.workspace_root.clone().into_std_path_buf(),
            target: metadata.target_directory.clone().into_std_path_buf(),
            metadata,
        })
    }

    /// The members, with their targets and declared dependencies.
    pub(crate) fn members(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// A command that runs in the workspace's root.
    ///
    /// The variables that cargo set for xtask itself are taken out: build scripts that watch them
    /// would run anew, since cargo started from a shell does not set them.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_set_for_xtask) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Builds the binaries of all members and returns the folder that holds them.
    ///
    /// Always the whole workspace: a single member would be built with other features of the shared
    /// dependencies, and those would be built twice.
    pub(crate) fn build_bins(&self, profile: Profile) -> Result<PathBuf> {
        let mut cargo = self.command("cargo");
        cargo.args(["build", "--workspace", "--bins", "--locked", "--profile", profile.name()]);
        run(&mut cargo)?;
        Ok(self.target.join(profile.folder()))
    }

    /// A path below the root.
    pub(crate) fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}

fn is_set_for_xtask(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Runs a command to its end; an exit code other than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Becomes the command: signals, terminal and exit code are its own. Returns only if it cannot start.
pub(crate) fn exec(command: &mut Command) -> Result<Infallible> {
    let line = command_line(command);
    Err(anyhow!(command.exec()).context(format!("cannot start `{line}`")))
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn only_what_cargo_sets_for_xtask_is_taken_out() {
        assert!(is_set_for_xtask("CARGO_PKG_NAME") && is_set_for_xtask("CARGO_MANIFEST_DIR"));
        assert!(!is_set_for_xtask("CARGO_TARGET_DIR") && !is_set_for_xtask("CARGO_HOME"));
    }
}
