//! Several databases: each has an estimate long before the first pass over all of them is complete.

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, NAMESPACES, goes_on, passes};
use crate::support::{Page, RedisServer};

const SESSIONS: &str = "call('SET', 'session:' .. i, i)";

const SOCKETS: &str = "call('SET', 'websocket:' .. i, i)";

/// Returns the keys of a namespace in a database with their error, if there is an estimate.
fn estimated(page: &Page, database: &str, namespace: &str) -> Option<(f64, f64)> {
    let labels = [("db", database), ("key_namespace", namespace)];
    let keys = page.get("redis_key_namespace_keys", &labels)?;
    Some((keys, page.value("redis_key_namespace_keys_error", &labels)))
}

fn coverage(page: &Page, database: &str) -> f64 {
    page.value("redis_exporter_sweep_coverage_ratio", &[("db", database)])
}

#[test]
fn every_database_has_an_early_estimate() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    keys::write(&server, 3, 5_000, FIVE_KINDS);
    keys::write(&server, 7, 40, FIVE_KINDS);
    // The default budget of commands on a server without traffic.
    let budget = "cpu_share: 1%, commands_per_second: 50, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, budget, NAMESPACES).start();
    let page = exporter.until("estimates of all databases", |page| {
        let databases = ["db0", "db3", "db7"].into_iter();
        let mut estimates = databases.map(|database| estimated(page, database, "session"));
        estimates.all(|estimate| estimate.is_some())
    });
    assert!(coverage(&page, "db0") < 0.5, "{}", page.excerpt());
    assert_eq!(passes(&page), 0.0);
    let mut sum = 0.0;
    for namespace in ["session", "api-cache", "ratelimit", "websocket", "other"] {
        let (keys, error) = estimated(&page, "db3", namespace).unwrap();
        sum += keys;
        // A 95 % interval, with room for five of them.
        assert!(
            (keys - 1_000.0).abs() < 2.5 * error && error < 600.0,
            "{namespace}: {keys} ± {error}"
        );
        assert_eq!(estimated(&page, "db7", namespace), Some((8.0, 0.0)));
    }
    assert_eq!(sum, 5_000.0);
}

#[test]
fn new_and_replaced_databases_have_an_early_estimate() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 50_000, SESSIONS);
    let slow = "cpu_share: 1%, commands_per_second: 10, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, slow, NAMESPACES).start();
    exporter.until("an estimate", |page| {
        estimated(page, "db0", "session").is_some()
    });
    let sees_only = |page: &Page, database: &str, namespace: &str| {
        assert_eq!(passes(page), 0.0, "the pass is too short for this test");
        estimated(page, database, namespace).is_some_and(|(keys, _)| keys == 5_000.0)
    };
    keys::write(&server, 5, 5_000, SESSIONS);
    exporter.until("the new database", |page| sees_only(page, "db5", "session"));
    server.ask(&["SWAPDB", "5", "6"]);
    let page = exporter.until("the swapped database", |page| {
        sees_only(page, "db6", "session")
    });
    assert_eq!(estimated(&page, "db5", "session"), None);
    let replace = format!("call('FLUSHDB') for i = 1, 5000 do {SOCKETS} end");
    keys::run(&server, 6, &replace);
    let page = exporter.until("the replaced database", |page| {
        sees_only(page, "db6", "websocket")
    });
    // The database being swept is not disturbed.
    assert!(coverage(&page, "db0") < 1.0 && goes_on(&page));
    let (keys, error) = estimated(&page, "db0", "session").unwrap();
    assert!((keys - 50_000.0).abs() <= error, "{keys} ± {error}");
}

#[test]
fn keys_of_small_databases_are_visited_once() {
    let server = RedisServer::start(&[]);
    for database in 0..16 {
        keys::write(&server, database, 60, FIVE_KINDS);
    }
    server.ask(&["CONFIG", "RESETSTAT"]);
    let settings = "cpu_share: 100%, min_pass_interval: 10m";
    let exporter = sweep::launch(&server, settings, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(
        page.value("redis_exporter_sweep_keys_visited_total", &[]),
        16.0 * 60.0
    );
    let selects = sweep::in_record(&server, "cmdstat_select", "calls");
    assert!((15.0..=20.0).contains(&selects), "{selects}");
}
