//! The data folder: for the core's own user alone, with all that is in it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::Mode;
use tracing::warn;

/// Whatever this process makes from now on is its owner's alone unless it says otherwise.
pub fn keep_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Makes the folder, mode 0700, and its parents. One that is there already is closed to others; where that is not possible it
/// is said.
///
/// # Errors
/// It is not there and cannot be made.
pub fn prepare(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = fs_err::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if let Err(error) = fs_err::set_permissions(path, Permissions::from_mode(0o700)) {
        warn!(path = %path.display(), mode = format!("{mode:03o}"), "others may look into the data folder: {error}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_closed_to_others_whoever_made_it() {
        let top = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        let (made, found) = (top.path().join("a/b"), top.path().join("c"));
        fs_err::create_dir(&found).unwrap();
        fs_err::set_permissions(&found, Permissions::from_mode(0o755)).unwrap();
        for path in [&made, &found] {
            prepare(path).unwrap();
            prepare(path).unwrap();
            assert_eq!(mode(path), 0o700);
        }
        fs_err::write(top.path().join("file"), "").unwrap();
        assert!(prepare(&top.path().join("file/x")).is_err());
    }
}
