//! Nodes of a cluster in which every slot has a table of its own.

use std::time::{Duration, Instant};

use crate::support::server::Server;
use crate::support::sweep::{self, NAMESPACES, of, passes};
use crate::support::{Page, RedisServer, until, wait};

/// A pass takes far longer than it takes to draw some slots.
const SLOW: &str = "cpu_share: 1%, min_pass_interval: 1s";

/// Keys by namespace. All keys of a tenant are in one slot.
const KEYS: [(&str, f64); 4] = [
    ("session", 60_000.0),
    ("api-cache", 60_000.0),
    ("websocket", 180_000.0),
    ("ratelimit", 0.0),
];

/// Keys of different slots in one script, which runs on a server that has all slots.
const WRITE: &str = "#!lua flags=allow-cross-slot-keys\n\
    for i = 1, 60000 do redis.call('SET', 'session:' .. i, 'value') \
    redis.call('SET', 'api:cache:{tenant' .. (i % 20) .. '}:' .. i, 'value') end \
    for i = 1, 180000 do redis.call('SET', 'websocket:' .. i, 'value') end";

fn node(server: Server) -> RedisServer {
    let server = RedisServer::start_as(server, &["--cluster-enabled", "yes"]);
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until(wait::LONG, "a good cluster", || {
        let info = server.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok").then_some(())
    });
    server.ask(&["EVAL", WRITE, "0"]);
    server
}

/// How many of the intervals on a page hold the truth; the widths of all.
fn held(page: &Page) -> (usize, Vec<(f64, f64)>) {
    let found = KEYS.map(|(name, _)| (of(page, "keys", name), of(page, "keys_error", name)));
    let held = found.iter().zip(KEYS);
    let held = held.filter(|((keys, error), (_, truth))| (keys - truth).abs() <= *error);
    (held.count(), found.to_vec())
}

fn assert_early_and_honest(program: Server) {
    let server = node(program);
    let (mut all, mut good) = (0, 0);
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        let exporter = sweep::launch(&server, SLOW, NAMESPACES).start();
        let page = exporter.until("an estimate", |page| {
            page.0.contains("redis_key_namespace_keys{")
        });
        fastest = fastest.min(started.elapsed());
        assert_eq!(passes(&page), 0.0, "the pass is too short for this test");
        let (held, found) = held(&page);
        println!("{:?}: {found:?}", started.elapsed());
        all += KEYS.len();
        good += held;
        // Useful too: the largest namespace within a third, what is not there at most a twentieth.
        assert!(found[2].1 < 60_000.0 && found[3].1 < 15_000.0, "{found:?}");
        let memory = of(&page, "memory_bytes", "websocket");
        assert!(memory > 0.0);
    }
    assert!(
        good * 100 >= all * 85,
        "{good} of {all} intervals held the truth"
    );
    assert!(fastest < Duration::from_secs(5), "{fastest:?}");
}

#[test]
fn a_node_of_valkey_has_an_honest_estimate_long_before_a_pass() {
    assert_early_and_honest(Server::NewestValkey);
}

#[test]
fn a_node_of_redis_has_an_honest_estimate_long_before_a_pass() {
    assert_early_and_honest(Server::NewestRedis);
}

#[test]
fn what_a_node_refuses_of_its_slots_is_asked_once_over_a_connection() {
    let server = node(Server::NewestValkey);
    for (denied, permission) in [
        ("-cluster|countkeysinslot", "cluster|countkeysinslot"),
        ("-cluster|nodes", "cluster|nodes"),
    ] {
        server.ask(&["ACL", "SETUSER", "default", denied]);
        server.ask(&["CONFIG", "RESETSTAT"]);
        let exporter = sweep::launch(&server, SLOW, NAMESPACES).start();
        exporter.until("keys", |page| {
            page.get("redis_exporter_sweep_keys_visited_total", &[])
                .is_some_and(|visited| visited > 2_000.0)
        });
        exporter.polls(3);
        let calls = server.ask(&["INFO", "commandstats"]);
        let line = format!("cmdstat_{permission}:");
        let line = calls.lines().find(|calls| calls.starts_with(&line));
        let rejected = line.and_then(|line| line.split_once("rejected_calls="));
        let rejected = rejected.and_then(|(_, rest)| rest.split(',').next()?.parse::<u32>().ok());
        // Every new connection asks once. There is one, unless a busy machine breaks it.
        assert!(
            rejected.is_some_and(|rejected| (1..=3).contains(&rejected)),
            "{permission}: {line:?}, {}",
            exporter.log()
        );
    }
}

#[test]
fn a_pass_of_a_node_by_slots_is_exact() {
    let server = node(Server::NewestValkey);
    let exporter = sweep::launch(&server, sweep::FULL_SPEED, NAMESPACES).start();
    exporter.within(Duration::from_secs(90), "exact numbers", |page| {
        page.0.contains("redis_key_namespace_keys{")
            && KEYS.iter().all(|(name, truth)| {
                of(page, "keys", name) == *truth && of(page, "keys_error", name) == 0.0
            })
    });
}
