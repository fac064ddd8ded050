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

use std::fmt;
use std::path::Path;

pub use authorities::Authorities;
pub use client::{Trust, client, system_roots};
pub use file::{Stamp, authorities, certificates, client_authorities, identity, key};
pub use server::{Version, server};

/// Why a file is unusable. Never contains any of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// Returns the whole sentence, for a log.
    #[must_use]
    pub fn of(&self, path: &Path) -> String {
        format!("{} {self}", path.display())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.what, self.remedy)
    }
}

#[cfg(test)]
mod tests;
