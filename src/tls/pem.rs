//! PEM text → certificates and keys that belong together. Pure.

use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

use super::{Fault, provider};

/// A certificate with those that lead to its issuer, and its key.
#[derive(Debug)]
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// All certificates of a text, at least one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| damaged(&error))?;
    if found.is_empty() {
        let remedy = "write a certificate in PEM format into it (BEGIN CERTIFICATE)";
        return Err(Fault::new("holds no certificate", remedy));
    }
    Ok(found)
}

/// The certificates of a text as those that are trusted.
pub(super) fn authorities(text: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text)? {
        roots.add(certificate).map_err(|_| {
            Fault::new(
                "holds a certificate that cannot be understood",
                "write the certificates of authorities into it",
            )
        })?;
    }
    Ok(roots)
}

/// The first key of a text.
pub(super) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        // Its own kind of section, which no reader of keys looks at.
        Err(_) if is_encrypted(text) => Err(Fault::new(
            "holds a key that has a password",
            "write the key without one, as `openssl pkey` does",
        )),
        Err(Error::NoItemsFound) => Err(Fault::new(
            "holds no private key",
            "write a key in PEM format into it (BEGIN PRIVATE KEY)",
        )),
        Err(error) => Err(damaged(&error)),
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    let has = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Sees that the key is that of the first certificate.
pub(super) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Identity, Fault> {
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider()) {
        Ok(_) => Ok(Identity { chain, key }),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Fault::new(
            "is not the key of the certificate",
            "name the two files that were made together, the server's own certificate first",
        )),
        Err(error) => Err(Fault::new(
            format!("cannot be used with its certificate ({error})"),
            "use a key of RSA with 2048 bits or more, ECDSA or Ed25519",
        )),
    }
}

/// The error can hold pieces of the file.
fn damaged(error: &Error) -> Fault {
    let what = match error {
        Error::MissingSectionEnd { .. } => "breaks off",
        _ => "is not in PEM format",
    };
    Fault::new(what, "write it again as PEM")
}
