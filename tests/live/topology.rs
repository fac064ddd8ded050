//! Kinds of servers and of connections.

use crate::support::{Launch, Page, RedisServer, wait};

fn up(url: &str) -> Page {
    let exporter = Launch::of(url).start();
    exporter.until("the server", Page::is_up);
    exporter.polls(1)
}

fn assert_all_collectors_work(page: &Page) {
    let failed = page.label_values("redis_exporter_collector_success", "collector", 0.0);
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn unix_socket_can_be_polled() {
    let server = RedisServer::start(&["--unixsocket", "redis.sock"]);
    let path = server.file("redis.sock");
    for scheme in ["unix", "redis+unix"] {
        let page = up(&format!("{scheme}://{}", path.display()));
        assert_all_collectors_work(&page);
    }
}

#[test]
fn database_in_the_url_is_selected() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::of(&format!("{}/3", server.url())).start();
    exporter.until("the server", Page::is_up);
    let connections = server.exporter_connections();
    assert!(connections[0].contains(" db=3 "), "{connections:?}");
}

#[test]
fn primary_and_replica_show_each_other() {
    let primary = RedisServer::start(&[]);
    let port = primary.port.to_string();
    let replica = RedisServer::start(&[
        "--replicaof",
        "127.0.0.1",
        &port,
        "--repl-diskless-sync-delay",
        "0",
    ]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\ntargets:\n- {{ name: primary, url: '{}' }}\n- {{ name: replica, url: '{}' }}\n",
        primary.url(),
        replica.url()
    ))
    .start();
    let page = exporter.until("the link", |page| {
        page.get("redis_master_link_up", &[("target", "replica")]) == Some(1.0)
            && page.get("redis_connected_slaves", &[("target", "primary")]) == Some(1.0)
            && page
                .all(
                    "redis_connected_slave_lag_seconds",
                    &[("target", "primary")],
                )
                .len()
                == 1
    });
    let at = replica.port.to_string();
    page.value(
        "redis_connected_slave_offset_bytes",
        &[
            ("target", "primary"),
            ("slave_ip", "127.0.0.1"),
            ("slave_port", &at),
        ],
    );
    page.value(
        "redis_instance_info",
        &[("target", "replica"), ("role", "slave")],
    );
    page.value(
        "redis_instance_info",
        &[("target", "primary"), ("role", "master")],
    );
    page.value(
        "redis_master_last_io_seconds_ago",
        &[("target", "replica"), ("master_port", &port)],
    );
    assert_all_collectors_work(&page);
}

#[test]
fn cluster_node_shows_its_cluster() {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    crate::support::until(wait::LONG, "a healthy cluster", || {
        server
            .ask(&["CLUSTER", "INFO"])
            .contains("cluster_state:ok")
            .then_some(())
    });
    let page = up(&server.url());
    assert_eq!(page.value("redis_cluster_enabled", &[]), 1.0);
    assert_eq!(page.value("redis_cluster_state", &[]), 1.0);
    assert_eq!(page.value("redis_cluster_slots_assigned", &[]), 16384.0);
    assert_eq!(page.value("redis_cluster_known_nodes", &[]), 1.0);
    page.value("redis_instance_info", &[("redis_mode", "cluster")]);
    assert_all_collectors_work(&page);
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
}

#[test]
fn cluster_with_missing_slots_is_up_but_not_ok() {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    let page = up(&server.url());
    assert_eq!(page.value("redis_cluster_state", &[]), 0.0);
    assert_all_collectors_work(&page);
}

#[test]
fn sentinel_shows_primaries_without_errors() {
    let primary = RedisServer::start(&[]);
    let sentinel = RedisServer::sentinel(&format!(
        "sentinel monitor main 127.0.0.1 {} 1",
        primary.port
    ));
    let before = sentinel.info("total_error_replies");
    let exporter = Launch::of(&sentinel.url()).start();
    let page = exporter.until("the primary", |page| {
        page.get("redis_sentinel_masters", &[]) == Some(1.0)
            && page.get(
                "redis_sentinel_master_status",
                &[("master_name", "main"), ("master_status", "ok")],
            ) == Some(1.0)
    });
    page.value("redis_instance_info", &[("redis_mode", "sentinel")]);
    assert_all_collectors_work(&page);
    exporter.polls(5);
    assert_eq!(sentinel.info("total_error_replies"), before);
    assert_eq!(sentinel.info("errorstat_ERR"), None);
}

#[test]
fn sentinel_accepts_database_0_in_the_url() {
    let sentinel = RedisServer::sentinel("");
    up(&format!("{}/0", sentinel.url()));
}
