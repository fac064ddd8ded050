//! Parses PEM text into certificates and matching keys. Pure.

use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::Fault;
use super::authorities::Authorities;
use super::provider::provider;
use super::x509::{Certificate, PublicKey};

/// A certificate with its chain and its key.
#[derive(Debug)]
pub struct Identity(pub(super) CertifiedKey);

/// Returns all certificates of a text, at least one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| damaged(&error))?;
    if found.is_empty() {
        return Err(without_certificates());
    }
    Ok(found)
}

/// Returns the certificates of a text as trusted ones. Unreadable certificates are skipped as long
/// as there are others.
pub(super) fn authorities(text: &[u8]) -> Result<Authorities, Fault> {
    let mut authorities = Authorities::default();
    let mut first_error = None;
    for certificate in CertificateDer::pem_slice_iter(text) {
        match certificate {
            Ok(certificate) => authorities.add(&certificate),
            Err(error) => {
                authorities.skipped += 1;
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        _ if !authorities.is_empty() => Ok(authorities),
        Some(error) => Err(damaged(&error)),
        None if authorities.skipped == 0 => Err(without_certificates()),
        None => Err(Fault::new(
            "holds a certificate that cannot be understood",
            "write the certificates of authorities into it",
        )),
    }
}

fn without_certificates() -> Fault {
    Fault::new(
        "holds no certificate",
        "write a certificate in PEM format into it (BEGIN CERTIFICATE)",
    )
}

/// Returns the first private key of a text.
pub(super) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        // A section of its own kind, which key readers ignore.
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

/// Checks that the key belongs to the first certificate.
pub(super) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Identity, Fault> {
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| unusable(&error.to_string()))?;
    // rustls only compares keys with version 3 certificates.
    let certificate = chain.first().and_then(|der| Certificate::read(der));
    let certificate = certificate.ok_or_else(|| unusable("the certificate is not X.509"))?;
    let public = key.public_key();
    let is_other = public.is_some_and(|public| {
        PublicKey::read(&public).is_some_and(|public| public.bits != certificate.key.bits)
    });
    if is_other {
        return Err(Fault::new(
            "is not the key of the certificate",
            "name the two files that were made together, the server's own certificate first",
        ));
    }
    Ok(Identity(CertifiedKey::new(chain, key)))
}

fn unusable(why: &str) -> Fault {
    Fault::new(
        format!("cannot be used with its certificate ({why})"),
        "use a key of RSA with 2048 bits or more, ECDSA or Ed25519",
    )
}

/// Describes a parse error without its text, which may contain parts of the file.
fn damaged(error: &Error) -> Fault {
    let what = match error {
        Error::MissingSectionEnd { .. } => "breaks off",
        _ => "is not in PEM format",
    };
    Fault::new(what, "write it again as PEM")
}
