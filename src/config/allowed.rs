//! The addresses that may be dialed if a server names them, and not the configuration. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::problem::Invalid;
use super::row::FromText;
use crate::glob::Glob;

/// Addresses of the metadata services of clouds, which hand out credentials.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// A rule of `discover.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowRule {
    /// The addresses that share this number of leading bits.
    Network(IpAddr, u8),
    /// Hosts whose name matches.
    Name(Glob),
}

impl FromText for AllowRule {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let invalid = || {
            let remedy = "write a network or a pattern, such as 10.0.0.0/16 or *.shop.internal";
            Err(Invalid::new("is not a network", remedy))
        };
        match (address.parse::<IpAddr>(), bits) {
            (Ok(address), bits) => {
                let most = if address.is_ipv4() { 32 } else { 128 };
                match bits.map_or(Ok(most), str::parse) {
                    Ok(bits) if bits <= most => Ok(Self::Network(address, bits)),
                    _ => invalid(),
                }
            }
            (Err(_), None) if is_part_of_addresses(text) => Err(Invalid::new(
                "would also match names such as 10.0.0.1.example",
                "write a network, such as 10.0.0.0/16",
            )),
            (Err(_), None) if !text.is_empty() => {
                Ok(Self::Name(Glob::new(text.to_ascii_lowercase())))
            }
            _ => invalid(),
        }
    }
}

/// The addresses that may be dialed.
///
/// Without rules, these are all but loopback, link-local and metadata addresses. With rules, the
/// address is in one of the networks, or the name matches and the address is not one of those.
#[derive(Clone, Debug, Default)]
pub struct AllowedAddresses {
    rules: Vec<AllowRule>,
    /// Whether a configured server has such an address.
    has_loopback: bool,
    has_link_local: bool,
}

/// Only the rules count. The rest depends on the servers that have replied so far, and must not make
/// a running target a different one.
impl PartialEq for AllowedAddresses {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for AllowedAddresses {}

impl AllowedAddresses {
    /// Returns the addresses that these rules allow.
    #[must_use]
    pub const fn new(rules: Vec<AllowRule>) -> Self {
        Self {
            rules,
            has_loopback: false,
            has_link_local: false,
        }
    }

    /// Adds addresses of the kind of a configured server.
    #[must_use]
    pub fn with_configured(mut self, address: IpAddr) -> Self {
        self.has_loopback |= is_loopback(address.to_canonical());
        self.has_link_local |= is_link_local(address.to_canonical());
        self
    }

    /// Returns whether a host with this name or address may be dialed at this address.
    #[must_use]
    pub fn allows(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let reached = reached(address);
        let is_harmless = !(METADATA.contains(&reached)
            || is_loopback(reached) && !self.has_loopback
            || is_link_local(reached) && !self.has_link_local);
        let allows = |rule: &AllowRule| match rule {
            AllowRule::Network(network, bits) => is_within(address, *network, *bits),
            AllowRule::Name(name) => {
                is_harmless && name.matches(host.to_ascii_lowercase().as_bytes())
            }
        };
        (self.rules.is_empty() && is_harmless) || self.rules.iter().any(allows)
    }

    /// Returns whether a host may be dialed, as far as that is known before its name is resolved.
    #[must_use]
    pub fn may_allow(&self, host: &str) -> bool {
        let (address, _zone) = host.split_once('%').unwrap_or((host, ""));
        if let Ok(address) = address.parse::<IpAddr>() {
            return self.allows(host, address);
        }
        let may_allow = |rule: &AllowRule| match rule {
            AllowRule::Network(..) => true,
            AllowRule::Name(name) => name.matches(host.to_ascii_lowercase().as_bytes()),
        };
        self.rules.is_empty() || self.rules.iter().any(may_allow)
    }
}

/// Returns whether a glob seems to be meant for addresses.
pub(super) fn is_part_of_addresses(text: &str) -> bool {
    let is_numeric = |byte: u8| byte.is_ascii_digit() || b".*?[]-:".contains(&byte);
    text.bytes().all(is_numeric) && text.contains(['.', ':'])
}

/// Returns the IPv4 address that an IPv6 address leads to through NAT64 or 6to4, or that it contains
/// in the obsolete compatible form.
fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => address,
    }
}

