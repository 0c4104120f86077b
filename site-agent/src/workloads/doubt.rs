//! A folder that had workloads and is empty at one look: a volume that is not mounted yet, or a tool that writes all files
//! anew. Nothing is removed for it until it has been empty for a while (invariant 6). Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Scan;
use crate::clock::Now;

/// How long an empty folder is doubted: longer than a mount at the machine's start takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the folder's emptiness is believed.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    since: Option<Now>,
}

impl Doubt {
    /// Takes a look at the folder. `kept` is the usable content of each file from before: if all of it is gone at once,
    /// the look is one that tells nothing of what was there.
    pub(crate) fn judge(&mut self, now: Now, mut scan: Scan, kept: &BTreeMap<String, Vec<u8>>) -> Scan {
        if !scan.files.is_empty() || scan.is_partial || kept.is_empty() {
            self.since = None;
            return scan;
        }
        let since = *self.since.get_or_insert(now);
        if now < since + PATIENCE {
            scan.is_partial = true;
            scan.problems.push(format!(
                "workload folder: it is empty, and there were {} files: they count on for {} s",
                kept.len(),
                PATIENCE.as_secs()
            ));
        }
        scan
    }

    /// Returns when the folder is to be looked at again.
    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        self.since.map(|since| since + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(files: &[&str]) -> Scan {
        Scan {
            files: files.iter().map(|name| ((*name).to_owned(), Ok(Vec::new()))).collect(),
            ..Scan::default()
        }
    }

    fn kept(names: &[&str]) -> BTreeMap<String, Vec<u8>> {
        names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect()
    }

    #[test]
    fn invariant_6_an_empty_folder_is_believed_after_a_while() {
        let (mut doubt, kept, start) = (Doubt::default(), kept(&["a", "b"]), Now::from_secs(7));
        let first = doubt.judge(start, look(&[]), &kept);
        assert!(first.is_partial && first.problems[0].contains("there were 2 files"), "{first:?}");
        assert_eq!(doubt.poll_timeout(), Some(start + PATIENCE));
        assert!(doubt.judge(start + PATIENCE / 2, look(&[]), &kept).is_partial);
        assert_eq!(doubt.judge(start + PATIENCE, look(&[]), &kept), look(&[]));
    }

    #[test]
    fn a_folder_that_fills_again_ends_the_doubt() {
        let (mut doubt, kept) = (Doubt::default(), kept(&["a"]));
        assert!(doubt.judge(Now::ZERO, look(&[]), &kept).is_partial);
        assert_eq!(
            doubt.judge(PATIENCE / 2, look(&["b"]), &kept),
            look(&["b"]),
            "files that go one by one are gone"
        );
        assert_eq!(doubt.poll_timeout(), None);
        assert!(doubt.judge(PATIENCE, look(&[]), &kept).is_partial, "it begins anew");
    }

    #[test]
    fn a_folder_that_never_had_anything_is_simply_empty() {
        assert_eq!(Doubt::default().judge(Now::ZERO, look(&[]), &kept(&[])), look(&[]));
    }
}
