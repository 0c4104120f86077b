//! The site's Workload files: which workloads there are. A file that cannot be used keeps what it
//! said when it last could; a file that is removed takes its workloads with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use skerry_core::diagnostic::has_errors;
use skerry_core::id::NamespacedName;
use skerry_core::workload::Workload;

mod doubt;
mod folder;
mod watch;

pub(crate) use doubt::Doubt;

pub(crate) use folder::{Scan, scan};
pub(crate) use watch::{Start, run};

/// What the folder says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// The workloads, by name.
    pub(crate) workloads: Vec<Workload>,
    /// What could not be used, for people.
    pub(crate) problems: Vec<String>,
    /// The usable content of each file, to be kept.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The folder could not be read: workloads that are not named may still be there.
    pub(crate) is_partial: bool,
}

/// Makes workloads of what was read. `kept` is the usable content of each file from before.
pub(crate) fn fold(scan: Scan, kept: &BTreeMap<String, Vec<u8>>) -> Loaded {
    let mut loaded = Loaded { problems: scan.problems, is_partial: scan.is_partial, ..Loaded::default() };
    let mut by_name: BTreeMap<NamespacedName, (Workload, String)> = BTreeMap::new();
    for (file, content) in scan.files {
        let (workloads, bytes) = load(&file, content, kept.get(&file), &mut loaded.problems);
        loaded.files.extend(bytes.map(|bytes| (file.clone(), bytes)));
        for workload in workloads {
            match by_name.get(&workload.name) {
                Some((_, first)) => loaded.problems.push(format!(
                    "{file}: workload {} is in {first} already, and that one counts (help: give one of them another name)",
                    workload.name
                )),
                None => {
                    by_name.insert(workload.name.clone(), (workload, file.clone()));
                }
            }
        }
    }
    if scan.is_partial {
        keep_unread(kept, &mut by_name, &mut loaded);
    }
    loaded.problems.extend(shared_addresses(by_name.values()));
    loaded.workloads = by_name.into_values().map(|(workload, _)| workload).collect();
    loaded
}

/// Loads one file; falls back to its kept content.
fn load(
    file: &str,
    content: Result<Vec<u8>, String>,
    kept: Option<&Vec<u8>>,
    problems: &mut Vec<String>,
) -> (Vec<Workload>, Option<Vec<u8>>) {
    let found = content.and_then(|bytes| {
        let (workloads, diagnostics) = skerry_crds::load_workloads(&[(file.to_owned(), bytes.clone())]);
        problems.extend(diagnostics.iter().map(ToString::to_string));
        if has_errors(&diagnostics) {
            return Err(String::new());
        }
        // Cut short, or in the middle of being written: a workload is removed with its document or its file.
        if workloads.is_empty() && is_blank(&bytes) && kept.is_some_and(|bytes| !is_blank(bytes)) {
            return Err(
                "is empty, and what it held before counts on (help: remove the file to remove its workloads)"
                    .to_owned(),
            );
        }
        Ok((workloads, bytes))
    });
    match found {
        Ok((workloads, bytes)) => (workloads, Some(bytes)),
        Err(reason) => {
            if !reason.is_empty() {
                problems.push(format!("{file}: {reason}"));
            }
            let (workloads, _) = kept
                .map(|bytes| skerry_crds::load_workloads(&[(file.to_owned(), bytes.clone())]))
                .unwrap_or_default();
            (workloads, kept.cloned())
        }
    }
}

/// Says whether a file has nothing in it but comments and space.
fn is_blank(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// A folder that could not be read tells nothing about files that were there.
fn keep_unread(
    kept: &BTreeMap<String, Vec<u8>>,
    by_name: &mut BTreeMap<NamespacedName, (Workload, String)>,
    loaded: &mut Loaded,
) {
    for (file, bytes) in kept {
        if loaded.files.contains_key(file) {
            continue;
        }
        loaded.files.insert(file.clone(), bytes.clone());
        for workload in skerry_crds::load_workloads(&[(file.clone(), bytes.clone())]).0 {
            by_name.entry(workload.name.clone()).or_insert((workload, file.clone()));
        }
    }
}

/// Finds workloads that would listen where another one does: two processes cannot both, so one of the files is wrong.
fn shared_addresses<'a>(workloads: impl Iterator<Item = &'a (Workload, String)>) -> Vec<String> {
    let mut taken: BTreeMap<SocketAddr, &(Workload, String)> = BTreeMap::new();
    let mut problems = Vec::new();
    for here in workloads {
        let (workload, file) = here;
        for address in workload.listeners() {
            let (other, first) = *taken.entry(address).or_insert(here);
            if other.name != workload.name {
                problems.push(format!(
                    "{file}: workload {} takes {address}, which workload {} in {first} takes too \
                     (help: give each workload an address or ports of its own, its proxy's inbound ports among them)",
                    workload.name, other.name
                ));
                break;
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests;
