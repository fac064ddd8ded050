//! The addresses that may be dialed if a server names them, and not the configuration. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::host_pattern::HostPattern;

/// Addresses of the metadata services of clouds, which hand out credentials.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The addresses that may be dialed.
///
/// Without rules, these are all but loopback, link-local and metadata addresses. With rules, the
/// address is in one of the networks, or the name matches and the address is not one of those.
#[derive(Clone, Debug, Default)]
pub struct AllowedAddresses {
    rules: Vec<HostPattern>,
    /// Whether a network includes such an address only if it consists of nothing else.
    is_literal: bool,
    /// Whether a configured server has such an address.
    has_loopback: bool,
    has_link_local: bool,
}

/// Only the rules count. The rest depends on the servers that have replied so far, and must not make
/// a running target a different one.
impl PartialEq for AllowedAddresses {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules && self.is_literal == other.is_literal
    }
}

impl Eq for AllowedAddresses {}

impl AllowedAddresses {
    /// Returns the addresses that these rules allow.
    #[must_use]
    pub const fn new(rules: Vec<HostPattern>) -> Self {
        Self {
            rules,
            is_literal: false,
            has_loopback: false,
            has_link_local: false,
        }
    }

    /// Returns the addresses that these rules allow to clients of the exporter. At least one rule
    /// matches each of them, and a wide network such as `0.0.0.0/0` includes no local address.
    #[must_use]
    pub const fn for_clients(rules: Vec<HostPattern>) -> Self {
        let mut allowed = Self::new(rules);
        allowed.is_literal = true;
        allowed
    }

    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &[HostPattern] {
        &self.rules
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
    pub fn allows(&self, host: &str, at: SocketAddr) -> bool {
        let is_harmless = self.is_harmless(at.ip());
        let allows = |rule: &HostPattern| match rule.network() {
            Some(network) if self.is_literal && !is_harmless => {
                is_local_only(network) && rule.contains(at)
            }
            Some(_) => rule.contains(at),
            None => is_harmless && rule.matches_name(host) && rule.has_port(at.port()),
        };
        (self.is_unrestricted() && is_harmless) || self.rules.iter().any(allows)
    }

    /// Returns whether a host may be dialed, as far as that is known before its name is resolved.
    #[must_use]
    pub fn may_allow(&self, host: &str, port: u16) -> bool {
        if let Some(address) = address_of(host) {
            return self.allows(host, SocketAddr::new(address, port));
        }
        let may_allow = |rule: &HostPattern| {
            // A name of a client is only resolved if a rule matches the name.
            let has_host = match rule.network() {
                Some(_) => !self.is_literal,
                None => rule.matches_name(host),
            };
            has_host && rule.has_port(port)
        };
        self.is_unrestricted() || self.rules.iter().any(may_allow)
    }

    const fn is_unrestricted(&self) -> bool {
        self.rules.is_empty() && !self.is_literal
    }

    fn is_harmless(&self, address: IpAddr) -> bool {
        let reached = reached(address.to_canonical());
        !(METADATA.contains(&reached)
            || is_loopback(reached) && !self.has_loopback
            || is_link_local(reached) && !self.has_link_local)
    }
}

/// Returns the address if a host is one and not a name. An IPv6 address may have a zone; a text such
/// as `10.0.0.1%.example` is a name, and may resolve to any address.
pub(super) fn address_of(host: &str) -> Option<IpAddr> {
    let address = match host.split_once('%') {
        Some((address, _)) => address.parse().ok().map(IpAddr::V6)?,
        None => host.parse().ok()?,
    };
    Some(address.to_canonical())
}

/// Returns whether a network consists of local or metadata addresses, and was therefore meant.
fn is_local_only(network: &IpNet) -> bool {
    let is_local = |address: IpAddr| {
        let reached = reached(address.to_canonical());
        METADATA.contains(&reached) || is_loopback(reached) || is_link_local(reached)
    };
    // No range of local addresses is larger.
    let least = if network.network().is_ipv4() { 8 } else { 10 };
    network.prefix_len() >= least && is_local(network.network()) && is_local(network.broadcast())
}

/// Returns the IPv4 address that an IPv6 address leads to through NAT64, translation (RFC 2765) or 6to4,
/// or that it contains in the obsolete compatible form.
fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
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

#[cfg(test)]
mod tests {
    use super::super::row::FromText as _;
    use super::*;

    fn rules(rules: &[&str]) -> Vec<HostPattern> {
        let rules = rules.iter();
        rules
            .map(|rule| HostPattern::from_text(rule).unwrap())
            .collect()
    }

