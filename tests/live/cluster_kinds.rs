//! Clusters with TLS and users, with host names, and over IPv6; slots that move during a sweep.

use std::collections::BTreeSet;

use crate::support::cluster::{Cluster, id};
use crate::support::redis::Client;
use crate::support::server::Server;
use crate::support::{Authority, Exporter, Launch, Page, RedisServer, port};

const NAMESPACES: &str = "namespaces:\n- { name: session, match: 'session:*' }\n\
    - { name: tenant, match: '{tenant}:*' }\n";

/// Starts an exporter that knows one node, with further settings of the target.
fn exporter(url: &str, target: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 1s }}\n\
         sweep: {{ max_latency: 10s, commands_per_second: 1000000, lookup_share: 100%, cpu_share: 100%, min_pass_interval: 1s }}\n\
         {NAMESPACES}targets:\n- name: shop\n  url: '{url}'\n  discover: {{ kind: cluster, interval: 1s }}\n{target}"
    ))
    .start()
}

fn up(page: &Page) -> BTreeSet<String> {
    let names = page.label_values("redis_up", "target", 1.0);
    names.into_iter().collect()
}

/// Waits until all these targets are up, and no others are left.
fn until_up(exporter: &Exporter, names: &BTreeSet<String>) -> Page {
    exporter.until("all members and no others", |page| {
        up(page) == *names && page.all("redis_up", &[]).len() == names.len()
    })
}

/// Waits until all shards are swept, and the totals of a namespace are these.
fn until_total(exporter: &Exporter, namespace: &str, keys: f64) {
    let labels = [("key_namespace", namespace), ("db", "db0")];
    exporter.until(namespace, |page| {
        let shards = page.all("redis_key_namespace_keys", &labels);
        shards.len() == 3 && (shards.iter().sum::<f64>() - keys).abs() < 0.5
    });
}

fn tls_port(node: &RedisServer) -> u16 {
    let setting = node.ask(&["CONFIG", "GET", "tls-port"]);
    setting.lines().last().unwrap().parse().unwrap()
}

/// A user with the documented permissions.
const USER: &str = "ACL SETUSER exporter on >hush-of-shop resetkeys ~* -@all +ping +info \
    +client|setname +cluster|nodes +cluster|info +cluster|shards +cluster|myid +readonly +select \
    +scan +randomkey +pttl +type +memory|usage";

/// Checks that this user finds all nodes at these ports, and their totals.
fn is_discovered_by_the_user(cluster: &Cluster, scheme: &str, ports: &[u16], tls: &str) {
    cluster.fill("session:", 300);
    let rules: Vec<&str> = USER.split_whitespace().collect();
    for node in &cluster.nodes {
        node.ask(&rules);
    }
    let url = format!("{scheme}://127.0.0.1:{}", ports[0]);
    let target = format!("  username: exporter\n  password: hush-of-shop\n{tls}");
    let exporter = exporter(&url, &target);
    let name = |port: &u16| format!("shop/127.0.0.1:{port}");
    until_up(&exporter, &ports.iter().map(name).collect());
    until_total(&exporter, "session", 300.0);
    assert!(!exporter.log().contains("hush-of-shop"));
    // Each node accepted its id.
    for node in &cluster.nodes {
        let calls = node.info("cmdstat_cluster|myid").unwrap();
        assert!(calls.contains("rejected_calls=0,failed_calls=0"), "{calls}");
    }
}

#[test]
fn cluster_with_tls_and_a_user_is_discovered() {
    let server = Some(Server::selected()).filter(|server| server.has_tls());
    let authority = Authority::new();
    let pair = authority.sign("127.0.0.1");
    let further = || {
        let port = port::free().to_string();
        let settings = [
            ("--tls-port", port.as_str()),
            ("--tls-cert-file", &pair.certificate),
            ("--tls-key-file", &pair.key),
            ("--tls-ca-cert-file", &authority.file),
            ("--tls-auth-clients", "no"),
            ("--tls-cluster", "yes"),
            ("--tls-replication", "yes"),
        ];
        let words = settings.iter().flat_map(|(name, value)| [*name, *value]);
        words.map(str::to_owned).collect()
    };
    let bus = |node: &RedisServer| ("127.0.0.1".to_owned(), tls_port(node));
    let cluster = Cluster::start_each(server.unwrap_or(Server::Distribution), further, bus);
    let ports: Vec<_> = cluster.nodes.iter().map(tls_port).collect();
    let tls = format!("  tls: {{ ca_file: {} }}\n", authority.file);
    is_discovered_by_the_user(&cluster, "rediss", &ports, &tls);
}

