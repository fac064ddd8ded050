//! Reads files up to a maximum size. Their content is not interpreted.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The reason why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct UnreadFile {
    /// The rest of a sentence about the file.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl UnreadFile {
    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        let what = what.into();
        Self { what, remedy }
    }
}

/// Reads a regular file. Opening a pipe could block forever.
///
/// # Errors
///
/// The file cannot be read, is not a regular file, or has more than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, UnreadFile> {
    if !fs::metadata(path)
        .map_err(|error| unreadable(&error))?
        .is_file()
    {
        return Err(UnreadFile::new("is not a regular file", "name a file"));
    }
    read_all(File::open(path).map_err(|error| unreadable(&error))?, most)
}

/// Reads a file as text. Blocks while a pipe has no writer: callers have a thread for it.
///
/// # Errors
///
/// It cannot be read, has more bytes than `most`, or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, UnreadFile> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    utf8(read_all(file, most)?)
}

/// Returns the bytes of a file as text.
///
/// # Errors
///
/// They are not UTF-8.
pub fn utf8(bytes: Vec<u8>) -> Result<String, UnreadFile> {
    let text = String::from_utf8(bytes);
    text.map_err(|_| UnreadFile::new("is not UTF-8 text", "save it with that encoding"))
}

/// Reads an open source to its end.
///
/// # Errors
///
/// It cannot be read, or has more than `most` bytes.
pub fn read_all(source: impl Read, most: u64) -> Result<Vec<u8>, UnreadFile> {
    let mut bytes = Vec::new();
    let mut source = source.take(most + 1);
    source
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > most {
        return Err(UnreadFile::new(
            format!("is larger than {} KiB", most >> 10),
            "make it smaller",
        ));
    }
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> UnreadFile {
    UnreadFile::new(
        format!("cannot be read ({error})"),
        "check the path and its permissions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_the_size_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, [b'x'; 2048]).unwrap();
        assert_eq!(read(&path, 2048).unwrap().len(), 2048);
        assert_eq!(read(&path, 2047).unwrap_err().what, "is larger than 1 KiB");
        assert_eq!(
            read(folder.path(), 9).unwrap_err().what,
            "is not a regular file"
        );
        let absent = read(&folder.path().join("b"), 9).unwrap_err().what;
        assert!(absent.starts_with("cannot be read ("), "{absent}");
    }

    #[test]
    fn text_is_read_up_to_its_largest_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "secret").unwrap();
        assert_eq!(read_text(&path, 6).as_deref(), Ok("secret"));
        assert!(read_text(&path, 5).is_err());
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 6).unwrap_err().what, "is not UTF-8 text");
    }
}
