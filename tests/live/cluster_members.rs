//! Clusters of which one node is configured: their members, failovers, and totals.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::support::cluster::{Cluster, id};
use crate::support::fake::{FakeServer, bulk};
use crate::support::redis::Client;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

const INFO: &str = "redis_cluster_member_info";

/// Starts an exporter that knows one server of a group, with further settings of `discover`.
fn exporter(url: &str, discover: &str) -> Exporter {
    exporter_every("1s", url, discover)
}

fn exporter_every(interval: &str, url: &str, discover: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\n\
         sweep: {{ max_latency: 10s, commands_per_second: 1000000, lookup_share: 100%, cpu_share: 100%, min_pass_interval: 1s }}\n\
         namespaces:\n- {{ name: session, match: 'session:*' }}\n\
         targets:\n- name: shop\n  url: '{url}'\n  discover: {{ kind: cluster, interval: {interval}, {discover} }}\n"
    ))
    .start()
}

fn names(servers: &[RedisServer]) -> BTreeSet<String> {
    servers
        .iter()
        .map(|server| format!("shop/{}", server.address()))
        .collect()
}

/// Returns the targets whose `redis_up` has this value.
fn targets(page: &Page, up: f64) -> BTreeSet<String> {
    page.label_values("redis_up", "target", up)
        .into_iter()
        .collect()
}

fn with_role(page: &Page, role: &str) -> BTreeSet<String> {
    let lines = page
        .0
        .lines()
        .filter(|line| line.starts_with(INFO) && line.contains(&format!("role=\"{role}\"")));
    lines
        .filter_map(|line| {
            Some(
                line.split_once("target=\"")?
                    .1
                    .split_once('"')?
                    .0
                    .to_owned(),
            )
        })
        .collect()
}

/// Returns the target of a sample.
fn target_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("target=\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn is(page: &Page, server: &RedisServer, role: &str) -> bool {
    with_role(page, role).contains(&format!("shop/{}", server.address()))
}

/// Returns the sum of the keys of a namespace, which are exact after a complete pass.
fn total(page: &Page) -> f64 {
    page.all(
        "redis_key_namespace_keys",
        &[("key_namespace", "session"), ("db", "db0")],
    )
    .iter()
    .sum()
}

/// Waits until all shards are swept and the total is exact.
fn until_total(exporter: &Exporter, keys: f64) -> Page {
    exporter.until("the total of all shards", |page| {
        let shards = page.all(
            "redis_key_namespace_keys",
            &[("key_namespace", "session"), ("db", "db0")],
        );
        shards.len() == 3 && (total(page) - keys).abs() < 0.5
    })
}

fn connections(server: &RedisServer) -> usize {
    let clients = server.ask(&["CLIENT", "LIST"]);
    clients
        .lines()
        .filter(|line| line.contains(" name=redis-namespace-exporter"))
        .count()
}

