//! Metrics that only newer servers report.

use crate::support::server::Server;
use crate::support::{Exporter, Launch, Page, RedisServer, wait};

/// Starts an exporter that polls this server often, with additional configuration lines.
fn watched(server: &RedisServer, lines: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\n{lines}\n\
         targets: [{{ url: '{}' }}]\n",
        server.url()
    ))
    .start()
}

fn is_positive(page: &Page, name: &str, labels: &[(&str, &str)]) -> bool {
    page.get(name, labels).is_some_and(|value| value > 0.0)
}

/// Checks that the exporter caused no error reply.
fn assert_no_errors(server: &RedisServer, before: &str) {
    let after = server.info("total_error_replies").unwrap();
    assert_eq!(after, before);
}

fn errors(server: &RedisServer) -> String {
    server.info("total_error_replies").unwrap()
}

#[test]
fn hot_keys_session_shows_its_totals() {
    let server = RedisServer::start_as(Server::NewestRedis, &[]);
    let exporter = watched(&server, "collectors: { hotkeys: true }");
    assert_eq!(exporter.polls(1).get("redis_hotkeys_tracking", &[]), None);
    server.ask(&["HOTKEYS", "START", "METRICS", "2", "CPU", "NET"]);
    let page = exporter.until("hot keys", |page| {
        for _ in 0..20 {
            server.ask(&["SET", "hot", "value"]);
        }
        is_positive(page, "redis_hotkey_network_bytes", &[("key", "hot")])
    });
    assert_eq!(page.value("redis_hotkeys_tracking", &[]), 1.0);
    assert!(
        page.get("redis_hotkeys_tracking_cpu_seconds", &[])
            .is_some()
    );
    assert!(page.value("redis_hotkeys_start_timestamp_seconds", &[]) > 1.7e9);
    for total in [
        "redis_hotkeys_network_bytes",
        "redis_hotkeys_commands_network_bytes",
    ] {
        assert!(page.value(total, &[]) > 0.0, "{total}");
    }
    assert!(
        page.get("redis_hotkeys_process_cpu_user_seconds", &[])
            .is_some()
    );
    server.ask(&["HOTKEYS", "STOP"]);
    exporter.until("the end of the session", |page| {
        page.get("redis_hotkeys_tracking", &[]) == Some(0.0)
            && page.get("redis_hotkeys_network_bytes", &[]).is_none()
    });
}

/// Starts a cluster of two nodes: the first has all slots, the second none.
fn cluster(settings: &[&str]) -> [RedisServer; 2] {
    let start = || {
        let settings = [&["--cluster-enabled", "yes"], settings].concat();
        RedisServer::start_as(Server::NewestRedis, &settings)
    };
    let nodes = [start(), start()];
    nodes[0].ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port.to_string()]);
    wait::until(wait::LONG, "a cluster", || {
        let info = nodes[0].ask(&["CLUSTER", "INFO"]);
        let is_ready = info.contains("cluster_state:ok") && info.contains("known_nodes:2");
        is_ready.then_some(())
    });
    nodes
}

#[test]
fn cluster_node_shows_slot_memory_and_links() {
    let [node, _other] = cluster(&["--cluster-slot-stats-enabled", "yes"]);
    node.ask(&["SET", "key", &"x".repeat(10_000)]);
    let before = errors(&node);
    let exporter = watched(
        &node,
        "collectors: { slot_stats: true, cluster_nodes: true }",
    );
    // The slot of `key`.
    let slot = [("slot", "12539")];
    let page = exporter.until("the slot and the links", |page| {
        page.get("redis_cluster_slot_memory_bytes", &slot)
            .is_some_and(|bytes| bytes > 9_000.0)
            && page.all("redis_cluster_link_send_buffer_bytes", &[]).len() == 2
    });
    let online = page.all("redis_cluster_node_health", &[("health", "online")]);
    assert!(!online.is_empty());
    assert_eq!(page.value("redis_cluster_nodes_dropped", &[]), 0.0);
    assert_no_errors(&node, &before);
}

#[test]
fn disabled_slot_memory_causes_no_errors() {
    let [node, _other] = cluster(&[]);
    // The memory statistics cannot be enabled at runtime.
    node.ask(&["CONFIG", "SET", "cluster-slot-stats-enabled", "cpu net"]);
    node.ask(&["SET", "key", "value"]);
    let before = errors(&node);
    let exporter = watched(&node, "collectors: { slot_stats: true }");
    let page = exporter.polls(3);
    assert_eq!(
        page.value("redis_cluster_slot_keys", &[("slot", "12539")]),
        1.0
    );
    assert_no_errors(&node, &before);
}

