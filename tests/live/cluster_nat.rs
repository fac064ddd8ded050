//! A cluster whose nodes are reached at other addresses than those that they announce.

use std::collections::BTreeSet;

use crate::support::cluster::{Cluster, id};
use crate::support::server::Server;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, Proxy, RedisServer, until};

/// The address that the nodes announce. Only they may use it.
const INSIDE: &str = "127.0.0.2";

/// A cluster whose nodes announce their addresses in the network behind the forwarders.
fn cluster() -> Cluster {
    let further = || {
        [
            "--bind",
            "127.0.0.1",
            INSIDE,
            "--cluster-announce-ip",
            INSIDE,
        ]
        .map(str::to_owned)
        .to_vec()
    };
    Cluster::start_each(Server::selected(), further, |node| {
        (INSIDE.to_owned(), node.port)
    })
}

/// Starts an exporter that reaches each node through its forwarder.
fn exporter(cluster: &Cluster, forwarders: &[Proxy]) -> Exporter {
    let pairs = cluster.nodes.iter().zip(forwarders);
    let map = pairs
        .map(|(node, forwarder)| format!("'{INSIDE}:{}=127.0.0.1:{}'", node.port, forwarder.port));
    let map = map.collect::<Vec<_>>().join(", ");
    Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 1s }}\n\
         sweep: {{ max_latency: 10s, commands_per_second: 1000000, lookup_share: 100%, cpu_share: 100%, min_pass_interval: 1s }}\n\
         namespaces:\n- {{ name: session, match: 'session:*' }}\n\
         targets:\n- name: shop\n  url: '{}'\n  \
         discover: {{ kind: cluster, interval: 1s, allow: ['10.0.0.0/8'], map: [{map}] }}\n",
        forwarders[0].url()
    ))
    .start()
}

fn names(forwarders: &[Proxy]) -> BTreeSet<String> {
    let forwarders = forwarders.iter();
    forwarders
        .map(|forwarder| format!("shop/127.0.0.1:{}", forwarder.port))
        .collect()
}

fn up(page: &Page) -> BTreeSet<String> {
    let names = page.label_values("redis_up", "target", 1.0);
    names.into_iter().collect()
}

/// Returns all targets, including those that are down, as they may be on a busy machine.
fn listed(page: &Page) -> BTreeSet<String> {
    let down = page.label_values("redis_up", "target", 0.0);
    down.into_iter().chain(up(page)).collect()
}

/// Returns the connections of exporters to the address that a node announces.
fn inside(node: &RedisServer) -> Vec<String> {
    let clients = node.ask(&["CLIENT", "LIST"]);
    let address = format!(" laddr={INSIDE}:");
    let is_inside =
        |line: &&str| line.contains(" name=redis-namespace-exporter") && line.contains(&address);
    clients
        .lines()
        .filter(is_inside)
        .map(str::to_owned)
        .collect()
}

fn has_role(page: &Page, node: &RedisServer, forwarder: &Proxy, role: &str) -> bool {
    let (target, node_id) = (format!("shop/127.0.0.1:{}", forwarder.port), id(node));
    let labels = [
        ("target", target.as_str()),
        ("node_id", &node_id),
        ("role", role),
    ];
    page.get("redis_cluster_member_info", &labels) == Some(1.0)
}

fn success_at(page: &Page) -> f64 {
    let name = "redis_exporter_discovery_last_success_timestamp_seconds";
    page.value(name, &[("discovery", "shop")])
}

#[test]
fn mapped_nodes_are_reached_through_their_forwarders() {
    let mut cluster = cluster();
    cluster.fill("session:", 300);
    let forwarders: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| Proxy::to(node.port))
        .collect();
    let exporter = exporter(&cluster, &forwarders);
    let all = names(&forwarders);
    exporter.until("all nodes", |page| up(page) == all);
    let page = exporter.until("the total of all shards", |page| {
        let labels = [("key_namespace", "session"), ("db", "db0")];
        let shards = page.all("redis_key_namespace_keys", &labels);
        shards.len() == 3 && shards.iter().sum::<f64>() == 300.0
    });
    let members = cluster.nodes.iter().zip(&forwarders).enumerate();
    for (at, (node, forwarder)) in members {
        let role = if at < 3 { "primary" } else { "replica" };
        assert!(has_role(&page, node, forwarder, role), "{at}: {}", page.0);
    }

    // A node that is not in the map is neither allowed nor dialed.
    cluster.nodes.push(Cluster::spare());
    cluster.meet(&cluster.nodes[6]);
    let refused = [("discovery", "shop"), ("state", "refused")];
    let page = exporter.until("the other node", |page| {
        page.get("redis_exporter_discovery_targets", &refused) == Some(1.0)
    });
    assert_eq!(listed(&page), all);
    assert_eq!(cluster.nodes[6].exporter_connections(), [""; 0]);

    cluster.nodes[4].ask(&["CLUSTER", "FAILOVER"]);
    let page = exporter.until("the new roles", |page| {
        has_role(page, &cluster.nodes[4], &forwarders[4], "primary")
            && has_role(page, &cluster.nodes[1], &forwarders[1], "replica")
    });
    assert_eq!(listed(&page), all);

    // Without the seed, other nodes are queried, at their mapped addresses too.
    cluster.nodes[0].kill();
    exporter.until("the promoted replica", |page| {
        has_role(page, &cluster.nodes[3], &forwarders[3], "primary") && up(page).len() == 5
    });
    let before = success_at(&exporter.page());
    exporter.until("a later success", |page| success_at(page) > before);
    for node in &cluster.nodes[1..6] {
        assert_eq!(inside(node), [""; 0]);
    }
    until(LONG, "connections through the forwarders", || {
        let is_used = |node: &RedisServer| !node.exporter_connections().is_empty();
        cluster.nodes[1..6].iter().all(is_used).then_some(())
    });
}
