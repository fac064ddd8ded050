//! The configuration of a TLS client: whom it trusts, who it is.

use rustls::{ClientConfig, RootCertStore};

use super::pem::Identity;
use super::provider;
use super::verifier::Nobody;

/// Which servers a client takes for what they say.
#[derive(Debug)]
pub enum Trust {
    /// Those with a certificate that leads to one of these.
    Authorities(RootCertStore),
    /// All of them.
    Everyone,
}

/// The roots of the system. Reading them blocks for milliseconds.
///
/// # Errors
///
/// There are none.
pub fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let text =
            "the system has no root certificates; install ca-certificates or set tls.ca_file";
        return Err(text.to_owned());
    }
    Ok(roots)
}

/// TLS 1.2 and 1.3, with this certificate where there is one.
///
/// # Errors
///
/// The certificate cannot be used.
pub fn client(trust: Trust, identity: Option<Identity>) -> Result<ClientConfig, String> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::Authorities(roots) => builder.with_root_certificates(roots),
        Trust::Everyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Nobody::new(provider)),
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| error.to_string()),
    }
}
