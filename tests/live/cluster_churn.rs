//! Random changes of the members of a cluster, faster than the exporter queries it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, id};
use crate::support::redis::Client;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// The variable with the duration of the changes, in seconds.
const SECONDS: &str = "CLUSTER_CHURN_SECONDS";
const SECONDS_BY_DEFAULT: u64 = 15;

/// Maximum number of nodes that are added to the first six.
const MOST_SPARES: usize = 2;

fn seconds() -> u64 {
    let given = std::env::var(SECONDS).ok();
    given.map_or(SECONDS_BY_DEFAULT, |text| text.parse().unwrap())
}

/// A cluster that changes, and the number of changes by kind.
struct Churn {
    cluster: Cluster,
    done: BTreeMap<&'static str, u32>,
}

impl Churn {
    /// Makes one random change, without waiting for its effects.
    fn change(&mut self) {
        let kind = match fastrand::u8(0..12) {
            0..2 if self.cluster.nodes.len() < 6 + MOST_SPARES => self.add(),
            2..4 if self.cluster.nodes.len() > 6 => self.remove(),
            4..7 => self.fail_over(),
            7..9 => self.restart(true),
            9..11 => self.restart(false),
            _ => "pause",
        };
        *self.done.entry(kind).or_default() += 1;
    }

    fn add(&mut self) -> &'static str {
        let spare = Cluster::spare();
        let port = spare.port.to_string();
        let node = self.any();
        let mut client = Client::connect(self.cluster.nodes[node].port).unwrap();
        let _ = client.try_ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
        self.cluster.nodes.push(spare);
        "meet"
    }

    fn remove(&mut self) -> &'static str {
        let gone = self.cluster.nodes.pop().unwrap();
        self.cluster.forget(&gone);
        "forget"
    }

    fn fail_over(&mut self) -> &'static str {
        let node = self.any();
        let how = ["FORCE", "TAKEOVER"][fastrand::usize(0..2)];
        let mut client = Client::connect(self.cluster.nodes[node].port).unwrap();
        match client.try_ask(&["CLUSTER", "FAILOVER", how]) {
            Ok(Ok(_)) => "failover",
            _ => "rejected failover",
        }
    }

    fn restart(&mut self, moves: bool) -> &'static str {
        let node = self.any();
        let node = &mut self.cluster.nodes[node];
        node.kill();
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..2_500)));
        if moves {
            node.restart_elsewhere();
            "restart on another port"
        } else {
            node.restart(&[]);
            "restart"
        }
    }

    /// Returns one of the first six nodes, at random.
    #[expect(clippy::unused_self, reason = "it chooses among the nodes")]
    fn any(&self) -> usize {
        fastrand::usize(0..6)
    }

    /// Removes all nodes but the first six, and waits until these agree and are healthy.
    fn settle(&mut self) {
        while self.cluster.nodes.len() > 6 {
            self.remove();
        }
        let ids: BTreeSet<String> = self.cluster.nodes.iter().map(id).collect();
        let ports: BTreeSet<u16> = self.cluster.nodes.iter().map(|node| node.port).collect();
        until(LONG, "six nodes that know each other", || {
            let knows = |node: &RedisServer| {
                let nodes = node.ask(&["CLUSTER", "NODES"]);
                let mut listed = BTreeSet::new();
                for line in nodes.lines() {
                    let mut words = line.split(' ');
                    let (known, at) = (words.next().unwrap(), words.next().unwrap());
                    // Nodes that were down when it was removed still list it.
                    if !ids.contains(known) && !line.contains("handshake") {
                        let mut client = Client::connect(node.port).unwrap();
                        let _ = client.try_ask(&["CLUSTER", "FORGET", known]);
                    }
                    let port = at.split('@').next().and_then(|at| at.rsplit(':').next());
                    listed.insert(port.unwrap().parse::<u16>().unwrap());
                }
                listed == ports
            };
            self.cluster.nodes.iter().all(knows).then_some(())
        });
        self.cluster.until_healthy();
    }

    fn names(&self) -> BTreeSet<String> {
        let nodes = self.cluster.nodes.iter();
        nodes
            .map(|node| format!("shop/{}", node.address()))
            .collect()
    }

    /// Returns the connections of the exporter to all nodes.
    fn connections(&self) -> Vec<String> {
        let nodes = self.cluster.nodes.iter();
        let ours = |node: &RedisServer| {
            let clients = node.ask(&["CLIENT", "LIST"]);
            let lines = clients
                .lines()
                .filter(|line| line.contains(" name=redis-namespace-exporter"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        nodes.flat_map(ours).collect()
    }
}

/// Returns the number of sockets that the exporter has open.
fn sockets(exporter: &Exporter) -> usize {
    let folder = format!("/proc/{}/fd", exporter.process.id());
    let entries = fs::read_dir(folder).unwrap().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

fn targets(page: &Page, up: f64) -> BTreeSet<String> {
    page.label_values("redis_up", "target", up)
        .into_iter()
        .collect()
}

/// Waits until exactly the nodes are targets, with one poll connection each and one sweep of each
/// shard. Returns the number of sockets of the exporter and of lines on its page.
fn until_settled(churn: &Churn, exporter: &Exporter) -> (usize, usize) {
    let names = churn.names();
    let page = exporter.until("exactly the members", |page| {
        targets(page, 1.0) == names && page.all("redis_up", &[]).len() == 6
    });
    assert_eq!(page.value("redis_exporter_targets", &[]), 6.0);
    let of_target = |line: &str| {
        let (_, rest) = line.split_once("target=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let labeled: BTreeSet<_> = page.0.lines().filter_map(of_target).collect();
    assert_eq!(labeled, names);
    assert_eq!(page.all("redis_cluster_member_info", &[]).len(), 6);
    until(LONG, "nine connections", || {
        (churn.connections().len() == 9).then_some(())
    });
    // 9 connections to nodes, the listening socket, and those that the runtime needs.
    (sockets(exporter), page.0.lines().count())
}

#[test]
fn fast_random_changes_leave_nothing_behind() {
    let mut churn = Churn {
        cluster: Cluster::start(),
        done: BTreeMap::new(),
    };
    churn.cluster.fill("session:", 300);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\nsweep: {{ min_pass_interval: 1s }}\n\
         targets:\n- name: shop\n  url: '{}'\n  discover: {{ kind: cluster, interval: 1s, seeds: [{}] }}\n",
        churn.cluster.nodes[0].url(),
        churn.cluster.nodes[1..]
            .iter()
            .map(|node| format!("'{}'", node.address()))
            .collect::<Vec<_>>()
            .join(", ")
    ))
    .start();
    let before = until_settled(&churn, &exporter);
    let end = Instant::now() + Duration::from_secs(seconds());
    while Instant::now() < end {
        churn.change();
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..400)));
    }
    churn.settle();
    let after = until_settled(&churn, &exporter);
    until(LONG, "the sockets of removed targets to be closed", || {
        (sockets(&exporter) <= before.0).then_some(())
    });
    let page = exporter.page();
    for panics in ["task", "service"] {
        let name = format!("redis_exporter_{panics}_panics_total");
        assert_eq!(page.all(&name, &[]).iter().sum::<f64>(), 0.0, "{name}");
    }
    let changes = page.0.lines().filter(|line| {
        line.starts_with("redis_exporter_discovery_changes_total")
            || line.starts_with("process_resident_memory_bytes")
            || line.starts_with("process_threads")
    });
    let changes: Vec<_> = changes.collect();
    eprintln!(
        "sockets and lines {before:?} before, {after:?} after; {:?}",
        churn.done
    );
    eprintln!("{}", changes.join("\n"));
}
