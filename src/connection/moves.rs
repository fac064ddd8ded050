//! Tracks whether a host name still resolves to the connected address. Lookups run in parallel with
//! queries, which never wait for them.

use std::collections::BTreeMap;
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

/// Maximum absence of an address that rotates with others. An address that comes back later than that
/// does not count.
const ROTATION_MAX: Duration = Duration::from_secs(5 * 60);

/// Number of lookups with addresses that came back after which a name rotates. A failover that is
/// reverted causes one.
const RETURNS: u32 = 2;

/// Maximum number of addresses to remember.
const REMEMBERED_MAX: usize = 64;

/// The lookups of a name. They are kept across connections: the next one may have the same address, and
/// addresses that rotate come back.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The connected address.
    peer: Option<IpAddr>,
    /// The running lookup, which is canceled when this is dropped.
    lookup: JoinSet<Vec<IpAddr>>,
    looked_up: Option<Instant>,
    /// Number of consecutive lookups without the address.
    missing: u32,
    /// The time of the first of them.
    missing_since: Option<Instant>,
    rotation: Rotation,
}

/// The addresses that lookups return in turn.
#[derive(Debug, Default)]
struct Rotation {
    /// When a lookup last returned each address.
    seen: BTreeMap<IpAddr, Instant>,
    /// The time of the last lookup with a result.
    last: Option<Instant>,
    /// Number of lookups in which addresses came back.
    returns: u32,
    /// The longest absence of these, and when the last of them ended.
    longest: Duration,
    returned: Option<Instant>,
}

impl Moves {
    /// Returns whether the connected address no longer belongs to the name.
    ///
    /// Processes a completed lookup, and starts the next one if it is due.
    pub(super) fn has_moved(&mut self, address: &Address, peer: Option<SocketAddr>) -> bool {
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

    /// Begins again with the next connection. The old address belongs to the name again only if lookups
    /// prove it.
    pub(super) fn leave(&mut self) {
        self.peer = None;
        self.looked_up = None;
        self.missing = 0;
        self.missing_since = None;
    }

    /// Begins again if the address has changed.
    fn follow(&mut self, peer: IpAddr) {
        if self.peer != Some(peer) {
            self.leave();
            self.peer = Some(peer);
        }
    }

    fn is_gone(&self, now: Instant) -> bool {
        let after = GONE_AFTER.max(self.rotation.absence());
        let is_long = |since| now.saturating_duration_since(since) >= after;
        self.missing >= MISSING_LOOKUPS && self.missing_since.is_some_and(is_long)
    }

    fn take(&mut self, found: &[IpAddr], peer: IpAddr, now: Instant) {
        self.rotation.record(found, now);
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

impl Rotation {
    /// Records the addresses of a lookup.
    fn record(&mut self, found: &[IpAddr], now: Instant) {
        if found.is_empty() {
            return;
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        if self
            .returned
            .is_some_and(|then| since(then) > 2 * ROTATION_MAX)
        {
            (self.returns, self.longest) = (0, Duration::ZERO);
        }
        self.seen.retain(|_, then| since(*then) <= ROTATION_MAX);
        let mut longest = None;
        for address in found.iter().map(IpAddr::to_canonical) {
            let absent = self
                .seen
                .get(&address)
                .filter(|then| Some(**then) != self.last);
            longest = longest.max(absent.map(|then| since(*then)));
            if self.seen.len() < REMEMBERED_MAX || self.seen.contains_key(&address) {
                self.seen.insert(address, now);
            }
        }
        if let Some(absence) = longest {
            self.returns = self.returns.saturating_add(1);
            self.longest = self.longest.max(absence);
            self.returned = Some(now);
        }
        self.last = Some(now);
    }

    /// Returns for how long an address may be absent because others take their turns.
    fn absence(&self) -> Duration {
        if self.returns < RETURNS {
            Duration::ZERO
        } else {
            2 * self.longest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Processes one lookup per second. Returns the number of lookups after which the address is
    /// gone.
    fn gone_after(lookups: &[&[&str]]) -> Option<usize> {
        let peer = ip("::ffff:10.0.0.1");
        let start = Instant::now();
        let mut moves = Moves::default();
        let mut now = start;
        lookups.iter().position(|found| {
            let found: Vec<_> = found.iter().map(|text| ip(text)).collect();
            moves.take(&found, peer, now);
            now += Duration::from_secs(1);
            moves.is_gone(now)
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
        let [old, new] = ["10.0.0.1", "10.0.0.2"].map(ip);
        let mut moves = Moves::default();
        let mut now = Instant::now();
        for _ in 0..4 {
            moves.follow(old);
            moves.take(&[new], old, now);
            now += Duration::from_secs(10);
        }
        assert!(moves.is_gone(now));
        moves.follow(new);
        assert!(!moves.is_gone(now));
    }

    /// Returns the seconds at which a connection was left, if a name has these addresses in turn, each
    /// for a minute. Each connection is to the address of its time.
    fn left_at(addresses: &[&str], minutes: usize) -> Vec<usize> {
        let start = Instant::now();
        let address_at = |second: usize| ip(addresses[second / 60 % addresses.len()]);
        let mut moves = Moves::default();
        let mut peer = address_at(0);
        let seconds = (0..minutes * 60).filter(|second| {
            let now = start + Duration::from_secs(*second as u64);
            moves.follow(peer);
            moves.take(&[address_at(*second)], peer, now);
            let is_gone = moves.is_gone(now);
            if is_gone {
                moves.leave();
                peer = address_at(*second);
            }
            is_gone
        });
        seconds.collect()
    }

    #[test]
    fn rotating_addresses_are_left_until_they_came_back() {
        assert_eq!(left_at(&["10.0.0.1", "10.0.0.2"], 60), [90, 150]);
        let three = left_at(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], 60);
        assert!(three.iter().all(|second| *second < 300), "{three:?}");
    }

    /// Both addresses come back in one lookup.
    #[test]
    fn reverted_failover_of_two_addresses_is_no_rotation() {
        let [before, after] =
            [["10.0.0.1", "10.0.0.2"], ["10.0.0.3", "10.0.0.4"]].map(|addresses| addresses.map(ip));
        let start = Instant::now();
        let mut rotation = Rotation::default();
        for (second, found) in [(0, before), (60, after), (240, before)] {
            rotation.record(&found, start + Duration::from_secs(second));
        }
        assert_eq!(rotation.absence(), Duration::ZERO);
    }

    #[test]
    fn reverted_failover_is_no_rotation() {
        let [first, second] = [vec!["10.0.0.1"; 10], vec!["10.0.0.2"; 10]];
        let names = [first.clone(), second.clone(), first, second].concat();
        let left = left_at(&names[..30], 30);
        assert_eq!(left, [630, 1_230]);
        // The return is forgotten, so that the next failover is followed as soon.
        assert_eq!(left_at(&names, 40), [630, 1_230, 1_830]);
    }

    fn moved_for(lookups: usize) -> Vec<&'static [&'static str]> {
        vec![&["10.0.0.2"]; lookups]
    }
}
