//! Scope of the sweep: databases, servers, and disabled sweeps.

use std::time::Duration;

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES, of, passes};
use crate::support::wait::{LONG, throughout};
use crate::support::{RedisServer, until};

fn scans(server: &RedisServer) -> f64 {
    sweep::in_record(server, "cmdstat_scan", "calls")
}

#[test]
fn databases_are_counted_separately() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    keys::write(&server, 3, 2_500, FIVE_KINDS);
    keys::write(&server, 7, 40, "call('SET', 'session:' .. i, 1)");
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(
        page.value("redis_exporter_sweep_min_pass_interval_seconds", &[]),
        1.0
    );
    for (database, keys) in [("db0", 1_000.0), ("db3", 500.0), ("db7", 40.0)] {
        let labels = [("db", database), ("key_namespace", "session")];
        assert_eq!(page.value("redis_key_namespace_keys", &labels), keys);
        assert_eq!(page.value("redis_key_namespace_keys_error", &labels), 0.0);
    }
    let keys = |database| page.all("redis_key_namespace_keys", &[("db", database)]);
    assert_eq!(keys("db7").iter().sum::<f64>(), 40.0);
    server.ask(&["SWAPDB", "7", "9"]);
    exporter.until("the swapped database", |page| {
        page.all("redis_key_namespace_keys", &[("db", "db7")])
            .is_empty()
            && page.get(
                "redis_key_namespace_keys",
                &[("db", "db9"), ("key_namespace", "session")],
            ) == Some(40.0)
    });
}

#[test]
fn only_listed_databases_are_swept() {
    let server = RedisServer::start(&[]);
    for database in [0, 2, 5] {
        keys::write(&server, database, 1_000, FIVE_KINDS);
    }
    let settings = format!("{FULL_SPEED}, databases: [2, 4]");
    let exporter = sweep::launch(&server, &settings, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(
        page.value("redis_exporter_sweep_keys_visited_total", &[]),
        1_000.0
    );
    assert_eq!(page.all("redis_key_namespace_keys", &[]).len(), 5);
    assert_eq!(
        page.all("redis_key_namespace_keys", &[("db", "db2")]).len(),
        5
    );
}

#[test]
fn replica_is_swept_instead_of_the_target() {
    let primary = RedisServer::start(&[]);
    keys::write(&primary, 0, 5_000, FIVE_KINDS);
    let port = primary.port.to_string();
    let replica = RedisServer::start(&[
        "--replicaof",
        "127.0.0.1",
        &port,
        "--repl-diskless-sync-delay",
        "0",
    ]);
    until(LONG, "the replica", || {
        (replica.info("master_link_status").as_deref() == Some("up")
            && replica.ask(&["DBSIZE"]) == "5000")
            .then_some(())
    });
    let settings = format!("{FULL_SPEED}, from: '{}'", replica.url());
    let exporter = sweep::launch(&primary, &settings, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(of(&page, "keys", "session"), 1_000.0);
    assert_eq!(scans(&primary), 0.0);
    assert!(scans(&replica) > 0.0);
    assert!(sweep::connections(&primary).is_empty());
    assert_eq!(sweep::connections(&replica).len(), 1);
    assert!(replica.exporter_connections().is_empty());
    // The lookups are on the replica, so they must not be subtracted from those of the target.
    for result in ["hit", "miss"] {
        let lookups = page.value(
            "redis_exporter_sweep_induced_lookups_total",
            &[("result", result)],
        );
        assert_eq!(lookups, 0.0, "{result}");
    }
    assert_eq!(primary.info("keyspace_hits").as_deref(), Some("0"));
    assert_ne!(replica.info("keyspace_hits").as_deref(), Some("0"));
}

#[test]
fn disabled_sweep_opens_no_connection() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 1_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, "enabled: false", NAMESPACES).start();
    exporter.polls(3);
    assert!(sweep::connections(&server).is_empty());
    assert_eq!(scans(&server), 0.0);
    let page = exporter.page();
    assert!(!page.0.contains("redis_key_namespace_"), "{}", page.0);
    assert!(page.is_up());
}

#[test]
fn changed_namespaces_restart_only_the_sweep() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 1_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let poll = server.exporter_connections();
    let id = |line: &str| line.split(' ').next().unwrap().to_owned();
    let sections = "namespaces: [{ name: sockets, match: 'websocket:*' }]\n";
    exporter.reconfigure(&sweep::configuration(&server, FULL_SPEED, sections));
    assert_eq!(
        exporter.reload().text().trim(),
        "targets: 0 started, 0 ended, 1 kept"
    );
    exporter.until("the new namespace", |page| {
        page.get("redis_key_namespace_keys", &[("key_namespace", "sockets")]) == Some(200.0)
    });
    let page = exporter.page();
    assert_eq!(page.all("redis_key_namespace_keys", &[]).len(), 2);
    assert_eq!(id(&server.exporter_connections()[0]), id(&poll[0]));
    assert_eq!(page.value("redis_exporter_connects_total", &[]), 1.0);
    until(LONG, "a single sweep", || {
        (sweep::connections(&server).len() == 1).then_some(())
    });
}

/// Starts a cluster node with all slots, and waits until the cluster is healthy.
fn cluster_node() -> RedisServer {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until(LONG, "a healthy cluster", || {
        server
            .ask(&["CLUSTER", "INFO"])
            .contains("cluster_state:ok")
            .then_some(())
    });
    server
}

#[test]
fn cluster_node_is_swept() {
    let server = cluster_node();
    for i in 0..300 {
        server.ask(&["SET", &format!("session:{i}"), "x", "EX", "100"]);
    }
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(of(&page, "keys", "session"), 300.0);
    assert_eq!(of(&page, "keys_error", "session"), 0.0);
    assert_eq!(of(&page, "keys_without_ttl", "session"), 0.0);
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
}

#[test]
fn down_cluster_stops_the_sweep_with_few_errors() {
    let server = cluster_node();
    for i in 0..300 {
        server.ask(&["SET", &format!("session:{i}"), "x"]);
    }
    server.ask(&["CLUSTER", "DELSLOTSRANGE", "0", "100"]);
    until(LONG, "a failed cluster", || {
        server
            .ask(&["CLUSTER", "INFO"])
            .contains("cluster_state:fail")
            .then_some(())
    });
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("the end of the sweep", |page| {
        page.get("redis_exporter_sweep_success", &[]) == Some(0.0)
    });
    throughout(Duration::from_secs(3), || {
        let errors: f64 = server.info("total_error_replies").unwrap().parse().unwrap();
        assert!(errors < 20.0, "{errors}");
    });
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "100"]);
    let page = exporter.until("a pass", |page| passes(page) >= 1.0 && sweep::goes_on(page));
    assert_eq!(of(&page, "keys", "session"), 300.0);
}