#[test]
fn duplicate_idempotent_entries_are_counted() {
    let server = RedisServer::start_as(Server::NewestRedis, &[]);
    for _ in 0..3 {
        server.ask(&["XADD", "orders", "IDMP", "producer", "id-1", "*", "f", "v"]);
    }
    let streams = "sweep: { max_latency: 10s }\nkeys: { single_streams: [orders] }";
    let exporter = watched(&server, streams);
    let page = exporter.until("the stream", |page| {
        page.get("redis_stream_length", &[]) == Some(1.0)
    });
    assert_eq!(
        page.value("redis_stream_idempotent_ids_added_total", &[]),
        1.0
    );
    assert_eq!(
        page.value("redis_stream_idempotent_duplicates_total", &[]),
        2.0
    );
    assert_eq!(page.value("redis_stream_idempotent_producers", &[]), 1.0);
    assert_eq!(page.value("redis_stream_idempotent_ids", &[]), 1.0);
}

#[test]
fn large_requests_and_replies_are_counted_by_command() {
    let server = RedisServer::start_as(Server::NewestValkey, &[]);
    for log in [
        "commandlog-request-larger-than",
        "commandlog-reply-larger-than",
    ] {
        server.ask(&["CONFIG", "SET", log, "50000"]);
    }
    let exporter = watched(&server, "");
    exporter.polls(2);
    server.ask(&["SET", "large", &"x".repeat(60_000)]);
    for _ in 0..3 {
        server.ask(&["GET", "large"]);
    }
    let page = exporter.until("the large replies", |page| {
        page.get("redis_commandlog_large_replies_total", &[("cmd", "get")]) == Some(3.0)
            && page.get("redis_commandlog_large_requests_total", &[("cmd", "set")]) == Some(1.0)
    });
    let bytes = page.value(
        "redis_commandlog_large_reply_bytes_total",
        &[("cmd", "get")],
    );
    assert!(bytes >= 180_000.0, "{bytes}");
    assert_eq!(
        page.value("redis_commandlog_large_replies_unseen_total", &[]),
        0.0
    );
    // The exporter's own large replies must not make it query the same entries again.
    let later = exporter.polls(3);
    assert_eq!(
        later.value("redis_commandlog_large_replies_total", &[("cmd", "get")]),
        3.0
    );
}

#[test]
fn latency_spikes_are_counted_and_summed() {
    let server = RedisServer::start_as(Server::NewestValkey, &[]);
    server.ask(&["CONFIG", "SET", "latency-monitor-threshold", "1"]);
    let busy = "local s = 0 for i = 1, 3000000 do s = s + i end return s";
    server.ask(&["EVAL", busy, "0"]);
    let exporter = watched(&server, "");
    let event = [("event_name", "command")];
    let page = exporter.until("the spike", |page| {
        is_positive(page, "redis_latency_spikes_total", &event)
    });
    let longest = page.value("redis_latency_spike_max_seconds", &event);
    let sum = page.value("redis_latency_spikes_duration_seconds_total", &event);
    assert!(sum >= longest && longest > 0.0, "{sum} {longest}");
}

#[test]
fn client_group_totals_never_decrease() {
    for program in [Server::NewestRedis, Server::NewestValkey] {
        let server = RedisServer::start_as(program, &[]);
        let groups = "clients: { groups: [{ name: app, match: { name: app } }] }";
        let exporter = watched(&server, groups);
        let group = [("client_group", "app")];
        let total = |page: &Page| page.get("redis_client_group_commands_total", &group);
        exporter.until("the group", |page| total(page) == Some(0.0));
        let mut client = crate::support::redis::Client::connect(server.port).unwrap();
        client.ask(&["CLIENT", "SETNAME", "app"]);
        for _ in 0..100 {
            client.ask(&["SET", "key", "value"]);
        }
        let page = exporter.until("the commands", |page| {
            total(page).is_some_and(|commands| commands >= 100.0)
        });
        let received = page.value("redis_client_group_network_received_bytes_total", &group);
        assert!(received > 2_000.0, "{program:?}: {received}");
        assert!(is_positive(
            &page,
            "redis_client_group_network_sent_bytes_total",
            &group
        ));
        drop(client);
        let later = exporter.until("the end of the connection", |page| {
            page.get("redis_client_group_connections", &group) == Some(0.0)
        });
        assert!(total(&later) >= total(&page), "{program:?}");
    }
}

#[test]
fn database_overhead_is_shown() {
    let server = RedisServer::start(&[]);
    server.ask(&["SET", "key", "value", "EX", "1000"]);
    let exporter = watched(&server, "collectors: { memory_stats: true }");
    let page = exporter.until("the overhead", |page| {
        is_positive(page, "redis_db_overhead_main_bytes", &[("db", "db0")])
    });
    assert!(is_positive(
        &page,
        "redis_db_overhead_expires_bytes",
        &[("db", "db0")]
    ));
    assert!(is_positive(&page, "redis_memory_bytes_per_key", &[]));
}
