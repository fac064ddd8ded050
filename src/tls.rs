//! Turns certificate and key files into rustls configurations for clients and servers. Opens no
//! connections.
//!
//! Only `file` and the system's roots involve I/O; everything else is pure. Every function uses the
//! crypto provider of `provider`, so nothing depends on a process-wide default.

mod authorities;
mod client;
mod file;
mod p521;
mod pem;
mod provider;
mod server;
mod verifier;
mod x509;

use std::path::{Path, PathBuf};

use rustls::server::VerifierBuilderError;
use thiserror::Error;

pub use authorities::Authorities;
pub use client::{Trust, client, system_roots};
pub use file::{Stamp, authorities, certificates, client_authorities, identity, key};
pub use server::{Version, server};

/// Why a file is unusable. Never contains any of its content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}; {remedy}")]
pub struct Fault {
    /// The rest of a sentence whose subject is the file, such as "holds no certificate".
    pub what: String,
    /// The remedy.
    pub remedy: &'static str,
}

impl Fault {
    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        let what = what.into();
        Self { what, remedy }
    }

    /// Returns the error of the file with this fault.
    #[must_use]
    pub fn of(self, path: &Path) -> TlsError {
        let path = path.to_owned();
        TlsError::File { path, fault: self }
    }
}

/// Why there is no configuration. Never contains any content of a file.
#[derive(Clone, Debug, Error)]
pub enum TlsError {
    /// A file is unusable.
    #[error("{} {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it is unusable.
        fault: Fault,
    },
    /// The system trusts nobody.
    #[error("the system has no root certificates; install ca-certificates or set tls.ca_file")]
    NoSystemRoots,
    /// The certificates cannot verify others.
    #[error(transparent)]
    Verifier(#[from] VerifierBuilderError),
    /// The certificates do not fit the protocol.
    #[error(transparent)]
    Protocol(#[from] rustls::Error),
}

#[cfg(test)]
mod tests;
