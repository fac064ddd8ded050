//! Totals of a cluster before the first pass of its shards is complete.

use crate::support::cluster::Cluster;
use crate::support::{Exporter, Launch, Page};

/// Numbers of keys by namespace. All keys of the tenant are in one slot, and so on one shard.
const KEYS: [(&str, f64); 4] = [
    ("session", 60_000.0),
    ("cart", 30_000.0),
    ("tenant", 40_000.0),
    ("absent", 0.0),
];

const ALL_KEYS: f64 = 130_000.0;

const NAMESPACES: &str = "namespaces:\n- { name: session, match: 'session:*' }\n\
    - { name: cart, match: 'cart:*' }\n- { name: tenant, match: '{tenant}:*' }\n\
    - { name: absent, match: 'absent:*' }\n";

/// Writes the keys that the node owns. Those of other nodes are errors.
const WRITE: &str = "#!lua flags=allow-cross-slot-keys\n\
    for i = 1, 60000 do redis.pcall('SET', 'session:' .. i, 'value') end \
    for i = 1, 30000 do redis.pcall('SET', 'cart:' .. i, 'value') end \
    for i = 1, 40000 do redis.pcall('SET', '{tenant}:' .. i, 'value') end";

/// Number of exporters that start one after another.
const STARTS: usize = 10;

fn start(cluster: &Cluster, sweep: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 5s, timeout: 5s }}\nsweep: {{ max_latency: 10s{sweep} }}\n\
         {NAMESPACES}targets:\n- name: shop\n  url: '{}'\n  discover: {{ kind: cluster, interval: 1s }}\n",
        cluster.nodes[0].url()
    ))
    .start()
}

/// Returns the values of all shards.
fn shards(page: &Page, metric: &str, namespace: &str) -> Vec<f64> {
    let labels = [("key_namespace", namespace), ("db", "db0")];
    page.all(&format!("redis_key_namespace_{metric}"), &labels)
}

/// Returns the total of a namespace and its error, as the recording rules calculate them.
fn total(page: &Page, namespace: &str) -> (f64, f64) {
    let keys = shards(page, "keys", namespace).iter().sum();
    let errors = shards(page, "keys_error", namespace);
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    (keys, squares.sqrt())
}

fn has_all_shards(page: &Page) -> bool {
    shards(page, "keys", "session").len() == 3
}

#[test]
fn totals_are_within_their_interval_before_a_pass() {
    let cluster = Cluster::start();
    for node in &cluster.nodes[..3] {
        node.ask(&["EVAL", WRITE, "0"]);
    }
    cluster.until_healthy();
    let (mut all, mut good) = (0, 0);
    for _ in 0..STARTS {
        let exporter = start(&cluster, "");
        let page = exporter.until("an estimate of each shard", has_all_shards);
        let passes = page.all("redis_exporter_sweep_passes_total", &[]);
        assert_eq!(passes.iter().sum::<f64>(), 0.0, "the pass is too short");
        let mut sum = 0.0;
        for (namespace, truth) in KEYS {
            let (keys, error) = total(&page, namespace);
            println!("{namespace}: {keys} ± {error}");
            all += 1;
            good += usize::from((keys - truth).abs() <= error);
            // Narrow enough to be of use: a tenth of all keys.
            assert!(error < ALL_KEYS / 10.0, "{namespace}: {keys} ± {error}");
            sum += keys;
        }
        assert!((sum - ALL_KEYS).abs() < 1.0, "{sum}");
    }
    // Of 40 intervals of 95%, fewer than 32 cover the truth less than once in 10,000 times.
    assert!(good * 100 >= all * 80, "{good} of {all}");

    let quick = ", commands_per_second: 1000000, lookup_share: 100%, cpu_share: 100%, \
         min_pass_interval: 1s";
    start(&cluster, quick).until("exact totals", |page| {
        has_all_shards(page)
            && KEYS
                .iter()
                .all(|(namespace, truth)| total(page, namespace) == (*truth, 0.0))
    });
}
