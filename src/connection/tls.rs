//! TLS over an open stream. One client configuration for each set of files, read again when a
//! file changed.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use rustls::AlertDescription as Alert;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::dial::Stream;
use crate::config::Tls;
use crate::failure::{Failure, Reason};
use crate::tls::{Stamp, Trust, authorities, client, identity, system_roots};

/// Settings that nobody dialled with for so long are those of an earlier configuration.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// Targets with the same files share what was read from them, and read it once at a time.
static READ: LazyLock<StdMutex<HashMap<Tls, Entry>>> = LazyLock::new(StdMutex::default);

struct Entry {
    place: Arc<Mutex<Option<Read>>>,
    used_at: Instant,
}

#[derive(Clone)]
struct Read {
    stamp: Stamp,
    config: Arc<ClientConfig>,
}

/// Shakes hands as a client that expects a certificate for `host`, or for the name in `tls`.
pub async fn wrap(
    host: &str,
    tls: &Tls,
    config: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<Stream, Failure> {
    // The zone of an IPv6 address is known on this machine only.
    let host = host.split('%').next().unwrap_or(host);
    let name = tls.server_name.as_deref().unwrap_or(host);
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        Failure::new(
            Reason::Tls,
            format!("{name} is no name a certificate can have"),
        )
    })?;
    let stream = TlsConnector::from(config).connect(server, stream).await;
    Ok(Box::new(stream.map_err(|error| {
        refused(&error, tls).unwrap_or_else(|| Failure::new(Reason::Tls, error))
    })?))
}

/// The configuration for these settings. A file that changed since is read now.
pub async fn configuration(tls: &Tls) -> Result<Arc<ClientConfig>, Failure> {
    let tls = Tls {
        server_name: None,
        ..tls.clone()
    };
    let place = place_of(&tls);
    let mut place = place.lock().await;
    let before = place.clone();
    let reading = spawn_blocking(move || renewed(&tls, before));
    let result = reading.await.map_err(|error| error.to_string());
    let read = result.and_then(|read| read);
    let read = read.map_err(|text| Failure::new(Reason::Tls, text))?;
    Ok(Arc::clone(&place.insert(read).config))
}

fn place_of(tls: &Tls) -> Arc<Mutex<Option<Read>>> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    read.retain(|_, entry| now.duration_since(entry.used_at) < FORGET_AFTER);
    let entry = read.entry(tls.clone()).or_insert_with(|| Entry {
        place: Arc::default(),
        used_at: now,
    });
    entry.used_at = now;
    Arc::clone(&entry.place)
}

/// What was read before where no file changed. Blocks.
fn renewed(tls: &Tls, before: Option<Read>) -> Result<Read, String> {
    // Before reading: a change in between is then seen at the next connect.
    let stamp = Stamp::of(files(tls));
    match before {
        Some(read) if read.stamp == stamp => Ok(read),
        _ => {
            let config = Arc::new(read(tls)?);
            Ok(Read { stamp, config })
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

fn read(tls: &Tls) -> Result<ClientConfig, String> {
    let trust = match &tls.ca_file {
        _ if tls.insecure_skip_verify => Trust::Everyone,
        Some(path) => Trust::Authorities(authorities(path).map_err(|fault| fault.of(path))?),
        None => Trust::Authorities(system_roots()?),
    };
    let pair = tls.identity.as_ref();
    let pair = pair.map(|pair| identity(&pair.cert_file, &pair.key_file));
    client(trust, pair.transpose()?)
}

/// What the server has against our certificate, or against there being none. With TLS 1.3 it says
/// so only after the handshake.
pub fn refused(error: &io::Error, tls: &Tls) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::AlertReceived(alert) = error else {
        return Some(Failure::new(Reason::Tls, error));
    };
    let sentence = match (alert, &tls.identity) {
        (Alert::CertificateRequired, _) => "the server demands a client certificate",
        (Alert::HandshakeFailure | Alert::BadCertificate, None) => {
            "the server refuses the handshake; it may demand a client certificate"
        }
        (
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
            Some(_),
        ) => "the server refuses our client certificate",
        _ => return Some(Failure::new(Reason::Tls, error)),
    };
    let detail = format!("{sentence} ({alert:?}): see tls.cert_file and tls.key_file");
    Some(Failure::new(Reason::Tls, detail))
}
