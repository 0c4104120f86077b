//! Generated files against committed files: what differs, and how it is put in place.
//!
//! A file that is equal is not written again, so its time stays and cargo builds nothing anew.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// A folder in which every file of one extension is generated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned {
    /// Below the root.
    pub(crate) folder: &'static str,
    /// Without the dot.
    pub(crate) extension: &'static str,
}

/// One file that is not as it would be generated; the path is below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Generated, but not there.
    Missing(PathBuf),
    /// There with other content.
    Differs(PathBuf),
    /// There, but not generated any more.
    LeftOver(PathBuf),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{} (missing)", path.display()),
            Self::Differs(path) => write!(f, "{} (differs)", path.display()),
            Self::LeftOver(path) => write!(f, "{} (left over)", path.display()),
        }
    }
}

/// Lists the differences between the generated files below `stage` and those below `root`.
pub(crate) fn compare(stage: &Path, root: &Path, owned: &[Owned]) -> Result<Vec<Difference>> {
    let generated = files_below(stage)?;
    let mut differences = Vec::new();
    for path in &generated {
        let committed = root.join(path);
        if !committed.is_file() {
            differences.push(Difference::Missing(path.clone()));
        } else if fs_err::read(stage.join(path))? != fs_err::read(committed)? {
            differences.push(Difference::Differs(path.clone()));
        }
    }
    for folder in owned {
        differences.extend(left_over(root, *folder, &generated)?);
    }
    Ok(differences)
}

fn left_over(root: &Path, owned: Owned, generated: &BTreeSet<PathBuf>) -> Result<Vec<Difference>> {
    let folder = Path::new(owned.folder);
    let present = files_below(&root.join(folder))?.into_iter().map(|path| folder.join(path));
    Ok(present
        .filter(|path| path.extension().is_some_and(|extension| extension == owned.extension))
        .filter(|path| !generated.contains(path))
        .map(Difference::LeftOver)
        .collect())
}

/// Makes the files below `root` equal to those below `stage`.
pub(crate) fn install(stage: &Path, root: &Path, differences: &[Difference]) -> Result<()> {
    for difference in differences {
        match difference {
            Difference::Missing(path) | Difference::Differs(path) => {
                let destination = root.join(path);
                if let Some(parent) = destination.parent() {
                    fs_err::create_dir_all(parent)?;
                }
                fs_err::copy(stage.join(path), destination)?;
            }
            Difference::LeftOver(path) => fs_err::remove_file(root.join(path))?,
        }
    }
    Ok(())
}

/// The files below a folder, as paths below it; none if there is no such folder.
fn files_below(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        if !folder.join(&below).is_dir() {
            continue;
        }
        for entry in fs_err::read_dir(folder.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNED: &[Owned] = &[Owned { folder: "crds", extension: "yaml" }];

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn each_kind_of_difference_is_listed_and_then_put_right() {
        let stage = folder(&[("crds/a.yaml", "new"), ("crds/b.yaml", "b"), ("docs/c.md", "c")]);
        let root = folder(&[
            ("crds/a.yaml", "old"),
            ("crds/b.yaml", "b"),
            ("crds/gone.yaml", ""),
            ("crds/README.md", "by hand"),
        ]);

        let differences = compare(stage.path(), root.path(), OWNED).unwrap();
        assert_eq!(
            differences,
            [
                Difference::Differs("crds/a.yaml".into()),
                Difference::Missing("docs/c.md".into()),
                Difference::LeftOver("crds/gone.yaml".into()),
            ]
        );

        install(stage.path(), root.path(), &differences).unwrap();
        assert_eq!(compare(stage.path(), root.path(), OWNED).unwrap(), []);
        assert!(root.path().join("crds/README.md").is_file());
    }

    #[test]
    fn an_owned_folder_that_is_not_there_holds_nothing() {
        let (stage, root) = (folder(&[]), folder(&[]));
        assert_eq!(compare(stage.path(), root.path(), OWNED).unwrap(), []);
    }
}