#[test]
fn one_node_names_all_members_and_their_totals() {
    let cluster = Cluster::start();
    cluster.fill("session:", 300);
    let exporter = exporter(&cluster.nodes[0].url(), "");
    exporter.until("all members", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    let page = until_total(&exporter, 300.0);
    assert_eq!(with_role(&page, "primary"), names(&cluster.nodes[..3]));
    assert_eq!(with_role(&page, "replica"), names(&cluster.nodes[3..]));
    for (at, node) in cluster.nodes.iter().enumerate() {
        let (name, node_id) = (format!("shop/{}", node.address()), id(node));
        let labels = [
            ("target", name.as_str()),
            ("redis_cluster", "shop"),
            ("node_id", &node_id),
        ];
        assert_eq!(page.value(INFO, &labels), 1.0);
        // Until the cluster reports a replica as online, its primary is swept.
        let expected = 1 + usize::from(at >= 3);
        until(LONG, "the sweep of replicas", || {
            (connections(node) == expected).then_some(())
        });
    }
    assert_eq!(
        page.value("redis_exporter_discovery_success", &[("discovery", "shop")]),
        1.0
    );
    let watched = [("discovery", "shop"), ("state", "watched")];
    assert_eq!(
        page.value("redis_exporter_discovery_targets", &watched),
        6.0
    );
}

#[test]
fn failover_changes_no_target() {
    let mut cluster = Cluster::start();
    cluster.fill("session:", 300);
    let exporter = exporter(&cluster.nodes[0].url(), "");
    let all = names(&cluster.nodes);
    exporter.until("all members", |page| targets(page, 1.0) == all);
    until_total(&exporter, 300.0);
    let polls = |page: &Page| page.all("redis_exporter_polls_total", &[]).len();
    assert_eq!(polls(&exporter.page()), 6);

    cluster.nodes[4].ask(&["CLUSTER", "FAILOVER"]);
    let page = exporter.until("the new roles", |page| {
        is(page, &cluster.nodes[4], "primary") && is(page, &cluster.nodes[1], "replica")
    });
    assert_eq!(targets(&page, 1.0), all);
    until_total(&exporter, 300.0);

    let name = format!("shop/{}", cluster.nodes[3].address());
    let counted = |page: &Page| page.value("redis_exporter_polls_total", &[("target", &name)]);
    let before = counted(&exporter.page());
    cluster.nodes[0].kill();
    let page = exporter.until("the promoted replica", |page| {
        is(page, &cluster.nodes[3], "primary") && targets(page, 1.0).len() == 5
    });
    let listed: BTreeSet<_> = targets(&page, 1.0)
        .union(&targets(&page, 0.0))
        .cloned()
        .collect();
    assert_eq!(listed, all);
    assert!(
        counted(&page) > before,
        "the poll of the new primary was restarted"
    );
    until_total(&exporter, 300.0);

    cluster.nodes[0].restart(&[]);
    let page = exporter.until("the old primary as a replica", |page| {
        targets(page, 1.0) == all && is(page, &cluster.nodes[0], "replica")
    });
    assert_eq!(polls(&page), 6);
    until_total(&exporter, 300.0);
}

#[test]
fn members_come_and_go() {
    let mut cluster = Cluster::start();
    let exporter = exporter(&cluster.nodes[0].url(), "");
    exporter.until("all members", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    cluster.nodes.push(Cluster::spare());
    cluster.meet(&cluster.nodes[6]);
    exporter.until("the new member", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    let gone = cluster.nodes.pop().unwrap();
    cluster.forget(&gone);
    gone.ask(&["CLUSTER", "RESET"]);
    let name = format!("shop/{}", gone.address());
    let page = exporter.until("the member to vanish", |page| !page.0.contains(&name));
    assert_eq!(targets(&page, 1.0), names(&cluster.nodes));
    until(LONG, "its connections to be closed", || {
        (connections(&gone) == 0).then_some(())
    });
}

#[test]
fn member_on_another_port_is_followed() {
    let mut cluster = Cluster::start();
    let exporter = exporter(&cluster.nodes[0].url(), "");
    exporter.until("all members", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    let old = format!("shop/{}", cluster.nodes[5].address());
    cluster.nodes[5].restart_elsewhere();
    exporter.until("the new address", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    exporter.until("the old address to vanish", |page| !page.0.contains(&old));
}

fn strangers(page: &Page, name: &str) -> Option<f64> {
    let labels = [("target", name), ("reason", "not_member")];
    page.get("redis_exporter_poll_failures_total", &labels)
}

#[test]
fn another_node_at_the_address_is_not_polled() {
    let mut cluster = Cluster::start();
    let exporter = exporter_every("1h", &cluster.nodes[0].url(), "");
    let all = names(&cluster.nodes);
    exporter.until("all members", |page| targets(page, 1.0) == all);
    let name = format!("shop/{}", cluster.nodes[5].address());
    // With another file of nodes, it has another id.
    cluster.nodes[5].restart(&["--cluster-config-file", "other.conf"]);
    exporter.until("the other server", |page| {
        strangers(page, &name).is_none_or(|count| count > 0.0)
    });
    // The cluster notices it too. The mismatch leads to a query long before the next one is due.
    exporter.until("the member to vanish", |page| !page.0.contains(&name));
    let log = exporter.log();
    assert!(log.contains("not_member: another server replied"), "{log}");
}

#[test]
fn single_server_at_the_address_is_not_polled() {
    let mut cluster = Cluster::start();
    let exporter = exporter(&cluster.nodes[0].url(), "");
    let all = names(&cluster.nodes);
    exporter.until("all members", |page| targets(page, 1.0) == all);
    let name = format!("shop/{}", cluster.nodes[5].address());
    cluster.nodes[5].restart(&["--cluster-enabled", "no"]);
    exporter.until("the other server", |page| {
        targets(page, 0.0).contains(&name)
            && strangers(page, &name).is_some_and(|count| count > 0.0)
    });
    let calls = cluster.nodes[5].ask(&["INFO", "commandstats"]);
    // The test itself sends PING and INFO, and some servers call CONFIG GET at their start.
    let is_sent = |command: &str| calls.contains(&format!("cmdstat_{command}:"));
    assert!(is_sent("cluster|myid"), "{calls}");
    assert!(!is_sent("slowlog|len") && !is_sent("scan"), "{calls}");
}

#[test]
fn node_that_hides_its_id_is_polled() {
    let cluster = Cluster::start();
    for node in &cluster.nodes {
        let rules = "ACL SETUSER exporter on >secret ~* +@all -cluster|myid";
        node.ask(&rules.split(' ').collect::<Vec<_>>());
    }
    let url = format!("redis://exporter:secret@{}", cluster.nodes[0].address());
    let exporter = exporter(&url, "");
    let all = names(&cluster.nodes);
    exporter.until("all members", |page| targets(page, 1.0) == all);
}

#[test]
fn seeds_that_are_down_are_skipped() {
    let mut cluster = Cluster::start();
    let dead = Cluster::spare();
    let url = dead.url();
    drop(dead);
    let seeds = format!("seeds: ['127.0.0.1:1', '{}']", cluster.nodes[4].address());
    let exporter = exporter(&url, &seeds);
    let all = names(&cluster.nodes);
    exporter.until("all members", |page| targets(page, 1.0) == all);
    // Without any seed, the other members are queried.
    cluster.nodes[4].kill();
    exporter.until("the new roles", |page| targets(page, 1.0).len() == 5);
    let at = |page: &Page| {
        let source = [("discovery", "shop")];
        page.value(
            "redis_exporter_discovery_last_success_timestamp_seconds",
            &source,
        )
    };
    let before = at(&exporter.page());
    let page = exporter.until("a later success", |page| at(page) > before);
    assert_eq!(
        page.value("redis_exporter_discovery_success", &[("discovery", "shop")]),
        1.0
    );
}

#[test]
fn user_without_permission_gets_one_clear_error() {
    let node = RedisServer::start(&["--cluster-enabled", "yes"]);
    node.ask(&[
        "ACL", "SETUSER", "exporter", "on", ">secret", "+info", "+ping",
    ]);
    let url = format!("redis://exporter:secret@{}", node.address());
    let exporter = exporter(&url, "");
    let log = until(LONG, "the error", || {
        let log = exporter.log();
        log.contains("a source of targets failed").then_some(log)
    });
    assert!(log.contains("+cluster|nodes"), "{log}");
    assert_eq!(log.matches("a source of targets failed").count(), 1);
    assert!(!log.contains("secret"));
    // CLIENT SETNAME, CLUSTER NODES and CLUSTER INFO, until the next attempt after ten intervals.
    assert_eq!(node.info("errorstat_NOPERM").unwrap(), "count=3");
    let source = [("discovery", "shop")];
    assert_eq!(
        exporter
            .page()
            .value("redis_exporter_discovery_success", &source),
        0.0
    );
}

#[test]
fn refused_addresses_are_counted_and_not_dialed() {
    let cluster = Cluster::start();
    let exporter = exporter(&cluster.nodes[0].url(), "allow: ['10.0.0.0/8']");
    let refused = [("discovery", "shop"), ("state", "refused")];
    exporter.until("refused members", |page| {
        page.get("redis_exporter_discovery_targets", &refused) == Some(5.0)
    });
    // The configured server is a member too.
    let page = exporter.until("the seed", |page| {
        targets(page, 1.0) == names(&cluster.nodes[..1])
    });
    assert!(!page.0.contains(&cluster.nodes[1].address()));
    assert_eq!(connections(&cluster.nodes[1]), 0);
}

#[test]
fn random_changes_leak_nothing() {
    let mut cluster = Cluster::start();
    let exporter = exporter(&cluster.nodes[0].url(), "");
    exporter.until("all members", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    for round in 0..8 {
        let spare = Cluster::spare();
        cluster.meet(&spare);
        cluster.nodes.push(spare);
        exporter.until("the new member", |page| targets(page, 1.0).len() == 7);
        let is_replica = |node: &&RedisServer| node.info("role").as_deref() == Some("slave");
        if let Some(replica) = cluster.nodes.iter().filter(is_replica).nth(round % 3) {
            replica.ask(&["CLUSTER", "FAILOVER"]);
        }
        let gone = cluster.nodes.pop().unwrap();
        cluster.forget(&gone);
        let mut client = Client::connect(gone.port).unwrap();
        let _ = client.try_ask(&["CLUSTER", "RESET", "HARD"]);
        let name = format!("shop/{}", gone.address());
        exporter.until("the member to vanish", |page| !page.0.contains(&name));
        until(LONG, "its connections to be closed", || {
            (connections(&gone) == 0).then_some(())
        });
    }
    let page = exporter.until("only the members", |page| {
        targets(page, 1.0) == names(&cluster.nodes)
    });
    assert_eq!(page.value("redis_exporter_targets", &[]), 6.0);
    let labeled: BTreeSet<_> = page.0.lines().filter_map(target_of).collect();
    assert_eq!(labeled, names(&cluster.nodes));
    until(LONG, "two connections to each swept member", || {
        let counts: Vec<_> = cluster.nodes.iter().map(connections).collect();
        (counts.iter().sum::<usize>() == 9 && counts.iter().all(|count| *count <= 2)).then_some(())
    });
}

/// The flags and the job of the README of `redis_exporter`, for a cluster.
#[test]
fn redis_exporter_flags_find_the_nodes_of_a_cluster() {
    let cluster = Cluster::start();
    let exporter = Launch::of(&cluster.nodes[0].url())
        .flag("--is-cluster")
        .start();
    let list = until(LONG, "all nodes", || {
        let response = exporter.get("/discover-cluster-nodes");
        let list: serde_yaml::Value = serde_yaml::from_str(&response.text()).ok()?;
        let nodes = list[0]["targets"].as_sequence()?.clone();
        (nodes.len() == 6).then_some(nodes)
    });
    let urls: BTreeSet<_> = cluster.nodes.iter().map(RedisServer::url).collect();
    let listed: BTreeSet<_> = list.iter().filter_map(|url| url.as_str()).collect();
    assert_eq!(listed, urls.iter().map(String::as_str).collect());
    for url in listed {
        let page = until(LONG, "the page of the node", || {
            let response = exporter.get(&format!("/scrape?target={url}"));
            (response.status == 200).then(|| Page(response.text()))
        });
        assert_eq!(page.value("redis_up", &[]), 1.0, "{url}");
    }
    let page = exporter.until("all nodes", |page| page.all("redis_up", &[]) == [1.0; 6]);
    let labels = [(
        "target",
        &*format!("cluster/{}", cluster.nodes[0].address()),
    )];
    assert_eq!(page.value("redis_up", &labels), 1.0);
}

#[test]
fn hostnames_of_nodes_are_used_on_request() {
    let cluster = Cluster::start_with(&["--cluster-announce-hostname", "localhost"]);
    let url = cluster.nodes[0].url();
    for (flag, host) in [
        ("--cluster-discover-hostnames", "localhost"),
        ("-debug", "127.0.0.1"),
    ] {
        let exporter = Launch::of(&url).flag("--is-cluster").flag(flag).start();
        let wanted = format!("redis://{host}:{}", cluster.nodes[1].port);
        until(LONG, "the node", || {
            let list = exporter.get("/discover-cluster-nodes").text();
            list.contains(&wanted).then_some(())
        });
    }
}

/// Returns the reply of a node that knows a failover from the first to the second one, or not.
fn reply_of_node(words: &[String], knows_failover: bool) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let epoch = 1 + u32::from(knows_failover);
    match words.as_slice() {
        ["CLUSTER", "NODES"] => {
            let (primary, replica) = if knows_failover { (2, 1) } else { (1, 2) };
            bulk(&format!(
                "{primary:040x} 127.0.0.1:{primary}@1000{primary} master - 0 0 {epoch} connected 0-16383\n\
                 {replica:040x} 127.0.0.1:{replica}@1000{replica} slave {primary:040x} 0 0 {epoch} connected\n"
            ))
        }
        ["CLUSTER", "INFO"] => bulk(&format!(
            "cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\n"
        )),
        ["CLIENT", ..] => "+OK\r\n".to_owned(),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

#[test]
fn node_that_missed_a_failover_does_not_undo_it() {
    let knows = Arc::new(AtomicBool::new(true));
    let shared = Arc::clone(&knows);
    let node = FakeServer::start(move |words| reply_of_node(words, shared.load(Relaxed)));
    let other = FakeServer::start(|words| reply_of_node(words, true));
    let seeds = format!("seeds: ['127.0.0.1:{}']", other.port);
    let exporter = exporter(&format!("redis://127.0.0.1:{}", node.port), &seeds);
    let watched = [("discovery", "shop"), ("state", "watched")];
    exporter.until("both members", |page| {
        page.get("redis_exporter_discovery_targets", &watched) == Some(2.0)
    });
    knows.store(false, Relaxed);
    let read_at = |page: &Page| {
        let name = "redis_exporter_discovery_last_success_timestamp_seconds";
        page.value(name, &[("discovery", "shop")])
    };
    let before = read_at(&exporter.page());
    let page = exporter.until("further queries", |page| read_at(page) >= before + 4.0);
    let promoted = [("discovery", "shop"), ("change", "promoted")];
    let count = page.value("redis_exporter_discovery_changes_total", &promoted);
    assert_eq!(count, 0.0);
    // Without the other node, there is nothing better.
    drop(other);
    exporter.until("the view of the only node", |page| {
        page.value("redis_exporter_discovery_changes_total", &promoted) == 1.0
    });
}
