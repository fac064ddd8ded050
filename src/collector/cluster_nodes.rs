//! CLUSTER SHARDS and CLUSTER LINKS: the state of each cluster node as seen by this node, and the
//! buffers of its links to other nodes.

use super::{Collector, Flavor, Query, Read, Replies, Server, float};
use crate::label::OTHER;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::reply::Reply;
use std::borrow::Cow;

/// Queries the shards with their nodes.
pub static SHARDS: Query = Query::new(&[&["CLUSTER", "SHARDS"]], "+cluster|shards");

/// Queries the links to other nodes.
pub static LINKS: Query = Query::new(&[&["CLUSTER", "LINKS"]], "+cluster|links");

/// Maximum number of published nodes. The limit of links is twice this.
const NODES_MAX: usize = 256;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static HEALTH: Family<4> = Family::gauge("redis_cluster_node_health", &["node", "address", "primary", "health"], source("CLUSTER SHARDS", "health"), Unit::One, "State of a node from the view of this node: online, loading, fail or other; always 1.");
    pub(super) static OFFSET: Family<3> = Family::gauge("redis_cluster_node_replication_offset_bytes", &["node", "address", "primary"], source("CLUSTER SHARDS", "replication-offset"), Unit::Bytes, "Replication offset of a node, from the view of this node; compare it with the offset of its primary.");
    pub(super) static BUFFER: Family<2> = Family::gauge("redis_cluster_link_send_buffer_bytes", &["node", "direction"], source("CLUSTER LINKS", "send-buffer-allocated"), Unit::Bytes, "Memory of the send buffer of the link to a node.");
    pub(super) static BUFFER_USED: Family<2> = Family::gauge("redis_cluster_link_send_buffer_used_bytes", &["node", "direction"], source("CLUSTER LINKS", "send-buffer-used"), Unit::Bytes, "Bytes in the send buffer of the link to a node.");
    pub(super) static CREATED: Family<2> = Family::gauge("redis_cluster_link_created_timestamp_seconds", &["node", "direction"], source("CLUSTER LINKS", "create-time"), Unit::Milliseconds, "Time at which the link to a node was created, in seconds since the epoch.");
    pub(super) static DROPPED: Family<0> = Family::gauge("redis_cluster_nodes_dropped", &[], source("CLUSTER SHARDS", ""), Unit::One, "Cluster nodes that are not exported because of the limit.");
}

static OF_LINK: &[&Family<2>] = &[&rows::BUFFER, &rows::BUFFER_USED, &rows::CREATED];

/// Known states; others become `other`.
const STATES: &[&str] = &["online", "loading", "fail"];

/// Reads nodes and links. Across a cluster, this is 8 series for each pair of nodes.
pub static COLLECTOR: Collector = Collector {
    name: "cluster_nodes",
    about: "Health, replication offset and links of each node of the cluster, as this node sees them (Redis 7.0 and later). A poll takes 21 µs of server time in a cluster of six nodes.",
    queries: &[&SHARDS, &LINKS],
    applies,
    families,
    read: Read::Samples(read),
    ..Collector::OFF
};

fn applies(server: &Server) -> bool {
    let is_known = match server.flavor {
        Flavor::Redis => server.version >= (7, 0),
        Flavor::Valkey => true,
        Flavor::KeyDb | Flavor::Tile38 => false,
    };
    is_known && server.is_cluster_node()
}

fn families() -> Vec<&'static Descriptor> {
    let of_link = OF_LINK.iter().map(|family| family.descriptor());
    [
        rows::HEALTH.descriptor(),
        rows::OFFSET.descriptor(),
        rows::DROPPED.descriptor(),
    ]
    .into_iter()
    .chain(of_link)
    .collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    if let Some(shards) = replies.reply(&SHARDS) {
        read_shards(shards.items(), snapshot);
    }
    let links = replies.reply(&LINKS).map(Reply::items).unwrap_or_default();
    for link in links.iter().take(2 * NODES_MAX) {
        read_link(link, snapshot);
    }
}

fn read_shards(shards: &[Reply], snapshot: &mut Snapshot) {
    let mut count: usize = 0;
    for shard in shards {
        let nodes = shard
            .value_of("nodes")
            .map(Reply::items)
            .unwrap_or_default();
        let primary = nodes
            .iter()
            .find(|node| matches!(text(node, "role").as_ref(), "master" | "primary"));
        let primary = primary.map(|node| text(node, "id")).unwrap_or_default();
        for node in nodes {
            count += 1;
            if count <= NODES_MAX {
                read_node(node, &primary, snapshot);
            }
        }
    }
    let dropped = count.saturating_sub(NODES_MAX);
    snapshot.push(&rows::DROPPED, [], float(dropped as u64));
}

fn read_node(node: &Reply, primary: &str, snapshot: &mut Snapshot) {
    let (id, address) = (text(node, "id"), address(node));
    let health = text(node, "health").to_ascii_lowercase();
    // The Redis documentation uses the longer word.
    let health = health.trim_end_matches("ed");
    let known = STATES.iter().find(|state| **state == health);
    let health = known.copied().unwrap_or(OTHER);
    snapshot.push(&rows::HEALTH, [&id, &address, primary, health], 1.0);
    let offset = node.value_of("replication-offset").and_then(Reply::number);
    snapshot.push(&rows::OFFSET, [&id, &address, primary], offset);
}

