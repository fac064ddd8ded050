//! TLS over an open stream, with rustls and the system's root certificates.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::dial::Stream;
use crate::failure::{Failure, Reason};

/// Reading the system's roots blocks for milliseconds, so it is done once, not at every connect.
static SYSTEM_ROOTS: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();

/// Shakes hands as a client that expects a certificate for `host`.
pub async fn wrap(host: &str, stream: TcpStream) -> Result<Stream, Failure> {
    let config = SYSTEM_ROOTS.get_or_try_init(system_roots).await?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Failure::new(
            Reason::Tls,
            format!("{host} is no name a certificate can have"),
        )
    })?;
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, stream).await;
    Ok(Box::new(
        stream.map_err(|error| Failure::new(Reason::Tls, error))?,
    ))
}

async fn system_roots() -> Result<Arc<ClientConfig>, Failure> {
    let loading = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        roots
    });
    let roots = loading
        .await
        .map_err(|error| Failure::new(Reason::Tls, error))?;
    if roots.is_empty() {
        let detail = "the system has no root certificates; install ca-certificates";
        return Err(Failure::new(Reason::Tls, detail));
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
