//! Starts TLS over an open stream.
//!
//! There is one client configuration for each set of files. It is read again when a file changes.

use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use rustls::AlertDescription as Alert;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tracing::warn;

use super::dial::Stream;
use super::quiet::QuietTcp;
use crate::config::Tls;
use crate::failure::{Failure, Reason};
use crate::threads::{SharedWork, Threads};
use crate::tls::{
    Authorities, Stamp, TlsError, Trust, authorities, client, identity, system_roots,
};

/// Time after which unused settings are dropped. They belong to a previous configuration.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);

/// Configurations that targets with the same files share. Only one task reads them at a time.
static READ: LazyLock<StdMutex<HashMap<Tls, CachedEntry>>> = LazyLock::new(StdMutex::default);

/// Reads files on threads, because reading from a mount that hangs never returns.
static FILES: SharedWork<Result<Loaded, TlsError>> = SharedWork::new(
    "certificates",
    Threads {
        proven: 2,
        failed: 4,
        new: 2,
        slow: 4,
    },
    Duration::ZERO,
);

const NO_THREAD: &str = "no thread to read the certificates could be started";

struct CachedEntry {
    place: Arc<Mutex<Option<Loaded>>>,
    used_at: Instant,
}

#[derive(Clone)]
struct Loaded {
    stamp: Stamp,
    config: Arc<ClientConfig>,
}

/// Performs the handshake as a client that expects a certificate for `host`, or for the name in
/// `tls`.
pub async fn wrap(
    host: &str,
    tls: &Tls,
    config: Arc<ClientConfig>,
    stream: QuietTcp,
) -> Result<Stream, Failure> {
    // The zone of an IPv6 address only has a meaning on this machine.
    let host = host.split('%').next().unwrap_or(host);
    let name = tls.server_name.as_deref().unwrap_or(host);
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        Failure::new(
            Reason::Tls,
            format!("{name} is not a name that a certificate can have"),
        )
    })?;
    let stream = TlsConnector::from(config).connect(server, stream).await;
    Ok(Box::new(stream.map_err(|error| {
        refused(&error, tls).unwrap_or_else(|| Failure::new(Reason::Tls, error))
    })?))
}

/// Returns the configuration for these settings. Reads files that have changed.
pub async fn configuration(tls: &Tls) -> Result<Arc<ClientConfig>, Failure> {
    let tls = Tls {
        server_name: None,
        ..tls.clone()
    };
    let place = place_of(&tls);
    let mut place = place.lock().await;
    let before = place.clone();
    let key = format!("{tls:?}");
    let reading = FILES.get(&key, Result::is_ok, move || renewed(&tls, before));
    let failure = |detail: &dyn Display| Failure::new(Reason::Tls, detail);
    let read = reading.await.ok_or_else(|| failure(&NO_THREAD))?;
    let read = read.map_err(|error| failure(&error))?;
    Ok(Arc::clone(&place.insert(read).config))
}

fn place_of(tls: &Tls) -> Arc<Mutex<Option<Loaded>>> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    read.retain(|_, entry| now.duration_since(entry.used_at) < FORGET_AFTER);
    let entry = read.entry(tls.clone()).or_insert_with(|| CachedEntry {
        place: Arc::default(),
        used_at: now,
    });
    entry.used_at = now;
    Arc::clone(&entry.place)
}

/// Returns the previous configuration if no file has changed. Blocks.
fn renewed(tls: &Tls, before: Option<Loaded>) -> Result<Loaded, TlsError> {
    // The stamp is taken before reading, so that the next connect notices a change in between.
    let stamp = Stamp::of(files(tls));
    match before {
        Some(read) if read.stamp == stamp => Ok(read),
        _ => {
            let config = Arc::new(read(tls)?);
            Ok(Loaded { stamp, config })
        }
    }
}

fn files(tls: &Tls) -> impl Iterator<Item = &Path> {
    let identity = tls.identity.as_ref();
    let pair = identity.map(|identity| [&*identity.cert_file, &*identity.key_file]);
    tls.ca_file
        .as_deref()
        .into_iter()
        .chain(pair.into_iter().flatten())
}

fn read(tls: &Tls) -> Result<ClientConfig, TlsError> {
    let trust = match &tls.ca_file {
        _ if tls.insecure_skip_verify => Trust::Everyone,
        Some(path) => Trust::Authorities(read_authorities(path)?),
        None => Trust::Authorities(system_roots()?),
    };
    let pair = tls.identity.as_ref();
    let pair = pair.map(|pair| identity(&pair.cert_file, &pair.key_file));
    client(trust, pair.transpose()?)
}

