//! The client side of the health check, for container images that contain only the binary.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use thiserror::Error;

const TIME: Duration = Duration::from_secs(2);
const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// First bytes of a healthy response.
const HEALTHY: &[u8] = b"HTTP/1.1 200 ";

/// A failed health check.
#[derive(Debug, Error)]
pub enum HealthError {
    /// There was no response.
    #[error("no healthy response from http://{address}/-/healthy: {error}")]
    Unreachable {
        /// The address that was tried.
        address: SocketAddr,
        /// The error of the system.
        error: io::Error,
    },
    /// The response has another status.
    #[error("http://{address}/-/healthy responded with {begin:?} instead of status 200")]
    Unhealthy {
        /// The address that was tried.
        address: SocketAddr,
        /// The start of the response.
        begin: String,
    },
}

/// Checks the health of the exporter at this address. Blocks, for 2 seconds at most.
///
/// # Errors
///
/// There was no response in time, or one with another status.
pub fn health(listen: SocketAddr) -> Result<(), HealthError> {
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    let begin = first_bytes(address, Instant::now() + TIME)
        .map_err(|error| HealthError::Unreachable { address, error })?;
    if begin == HEALTHY {
        return Ok(());
    }
    let begin = String::from_utf8_lossy(&begin).into_owned();
    Err(HealthError::Unhealthy { address, begin })
}

/// Maps an unspecified address (all interfaces) to loopback.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // An IPv6 socket accepts IPv4 too. Without IPv6 on the machine it is IPv4 only.
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Returns the first bytes of the response.
fn first_bytes(address: SocketAddr, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(REQUEST)?;
    let mut begin = Vec::new();
    let mut byte = [0];
    while begin.len() < HEALTHY.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => begin.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(too_late()),
            Err(error) => return Err(error),
        }
    }
    Ok(begin)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(too_late())
    } else {
        Ok(left)
    }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took longer than 2 seconds")
}

#[cfg(test)]
mod tests {
    use super::{health, reachable};
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;
    use std::time::{Duration, Instant};

    /// Starts a server that sends these bytes in response to one request.
    fn server(response: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(response);
        });
        address
    }

    #[test]
    fn status_200_alone_is_healthy() {
        assert!(health(server(b"HTTP/1.1 200 OK\r\n\r\n")).is_ok());
        let error = health(server(b"HTTP/1.1 503 No\r\n\r\n"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("HTTP/1.1 503"), "{error}");
        assert!(health(server(b"")).is_err());
    }

    #[test]
    fn missing_server_is_an_error_with_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = health(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }

    #[test]
    fn silent_server_times_out_after_two_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = Instant::now();
        let error = health(listener.local_addr().unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains("longer than 2 seconds"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn all_interfaces_are_reached_over_loopback() {
        for (listen, expected) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "127.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
