//! Where the programs are: ours in one folder, Envoy wherever it was fetched to.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// What to do when something is missing.
const WAY_OUT: &str = "run `cargo xtask test`, which builds and fetches everything first";

/// The programs that a run needs.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    /// Looked into first.
    small: Option<PathBuf>,
    envoy: Option<PathBuf>,
}

impl Binaries {
    /// Names the folder of our programs, and Envoy.
    pub fn new(folder: PathBuf, envoy: Option<PathBuf>) -> Self {
        Self { folder, small: None, envoy }
    }

    /// Takes what is in another folder from there: the programs that are shipped smaller.
    #[must_use]
    pub fn with_small(self, folder: PathBuf) -> Self {
        Self { small: Some(folder), ..self }
    }

    /// Finds them as a test does: in `$SKERRY_BIN_DIR` or beside the test's own binary, and in `$ENVOY`.
    pub fn of_test() -> Result<Self> {
        let given = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = match given("SKERRY_BIN_DIR") {
            Some(folder) => folder,
            None => beside_this_test()?,
        };
        Ok(Self::new(folder, given("ENVOY")))
    }

    /// One of our programs.
    pub fn ours(&self, name: &str) -> Result<PathBuf> {
        let folders = self.small.iter().chain([&self.folder]);
        if let Some(path) = folders.map(|folder| folder.join(name)).find(|path| path.is_file()) {
            return Ok(path);
        }
        bail!("{name} is not in {}: {WAY_OUT}", self.folder.display())
    }

    /// Envoy.
    pub fn envoy(&self) -> Result<&Path> {
        let Some(envoy) = &self.envoy else { bail!("$ENVOY is not set: {WAY_OUT}") };
        anyhow::ensure!(envoy.is_file(), "$ENVOY is {}, which is not there: {WAY_OUT}", envoy.display());
        Ok(envoy)
    }
}

/// A test's binary is in `target/<profile>/deps`, the programs one folder above.
fn beside_this_test() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this test is")?;
    let folder = this.ancestors().nth(2).context("a test is two folders deep")?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_one_line() {
        let binaries = Binaries::new("/nowhere".into(), None);
        assert_eq!(
            binaries.ours("skerry-agent").unwrap_err().to_string(),
            "skerry-agent is not in /nowhere: run `cargo xtask test`, which builds and fetches everything first"
        );
        assert_eq!(
            binaries.envoy().unwrap_err().to_string(),
            "$ENVOY is not set: run `cargo xtask test`, which builds and fetches everything first"
        );
    }
}