fn read_authorities(path: &Path) -> Result<Authorities, TlsError> {
    let authorities = authorities(path).map_err(|fault| fault.of(path))?;
    if authorities.skipped > 0 {
        let (file, skipped) = (path.display(), authorities.skipped);
        warn!(%file, skipped, "skipped certificates that cannot be read");
    }
    Ok(authorities)
}

/// Returns the failure behind a TLS error. With TLS 1.3 a server rejects a client certificate, or
/// its absence, only after the handshake.
pub fn refused(error: &io::Error, tls: &Tls) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let detail = match advice(error, tls.identity.is_some()) {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    };
    Some(Failure::new(Reason::Tls, detail))
}

/// The cipher suites, curves, and versions that the exporter offers.
const OFFERED: &str = "we offer TLS 1.2 and 1.3, ECDHE over X25519, P-256, P-384 and P-521, and \
                       AES-GCM and ChaCha20-Poly1305";

/// Returns the likely cause and its remedy.
fn advice(error: &rustls::Error, shows_certificate: bool) -> Option<String> {
    let text = match error {
        rustls::Error::AlertReceived(alert) => return advice_on_alert(*alert, shows_certificate),
        rustls::Error::PeerIncompatible(_) => {
            format!("the server has no version, cipher suite or curve in common with us; {OFFERED}")
        }
        rustls::Error::InvalidCertificate(error) => advice_on_certificate(error)?.to_owned(),
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port; use redis:// for a server without TLS"
                .to_owned()
        }
        _ => return None,
    };
    Some(text)
}

fn advice_on_certificate(error: &CertificateError) -> Option<&'static str> {
    let advice = match error {
        // The second kind is a self-signed certificate that is not trusted.
        CertificateError::UnknownIssuer | CertificateError::Other(_) => {
            "name its authority, or the certificate itself, in tls.ca_file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "set tls.server_name to a name of the certificate"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "use a key of RSA with 2048 bits or more, ECDSA or Ed25519, signed with SHA-256 or more"
        }
        _ => return None,
    };
    Some(advice)
}

fn advice_on_alert(alert: Alert, shows_certificate: bool) -> Option<String> {
    let of_certificate = "see tls.cert_file and tls.key_file";
    let text = match alert {
        Alert::CertificateRequired => {
            format!("the server requires a client certificate; {of_certificate}")
        }
        Alert::ProtocolVersion => {
            format!("the server has no TLS version in common with us; {OFFERED}")
        }
        Alert::HandshakeFailure | Alert::InsufficientSecurity if shows_certificate => {
            format!("the server has no cipher suite or curve in common with us; {OFFERED}")
        }
        Alert::HandshakeFailure | Alert::InsufficientSecurity => format!(
            "the server has no cipher suite or curve in common with us, or demands a client \
             certificate ({of_certificate}); {OFFERED}"
        ),
        Alert::BadCertificate if !shows_certificate => format!(
            "the server refuses the handshake; it may demand a client certificate; {of_certificate}"
        ),
        Alert::UnrecognisedName => {
            "the server does not know this name; set tls.server_name".to_owned()
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
            if shows_certificate =>
        {
            format!("the server refuses our client certificate; {of_certificate}")
        }
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::PeerIncompatible;

    fn detail(error: rustls::Error) -> String {
        let error = io::Error::other(error);
        refused(&error, &Tls::default()).unwrap().to_string()
    }

    #[test]
    fn common_causes_are_named() {
        let alert = rustls::Error::AlertReceived;
        let incompatible = PeerIncompatible::ServerDoesNotSupportTls12Or13;
        for (error, expected) in [
            (alert(Alert::ProtocolVersion), "no TLS version in common"),
            (
                alert(Alert::HandshakeFailure),
                "no cipher suite or curve in common",
            ),
            (
                alert(Alert::CertificateRequired),
                "requires a client certificate",
            ),
            (
                incompatible.into(),
                "no version, cipher suite or curve in common",
            ),
            (
                CertificateError::UnknownIssuer.into(),
                "UnknownIssuer: name its authority",
            ),
            (
                CertificateError::NotValidForName.into(),
                "set tls.server_name",
            ),
        ] {
            let detail = detail(error);
            assert!(detail.contains(expected), "{detail}");
        }
    }
}
