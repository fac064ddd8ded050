//! Patterns of hosts: globs over names, and networks of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::allowed::is_part_of_addresses;
use super::namespace::glob;
use super::problem::Invalid;
use super::row::FromText;
use crate::pattern::Pattern;

/// Hosts to which something applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Addresses in a network. Names are not resolved.
    Network(IpNet),
    /// Names and addresses that match a Redis glob, in lower case.
    Glob(Pattern),
}

impl HostPattern {
    /// Returns whether it matches a host name or an address.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Network(network) => {
                let address = host.split('%').next().unwrap_or(host);
                let address = address
                    .parse::<IpAddr>()
                    .map(|address| address.to_canonical());
                address.is_ok_and(|address| network.contains(&address))
            }
            Self::Glob(pattern) => pattern.matches(host.to_ascii_lowercase().as_bytes()),
        }
    }
}

impl FromText for HostPattern {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(IpNet::from(address)));
        }
        if text.contains("://") || text.contains('@') {
            return Err(Invalid::new(
                "is not a host",
                "write a host name, a glob or a network, without scheme and port",
            ));
        }
        if text.contains('/') {
            let network = text.parse::<IpNet>().map_err(|_| {
                Invalid::new(
                    "is not a network",
                    "write an address and a prefix, such as 10.0.0.0/16",
                )
            })?;
            return Ok(Self::Network(network));
        }
        if is_part_of_addresses(text) {
            return Err(Invalid::new(
                "would also match names such as 10.0.0.1.example",
                "write a network, such as 10.0.0.0/16",
            ));
        }
        Ok(Self::Glob(glob(&text.to_ascii_lowercase())?))
    }
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
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.77", false),
            ("fd00::/8", "fd12::1", true),
            ("fe80::/10", "fe80::1%eth0", true),
            ("*", "anything", true),
        ] {
            let found = HostPattern::from_text(pattern).unwrap().matches(host);
            assert_eq!(found, is_match, "{pattern} {host}");
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
            "a[b",
            "10.*",
            "10.0.0.?",
        ] {
            assert!(HostPattern::from_text(text).is_err(), "{text}");
        }
    }
}
