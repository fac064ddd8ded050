//! Tracks whether a host name still resolves to the connected address. Lookups run in parallel with
//! queries, which never wait for them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::resolve::resolve;
use crate::config::Address;

/// Interval between lookups while the name resolves to the connected address.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(15);

/// Delay before the next lookup once it no longer does.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Time after which an address is considered gone if no lookup returns it. Some names resolve to a
/// different subset of many addresses each time.
const GONE_AFTER: Duration = Duration::from_secs(30);

/// Minimum number of such lookups. After a suspended machine resumes, time alone proves nothing.
const MISSING_LOOKUPS: u32 = 2;

/// The state of a connected address. It is kept across connections, because the next one may have
/// the same address.
#[derive(Debug, Default)]
pub struct Whereabouts {
    /// The address.
    peer: Option<IpAddr>,
    /// The running lookup, which is canceled when this is dropped.
    lookup: JoinSet<Vec<IpAddr>>,
    looked_up: Option<Instant>,
    /// Number of consecutive lookups without the address.
    missing: u32,
    /// The time of the first of them.
    missing_since: Option<Instant>,
}

impl Whereabouts {
    /// Returns whether the connected address no longer belongs to the name.
    ///
    /// Processes a completed lookup, and starts the next one if it is due.
    pub fn has_moved(&mut self, address: &Address, peer: Option<SocketAddr>) -> bool {
        let (Address::Tcp { host, port, .. }, Some(peer)) = (address, peer) else {
            return false;
        };
        if host.parse::<IpAddr>().is_ok() {
            return false;
        }
        self.follow(peer.ip());
        if let Some(Ok(found)) = self.lookup.try_join_next() {
            self.take(&found, peer.ip(), Instant::now());
        }
        let pause = match self.missing {
            0 => LOOKUP_INTERVAL,
            _ => RETRY_DELAY,
        };
        let is_due = self
            .looked_up
            .is_none_or(|looked_up| looked_up.elapsed() >= pause);
        if self.lookup.is_empty() && is_due {
            self.looked_up = Some(Instant::now());
            let (host, port) = (host.clone(), *port);
            self.lookup.spawn(async move {
                // A working connection is not closed because a resolver does not respond.
                let found = resolve(&host, port).await.unwrap_or_default();
                found.iter().map(SocketAddr::ip).collect()
            });
        }
        self.is_gone(Instant::now())
    }

    /// Resets the state if the address has changed.
    fn follow(&mut self, peer: IpAddr) {
        if self.peer != Some(peer) {
            *self = Self {
                peer: Some(peer),
                ..Self::default()
            };
        }
    }

    fn is_gone(&self, now: Instant) -> bool {
        let is_long = |since| now.saturating_duration_since(since) >= GONE_AFTER;
        self.missing >= MISSING_LOOKUPS && self.missing_since.is_some_and(is_long)
    }

    fn take(&mut self, found: &[IpAddr], peer: IpAddr, now: Instant) {
        let is_peer = |address: &IpAddr| address.to_canonical() == peer.to_canonical();
        if found.iter().any(is_peer) {
            self.missing = 0;
            self.missing_since = None;
        } else if !found.is_empty() {
            self.missing += 1;
            self.missing_since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes one lookup per second. Returns the number of lookups after which the address is
    /// gone.
    fn gone_after(lookups: &[&[&str]]) -> Option<usize> {
        let ip = |text: &&str| text.parse::<IpAddr>().unwrap();
        let peer = ip(&"::ffff:10.0.0.1");
        let start = Instant::now();
        let mut whereabouts = Whereabouts::default();
        let mut now = start;
        lookups.iter().position(|found| {
            let found: Vec<_> = found.iter().map(ip).collect();
            whereabouts.take(&found, peer, now);
            now += Duration::from_secs(1);
            whereabouts.is_gone(now)
        })
    }

    #[test]
    fn address_is_gone_once_all_lookups_lack_it_for_a_while() {
        assert_eq!(gone_after(&moved_for(60)), Some(29));
        let unresolved: Vec<&[&str]> = vec![&[]; 60];
        assert_eq!(gone_after(&unresolved), None);
        assert_eq!(gone_after(&[&["10.0.0.2"], &[]]), None);
    }

    #[test]
    fn address_in_alternating_lookups_is_not_gone() {
        let in_turn: [&[&str]; 4] = [&["10.0.0.2"], &["10.0.0.3"], &["10.0.0.4"], &["10.0.0.1"]];
        assert_eq!(gone_after(&in_turn.repeat(50)), None);
        let mut rare = moved_for(25);
        rare.push(&["10.0.0.1", "10.0.0.2"]);
        assert_eq!(gone_after(&rare.repeat(10)), None);
    }

    #[test]
    fn lookups_count_across_connections_to_one_address() {
        let [old, new] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let mut whereabouts = Whereabouts::default();
        let mut now = Instant::now();
        for _ in 0..4 {
            whereabouts.follow(old);
            whereabouts.take(&[new], old, now);
            now += Duration::from_secs(10);
        }
        assert!(whereabouts.is_gone(now));
        whereabouts.follow(new);
        assert!(!whereabouts.is_gone(now));
    }

    fn moved_for(lookups: usize) -> Vec<&'static [&'static str]> {
        vec![&["10.0.0.2"]; lookups]
    }
}
