//! Queries the name servers of the system for SRV records.
//!
//! The resolver of the system only returns addresses. Like it, this one uses the name servers, the
//! search domains and the options of `/etc/resolv.conf`, and TCP for long responses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use resolv_conf::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::super::error::NameError;
use super::message::{DnsResponse, query, response};
use crate::bounded_file;
use crate::threads::Lane;
use crate::topology::HostPort;

const FILE: &str = "/etc/resolv.conf";

/// Maximum size of that file, in bytes.
const FILE_MAX: u64 = 64 << 10;

/// The port of name servers.
const PORT: u16 = 53;

/// Maximum number of name servers, and of search domains.
const SERVERS_MAX: usize = 3;
const DOMAINS_MAX: usize = 6;

/// Maximum time for one response, and maximum number of attempts. The options can only lower them.
const WAIT_MAX: Duration = Duration::from_secs(5);
const ATTEMPTS_MAX: u32 = 3;

/// Maximum size of a message over UDP without extensions.
const DATAGRAM_MAX: usize = 512;

/// Maximum time for a complete lookup.
const LOOKUP_MAX: Duration = Duration::from_secs(30);

/// Threads that read the file.
static FILES: Lane = Lane::new("resolv-conf", 1);

/// Returns the servers in the SRV records of a name, sorted, and the number of unusable records.
///
/// # Errors
///
/// The name has no such records, or no name server has replied.
pub(super) async fn lookup(name: &str) -> Result<(Vec<HostPort>, usize), NameError> {
    let found = timeout(LOOKUP_MAX, find(name)).await;
    found.unwrap_or_else(|_| Err(NameError::Slow(name.to_owned())))
}

async fn find(name: &str) -> Result<(Vec<HostPort>, usize), NameError> {
    let read = || bounded_file::read(Path::new(FILE), FILE_MAX);
    let text = FILES.run(read).await;
    // Without the file, the resolver of the system queries a name server on this machine.
    let text = text.ok().and_then(Result::ok).unwrap_or_default();
    let (config, _) = Config::parse_with_errors(&text);
    for candidate in candidates(name, &config) {
        let response = ask_all(&candidate, &config).await?;
        if let DnsResponse::Servers(servers, refused) = response {
            return Ok((servers, refused));
        }
    }
    Err(NameError::NoRecords(name.to_owned()))
}

/// Returns the names to try: the name itself, and the name in each search domain.
fn candidates(name: &str, config: &Config) -> Vec<String> {
    if let Some(name) = name.strip_suffix('.') {
        return vec![name.to_owned()];
    }
    let domains = config.get_last_search_or_domain().take(DOMAINS_MAX);
    let mut names: Vec<_> = domains
        .map(|domain| format!("{name}.{}", domain.trim_matches('.')))
        .collect();
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let is_whole = u32::try_from(dots).is_ok_and(|dots| dots >= config.ndots);
    names.insert(if is_whole { 0 } else { names.len() }, name.to_owned());
    names
}

/// Queries the name servers until one knows whether the name has records.
async fn ask_all(name: &str, config: &Config) -> Result<DnsResponse, NameError> {
    let wait = Duration::from_secs(config.timeout.into()).clamp(Duration::from_secs(1), WAIT_MAX);
    let servers = config.get_nameservers_or_local();
    let mut last = NameError::NoNameServer(name.to_owned(), FILE);
    for _ in 0..config.attempts.clamp(1, ATTEMPTS_MAX) {
        for server in servers.iter().take(SERVERS_MAX) {
            let server = SocketAddr::new(server.clone().into(), PORT);
            let id = fastrand::u16(..);
            let Some(query) = query(id, name) else {
                return Err(NameError::NotAName(name.to_owned()));
            };
            let read = |bytes: &[u8]| response(bytes, id, name);
            let asked = timeout(wait, ask(server, &query, read)).await;
            let name = name.to_owned();
            last = match asked {
                Ok(Ok(DnsResponse::Failed(code))) => NameError::Rejected(name, server, code),
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => NameError::Unreachable(name, server, error),
                Err(_) => NameError::NoReply(name, server),
            };
        }
    }
    Err(last)
}

/// Sends a query to one name server: over UDP, and again over TCP if the response is too long.
async fn ask(
    server: SocketAddr,
    query: &[u8],
    read: impl Fn(&[u8]) -> DnsResponse,
) -> io::Result<DnsResponse> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut bytes = [0; DATAGRAM_MAX];
    loop {
        let length = socket.recv(&mut bytes).await?;
        match read(bytes.get(..length).unwrap_or_default()) {
            // A late response to another query, or a forged one.
            DnsResponse::Foreign => {}
            DnsResponse::Truncated => break,
            response => return Ok(response),
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], query].concat())
        .await?;
    let mut bytes = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut bytes).await?;
    match read(&bytes) {
        DnsResponse::Foreign | DnsResponse::Truncated => {
            Err(io::Error::other("the response is malformed"))
        }
        response => Ok(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, text: &str) -> Vec<String> {
        candidates(name, &Config::parse(text).unwrap())
    }

    #[test]
    fn names_with_few_dots_are_searched_first() {
        let text = "nameserver 10.0.0.1\nsearch shop.svc svc\noptions ndots:3\n";
        let [short, long] = ["_redis._tcp", "_redis._tcp.a.b"];
        let expected = ["_redis._tcp.shop.svc", "_redis._tcp.svc", short];
        assert_eq!(names(short, text), expected);
        let expected = [long, "_redis._tcp.a.b.shop.svc", "_redis._tcp.a.b.svc"];
        assert_eq!(names(long, text), expected);
        assert_eq!(names("a.b.", text), ["a.b"]);
        assert_eq!(names("a.b", "nameserver 10.0.0.1"), ["a.b"]);
    }
}
