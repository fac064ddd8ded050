//! Resolves host names with the system's resolver. It blocks for up to half a minute if no name
//! server responds.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use crate::failure::{Failure, Reason};
use crate::threads::{SharedWork, Threads};

/// Time for which a result is shared, by the poll and the sweep of a target and by targets with the
/// same name.
const FRESH: Duration = Duration::from_secs(1);

/// Maximum number of concurrent lookups. With it, names are resolved within seconds of the start
/// even if dozens of others hang.
static LOOKUPS: SharedWork<Resolved> = SharedWork::new(
    "lookup",
    Threads {
        proven: 8,
        failed: 16,
        new: 8,
        slow: 64,
    },
    FRESH,
);

type Resolved = Result<Arc<[SocketAddr]>, Arc<io::Error>>;

/// Returns the addresses of a host.
///
/// Concurrent lookups of a name are combined, and a second lookup within a second gets the same
/// result. A result that arrives after the caller has given up is kept for its next call.
///
/// # Errors
///
/// The name has no address, or the resolver's error.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let found = LOOKUPS.get(host, Result::is_ok, move || lookup(&name));
    let failed = |error: &dyn Display| Failure::new(Reason::Dns, format!("{host}: {error}"));
    match found.await {
        Some(Ok(addresses)) => {
            let mut addresses = addresses.to_vec();
            for address in &mut addresses {
                address.set_port(port);
            }
            Ok(addresses)
        }
        Some(Err(error)) => Err(failed(&error)),
        None => Err(failed(&"no thread for the lookup could be started")),
    }
}

fn lookup(host: &str) -> Resolved {
    match (host, 0).to_socket_addrs() {
        Ok(found) if found.len() == 0 => Err(io::Error::other("it has no address").into()),
        Ok(found) => Ok(found.collect()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_names_are_looked_up() {
        for (host, expected) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            let found = resolve(host, 7).await.unwrap();
            assert_eq!(found, [expected.parse::<SocketAddr>().unwrap()]);
        }
        assert!(!resolve("localhost", 7).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn invalid_name_has_the_reason_dns() {
        let failure = resolve("no such name", 7).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Dns);
        assert!(failure.detail.starts_with("no such name: "), "{failure}");
    }
}
