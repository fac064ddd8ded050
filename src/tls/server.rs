//! Builds the configuration of a TLS server for HTTP/1.1.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::TlsError;
use super::authorities::Authorities;
use super::pem::Identity;
use super::provider::provider;

/// The minimum TLS version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// Only TLS 1.3.
    Tls13,
}

const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const FROM_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// Returns a configuration with this certificate. If authorities are given, clients must present a
/// certificate from one of them.
///
/// # Errors
///
/// The certificates cannot be used.
pub fn server(
    identity: Identity,
    client_authorities: Option<Authorities>,
    oldest: Version,
) -> Result<ServerConfig, TlsError> {
    let versions = match oldest {
        Version::Tls12 => FROM_12,
        Version::Tls13 => FROM_13,
    };
    let provider = provider();
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let roots = Arc::new(authorities.roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier?)
        }
    };
    let Identity(certified) = identity;
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // Clients that prefer HTTP/2 learn that only HTTP/1.1 is available.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