/// The unspecified address and its network reach this machine too.
fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.octets().first() == Some(&0),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shared = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    shared >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rules: &[&str]) -> AllowedAddresses {
        AllowedAddresses::new(
            rules
                .iter()
                .map(|rule| AllowRule::from_text(rule).unwrap())
                .collect(),
        )
    }

    fn allows(allowed: &AllowedAddresses, host: &str, address: &str) -> bool {
        allowed.allows(host, address.parse().unwrap())
    }

    #[test]
    fn by_default_local_and_metadata_addresses_are_refused() {
        let allowed = of(&[]);
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "8.8.8.8",
            "2001:db8::1",
            "fd00::1",
        ] {
            assert!(allows(&allowed, "h", address), "{address}");
            assert!(allowed.may_allow(address));
        }
        let refused = [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "169.254.1.1",
            "fe80::1",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "169.254.170.2",
            "fd20:ce::254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "::127.0.0.1",
        ];
        for address in refused {
            assert!(!allows(&allowed, "h", address), "{address}");
            assert!(!allowed.may_allow(address), "{address}");
        }
        assert!(!allowed.may_allow("fe80::1%eth0"));
        assert!(allowed.may_allow("any.name"));
    }

    #[test]
    fn kind_of_a_configured_address_is_allowed() {
        let local = of(&[]).with_configured("127.0.0.1".parse().unwrap());
        assert!(allows(&local, "h", "::1") && !allows(&local, "h", "169.254.1.1"));
        let link = of(&[]).with_configured("169.254.1.1".parse().unwrap());
        assert!(allows(&link, "h", "169.254.7.7") && !allows(&link, "h", "169.254.169.254"));
        assert!(!allows(&link, "h", "127.0.0.1"));
    }

    #[test]
    fn replies_of_servers_do_not_change_the_rules() {
        let learned = of(&["*.a"]).with_configured("127.0.0.1".parse().unwrap());
        assert_eq!(learned, of(&["*.a"]));
        assert_ne!(learned, of(&["*.b"]));
        assert!(of(&["*.A"]).may_allow("x.a") && of(&["*.a"]).may_allow("x.A"));
    }

    #[test]
    fn rules_restrict_addresses() {
        let allowed = of(&[
            "10.0.0.0/16",
            "*.shop.internal",
            "2001:db8::/32",
            "10.9.9.9",
        ]);
        for (host, address, expected) in [
            ("x", "10.0.255.1", true),
            ("x", "10.1.0.1", false),
            ("x", "10.9.9.9", true),
            ("x", "2001:db8:1::1", true),
            ("x", "2001:db9::1", false),
            ("a.shop.internal", "8.8.8.8", true),
            // The name does not make a harmful address harmless.
            ("a.shop.internal", "127.0.0.1", false),
            ("a.shop.internal", "169.254.169.254", false),
            ("shop.internal.evil", "8.8.8.8", false),
        ] {
            assert_eq!(
                allows(&allowed, host, address),
                expected,
                "{host} {address}"
            );
        }
        assert!(!of(&["*.a"]).may_allow("b") && of(&["*.a"]).may_allow("b.a"));
        assert!(allows(&of(&["127.0.0.0/8"]), "x", "127.0.0.1"));
        assert!(allows(&of(&["0.0.0.0/0"]), "x", "127.0.0.1"));
    }

    #[test]
    fn invalid_rules_are_reported() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/x", "a/8", "::/129", "10.*"] {
            assert!(AllowRule::from_text(text).is_err(), "{text}");
        }
    }
}
