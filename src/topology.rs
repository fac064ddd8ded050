//! The servers of a cluster or a replication group, as their members or sentinels report them.
//!
//! `nodes` reads CLUSTER NODES, `preferred` how a node wants to be reached, `cluster` joins both.
//! `sentinel` and `replication` read the other two kinds. `monitored` joins what several sentinels
//! report. `settled` decides when a member is gone, `swept` which member of a shard is swept. Pure.

use std::collections::BTreeMap;
use std::fmt;

pub mod cluster;
pub mod monitored;
pub mod nodes;
pub mod preferred;
pub mod replication;
pub mod sentinel;
pub mod settled;
pub mod swept;

/// A host and a port to connect to. Its text is part of the name of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A host name or an IP address. An IPv6 address has no brackets.
    pub host: String,
    /// The port, from 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// Returns a host with a port, or `None` if one of them cannot be connected to.
    ///
    /// A host has at most 253 bytes: letters and digits of ASCII, and `-_.:%`.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:%".contains(&byte);
        let is_usable =
            !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(is_usual);
        (is_usable && port > 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Parses `host:port`. An IPv6 address may have brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Self::new(bare.unwrap_or(host), port.parse().ok()?)
    }
}

/// Maximum number of members that are read of a reply. Redis clusters have at most 1,000 nodes.
pub const MEMBERS_MAX: usize = 4_096;

/// Maximum length of a host name.
const HOST_BYTES_MAX: usize = 253;

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Addresses to use instead of reported ones, for example behind NAT.
pub type AddressMap = BTreeMap<HostPort, HostPort>;

/// The role of a member, as its cluster or sentinel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberRole {
    /// It accepts writes.
    Primary,
    /// It copies from a primary.
    Replica,
}

impl MemberRole {
    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// A server of a cluster or a replication group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyMember {
    /// The address to connect to.
    pub at: HostPort,
    /// The id of the cluster node, or an empty text outside of clusters.
    pub node_id: String,
    /// Its role.
    pub role: MemberRole,
    /// The id or the first slot of its shard; an empty text if it belongs to none.
    pub shard: String,
    /// Whether it is reported as down or unreachable.
    pub is_failing: bool,
    /// Whether it is a replica that has the data of its primary.
    pub is_in_sync: bool,
    /// Whether it can have keys: its shard has slots.
    pub has_keys: bool,
}

/// The shard of all members outside of clusters: they have all slots.
pub const ONLY_SHARD: &str = "0";

/// Sorts members by address, and keeps one for each address: preferably one that is not down.
fn distinct(mut members: Vec<TopologyMember>) -> Vec<TopologyMember> {
    members.sort_by(|a, b| {
        let rank =
            |member: &TopologyMember| (member.is_failing, member.role, member.node_id.clone());
        a.at.cmp(&b.at).then_with(|| rank(a).cmp(&rank(b)))
    });
    members.dedup_by(|later, earlier| later.at == earlier.at);
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_written() {
        for text in ["10.0.0.1:6379", "shop-1.internal:7000", "[fe80::1%eth0]:1"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HostPort::parse("::1:7000").unwrap().host, "::1");
        let unusable = [
            "", ":1", "a:", "a:0", "a:70000", "a b:1", "a/b:1", "a\n:1", "a",
        ];
        for text in unusable {
            assert_eq!(HostPort::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn one_member_for_each_address() {
        let member = |at: &str, node_id: &str, is_failing| TopologyMember {
            at: HostPort::parse(at).unwrap(),
            node_id: node_id.to_owned(),
            role: MemberRole::Primary,
            shard: String::new(),
            is_failing,
            is_in_sync: false,
            has_keys: true,
        };
        let members = vec![
            member("b:1", "old", true),
            member("b:1", "new", false),
            member("a:1", "x", true),
        ];
        let ids: Vec<_> = distinct(members)
            .into_iter()
            .map(|member| member.node_id)
            .collect();
        assert_eq!(ids, ["x", "new"]);
    }
}