#[test]
fn cluster_with_a_user_is_discovered() {
    let cluster = Cluster::start();
    let ports: Vec<_> = cluster.nodes.iter().map(|node| node.port).collect();
    is_discovered_by_the_user(&cluster, "redis", &ports, "");
}

#[test]
fn announced_host_names_are_dialed() {
    let cluster = Cluster::start_with(&[
        "--cluster-announce-hostname",
        "localhost",
        "--cluster-preferred-endpoint-type",
        "hostname",
    ]);
    cluster.fill("session:", 300);
    let exporter = exporter(&cluster.nodes[0].url(), "");
    let name = |node: &RedisServer| format!("shop/localhost:{}", node.port);
    // The nodes learn the names of the others after they have met.
    until_up(&exporter, &cluster.nodes.iter().map(name).collect());
    until_total(&exporter, "session", 300.0);
}

#[test]
fn cluster_over_ipv6_is_discovered() {
    let is_there = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert!(
        is_there,
        "this machine has no IPv6: enable it on the loopback interface"
    );
    let further = || ["--bind", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let bus = |node: &RedisServer| ("::1".to_owned(), node.port);
    let cluster = Cluster::start_each(Server::selected(), further, bus);
    cluster.fill("session:", 300);
    let exporter = exporter(&format!("redis://[::1]:{}", cluster.nodes[0].port), "");
    let name = |node: &RedisServer| format!("shop/[::1]:{}", node.port);
    until_up(&exporter, &cluster.nodes.iter().map(name).collect());
    until_total(&exporter, "session", 300.0);
}

/// Moves a slot with its keys. `redis-cli --cluster reshard` does the same.
fn move_slot(cluster: &Cluster, slot: u32, from: usize, to: usize) {
    let slot = slot.to_string();
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[to]);
    let set = |node: &RedisServer, state: &str, id: &str| {
        node.ask(&["CLUSTER", "SETSLOT", &slot, state, id]);
    };
    set(to, "IMPORTING", &id(from));
    set(from, "MIGRATING", &id(to));
    let mut client = Client::connect(from.port).unwrap();
    loop {
        let keys = client.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
        let keys: Vec<&str> = keys.lines().collect();
        if keys.is_empty() {
            break;
        }
        let port = to.port.to_string();
        let head = ["MIGRATE", "127.0.0.1", &port, "", "0", "60000", "KEYS"];
        client.ask(&[&head[..], &keys].concat());
    }
    set(to, "NODE", &id(to));
    for node in &cluster.nodes[..3] {
        set(node, "NODE", &id(to));
    }
}

#[test]
fn totals_are_exact_after_slots_have_moved() {
    let cluster = Cluster::start();
    cluster.fill("session:", 3_000);
    // All keys of a tenant are in one slot.
    cluster.fill("{tenant}:", 2_000);
    let exporter = exporter(&cluster.nodes[0].url(), "");
    let slot = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", "{tenant}:1"]);
    let slot: u32 = slot.parse().unwrap();
    let owner = [5_461, 10_923, 16_384].iter().position(|end| slot < *end);
    let owner = owner.unwrap();
    exporter.until("the first pass to begin", |page| {
        !page
            .all("redis_exporter_sweep_coverage_ratio", &[])
            .is_empty()
    });
    let (first, next) = (owner * 5_461, (owner + 1) % 3);
    let first = u32::try_from(first).unwrap() + 10;
    let others = (first..first + 200).filter(|other| *other != slot);
    for slot in others.chain([slot]) {
        let is_moved = first == slot;
        move_slot(&cluster, slot, owner, next);
        if is_moved {
            // Keys are written while slots move.
            cluster.fill("session:new:", 100);
        }
    }
    until_total(&exporter, "session", 3_100.0);
    until_total(&exporter, "tenant", 2_000.0);
    // Back again, between passes.
    move_slot(&cluster, slot, next, owner);
    cluster.fill("{tenant}:new:", 50);
    until_total(&exporter, "tenant", 2_050.0);
    until_total(&exporter, "session", 3_100.0);
}
