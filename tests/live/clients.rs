//! Clients, individually and in groups.

use crate::support::redis::Client;
use crate::support::redis_exporter::RedisExporter;
use crate::support::{Exporter, Launch, RedisServer};

fn watched(server: &RedisServer, options: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{}' }}]\n{options}\n",
        server.url()
    ))
    .start()
}

fn named(server: &RedisServer, name: &str) -> Client {
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&["CLIENT", "SETNAME", name]);
    client
}

const GROUPS: &str = "clients:\n  groups:\n\
    \x20 - { name: backend, match: { name: 'prism-*', user: default }, pool_max: 10 }\n\
    \x20 - { name: nobody, match: { name: 'nobody' } }\n";

#[test]
fn leaking_pool_exceeds_its_declared_size() {
    let server = RedisServer::start(&[]);
    let mut pool: Vec<Client> = (0..12)
        .map(|number| named(&server, &format!("prism-{number}")))
        .collect();
    let exporter = watched(&server, GROUPS);
    let backend = [("client_group", "backend")];
    let page = exporter.until("the pool", |page| {
        page.get("redis_client_group_connections", &backend) == Some(12.0)
    });
    assert_eq!(page.value("redis_client_group_pool_max", &backend), 10.0);
    let nobody = [("client_group", "nobody")];
    assert_eq!(page.value("redis_client_group_connections", &nobody), 0.0);
    assert_eq!(page.get("redis_client_group_pool_max", &nobody), None);
    assert_eq!(
        page.value("redis_client_group_idle_seconds_count", &backend),
        12.0
    );
    assert!(page.value("redis_client_group_memory_bytes", &backend) > 12.0 * 1_000.0);
    let named = [("cmd", "client|setname")];
    assert!(page.value("redis_clients_by_last_command", &named) >= 12.0);
    assert!(page.value("redis_clients_by_user", &[("user", "default")]) >= 13.0);
    assert!(page.all("redis_connected_client_info", &[]).is_empty());

    let mut multi = pool.pop().unwrap();
    multi.ask(&["MULTI"]);
    let mut subscriber = pool.pop().unwrap();
    subscriber.ask(&["SUBSCRIBE", "news"]);
    pool.truncate(3);
    let state = |state| [("client_group", "backend"), ("state", state)];
    // A poll may fail on a busy machine, and then these metrics are absent.
    exporter.until("the rest of the pool", |page| {
        let in_state = |name| page.get("redis_client_group_state_connections", &state(name));
        page.get("redis_client_group_connections", &backend) == Some(5.0)
            && in_state("multi") == Some(1.0)
            && in_state("pubsub") == Some(1.0)
            && in_state("blocked") == Some(0.0)
    });
}

#[test]
fn each_client_is_shown_with_stable_times() {
    let server = RedisServer::start(&[]);
    server.ask(&["ACL", "SETUSER", "a=b", "on", ">secret", "+@all", "~*"]);
    let mut client = named(&server, "key=value");
    client.ask(&["AUTH", "a=b", "secret"]);
    client.ask(&["SELECT", "3"]);
    let exporter = watched(&server, "clients: { list: true, port: true }");
    let name = [("name", "key=value")];
    let found = |page: &crate::support::Page| {
        let created = page.get("redis_connected_client_created_at_timestamp", &name)?;
        let idle = page.get("redis_connected_client_idle_since_timestamp", &name)?;
        Some((created, idle))
    };
    let page = exporter.until("the client", |page| found(page).is_some());
    let labels = [
        ("name", "key=value"),
        ("db", "3"),
        ("host", "127.0.0.1"),
        ("user", "a=b"),
    ];
    assert_eq!(page.value("redis_connected_client_info", &labels), 1.0);
    assert_eq!(page.value("redis_connected_client_dropped", &[]), 0.0);
    let first = found(&page);
    let mut seen = 0;
    while seen < 15 {
        let page = exporter.polls(1);
        // A poll may fail on a busy machine.
        if page.is_up() {
            assert_eq!(found(&page), first);
            seen += 1;
        }
    }
    let page = exporter.page();
    assert!(!page.0.contains("secret"));
    assert!(page.all("redis_client_group_connections", &[]).is_empty());
}

#[test]
fn clients_beyond_the_limit_are_counted() {
    let server = RedisServer::start(&[]);
    let _clients: Vec<Client> = (0..4).map(|_| named(&server, "many")).collect();
    let exporter = watched(&server, "clients: { list: true, max: 3 }");
    exporter.until("the dropped clients", |page| {
        let shown = page.all("redis_connected_client_info", &[]).len();
        let dropped = page.get("redis_connected_client_dropped", &[]);
        shown == 3 && dropped.is_some_and(|dropped| dropped >= 2.0)
    });
}

#[test]
fn denied_client_list_hides_only_clients() {
    let server = RedisServer::start(&[]);
    server.ask(&["ACL", "SETUSER", "default", "-client|list"]);
    let exporter = watched(&server, GROUPS);
    let collector = [("collector", "client_groups")];
    exporter.until("the refusal", |page| {
        page.get("redis_exporter_collector_success", &collector) == Some(0.0)
    });
    let page = exporter.polls(2);
    assert!(page.is_up());
    assert!(page.all("redis_client_group_connections", &[]).is_empty());
}

/// Version 1.45 of `redis_exporter` exposes each client as labels of one metric.
#[test]
fn client_labels_match_redis_exporter() {
    let server = RedisServer::start(&[]);
    let _client = named(&server, "prism-1");
    let redis_exporter =
        RedisExporter::of(&server, &["-export-client-list", "-export-client-port"]);
    let exporter = watched(&server, "clients: { list: true, port: true }");
    let page = exporter.polls(1);
    let theirs = redis_exporter.exposition();
    let theirs = theirs.samples.keys().find(|(name, labels)| {
        name == "redis_connected_clients_details" && labels.contains("name=\"prism-1\"")
    });
    let (_, labels) = theirs.expect("redis_exporter shows the client");
    let shared = ["id", "name", "flags", "db", "host", "port", "user", "resp"];
    let labels: Vec<(&str, &str)> = labels
        .iter()
        .filter_map(|label| label.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .filter(|(name, _)| shared.contains(name))
        .collect();
    assert!(labels.len() >= 5, "{labels:?}");
    assert_eq!(page.value("redis_connected_client_info", &labels), 1.0);
}
