//! Whether a host name still resolves to the connected address. Looked up beside the queries, which
//! never wait for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::resolve::resolve;
use crate::config::Address;

/// Time between two lookups while the name resolves to the connected address.
const LOOK_UP_EVERY: Duration = Duration::from_secs(15);

/// Time to the next lookup once it does not.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An address is gone once this many answers in a row lack it: some names resolve to another part
/// of many addresses each time.
const GONE_AFTER: u32 = 2;

/// What is known of a connected address.
#[derive(Debug, Default)]
pub struct Whereabouts {
    /// The lookup that is under way; ended with this.
    lookup: JoinSet<Vec<IpAddr>>,
    looked_up: Option<Instant>,
    /// Answers in a row that lack the address.
    missing: u32,
}

impl Whereabouts {
    /// Takes in a lookup that has ended, starts the next one when it is due, and returns whether
    /// the connected address is gone from the name.
    pub fn has_moved(&mut self, address: &Address, peer: Option<SocketAddr>) -> bool {
        let (Address::Tcp { host, port, .. }, Some(peer)) = (address, peer) else {
            return false;
        };
        if host.parse::<IpAddr>().is_ok() {
            return false;
        }
        if let Some(Ok(found)) = self.lookup.try_join_next() {
            self.take(&found, peer.ip());
        }
        let pause = match self.missing {
            0 => LOOK_UP_EVERY,
            _ => LOOK_AGAIN_AFTER,
        };
        let is_due = self
            .looked_up
            .is_none_or(|looked_up| looked_up.elapsed() >= pause);
        if self.lookup.is_empty() && is_due {
            self.looked_up = Some(Instant::now());
            let (host, port) = (host.clone(), *port);
            self.lookup.spawn(async move {
                // A resolver that does not answer is no reason to leave a connection that works.
                let found = resolve(&host, port).await.unwrap_or_default();
                found.iter().map(SocketAddr::ip).collect()
            });
        }
        self.missing >= GONE_AFTER
    }

    fn take(&mut self, found: &[IpAddr], peer: IpAddr) {
        let is_peer = |address: &IpAddr| address.to_canonical() == peer.to_canonical();
        if found.iter().any(is_peer) {
            self.missing = 0;
        } else if !found.is_empty() {
            self.missing += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_gone_after_two_answers_in_a_row_without_it() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let peer = ip("::ffff:10.0.0.1");
        let mut whereabouts = Whereabouts::default();
        let mut missing = |found: &[&str]| {
            let found: Vec<_> = found.iter().map(|text| ip(text)).collect();
            whereabouts.take(&found, peer);
            whereabouts.missing
        };
        assert_eq!(missing(&["10.0.0.2"]), 1);
        assert_eq!(missing(&[]), 1);
        assert_eq!(missing(&["10.0.0.2", "10.0.0.1"]), 0);
        assert_eq!(missing(&["10.0.0.2"]), 1);
        assert_eq!(missing(&["10.0.0.3"]), GONE_AFTER);
    }
}
