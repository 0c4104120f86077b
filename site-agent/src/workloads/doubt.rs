//! A folder that had workloads and is empty at one look: a volume that is not mounted (yet), or a tool that writes all files
//! anew. Nothing is removed for that (invariant 6): emptiness is believed of the very folder that files were seen in, once
//! it has lasted a while. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Scan;
use crate::clock::Now;

/// How long an empty folder is doubted: longer than a tool takes that writes its files anew.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the folder's emptiness is believed.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    since: Option<Now>,
    /// The folder that files were seen in last.
    home: Option<(u64, u64)>,
}

impl Doubt {
    /// Takes a look at the folder. `kept` is the usable content of each file from before: if all of it is gone at once,
    /// the look is one that tells nothing of what was there.
    pub(crate) fn judge(&mut self, now: Now, mut scan: Scan, kept: &BTreeMap<String, Vec<u8>>) -> Scan {
        if !scan.files.is_empty() {
            self.home = scan.identity;
        }
        if !scan.files.is_empty() || scan.is_partial || kept.is_empty() {
            self.since = None;
            return scan;
        }
        let is_home = self.home.is_some() && self.home == scan.identity;
        let since = if is_home { Some(*self.since.get_or_insert(now)) } else { None };
        self.since = since;
        if since.is_none_or(|since| now < since + PATIENCE) {
            let until = match since {
                Some(_) => format!("for {} s", PATIENCE.as_secs()),
                None => "until a file is here again: it is not the folder that they were in, or the agent has just \
                         started (help: mount it; if they are to go, put a file here and remove it)"
                    .to_owned(),
            };
            scan.is_partial = true;
            scan.problems.push(format!(
                "workload folder: it is empty, and there were {} files: they count on {until}",
                kept.len()
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

    /// A look at the folder with this inode.
    fn look_at(inode: u64, files: &[&str]) -> Scan {
        Scan {
            files: files.iter().map(|name| ((*name).to_owned(), Ok(Vec::new()))).collect(),
            identity: Some((1, inode)),
            ..Scan::default()
        }
    }

    fn look(files: &[&str]) -> Scan {
        look_at(1, files)
    }

    fn kept(names: &[&str]) -> BTreeMap<String, Vec<u8>> {
        names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect()
    }

    #[test]
    fn invariant_6_a_folder_that_was_emptied_is_believed_after_a_while() {
        let (mut doubt, kept, start) = (Doubt::default(), kept(&["a", "b"]), Now::from_secs(7));
        doubt.judge(start, look(&["a", "b"]), &kept);
        let first = doubt.judge(start, look(&[]), &kept);
        assert!(first.is_partial && first.problems[0].contains("there were 2 files"), "{first:?}");
        assert_eq!(doubt.poll_timeout(), Some(start + PATIENCE));
        assert!(doubt.judge(start + PATIENCE / 2, look(&[]), &kept).is_partial);
        assert_eq!(doubt.judge(start + PATIENCE, look(&[]), &kept), look(&[]));
    }

    #[test]
    fn invariant_6_an_empty_folder_in_the_place_of_another_is_never_believed() {
        let (mut doubt, kept, day) = (Doubt::default(), kept(&["a"]), Now::from_secs(86_400));
        // The agent starts before the volume is mounted.
        assert!(doubt.judge(Now::ZERO, look_at(7, &[]), &kept).is_partial);
        let later = doubt.judge(day, look_at(7, &[]), &kept);
        assert!(later.is_partial && later.problems[0].contains("help: mount it"), "{later:?}");
        assert_eq!(doubt.poll_timeout(), None);
        // The volume comes, and goes.
        assert_eq!(doubt.judge(day, look(&["a"]), &kept), look(&["a"]));
        assert!(doubt.judge(2 * day, look_at(7, &[]), &kept).is_partial);
        assert!(doubt.judge(3 * day, look_at(7, &[]), &kept).is_partial);
        // It is mounted again, and had been emptied: that is a folder that files were seen in.
        assert!(doubt.judge(3 * day, look(&[]), &kept).is_partial);
        assert_eq!(doubt.judge(4 * day, look(&[]), &kept), look(&[]));
    }

    #[test]
    fn a_folder_that_fills_again_ends_the_doubt() {
        let (mut doubt, kept) = (Doubt::default(), kept(&["a"]));
        doubt.judge(Now::ZERO, look(&["a"]), &kept);
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
