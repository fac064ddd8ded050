//! Joins the replies of one cluster node into the members of the cluster. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::{ClusterNode, parse};
use super::preferred::{Preferred, PreferredHost, PreferredHosts};
use super::{AddressMap, HostPort, MemberRole, TopologyMember, distinct};
use crate::info::Info;

/// Number of characters of a shard's id in labels.
const SHARD_ID_CHARS: usize = 8;

/// How much a server knows about its group. The greatest one wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    /// Whether a node reports that all slots are served, or a sentinel that its primaries are up.
    pub is_ok: bool,
    /// The configuration epoch, which grows with each failover.
    pub epoch: u64,
}

impl Authority {
    /// Reads the reply to CLUSTER INFO.
    #[must_use]
    pub fn from_info(text: &str) -> Self {
        let info = Info::parse(text);
        let epoch = info.get("cluster_current_epoch");
        Self {
            is_ok: info.get("cluster_state") == Some("ok"),
            epoch: epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(0),
        }
    }
}

/// The last known shard of each node, by node id.
pub type KnownShards = BTreeMap<String, String>;

/// Returns the members, sorted by address.
///
/// A failed primary that lost its slots keeps its last shard. `known` is updated.
#[must_use]
pub fn members(
    nodes_text: &str,
    preferred: &PreferredHosts,
    dialed: &HostPort,
    map: &AddressMap,
    known: &mut KnownShards,
) -> Vec<TopologyMember> {
    let nodes = parse(nodes_text);
    let habit = Habit::of(&nodes, preferred);
    let shards = shards(&nodes, preferred, known);
    let with_slots: BTreeSet<&str> = nodes
        .iter()
        .filter(|node| node.first_slot.is_some())
        .map(|node| node.id.as_str())
        .collect();
    let members = nodes.iter().filter_map(|node| {
        let details = preferred.get(&node.id);
        let host = details.map_or_else(|| habit.host(node), |details| details.host.clone());
        let at = HostPort::new(reachable(node, &host, dialed)?, node.port)?;
        let source = node.primary.as_ref().unwrap_or(&node.id);
        let is_replica = node.role == MemberRole::Replica;
        let is_online = details.is_some_and(|details| details.is_online);
        Some(TopologyMember {
            at: map.get(&at).cloned().unwrap_or(at),
            node_id: node.id.clone(),
            role: node.role,
            shard: shards.get(&node.id).cloned().unwrap_or_default(),
            is_failing: node.is_failing,
            is_in_sync: is_replica && is_online && node.is_linked && !node.is_failing,
            has_keys: with_slots.contains(source.as_str()),
        })
    });
    let members = distinct(members.collect());
    *known = shards;
    members
}

/// Replaces the preferred host of each node that announces a host name.
pub fn prefer_hostnames(nodes_text: &str, preferred: &mut PreferredHosts) {
    for node in parse(nodes_text) {
        if node.hostname.is_empty() {
            continue;
        }
        let host = PreferredHost::Named(node.hostname);
        let details = preferred.entry(node.id).or_insert_with(|| Preferred {
            host: PreferredHost::Unknown,
            shard_id: String::new(),
            is_online: false,
        });
        details.host = host;
    }
}

/// Returns the usable host of a node: the preferred one, else its IP address. Only the node that
/// replied may be at the dialed host if it knows no address of its own.
fn reachable<'a>(
    node: &'a ClusterNode,
    preferred: &'a PreferredHost,
    dialed: &'a HostPort,
) -> Option<&'a str> {
    match preferred {
        PreferredHost::Named(host) => Some(host),
        PreferredHost::Dialed => Some(&dialed.host),
        PreferredHost::Unknown if !node.ip.is_empty() => Some(&node.ip),
        PreferredHost::Unknown => node.is_myself.then_some(dialed.host.as_str()),
    }
}

/// How most nodes want to be reached. It applies to nodes without details: empty primaries and
/// replicas without data, if the server has only CLUSTER SLOTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Ip,
    Hostname,
    DialedHost,
}

impl Habit {
    /// Ignores the node that replied, because it may not know its own address.
    fn of(nodes: &[ClusterNode], preferred: &PreferredHosts) -> Self {
        let others = || nodes.iter().filter(|node| !node.is_myself);
        let hosts = || others().filter_map(|node| Some((node, &preferred.get(&node.id)?.host)));
        let has_name = |node: &ClusterNode, host: &PreferredHost| {
            let name = PreferredHost::Named(node.hostname.clone());
            !node.hostname.is_empty() && node.hostname != node.ip && *host == name
        };
        if hosts().any(|(_, host)| *host == PreferredHost::Dialed) {
            Self::DialedHost
        } else if hosts().any(|(node, host)| has_name(node, host)) {
            Self::Hostname
        } else {
            Self::Ip
        }
    }

    fn host(self, node: &ClusterNode) -> PreferredHost {
        match self {
            Self::Hostname if !node.hostname.is_empty() => {
                PreferredHost::Named(node.hostname.clone())
            }
            Self::DialedHost => PreferredHost::Dialed,
            Self::Hostname | Self::Ip => PreferredHost::Unknown,
        }
    }
}

/// Returns the shard of each node: the start of its id, else the first slot of its primary, else the
/// last known one.
fn shards(nodes: &[ClusterNode], preferred: &PreferredHosts, known: &KnownShards) -> KnownShards {
    let by_id: BTreeMap<&str, &ClusterNode> =
        nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let own = |node: &ClusterNode| {
        let reported = preferred.get(&node.id).map(|details| &details.shard_id);
        let mut ids = reported.into_iter().chain([&node.shard_id]);
        if let Some(id) = ids.find(|id| !id.is_empty()) {
            return Some(id.chars().take(SHARD_ID_CHARS).collect());
        }
        node.first_slot.map(|slot| slot.to_string())
    };
    let of = |node: &ClusterNode| {
        let primary = node.primary.as_deref().and_then(|id| by_id.get(id));
        own(node)
            .or_else(|| own(primary?))
            .or_else(|| known.get(&node.id).cloned())
            .or_else(|| known.get(node.primary.as_ref()?).cloned())
    };
    nodes
        .iter()
        .filter_map(|node| Some((node.id.clone(), of(node)?)))
        .collect()
}

#[cfg(test)]
mod tests;