/// Returns the IP address that the node announces or, if that is unknown, its endpoint.
fn address(node: &Reply) -> String {
    let (ip, endpoint) = (text(node, "ip"), text(node, "endpoint"));
    let host = if ip.is_empty() { endpoint } else { ip };
    let port = ["port", "tls-port"].iter().find_map(|name| {
        let port = node.value_of(name)?.integer()?;
        (port > 0).then_some(port)
    });
    port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

fn read_link(link: &Reply, snapshot: &mut Snapshot) {
    let (node, direction) = (text(link, "node"), text(link, "direction"));
    for family in OF_LINK {
        let value = link.value_of(family.field());
        snapshot.push(family, [&node, &direction], value.and_then(Reply::number));
    }
}

fn text<'a>(pairs: &'a Reply, name: &str) -> Cow<'a, str> {
    pairs
        .value_of(name)
        .and_then(Reply::text)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Circumstances;
    use crate::collector::reading::{self, bytes};
    use crate::info::Info;

    fn pairs(of: &[(&str, Reply)]) -> Reply {
        let pairs = of.iter();
        Reply::List(
            pairs
                .flat_map(|(name, value)| [bytes(name), value.clone()])
                .collect(),
        )
    }

    fn node(id: &str, role: &str, offset: i64, health: &str) -> Reply {
        pairs(&[
            ("id", bytes(id)),
            ("port", Reply::Integer(7000)),
            ("ip", bytes("10.0.0.1")),
            ("endpoint", Reply::Nil),
            ("role", bytes(role)),
            ("replication-offset", Reply::Integer(offset)),
            ("health", bytes(health)),
        ])
    }

    fn shard(nodes: Vec<Reply>) -> Reply {
        let slots = Reply::List(vec![Reply::Integer(0), Reply::Integer(16_383)]);
        pairs(&[("slots", slots), ("nodes", Reply::List(nodes))])
    }

    fn seen(shards: Vec<Reply>, links: Vec<Reply>) -> Vec<String> {
        let replies = [(&SHARDS, Reply::List(shards)), (&LINKS, Reply::List(links))];
        reading::of(&COLLECTOR, "", Circumstances::default(), &replies)
    }

    #[test]
    fn nodes_have_health_and_primary() {
        let nodes = vec![
            node("b", "replica", 90, "loading"),
            node("a", "master", 100, "online"),
            node("c", "replica", 0, "failed"),
        ];
        let expected = [
            "redis_cluster_node_health{a,10.0.0.1:7000,a,online} 1",
            "redis_cluster_node_health{b,10.0.0.1:7000,a,loading} 1",
            "redis_cluster_node_health{c,10.0.0.1:7000,a,fail} 1",
            "redis_cluster_node_replication_offset_bytes{a,10.0.0.1:7000,a} 100",
            "redis_cluster_node_replication_offset_bytes{b,10.0.0.1:7000,a} 90",
            "redis_cluster_node_replication_offset_bytes{c,10.0.0.1:7000,a} 0",
            "redis_cluster_nodes_dropped{} 0",
        ];
        assert_eq!(seen(vec![shard(nodes)], Vec::new()), expected);
    }

    #[test]
    fn links_have_buffers() {
        let link = pairs(&[
            ("direction", bytes("to")),
            ("node", bytes("b")),
            ("create-time", Reply::Integer(1_795_442_083_427)),
            ("events", bytes("r")),
            ("send-buffer-allocated", Reply::Integer(4_096)),
            ("send-buffer-used", Reply::Integer(12)),
        ]);
        let expected = [
            "redis_cluster_link_created_timestamp_seconds{b,to} 1795442083427",
            "redis_cluster_link_send_buffer_bytes{b,to} 4096",
            "redis_cluster_link_send_buffer_used_bytes{b,to} 12",
            "redis_cluster_nodes_dropped{} 0",
        ];
        assert_eq!(seen(Vec::new(), vec![link]), expected);
    }

    #[test]
    fn nodes_beyond_the_limit_are_counted() {
        let nodes = (0..NODES_MAX + 7).map(|id| node(&id.to_string(), "master", 1, "online"));
        let seen = seen(vec![shard(nodes.collect())], Vec::new());
        assert_eq!(seen.len(), 2 * NODES_MAX + 1);
        assert!(seen.contains(&"redis_cluster_nodes_dropped{} 7".to_owned()));
    }

    #[test]
    fn only_nodes_with_cluster_shards_are_queried() {
        let of = |info: &str| applies(&Server::from_info(&Info::parse(info)));
        assert!(of("redis_version:7.0.15\r\ncluster_enabled:1\r\n"));
        assert!(!of("redis_version:6.2.16\r\ncluster_enabled:1\r\n"));
        assert!(!of("redis_version:7.0.15\r\ncluster_enabled:0\r\n"));
    }
}
