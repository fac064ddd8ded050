//! The certificates that a client trusts. Pure.

use std::collections::HashSet;

use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Certificates that are trusted: as issuers of others, and themselves. The second is how a
/// self-signed certificate is trusted, or a single certificate is pinned.
#[derive(Clone, Debug)]
pub struct Authorities {
    pub(super) roots: RootCertStore,
    /// SHA-256 of each certificate.
    digests: HashSet<Vec<u8>>,
    /// How many certificates could not be read and were skipped.
    pub skipped: usize,
}

impl Default for Authorities {
    fn default() -> Self {
        Self {
            roots: RootCertStore::empty(),
            digests: HashSet::new(),
            skipped: 0,
        }
    }
}

impl Authorities {
    /// Adds a certificate, or counts it as skipped.
    pub(super) fn add(&mut self, certificate: &CertificateDer<'_>) {
        let digest = digest_of(certificate);
        if self.roots.add(certificate.clone()).is_ok() {
            self.digests.insert(digest);
        } else {
            self.skipped += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Whether a certificate is one of these, byte for byte.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.digests.contains(&digest_of(certificate))
    }
}

fn digest_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    digest(&SHA256, certificate).as_ref().to_vec()
}
