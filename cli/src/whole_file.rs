//! Files that a verb reads whole: keys, credentials, signatures, what a ceremony hands over. Bounded; what is wrong is said in words
//! of ours. Must not say what is in them: it may be a key.

use std::error::Error as _;
use std::io::{self, ErrorKind as Kind, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{CliError, ErrorKind};

/// Reads a file of at most so many bytes, or a pipe that carries no more.
pub fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let bytes = open_and_read(path, most).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > most {
        let words = format!("{}: it is longer than {most} bytes, and no such file is", path.display());
        return Err(CliError::new(ErrorKind::Usage, words));
    }
    Ok(bytes)
}

fn open_and_read(path: &Path, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    /// Room for what a read asks for beyond the end; what a pipe carries is seldom longer.
    const MORE: usize = 4 << 10;
    let file = fs_err::File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(most).min(most);
    // A buffer that grows leaves copies of a key behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + MORE));
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the same as text.
pub fn read_text(path: &Path, most: usize) -> Result<Zeroizing<String>, CliError> {
    let bytes = read(path, most)?;
    let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
    text.map_err(|_| CliError::new(ErrorKind::Usage, format!("{}: it is no text", path.display())))
}

/// Says why a file cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> CliError {
    let why = match error.kind() {
        Kind::NotFound => "there is no such file".to_owned(),
        Kind::NotADirectory => "a part of its path is no folder".to_owned(),
        Kind::IsADirectory => "it is a folder".to_owned(),
        Kind::PermissionDenied => "you may not read it".to_owned(),
        _ => error.source().map_or_else(|| error.to_string(), ToString::to_string),
    };
    CliError::new(ErrorKind::Usage, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_in_plain_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "four").unwrap();
        assert_eq!(read(&file, 4).unwrap().as_slice(), b"four");
        let said = |path: &Path, most| read(path, most).unwrap_err().message;
        let path = file.display();
        assert_eq!(said(&file, 3), format!("{path}: it is longer than 3 bytes, and no such file is"));
        assert_eq!(said(&file.join("in"), 3), format!("{path}/in: a part of its path is no folder"));
        assert!(said(&folder.path().join("gone"), 3).ends_with("gone: there is no such file"));
        assert!(said(folder.path(), 3).ends_with(": it is a folder"));
        fs_err::write(&file, [0xff]).unwrap();
        assert!(read_text(&file, 9).unwrap_err().message.ends_with(": it is no text"));
    }
}
