//! Opens streams: name resolution, TCP, Unix sockets, TLS. Sends no commands.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::resolve::resolve;
use super::{tls, within};
use crate::config::{Address, Tls};
use crate::failure::{Failure, Reason};

/// Idle time before the first keepalive probe. A vanished server is detected after three more
/// probes.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A stream that can carry the protocol.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// An open stream of any kind.
pub type Stream = Box<dyn Duplex>;

/// Opens a stream to an address, with TLS if the address requires it.
pub async fn open(
    address: &Address,
    tls: &Tls,
    deadline: Instant,
) -> Result<(Stream, Option<SocketAddr>), Failure> {
    match address {
        Address::Unix(path) => Ok((open_unix(path, deadline).await?, None)),
        Address::Tcp {
            host,
            port,
            tls: false,
        } => {
            let stream = open_tcp(host, *port, deadline).await?;
            let peer = stream.peer_addr().ok();
            Ok((Box::new(stream), peer))
        }
        Address::Tcp {
            host,
            port,
            tls: true,
        } => {
            // Read first, so that the server does not see a connection that waits for a file.
            let config = tls::configuration(tls);
            let config = within(deadline, "the files of the certificates", config).await?;
            let stream = open_tcp(host, *port, deadline).await?;
            let peer = stream.peer_addr().ok();
            let shake = tls::wrap(host, tls, config, stream);
            let stream = within(deadline, "the TLS handshake", shake).await?;
            Ok((stream, peer))
        }
    }
}

async fn open_unix(path: &Path, deadline: Instant) -> Result<Stream, Failure> {
    let connect = async {
        UnixStream::connect(path)
            .await
            .map_err(|error| connect_failure(&error))
    };
    Ok(Box::new(within(deadline, "the connection", connect).await?))
}

/// Tries each address of the host in turn. Returns the last failure.
async fn open_tcp(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let resolve = resolve(host, port);
    let addresses = within(deadline, "the address of the host", resolve).await?;
    let mut last = Failure::new(Reason::Dns, format!("{host} has no address"));
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

/// Disables Nagle's algorithm, which delays small queries, and enables keepalive, which detects a
/// vanished server.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
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
    match reason {
        // Only a Unix socket has permissions of its own.
        Reason::Denied => {
            failure.with_remedy("allow the user of the exporter to write to the socket")
        }
        _ => failure,
    }
}
