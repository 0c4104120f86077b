//! Reading the workload folder once.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The longest file: a thousand workloads.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most files: more than any edge box has processes.
const MAX_FILES: usize = 1_000;

/// The most bytes of all files together: they are held in memory, and a workload takes about 400.
const MAX_TOTAL_BYTES: usize = 4 << 20;

/// What a look at the folder found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Content, or why there is none, by file name.
    pub(crate) files: BTreeMap<String, Result<Vec<u8>, String>>,
    /// What is wrong with the folder.
    pub(crate) problems: Vec<String>,
    /// The folder itself could not be read: files that are not named may still be there.
    pub(crate) is_partial: bool,
    /// Device and inode of the folder: a mount, or another folder in its place, has others.
    pub(crate) identity: Option<(u64, u64)>,
}

/// Reads the folder's `*.yaml`, `*.yml` and `*.json`; not its folders, and no hidden files.
pub(crate) fn scan(folder: &Path) -> Scan {
    let mut found = Scan { identity: identity(folder), ..Scan::default() };
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            found.problems.push(format!("workload folder: {error}"));
            found.is_partial = true;
            return found;
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.extend(entry.file_name().into_string().ok().filter(|name| is_ours(name))),
            Err(error) => {
                found.problems.push(format!("workload folder: not all of it can be listed: {error}"));
                found.is_partial = true;
                break;
            }
        }
    }
    names.sort();
    if names.len() > MAX_FILES {
        found.problems.push(format!(
            "workload folder: more than {MAX_FILES} files; those after {} are left out",
            names[MAX_FILES - 1]
        ));
        names.truncate(MAX_FILES);
    }
    let mut room = MAX_TOTAL_BYTES;
    for name in names {
        match read(&folder.join(&name)).and_then(|content| take_room(&mut room, content)) {
            // Gone since the listing.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => drop(found.files.insert(name, Err(error.to_string()))),
            Ok(content) => drop(found.files.insert(name, Ok(content))),
        }
    }
    found
}

/// Names the folder that is at a path now.
pub(super) fn identity(folder: &Path) -> Option<(u64, u64)> {
    let metadata = fs_err::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn take_room(room: &mut usize, content: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let left = room.checked_sub(content.len());
    *room = left.ok_or_else(|| {
        std::io::Error::other(format!("is left out: all files are over {MAX_TOTAL_BYTES} bytes"))
    })?;
    Ok(content)
}

fn is_ours(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("is not a file"));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("is longer than {MAX_FILE_BYTES} bytes (help: split it)")));
    }
    Ok(content)
}
