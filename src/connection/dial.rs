//! Opens streams: name resolution, TCP, Unix sockets, TLS. Sends no commands.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::quiet::QuietTcp;
use super::resolve::resolve;
use super::{tls, within};
use crate::config::{Address, AllowedAddresses, Tls};
use crate::failure::{Failure, Reason};

/// Idle time before the first keepalive probe. A vanished server is detected after three more
/// probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Error codes of Linux for too many open files, of the system and of the process.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// A stream that can carry the protocol.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// Lets data arrive without waking up the process, until the next read that has to wait. See
    /// [`QuietTcp::quiet`].
    fn quiet(&mut self);
}

impl Duplex for QuietTcp {
    fn quiet(&mut self) {
        Self::quiet(self);
    }
}

impl Duplex for TlsStream<QuietTcp> {
    fn quiet(&mut self) {
        self.get_mut().0.quiet();
    }
}

impl Duplex for UnixStream {
    // Data that arrive over it wake up the process.
    fn quiet(&mut self) {}
}

/// An open stream of any kind.
pub type Stream = Box<dyn Duplex>;

/// Opens a stream to an address, with TLS if the address requires it. Only allowed addresses of the
/// host are dialed, if that is restricted.
///
/// # Errors
///
/// The address cannot be reached by the deadline.
pub async fn open(
    address: &Address,
    tls: &Tls,
    allowed: Option<&AllowedAddresses>,
    deadline: Instant,
) -> Result<(Stream, Option<SocketAddr>), Failure> {
    match address {
        Address::Unix(path) => Ok((open_unix(path, deadline).await?, None)),
        Address::Tcp {
            host,
            port,
            tls: false,
        } => {
            let stream = open_tcp(host, *port, allowed, deadline).await?;
            let peer = stream.peer_addr().ok();
            Ok((Box::new(QuietTcp::new(stream)), peer))
        }
        Address::Tcp {
            host,
            port,
            tls: true,
        } => {
            // Read first, so that the server does not see a connection that waits for a file.
            let config = tls::configuration(tls);
            let config = within(deadline, "the files of the certificates", config).await?;
            let stream = open_tcp(host, *port, allowed, deadline).await?;
            let peer = stream.peer_addr().ok();
            let shake = tls::wrap(host, tls, config, QuietTcp::new(stream));
            let shaken = within(deadline, "the TLS handshake", shake).await;
            Ok((shaken.map_err(without_handshake)?, peer))
        }
    }
}

async fn open_unix(path: &Path, deadline: Instant) -> Result<Stream, Failure> {
    let connect = async {
        UnixStream::connect(path)
            .await
            .map_err(|error| socket_failure(&error))
    };
    Ok(Box::new(within(deadline, "the connection", connect).await?))
}

/// Tries each address of the host in turn. Returns the last failure.
async fn open_tcp(
    host: &str,
    port: u16,
    allowed: Option<&AllowedAddresses>,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let resolve = resolve(host, port);
    let mut addresses = within(deadline, "the address of the host", resolve).await?;
    let mut last = Failure::new(Reason::Dns, format!("{host} has no address"));
    // The address, not the name: a name may resolve to any address at each connect.
    if let Some(allowed) = allowed {
        addresses.retain(|address| allowed.allows(host, *address));
        if addresses.is_empty() {
            return Err(not_allowed(host));
        }
    }
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        // Each address gets a share of the time, so that an unresponsive one leaves time for the
        // next.
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let connect = async {
            TcpStream::connect(address)
                .await
                .map_err(|error| connect_failure(&error))
        };
        match within(Instant::now() + share, "the connection", connect).await {
            Ok(stream) => {
                tune(&stream).map_err(|error| Failure::new(Reason::Other, error))?;
                return Ok(stream);
            }
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// Returns the failure for a host that the configuration does not name, and that must not be dialed.
fn not_allowed(host: &str) -> Failure {
    Failure::new(Reason::Denied, format!("{host} is not an allowed address"))
        .with_remedy("add its network to `allow` of `discover` or `scrape` if it may be polled")
}

/// Disables Nagle's algorithm, which delays small queries, and enables keepalive, which detects a
/// vanished server.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Adds the likely cause if nothing came back: a server without TLS waits for the end of a line.
fn without_handshake(failure: Failure) -> Failure {
    match failure.reason {
        Reason::Timeout => failure.with_remedy("check that the port expects TLS, or use redis://"),
        _ => failure,
    }
}

fn connect_failure(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Reason::Refused,
        io::ErrorKind::TimedOut => Reason::Timeout,
        io::ErrorKind::PermissionDenied => Reason::Denied,
        io::ErrorKind::ConnectionReset => Reason::Closed,
        _ => Reason::Other,
    };
    let failure = Failure::new(reason, error);
    match (error.kind(), error.raw_os_error()) {
        (
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::InvalidInput,
            _,
        ) => failure.with_remedy("check the address, and the route to it"),
        (io::ErrorKind::PermissionDenied, _) => {
            failure.with_remedy("check the firewall of this machine")
        }
        (_, Some(ENFILE | EMFILE)) => failure.with_remedy("raise the limit of open files"),
        _ => failure,
    }
}

fn socket_failure(error: &io::Error) -> Failure {
    let failure = connect_failure(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failure.with_remedy("allow the user of the exporter to write to the socket")
        }
        io::ErrorKind::NotFound => {
            failure.with_remedy("check the path of the socket, and that the server is running")
        }
        io::ErrorKind::ConnectionRefused => {
            failure.with_remedy("check that the server is running; it no longer uses this socket")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_connections_have_a_remedy() {
        for (code, part) in [
            (101, "the route"),
            (113, "the route"),
            (99, "the route"),
            (22, "the route"),
            (13, "firewall"),
            (24, "open files"),
            (23, "open files"),
        ] {
            let failure = connect_failure(&io::Error::from_raw_os_error(code));
            let remedy = failure.remedy.clone().unwrap_or_default();
            assert!(remedy.contains(part), "{failure}");
        }
        for (code, part) in [
            (2, "path of the socket"),
            (13, "write to the socket"),
            (111, "no longer uses"),
        ] {
            let failure = socket_failure(&io::Error::from_raw_os_error(code));
            let remedy = failure.remedy.clone().unwrap_or_default();
            assert!(remedy.contains(part), "{failure}");
        }
    }
}