    fn of(texts: &[&str]) -> AllowedAddresses {
        AllowedAddresses::new(rules(texts))
    }

    fn allows(allowed: &AllowedAddresses, host: &str, address: &str) -> bool {
        allowed.allows(host, SocketAddr::new(address.parse().unwrap(), 6379))
    }

    fn may_allow(allowed: &AllowedAddresses, host: &str) -> bool {
        allowed.may_allow(host, 6379)
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
            assert!(may_allow(&allowed, address));
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
            "fd00:ec2::23",
            "100.100.100.200",
            "169.254.170.2",
            "fd20:ce::254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "64:ff9b:1:2:3:4:a9fe:a9fe",
            "::ffff:0:7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
        ];
        for address in refused {
            assert!(!allows(&allowed, "h", address), "{address}");
            assert!(!may_allow(&allowed, address), "{address}");
        }
        assert!(!may_allow(&allowed, "fe80::1%eth0"));
        assert!(may_allow(&allowed, "any.name"));
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
        assert!(may_allow(&of(&["*.A"]), "x.a") && may_allow(&of(&["*.a"]), "x.A"));
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
        assert!(!may_allow(&of(&["*.a"]), "b") && may_allow(&of(&["*.a"]), "b.a"));
        assert!(allows(&of(&["127.0.0.0/8"]), "x", "127.0.0.1"));
        assert!(allows(&of(&["0.0.0.0/0"]), "x", "127.0.0.1"));
    }

    #[test]
    fn a_port_restricts_a_rule() {
        let allowed = of(&["*.a:6379", "10.0.0.0/16:6379", "127.0.0.1:6379"]);
        for (host, address) in [("x.a", "8.8.8.8"), ("x", "10.0.0.1"), ("x", "127.0.0.1")] {
            let at = |port| SocketAddr::new(address.parse().unwrap(), port);
            assert!(allowed.allows(host, at(6379)), "{host}");
            assert!(!allowed.allows(host, at(22)), "{host}");
        }
        assert!(allowed.may_allow("x.a", 6379) && !allowed.may_allow("x.a", 22));
        assert!(!allowed.may_allow("10.0.0.1", 22));
    }

    #[test]
    fn clients_reach_local_addresses_only_if_these_are_named() {
        let all = AllowedAddresses::for_clients(rules(&["0.0.0.0/0", "::/0", "*"]));
        assert!(allows(&all, "x", "10.0.0.1") && allows(&all, "x", "2001:db8::1"));
        for address in ["127.0.0.1", "0.0.0.0", "169.254.169.254", "::1", "fe80::1"] {
            assert!(!allows(&all, "x", address), "{address}");
            assert!(!may_allow(&all, address), "{address}");
            let named = AllowedAddresses::for_clients(rules(&[address]));
            assert!(allows(&named, "x", address), "{address}");
        }
        for (network, address) in [
            ("127.0.0.0/8", "127.9.9.9"),
            ("169.254.0.0/16", "169.254.1.1"),
            ("fe80::/10", "fe80::1"),
        ] {
            let named = AllowedAddresses::for_clients(rules(&[network]));
            assert!(allows(&named, "x", address), "{address}");
        }
        let half = AllowedAddresses::for_clients(rules(&["0.0.0.0/1", "100.0.0.0/8"]));
        assert!(!allows(&half, "x", "127.0.0.1"));
        assert!(!allows(&half, "x", "100.100.100.200"));
    }

    #[test]
    fn only_ipv6_addresses_have_zones() {
        for (host, is_address) in [
            ("fe80::1%eth0", true),
            ("10.0.0.1", true),
            ("10.0.0.1%eth0", false),
            ("10.0.0.1%.example", false),
        ] {
            assert_eq!(address_of(host).is_some(), is_address, "{host}");
        }
        let networks = AllowedAddresses::for_clients(rules(&["10.0.0.0/16"]));
        assert!(!may_allow(&networks, "10.0.0.1%.example"));
    }

    #[test]
    fn names_of_clients_must_match_a_glob() {
        let allowed = AllowedAddresses::for_clients(rules(&["10.0.0.0/16", "*.a"]));
        assert!(may_allow(&allowed, "x.a") && may_allow(&allowed, "10.0.0.1"));
        assert!(!may_allow(&allowed, "x.b"));
        let none = AllowedAddresses::for_clients(Vec::new());
        assert!(!may_allow(&none, "x") && !allows(&none, "x", "10.0.0.1"));
    }
}
