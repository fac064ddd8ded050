//! Runs a cluster of real servers.

use super::RedisServer;
use super::redis::Client;
use super::server::Server;
use super::wait::{LONG, until};

/// The last slot of each of three shards.
const ENDS: [u16; 3] = [5460, 10922, 16383];

/// Settings of each node: quick failovers and synchronizations.
const SETTINGS: &[&str] = &[
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1500",
    "--cluster-replica-validity-factor",
    "0",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
];

/// A cluster of three shards, each with a primary and a replica.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes: three primaries, then their replicas in the same order, then later ones.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts six nodes, and waits until the cluster is healthy and all replicas are in sync.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Does the same with further arguments for each node.
    pub fn start_with(further: &[&str]) -> Self {
        let node = |_| RedisServer::start(&[SETTINGS, further].concat());
        Self::of((0..6).map(node).collect(), |node| {
            ("127.0.0.1".to_owned(), node.port)
        })
    }

    /// Does the same with this program, and with further arguments that differ between the nodes.
    /// `bus` returns the address at which the others reach a node.
    pub fn start_each(
        program: Server,
        further: impl Fn() -> Vec<String>,
        bus: impl Fn(&RedisServer) -> (String, u16),
    ) -> Self {
        let node = |_| {
            let further = further();
            let further: Vec<&str> = further.iter().map(String::as_str).collect();
            RedisServer::start_as(program, &[SETTINGS, &further].concat())
        };
        Self::of((0..6).map(node).collect(), bus)
    }

    fn of(nodes: Vec<RedisServer>, bus: impl Fn(&RedisServer) -> (String, u16)) -> Self {
        let cluster = Self { nodes };
        let mut first = 0;
        for (at, last) in ENDS.into_iter().enumerate() {
            let primary = &cluster.nodes[at];
            let epoch = (at + 1).to_string();
            primary.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            let slots = [first.to_string(), last.to_string()];
            primary.ask(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]);
            first = last + 1;
        }
        for node in &cluster.nodes[1..] {
            let (host, port) = bus(node);
            cluster.nodes[0].ask(&["CLUSTER", "MEET", &host, &port.to_string()]);
        }
        cluster.until_known(6);
        for at in 0..3 {
            let primary = id(&cluster.nodes[at]);
            until(LONG, "a replica to know its primary", || {
                let replicate = ["CLUSTER", "REPLICATE", &primary];
                let mut client = Client::connect(cluster.nodes[at + 3].port).ok()?;
                client.try_ask(&replicate).ok()?.ok()
            });
        }
        cluster.until_healthy();
        cluster
    }

    /// Introduces a node to the first one.
    pub fn meet(&self, node: &RedisServer) {
        let port = node.port.to_string();
        self.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    }

    /// Starts an empty node that is not part of the cluster yet.
    pub fn spare() -> RedisServer {
        RedisServer::start(SETTINGS)
    }

    /// Makes all nodes but itself forget a node.
    pub fn forget(&self, node: &RedisServer) {
        let gone = id(node);
        for other in self.nodes.iter().filter(|other| other.port != node.port) {
            if let Ok(mut client) = Client::connect(other.port) {
                let _ = client.try_ask(&["CLUSTER", "FORGET", &gone]);
            }
        }
    }

    /// Waits until every node knows this many.
    pub fn until_known(&self, count: usize) {
        until(LONG, "the nodes to know each other", || {
            let knows = |node: &RedisServer| {
                let nodes = node.ask(&["CLUSTER", "NODES"]);
                let lines = nodes.lines().filter(|line| !line.contains("handshake"));
                lines.count() == count
            };
            self.nodes.iter().all(knows).then_some(())
        });
    }

    /// Waits until all slots are served and all replicas are in sync.
    pub fn until_healthy(&self) {
        until(LONG, "a healthy cluster", || {
            let is_ok = |node: &RedisServer| {
                let info = node.ask(&["CLUSTER", "INFO"]);
                let link = node.info("master_link_status");
                info.contains("cluster_state:ok") && link.is_none_or(|link| link == "up")
            };
            self.nodes.iter().all(is_ok).then_some(())
        });
    }

    /// Sets keys on the nodes that own them.
    pub fn fill(&self, prefix: &str, count: u32) {
        let connect = |node: &RedisServer| Client::connect(node.port).ok();
        let mut clients: Vec<_> = self.nodes.iter().filter_map(connect).collect();
        for number in 0..count {
            let key = format!("{prefix}{number}");
            let mut set =
                |client: &mut Client| client.try_ask(&["SET", &key, "x"]).unwrap().is_ok();
            assert!(clients.iter_mut().any(&mut set), "{key}");
        }
    }
}

/// Returns the id of a node.
pub fn id(node: &RedisServer) -> String {
    node.ask(&["CLUSTER", "MYID"])
}
