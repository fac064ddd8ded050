//! A cluster of hundreds of nodes. Its one real node reads the others from its list of nodes. They are
//! down, and down members are targets too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, RedisServer, until};

const NODES: usize = 500;
const CHANGED: usize = 100;
const SLOTS: usize = 16_384;
const INTERVAL: Duration = Duration::from_secs(10);

/// A list of nodes: the real one, and others by number.
struct NodeList {
    others: Range<usize>,
}

impl NodeList {
    /// Returns the content of `nodes.conf`. Every second node is a replica of the one before.
    fn text(&self, seed: &RedisServer) -> String {
        let bus = u32::from(seed.port) + 10_000;
        let own = format!("{} myself,master", place(&seed.address(), bus));
        let listed = |number: usize| place(&address(number), 17_000);
        let mut text = String::new();
        let primaries = self.others.len().div_ceil(2);
        let slots = |at: usize| (at * SLOTS / primaries, (at + 1) * SLOTS / primaries - 1);
        for (at, number) in self.others.clone().enumerate() {
            let (own_id, node) = (id(number), listed(number));
            if at % 2 == 0 {
                let (first, last) = slots(at / 2);
                writeln!(
                    text,
                    "{own_id} {node} master - 0 0 {} connected {first}-{last}",
                    at + 1
                )
                .unwrap();
            } else {
                let primary = id(number - 1);
                writeln!(text, "{own_id} {node} slave {primary} 0 0 {at} connected").unwrap();
            }
        }
        writeln!(text, "{} {own} - 0 0 0 connected", id(0)).unwrap();
        writeln!(text, "vars currentEpoch {NODES} lastVoteEpoch 0").unwrap();
        text
    }

    /// Restarts the real node with this list.
    fn load(&self, seed: &mut RedisServer) {
        seed.kill();
        fs::write(seed.file("nodes.conf"), self.text(seed)).unwrap();
        seed.restart(&[]);
    }

    /// Returns the names of the targets.
    fn targets(&self, seed: &RedisServer) -> BTreeSet<String> {
        let others = self.others.clone().map(address);
        let all = others.chain([seed.address()]);
        all.map(|address| format!("shop/{address}")).collect()
    }
}

fn id(number: usize) -> String {
    format!("{:040x}", number + 1)
}

fn address(number: usize) -> String {
    format!("127.1.{}.{}:7000", number / 200, number % 200 + 1)
}

fn place(address: &str, bus: u32) -> String {
    format!("{address}@{bus}")
}

fn exporter(seed: &RedisServer) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 15s }}\nsweep: {{ enabled: false }}\n\
         targets:\n- name: shop\n  url: '{}'\n  discover: {{ kind: cluster, interval: {}s }}\n",
        seed.url(),
        INTERVAL.as_secs(),
    ))
    .start()
}

/// Returns the targets that the exporter lists for Prometheus.
fn listed(exporter: &Exporter) -> BTreeSet<String> {
    let list = exporter.get("/sd").body;
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let groups = list.as_array().into_iter().flatten();
    let names = groups.filter_map(|group| group["labels"]["__param_target"].as_str());
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn hundred_changed_nodes_are_followed_in_two_intervals() {
    let further = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "600000",
    ];
    let mut seed = RedisServer::start(&further);
    // The real node is number 0.
    let before = NodeList { others: 1..NODES };
    let after = NodeList {
        others: 1 + CHANGED..NODES + CHANGED,
    };
    before.load(&mut seed);
    let exporter = exporter(&seed);
    until(LONG, "all nodes of the cluster", || {
        (listed(&exporter) == before.targets(&seed)).then_some(())
    });
    after.load(&mut seed);
    let changed = Instant::now();
    until(LONG, "the changed nodes", || {
        (listed(&exporter) == after.targets(&seed)).then_some(())
    });
    let took = changed.elapsed();
    assert!(took < INTERVAL * 2, "{took:?}");
    eprintln!("{CHANGED} of {NODES} nodes were followed in {took:?}");
}
