//! One launcher for each proxy: a locked file with the holder's process id. The kernel drops the
//! lock with the process, however that ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Pid;

/// How often a lock that is held is looked at again: whoever asks for its holder has it for a moment.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A lock that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another launcher runs this proxy.
    #[error("{0}: another launcher runs this proxy")]
    Held(PathBuf),
    /// The file cannot be used.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Takes the lock and writes this process's id into the file.
pub(crate) fn take(path: &Path) -> Result<Lock, LockError> {
    let io = |error: std::io::Error| LockError::Io(path.to_owned(), error);
    let mut file = open(path).map_err(io)?;
    let mut looks = 0;
    while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        match error {
            Errno::WOULDBLOCK if looks < LOOKS => looks += 1,
            Errno::WOULDBLOCK => return Err(LockError::Held(path.to_owned())),
            error => return Err(io(error.into())),
        }
        std::thread::sleep(LOOK_EVERY);
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
    write!(file, "{}", std::process::id()).map_err(io)?;
    Ok(Lock(file))
}

/// Returns the process that holds the lock, if there is one.
pub(crate) fn holder(path: &Path) -> Result<Option<Pid>, LockError> {
    let io = |error: std::io::Error| LockError::Io(path.to_owned(), error);
    if !path.exists() {
        return Ok(None);
    }
    let mut file = open(path).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(io)?;
            Ok(text.trim().parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw))
        }
        Err(error) => Err(io(error.into())),
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_launcher_is_told_and_the_holder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("launcher.lock");
        assert_eq!(holder(&path).unwrap(), None);

        let lock = take(&path).unwrap();
        assert!(matches!(take(&path), Err(LockError::Held(_))));
        assert_eq!(holder(&path).unwrap(), Some(rustix::process::getpid()));

        drop(lock);
        assert_eq!(holder(&path).unwrap(), None);
    }
}
