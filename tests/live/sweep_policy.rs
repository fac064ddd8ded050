//! Declared policies and their violations.

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES, of, passes};
use crate::support::{Page, RedisServer};

const POLICIES: &str = "namespaces:\n\
    - { name: session, match: 'session:*', ttl: { required: true, max: 1h }, memory_quota: 64MiB, on_eviction: harmful }\n\
    - { name: ratelimit, match: 'ratelimit:*', ttl: { required: true, max: 1m } }\n\
    - { name: websocket, match: 'websocket:*' }\n";

fn violations(page: &Page, namespace: &str, policy: &str) -> Option<f64> {
    page.get(
        "redis_key_namespace_policy_violations",
        &[("key_namespace", namespace), ("policy", policy)],
    )
}

#[test]
fn missing_and_excessive_ttls_are_found() {
    let server = RedisServer::start(&[]);
    let each = "call('SET', 'session:' .. i, 'x', 'EX', 3600) \
        call('SET', 'ratelimit:' .. i, 1, 'EX', i <= 30 and 7200 or 60)";
    keys::write(&server, 0, 3_000, each);
    // The client died before its EXPIRE.
    keys::write(&server, 0, 7, "call('INCR', 'ratelimit:lost:' .. i)");
    keys::write(&server, 0, 11, "call('SET', 'websocket:' .. i, 1)");
    let exporter = sweep::launch(&server, FULL_SPEED, POLICIES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(violations(&page, "ratelimit", "ttl_required"), Some(7.0));
    assert_eq!(violations(&page, "ratelimit", "ttl_max"), Some(30.0));
    assert_eq!(violations(&page, "session", "ttl_required"), Some(0.0));
    assert_eq!(violations(&page, "session", "ttl_max"), Some(0.0));
    assert_eq!(violations(&page, "websocket", "ttl_required"), None);
    assert_eq!(of(&page, "keys_without_ttl", "websocket"), 11.0);
    assert_eq!(of(&page, "ttl_max_seconds", "ratelimit"), 60.0);
    assert_eq!(of(&page, "memory_quota_bytes", "session"), 67_108_864.0);
    let harmful = [("key_namespace", "session"), ("on_eviction", "harmful")];
    assert_eq!(
        page.all("redis_key_namespace_on_eviction_info", &harmful),
        [1.0]
    );
    assert_eq!(
        page.all("redis_key_namespace_on_eviction_info", &[]).len(),
        1
    );
    let in_a_minute = [("key_namespace", "ratelimit"), ("le", "60")];
    assert_eq!(
        page.value("redis_key_namespace_ttl_seconds_bucket", &in_a_minute),
        2_970.0
    );
    server.ask(&["DEL", "ratelimit:lost:1"]);
    server.ask(&["EXPIRE", "ratelimit:lost:2", "30"]);
    exporter.until("fewer violations", |page| {
        violations(page, "ratelimit", "ttl_required") == Some(5.0)
    });
}

#[test]
fn keys_without_a_ttl_are_found_without_lookups() {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        2_000,
        "call('SET', 'session:' .. i, 'x', 'EX', 3600)",
    );
    let none = "lookup_share: 0.001%, lookups_per_minute: 0, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, none, POLICIES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(violations(&page, "session", "ttl_required"), Some(0.0));
    let error = "redis_key_namespace_policy_violations_error";
    let labels = [("key_namespace", "session"), ("policy", "ttl_required")];
    assert_eq!(page.value(error, &labels), 0.0);
    let fewest = |page: &Page| page.get("redis_key_namespace_policy_violations_min", &[]);
    assert_eq!(fewest(&page), Some(0.0));
    keys::write(&server, 0, 20, "call('PERSIST', 'session:' .. i)");
    keys::write(&server, 0, 5, "call('SET', 'websocket:' .. i, 1)");
    exporter.until("keys that never expire", |page| fewest(page) == Some(20.0));
    let hits = server.info("keyspace_hits");
    assert_eq!(hits.as_deref(), Some("0"), "lookups were made");
}

#[test]
fn first_matching_namespace_wins() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 1_000, FIVE_KINDS);
    let sections = "namespaces:\n\
        - { name: nines, regex: ':[0-9]*9$' }\n\
        - { name: elsewhere, match: 'websocket:*', db: 1 }\n\
        - { name: session, match: 's[a-f]ss?on:*' }\n";
    let exporter = sweep::launch(&server, FULL_SPEED, sections).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    // Only the keys of jobs end in nine, and they contain no colon.
    let expected = [
        ("nines", 0.0),
        ("elsewhere", 0.0),
        ("session", 200.0),
        ("other", 800.0),
    ];
    for (namespace, keys) in expected {
        assert_eq!(of(&page, "keys", namespace), keys, "{namespace}");
    }
    drop(exporter);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(of(&page, "keys", "other"), 200.0);
}
