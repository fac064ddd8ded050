//! Reads certificates and keys, and sees when their files change. All of it blocks.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::Fault;
use super::authorities::Authorities;
use super::pem::{self, Identity};

/// The largest file that is read, in bytes. A system's whole list of roots has a quarter of it.
const LARGEST: u64 = 1 << 20;

/// What files were like at one moment. Equal stamps mean that there is nothing new to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Vec<Option<Mark>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    bytes: u64,
    // A file that was moved into the place of another can be older than it.
    inode: u64,
}

impl Stamp {
    /// Looks at the files, through symbolic links: Kubernetes replaces those.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mark = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some(Mark {
                modified: metadata.modified().ok(),
                bytes: metadata.len(),
                inode: metadata.ino(),
            })
        };
        Self(paths.into_iter().map(mark).collect())
    }
}

/// The certificates that are trusted.
///
/// # Errors
///
/// The file cannot be read, or holds none.
pub fn authorities(path: &Path) -> Result<Authorities, Fault> {
    pem::authorities(&read(path)?)
}

/// Sees that there is a certificate.
///
/// # Errors
///
/// The file cannot be read, or holds none.
pub fn certificates(path: &Path) -> Result<(), Fault> {
    pem::certificates(&read(path)?).map(drop)
}

/// Sees that there is a key, and that it is the certificate's where that one can be read.
///
/// # Errors
///
/// The file cannot be read, holds no key, or that of another certificate.
pub fn key(path: &Path, certificate: &Path) -> Result<(), Fault> {
    let key = pem::key(&read(path)?)?;
    match read(certificate).and_then(|text| pem::certificates(&text)) {
        Ok(chain) => pem::identity(chain, key).map(drop),
        // That is the certificate's fault.
        Err(_) => Ok(()),
    }
}

/// A certificate with its key.
///
/// # Errors
///
/// One of the files is no good: the whole sentence, with its path.
pub fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let chain = read(certificate).and_then(|text| pem::certificates(&text));
    let chain = chain.map_err(|fault| fault.of(certificate))?;
    let read_key = read(key).and_then(|text| pem::key(&text));
    let identity = read_key.and_then(|key| pem::identity(chain, key));
    identity.map_err(|fault| fault.of(key))
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: io::Error| {
        Fault::new(
            format!("cannot be read ({error})"),
            "check the path and its permissions",
        )
    };
    // Opening a pipe could wait for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Fault::new("is not a regular file", "name a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Fault::new("is larger than 1 MiB", "make it smaller"));
    }
    Ok(bytes)
}
