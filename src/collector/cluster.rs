//! CLUSTER INFO: the state of a cluster as seen by one node.
//!
//! The reply has the form of INFO, and its rows are next to those of INFO.

use super::{Collector, Query, Read, Replies, Server, info};
use crate::info::Info;
use crate::metric::Snapshot;
use crate::reply::Reply;

/// Queries a node for its view of the cluster.
pub static CLUSTER_INFO: Query = Query::new(&[&["CLUSTER", "INFO"]], "+cluster|info");

/// Reads the state of the cluster. Its families belong to the collector `info`.
pub static COLLECTOR: Collector = Collector {
    name: "cluster",
    about: "Plain fields of CLUSTER INFO, on cluster nodes.",
    queries: &[&CLUSTER_INFO],
    applies: Server::is_cluster_node,
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    if let Some(text) = replies.reply(&CLUSTER_INFO).and_then(Reply::text) {
        info::read_fields(&Info::parse(text), snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cluster_nodes_are_queried() {
        let of = |info| (COLLECTOR.applies)(&Server::from_info(&Info::parse(info)));
        assert!(of("redis_mode:cluster\r\n") && of("cluster_enabled:1\r\n"));
        assert!(!of("redis_mode:standalone\r\ncluster_enabled:0\r\n"));
    }
}
