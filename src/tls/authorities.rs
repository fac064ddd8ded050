//! Trusted certificates. Pure.

use std::collections::HashSet;

use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::x509::Certificate;

/// Trusted certificates. Those of authorities are trusted to issue others, and every certificate is
/// trusted itself: a self-signed certificate, or a pinned one.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// The certificates of authorities.
    pub(super) roots: RootCertStore,
    /// The other certificates. Their keys sign for nobody else.
    leaves: RootCertStore,
    /// The SHA-256 digest of each certificate.
    digests: HashSet<Vec<u8>>,
    /// Number of certificates that could not be read and were skipped.
    pub skipped: usize,
}

impl Default for Authorities {
    fn default() -> Self {
        Self {
            roots: RootCertStore::empty(),
            leaves: RootCertStore::empty(),
            digests: HashSet::new(),
            skipped: 0,
        }
    }
}

impl Authorities {
    /// Adds a certificate, or counts it as skipped.
    pub(super) fn add(&mut self, certificate: &CertificateDer<'_>) {
        let digest = digest_of(certificate);
        let read = Certificate::read(certificate);
        let store = if read.is_none_or(|read| read.is_authority) {
            &mut self.roots
        } else {
            &mut self.leaves
        };
        if store.add(certificate.clone()).is_ok() {
            self.digests.insert(digest);
        } else {
            self.skipped += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Returns whether there is a certificate that must not issue others.
    pub(super) fn has_leaves(&self) -> bool {
        !self.leaves.is_empty()
    }

    /// Returns whether a certificate is one of these, byte for byte.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.digests.contains(&digest_of(certificate))
    }
}

fn digest_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    digest(&SHA256, certificate).as_ref().to_vec()
}
