//! Reads certificates and keys from files, and detects changes. All functions block.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::authorities::Authorities;
use super::pem::{self, Identity};
use super::{Fault, TlsError};
use crate::bounded_file;

/// Maximum size of a file, in bytes. The complete list of system roots is a quarter of it.
const LARGEST: u64 = 1 << 20;

/// The state of files at one moment. Equal stamps mean that no file has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Vec<Option<Mark>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    bytes: u64,
    // A file that replaces another one can be older.
    inode: u64,
}

impl Stamp {
    /// Reads the state of the files. Follows symbolic links, because Kubernetes replaces those.
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

/// Reads trusted certificates.
///
/// # Errors
///
/// The file cannot be read, or contains none.
pub fn authorities(path: &Path) -> Result<Authorities, Fault> {
    pem::authorities(&read(path)?)
}

/// Reads the certificates of authorities that issue client certificates.
///
/// # Errors
///
/// The file cannot be read, contains no certificate, or contains one that is not an authority's. Used
/// as one, its key could issue certificates for others.
pub fn client_authorities(path: &Path) -> Result<Authorities, Fault> {
    let authorities = authorities(path)?;
    if authorities.has_leaves() {
        return Err(Fault::new(
            "holds a certificate that may not issue others",
            "name the certificate of the authority that issues those of clients (CA:TRUE)",
        ));
    }
    Ok(authorities)
}

/// Checks that the file contains a certificate.
///
/// # Errors
///
/// The file cannot be read, or contains none.
pub fn certificates(path: &Path) -> Result<(), Fault> {
    pem::certificates(&read(path)?).map(drop)
}

/// Checks that the file contains a key and, if the certificate can be read, that the two belong
/// together.
///
/// # Errors
///
/// The file cannot be read, contains no key, or contains the key of another certificate.
pub fn key(path: &Path, certificate: &Path) -> Result<(), Fault> {
    let key = pem::key(&read(path)?)?;
    match read(certificate).and_then(|text| pem::certificates(&text)) {
        Ok(chain) => pem::identity(chain, key).map(drop),
        // The certificate is at fault, not the key.
        Err(_) => Ok(()),
    }
}

/// Reads a certificate and its key.
///
/// # Errors
///
/// One of the files is unusable.
pub fn identity(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = read(certificate).and_then(|text| pem::certificates(&text));
    let chain = chain.map_err(|fault| fault.of(certificate))?;
    let read_key = read(key).and_then(|text| pem::key(&text));
    let identity = read_key.and_then(|key| pem::identity(chain, key));
    identity.map_err(|fault| fault.of(key))
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    bounded_file::read(path, LARGEST).map_err(|unread| Fault::new(unread.what, unread.remedy))
}
