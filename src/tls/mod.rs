//! Certificates and keys in files → configurations of rustls, for both sides. It opens no stream.
//!
//! `pem` and `verifier` are pure; `file` reads. Every function takes the crypto provider of
//! `provider`, so that nothing depends on one that was installed for the process.

mod client;
mod file;
mod pem;
mod server;
mod verifier;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use client::{Trust, client, system_roots};
pub use file::{Stamp, authorities, certificates, identity, key};
pub use pem::Identity;
pub use server::{Version, server};

/// Why a file is no good. It never holds what is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The rest of a sentence whose subject is the file, as in "holds no certificate".
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Fault {
    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        let what = what.into();
        Self { what, remedy }
    }

    /// The whole sentence, for a log.
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

/// The one crypto provider.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
mod tests;
