//! Where an enrolment is kept: a file, and a copy of it, each of which is enough. Neither is ever half written, so that one of
//! them is good whatever happens to the other.
//!
//! Says what it found. What follows from that is for those who start an agent.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use skerry_identity::ca::Authority as _;
use tracing::{error, warn};

use super::{Enrolment, EnrolmentError};
use crate::layout::Layout;

/// What a data folder has of an identity.
#[derive(Debug)]
pub enum Found {
    /// The file.
    Whole(Box<Enrolment>),
    /// The copy alone, and what is wrong with the file.
    Copy(Box<Enrolment>, EnrolmentError),
    /// Neither, and what is wrong with the file.
    Nothing(EnrolmentError),
}

impl Enrolment {
    /// Reads what a data folder has.
    pub fn find(layout: &Layout) -> Found {
        let path = layout.enrolment();
        let wrong = match Self::load(&path) {
            Ok(Some(enrolment)) => return Found::Whole(Box::new(enrolment)),
            Ok(None) => EnrolmentError::Gone(path.display().to_string()),
            Err(error) => error,
        };
        match Self::load(&layout.enrolment_copy()) {
            Ok(Some(enrolment)) => Found::Copy(Box::new(enrolment), wrong),
            Ok(None) | Err(_) => Found::Nothing(wrong),
        }
    }

    /// Keeps it, and then a copy.
    ///
    /// # Errors
    /// The file cannot be written. A copy that cannot be is said in the log alone: nothing lacks it today.
    pub fn keep(&self, layout: &Layout) -> Result<(), EnrolmentError> {
        self.save(&layout.enrolment())?;
        if let Err(error) = self.save(&layout.enrolment_copy()) {
            warn!("no copy of the site's identity is kept: {error}");
        }
        Ok(())
    }

    /// Makes the copy if it is not the copy of this.
    pub(crate) fn keep_copy(&self, layout: &Layout) {
        let path = layout.enrolment_copy();
        let is_same = |copy: &Self| {
            copy.agent == self.agent && copy.authority.certificate() == self.authority.certificate()
        };
        if Self::load(&path).is_ok_and(|copy| copy.as_ref().is_some_and(is_same)) {
            return;
        }
        if let Err(error) = self.save(&path) {
            warn!("no copy of the site's identity is kept: {error}");
        }
    }
}

/// Takes a file with keys away from all but its owner; true if others could read it. Not to serve because of it would harm
/// the site more, and makes nobody forget what they have read.
pub(crate) fn make_private(path: &Path) -> bool {
    let mode = match fs_err::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(error) => {
            warn!("who may read the site's keys is not known: {error}");
            return false;
        }
    };
    if mode & 0o077 == 0 {
        return false;
    }
    error!(
        path = %path.display(), mode = format!("{mode:03o}"),
        "the site's keys could be read by others: the file is for its owner alone from now on"
    );
    if let Err(error) = fs_err::set_permissions(path, Permissions::from_mode(0o600)) {
        error!("it is not: {error}");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::tests::enrolment;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn either_of_the_two_is_enough_and_what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let nothing = |found| match found {
            Found::Nothing(wrong) => wrong.to_string(),
            found => panic!("{found:?}"),
        };
        let copy = |found| match found {
            Found::Copy(copy, wrong) => (copy.agent_key.thumbprint(), wrong.to_string()),
            found => panic!("{found:?}"),
        };
        assert!(nothing(Enrolment::find(&layout)).contains("identity.json is gone"));

        let kept = enrolment();
        kept.keep(&layout).unwrap();
        assert!(matches!(Enrolment::find(&layout), Found::Whole(_)));
        assert_eq!((mode(&layout.enrolment()), mode(&layout.enrolment_copy())), (0o600, 0o600));

        let whole = fs_err::read(layout.enrolment()).unwrap();
        for damaged in [&b""[..], &whole[..whole.len() / 2], b"\0\0\0\0"] {
            fs_err::write(layout.enrolment(), damaged).unwrap();
            let (key, wrong) = copy(Enrolment::find(&layout));
            assert_eq!(key, kept.agent_key.thumbprint());
            assert!(wrong.contains("identity.json is damaged"), "{wrong}");
        }
        fs_err::remove_file(layout.enrolment()).unwrap();
        assert!(copy(Enrolment::find(&layout)).1.contains("identity.json is gone"));
        fs_err::write(layout.enrolment_copy(), b"{}").unwrap();
        assert!(nothing(Enrolment::find(&layout)).contains("identity.json is gone"));
    }

    #[test]
    fn the_copy_follows_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let (first, second) = (enrolment(), enrolment());
        let copied = || Enrolment::load(&layout.enrolment_copy()).unwrap().unwrap().agent_key.thumbprint();
        first.keep_copy(&layout);
        assert_eq!(copied(), first.agent_key.thumbprint());
        second.keep_copy(&layout);
        assert_eq!(copied(), second.agent_key.thumbprint());
        fs_err::write(layout.enrolment_copy(), b"").unwrap();
        second.keep_copy(&layout);
        assert_eq!(copied(), second.agent_key.thumbprint());
    }

    #[test]
    fn keys_that_others_could_read_are_taken_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = Layout::new(folder.path()).enrolment();
        assert!(!make_private(&path), "there is none");
        enrolment().save(&path).unwrap();
        assert!(!make_private(&path));
        for open in [0o640, 0o604, 0o666] {
            fs_err::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            assert!(make_private(&path), "{open:o}");
            assert_eq!(mode(&path), 0o600);
            assert!(Enrolment::load(&path).unwrap().is_some(), "a slip takes no site down");
        }
    }
}
