//! Builds the configuration of a TLS client: whom it trusts, and its own certificate.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use super::TlsError;
use super::authorities::Authorities;
use super::pem::Identity;
use super::provider::provider;
use super::verifier::Verifier;

/// The servers that a client trusts.
#[derive(Debug)]
pub enum Trust {
    /// Servers whose certificate chains to one of these, or is one of them.
    Authorities(Authorities),
    /// All servers.
    Everyone,
}

/// Reads the root certificates of the system. Blocks for milliseconds.
///
/// # Errors
///
/// The system has none.
pub fn system_roots() -> Result<Authorities, TlsError> {
    let mut roots = Authorities::default();
    for certificate in rustls_native_certs::load_native_certs().certs {
        roots.add(&certificate);
    }
    if roots.is_empty() {
        return Err(TlsError::NoSystemRoots);
    }
    Ok(roots)
}

/// Returns a configuration for TLS 1.2 and 1.3, with a client certificate if one is given.
///
/// # Errors
///
/// The certificate cannot be used.
pub fn client(trust: Trust, identity: Option<Identity>) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = builder.dangerous();
    let builder = builder.with_custom_certificate_verifier(Verifier::new(trust, &provider)?);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(Identity(certified)) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    })
}
