//! The certificates that a client trusts. Pure.

use std::collections::HashSet;

use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::x509::Certificate;

/// Certificates that are trusted: those of authorities as issuers of others, and all of them
/// themselves. The second is how a self-signed certificate is trusted, or a single one is pinned.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// Those of authorities.
    pub(super) roots: RootCertStore,
    /// The others: their keys sign for nobody else.
    leaves: RootCertStore,
    /// SHA-256 of each certificate.
    digests: HashSet<Vec<u8>>,
    /// How many certificates could not be read and were skipped.
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

    /// All of them as roots: webpki verifies a client's certificate only against roots, also one
    /// that is trusted itself.
    pub(super) fn into_roots(self) -> RootCertStore {
        let mut roots = self.roots;
        roots.roots.extend(self.leaves.roots);
        roots
    }

    /// Whether a certificate is one of these, byte for byte.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.digests.contains(&digest_of(certificate))
    }
}

fn digest_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    digest(&SHA256, certificate).as_ref().to_vec()
}
