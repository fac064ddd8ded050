//! Patterns of servers: a glob over host names, or a network of addresses, and a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::allowed::address_of;
use super::namespace::glob;
use super::problem::Invalid;
use super::row::FromText;
use crate::pattern::Pattern;

/// Servers to which something applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// The hosts.
    hosts: Hosts,
    /// The only port; `None` for all ports.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// Addresses in a network.
    Network(IpNet),
    /// Names and addresses that match a Redis glob, in lower case.
    Glob(Pattern),
}

impl HostPattern {
    /// Returns whether it matches a host name or an address, and a port. Names are not resolved.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let matches = match &self.hosts {
            Hosts::Network(network) => {
                address_of(host).is_some_and(|address| network.contains(&address))
            }
            Hosts::Glob(_) => self.matches_name(host),
        };
        matches && self.has_port(port)
    }

    /// Returns whether its glob matches a host name, regardless of the port.
    pub(super) fn matches_name(&self, host: &str) -> bool {
        match &self.hosts {
            Hosts::Network(_) => false,
            Hosts::Glob(pattern) => pattern.matches(host.to_ascii_lowercase().as_bytes()),
        }
    }

    /// Returns whether it includes a port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    /// Returns its network.
    pub(super) const fn network(&self) -> Option<&IpNet> {
        match &self.hosts {
            Hosts::Network(network) => Some(network),
            Hosts::Glob(_) => None,
        }
    }

    /// Returns whether its network contains an address.
    pub(super) fn contains(&self, at: SocketAddr) -> bool {
        let address = at.ip().to_canonical();
        let contains = |network: &IpNet| network.contains(&address);
        self.network().is_some_and(contains) && self.has_port(at.port())
    }
}

impl FromText for HostPattern {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text.contains("://") || text.contains('@') {
            return Err(Invalid::new(
                "is not a host",
                "write a host name, a glob or a network, without a scheme",
            ));
        }
        if let Some(pattern) = bracketed(text) {
            return pattern;
        }
        if let Some(network) = network_of(text) {
            return Ok(Self::network_at(network, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        if let Some(network) = network_of(host) {
            return Ok(Self::network_at(network, port));
        }
        if host.contains('/') {
            return Err(Invalid::new(
                "is not a network",
                "write an address and a prefix, such as 10.0.0.0/16",
            ));
        }
        if is_part_of_addresses(host) {
            return Err(Invalid::new(
                "would also match names such as 10.0.0.1.example",
                "write a network, such as 10.0.0.0/16",
            ));
        }
        let hosts = Hosts::Glob(glob(&host.to_ascii_lowercase())?);
        Ok(Self { hosts, port })
    }
}

impl HostPattern {
    const fn network_at(network: IpNet, port: Option<u16>) -> Self {
        let hosts = Hosts::Network(network);
        Self { hosts, port }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.hosts, self.port) {
            (Hosts::Glob(pattern), _) => f.write_str(pattern.as_glob().unwrap_or_default())?,
            (Hosts::Network(network @ IpNet::V6(_)), Some(_)) => write!(f, "[{network}]")?,
            (Hosts::Network(network), _) => write!(f, "{network}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Reads an address or a network in brackets, such as `[fd00::1]:6379`. Returns `None` for a glob
/// that starts with a class of characters.
fn bracketed(text: &str) -> Option<Result<HostPattern, Invalid>> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    let network = network_of(inner)?;
    let port = match rest.strip_prefix(':') {
        Some(port) => parse_port(port).map(Some),
        None if rest.is_empty() => Ok(None),
        None => return None,
    };
    Some(port.map(|port| HostPattern::network_at(network, port)))
}

/// Parses an address, or an address with the length of its prefix.
fn network_of(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(address)
}

fn parse_port(text: &str) -> Result<u16, Invalid> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if is_number && port > 0 => Ok(port),
        _ => Err(Invalid::new(
            "has a port that is not a number from 1 to 65535",
            "write host:port, such as redis-*:6379, or [fd00::1]:6379",
        )),
    }
}

/// Returns whether a glob seems to be meant for addresses.
fn is_part_of_addresses(text: &str) -> bool {
    let is_numeric = |byte: u8| byte.is_ascii_digit() || b".*?[]-:".contains(&byte);
    text.bytes().all(is_numeric) && text.contains(['.', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_names_and_networks_match_addresses() {
        for (pattern, host, is_match) in [
            ("*.shop.internal", "a.shop.internal", true),
            ("*.shop.internal", "A.Shop.Internal", true),
            ("*.shop.internal", "shop.internal.evil", false),
            ("10.0.0.0/16", "10.0.3.4", true),
            ("10.0.0.0/16", "::ffff:10.0.3.4", true),
            ("10.0.0.0/16", "10.1.0.0", false),
            ("10.0.0.0/16", "10.0.0.0.example", false),
            ("10.0.0.0/16", "10.0.0.0%.example", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.77", false),
            ("fd00::/8", "fd12::1", true),
            ("fe80::/10", "fe80::1%eth0", true),
            ("*", "anything", true),
            ("[ab].internal", "a.internal", true),
            ("[fd00::/8]", "fd12::1", true),
        ] {
            let found = HostPattern::from_text(pattern).unwrap().matches(host, 6379);
            assert_eq!(found, is_match, "{pattern} {host}");
        }
    }

    #[test]
    fn a_port_restricts_a_pattern() {
        for (pattern, host) in [
            ("redis-*.svc:6379", "redis-1.svc"),
            ("10.0.0.0/16:6379", "10.0.3.4"),
            ("10.0.0.7:6379", "10.0.0.7"),
            ("[fd00::/8]:6379", "fd12::1"),
            ("[fd00::1]:6379", "fd00::1"),
            ("[ab]:6379", "a"),
            ("*:6379", "anything"),
        ] {
            let pattern = HostPattern::from_text(pattern).unwrap();
            assert!(pattern.matches(host, 6379), "{pattern:?}");
            assert!(!pattern.matches(host, 6380), "{pattern:?}");
            let again = HostPattern::from_text(&pattern.to_string());
            assert_eq!(again.as_ref(), Ok(&pattern));
        }
    }

    #[test]
    fn other_texts_are_invalid() {
        for text in [
            "",
            "10.0.0.0/33",
            "redis://a",
            "u:p@a",
            "a/b",
            "a/8",
            "a[b",
            "10.*",
            "10.0.0.?",
            ":6379",
            "a:",
            "a:b",
            "a:0",
            "a:65536",
            "a:+1",
            "10.*:6379",
            "[fd00::1]:x",
            "10.0.0.0/x",
            "::/129",
        ] {
            assert!(HostPattern::from_text(text).is_err(), "{text}");
        }
    }
}
