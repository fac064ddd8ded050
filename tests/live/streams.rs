//! Compares streams, groups and consumers with what a direct client reads.

use std::collections::BTreeMap;

use crate::support::redis::Client;
use crate::support::server::Server;
use crate::support::{Exporter, Launch, Page, RedisServer, keys, sweep};

/// Starts an exporter that sweeps one server often.
fn exporter(url: &str, keys: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\n\
         targets:\n- url: '{url}'\n  \
         sweep: {{ enabled: true, min_pass_interval: 500ms, cpu_share: 50% }}\n\
         keys: {{ {keys} }}\n"
    ))
    .flag("--log-level=debug")
    .start()
}

/// Returns the page after this many more passes.
fn after_passes(exporter: &Exporter, more: f64) -> Page {
    let passes = |page: &Page| {
        page.get("redis_exporter_sweep_passes_total", &[])
            .unwrap_or(0.0)
    };
    let before = passes(&exporter.page());
    exporter.until("a pass", |page| passes(page) >= before + more)
}

fn errors(server: &RedisServer) -> u32 {
    server.info("total_error_replies").unwrap().parse().unwrap()
}

fn dropped(page: &Page, reason: &str) -> f64 {
    page.value("redis_exporter_sweep_dropped_keys", &[("reason", reason)])
}

/// Parses the reply to an XINFO command, which the client returns as lines of names and values.
fn fields(lines: &[&str]) -> BTreeMap<String, String> {
    lines
        .chunks_exact(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

/// Returns one map for each group or consumer of a reply. Each begins with its name, and later
/// servers add fields at the end.
fn records(reply: &str) -> Vec<BTreeMap<String, String>> {
    if reply.is_empty() {
        return Vec::new();
    }
    let lines: Vec<&str> = reply.split('\n').collect();
    let names = lines.iter().step_by(2).filter(|name| **name == "name");
    let lines_of_one = lines.len() / names.count().max(1);
    lines
        .chunks_exact(lines_of_one.max(1))
        .map(fields)
        .collect()
}

/// Parses a count or the milliseconds of an id. Returns `None` if the server reported no value.
fn number(text: &str) -> Option<f64> {
    text.split('-').next()?.parse().ok()
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

/// Checks that a value on the page is the one that the client has read.
fn assert_same(page: &Page, metric: &str, labels: &Labels<'_>, read: Option<&String>) {
    let name = format!("redis_stream_{metric}");
    let read = read.and_then(|text| number(text));
    assert_eq!(page.get(&name, labels), read, "{name} {labels:?}");
}

/// Compares all metrics of a stream with what a client reads. Returns the numbers of groups and
/// consumers.
fn assert_stream(page: &Page, client: &mut Client, database: &str, key: &str) -> (usize, usize) {
    client.ask(&["SELECT", database.trim_start_matches("db")]);
    let labels = vec![("db", database), ("stream", key)];
    let reply = client.ask(&["XINFO", "STREAM", key]);
    // The entries come last and have a variable number of lines.
    let lines = reply.split('\n').take_while(|line| *line != "first-entry");
    let lines: Vec<&str> = lines.collect();
    let stream = fields(&lines);
    for (metric, field) in [
        ("length", "length"),
        ("radix_tree_keys", "radix-tree-keys"),
        ("radix_tree_nodes", "radix-tree-nodes"),
        ("last_generated_id", "last-generated-id"),
        ("max_deleted_entry_id", "max-deleted-entry-id"),
        ("entries_added_total", "entries-added"),
        ("groups", "groups"),
    ] {
        assert!(stream.contains_key(field), "{field} in {stream:?}");
        assert_same(page, metric, &labels, stream.get(field));
    }
    for (metric, command, from, to) in [
        ("first_entry_id", "XRANGE", "-", "+"),
        ("last_entry_id", "XREVRANGE", "+", "-"),
    ] {
        let entry = client.ask(&[command, key, from, to, "COUNT", "1"]);
        let id = entry.split('\n').next().map(ToOwned::to_owned);
        assert_same(page, metric, &labels, id.as_ref());
    }
    let groups = records(&client.ask(&["XINFO", "GROUPS", key]));
    let mut consumers = 0;
    for group in &groups {
        let name = &group["name"];
        let mut labels = labels.clone();
        labels.push(("group", name));
        for (metric, field) in [
            ("group_consumers", "consumers"),
            ("group_messages_pending", "pending"),
            ("group_last_delivered_id", "last-delivered-id"),
            ("group_entries_read", "entries-read"),
            ("group_lag", "lag"),
        ] {
            assert_same(page, metric, &labels, group.get(field));
        }
        for consumer in records(&client.ask(&["XINFO", "CONSUMERS", key, name])) {
            consumers += 1;
            let mut labels = labels.clone();
            labels.push(("consumer", &consumer["name"]));
            let pending = consumer.get("pending");
            assert_same(page, "group_consumer_messages_pending", &labels, pending);
            // The client sends its query later than the exporter.
            let idle = number(&consumer["idle"]).unwrap() / 1e3;
            let shown = page.value("redis_stream_group_consumer_idle_seconds", &labels);
            assert!((0.0..=5.0).contains(&(idle - shown)), "{idle} {shown}");
        }
    }
    (groups.len(), consumers)
}

/// Writes five entries, and two groups with three consumers. In one group a deleted entry makes the
/// lag unknown to the server.
fn fill(client: &mut Client, key: &str) {
    for milliseconds in 1001..=1005 {
        client.ask(&["XADD", key, &format!("{milliseconds}-7"), "v", "x"]);
    }
    for group in ["billing", "mail"] {
        client.ask(&["XGROUP", "CREATE", key, group, "0"]);
    }
    for (group, consumer, count) in [
        ("billing", "b1", "2"),
        ("billing", "b2", "3"),
        ("mail", "m1", "1"),
    ] {
        client.ask(&[
            "XREADGROUP",
            "GROUP",
            group,
            consumer,
            "COUNT",
            count,
            "STREAMS",
            key,
            ">",
        ]);
    }
    client.ask(&["XACK", key, "billing", "1001-7"]);
    client.ask(&["XDEL", key, "1003-7"]);
}

fn watcher(server: &RedisServer, rules: &[&str]) -> String {
    let mut words = vec!["ACL", "SETUSER", "watcher", "reset", "on", ">pw"];
    words.extend(rules);
    server.ask(&words);
    format!("redis://watcher:pw@{}", server.address())
}

#[test]
fn streams_groups_and_consumers_match_a_client() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    fill(&mut client, "orders:1");
    client.ask(&["XGROUP", "CREATE", "orders:empty", "g", "0", "MKSTREAM"]);
    fill(&mut client, "orders:secret");
    client.ask(&["SET", "orders:text", "no stream"]);
    client.ask(&["RPUSH", "orders:list", "no stream"]);
    client.ask(&["SELECT", "3"]);
    fill(&mut client, "jobs");
    keys::run(&server, 3, "call('XADD', '\\255x', '5-1', 'a', 'b')");
    let url = watcher(
        &server,
        &["+@all", "~orders:[1elt]*", "~jobs", "~missing", "~*x"],
    );
    let exporter = exporter(
        &url,
        "streams: ['orders:*', 'db3=*x', 'db9=*'], \
         single_streams: ['db3=jobs', missing, 'orders:list', 'db0=jobs', 'db99=jobs']",
    );
    let page = after_passes(&exporter, 2.0);
    let found = [
        ("db0", "orders:1"),
        ("db0", "orders:empty"),
        ("db3", "jobs"),
    ]
    .map(|(database, key)| assert_stream(&page, &mut client, database, key));
    assert_eq!(found, [(2, 3), (1, 0), (2, 3)]);
    let labels = [("db", "db3"), ("stream", "\\\\xffx")];
    assert_eq!(page.value("redis_stream_last_entry_id", &labels), 5.0);
    for (metric, expected) in [
        ("length", 4),
        ("groups", 4),
        ("first_entry_id", 3),
        ("group_consumers", 5),
        // The server does not know the lag of `mail`.
        ("group_lag", 3),
        ("group_consumer_idle_seconds", 6),
    ] {
        let all = page.all(&format!("redis_stream_{metric}"), &[]);
        assert_eq!(all.len(), expected, "{metric}");
    }
    assert_eq!(dropped(&page, "denied"), 1.0);
    let before = errors(&server);
    after_passes(&exporter, 3.0);
    assert_eq!(errors(&server), before, "denied queries are not sent again");
}

#[test]
fn deleted_streams_disappear() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    fill(&mut client, "single");
    fill(&mut client, "found");
    let exporter = exporter(&server.url(), "streams: [f*], single_streams: [single]");
    exporter.until("two streams", |page| {
        page.all("redis_stream_length", &[]).len() == 2
    });
    assert_eq!(errors(&server), 0);
    client.ask(&["DEL", "single", "found"]);
    client.ask(&["SET", "single", "no stream any more"]);
    exporter.until("no stream", |page| {
        page.all("redis_stream_length", &[]).is_empty()
            && page.all("redis_stream_group_lag", &[]).is_empty()
    });
    client.ask(&["DEL", "single"]);
    fill(&mut client, "single");
    exporter.until("the stream again", |page| {
        page.all("redis_stream_group_lag", &[("stream", "single")])
            .len()
            == 1
    });
}

#[test]
fn streams_beyond_the_limits_are_counted() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    for number in 1..=5 {
        fill(&mut client, &format!("s:{number}"));
        // These keys sort before the streams, but must not count toward the limit.
        client.ask(&["SET", &format!("s:0{number}"), "no stream"]);
    }
    let exporter = exporter(
        &server.url(),
        "streams: ['s:*'], max_streams: 3, max_stream_groups: 1, max_stream_consumers: 1",
    );
    let page = after_passes(&exporter, 2.0);
    for key in ["s:1", "s:2", "s:3"] {
        page.value("redis_stream_length", &[("stream", key)]);
        let group = [("stream", key), ("group", "billing")];
        page.value("redis_stream_group_lag", &group);
        page.value("redis_stream_group_consumer_idle_seconds", &group);
    }
    assert_eq!(page.all("redis_stream_length", &[]).len(), 3);
    assert_eq!(page.all("redis_stream_group_consumers", &[]).len(), 3);
    assert_eq!(dropped(&page, "max_streams"), 2.0);
    assert_eq!(dropped(&page, "max_stream_groups"), 3.0);
    assert_eq!(dropped(&page, "max_stream_consumers"), 6.0);
}

#[test]
fn consumers_can_be_disabled() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    fill(&mut client, "s");
    let exporter = exporter(
        &server.url(),
        "single_streams: [s], stream_consumers: false",
    );
    let page = exporter.until("the groups", |page| {
        page.all("redis_stream_group_consumers", &[]).len() == 2
    });
    let shown = page.all("redis_stream_group_consumer_messages_pending", &[]);
    assert!(shown.is_empty());
    assert_eq!(dropped(&page, "max_stream_consumers"), 0.0);
    let sent = server.info("cmdstat_xinfo|consumers");
    assert!(sent.is_none(), "{sent:?}");
}

#[test]
fn documented_permissions_suffice() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    fill(&mut client, "s");
    let page = include_str!("../../docs/guides/permissions.md");
    let lines = page
        .lines()
        .filter(|line| line.starts_with("ACL SETUSER exporter "));
    for line in lines {
        server.ask(&line.split_whitespace().collect::<Vec<_>>());
    }
    server.ask(&["ACL", "SETUSER", "exporter", "+client|no-evict"]);
    // Redis 7.0 does not know these.
    if Server::selected() != Server::Distribution {
        server.ask(&["ACL", "SETUSER", "exporter", "+client|no-touch"]);
    }
    if Server::selected().has_command_log() {
        server.ask(&["ACL", "SETUSER", "exporter", "+commandlog|len"]);
    }
    let url = format!("redis://exporter:secret@{}", server.address());
    let exporter = exporter(&url, "streams: ['*'], check: ['*']");
    let page = after_passes(&exporter, 2.0);
    assert_eq!(assert_stream(&page, &mut client, "db0", "s"), (2, 3));
    assert_eq!(errors(&server), 0);
}

#[test]
fn denied_command_costs_one_error_and_its_samples() {
    for (rule, metrics) in [
        ("-type", [false, false, false]),
        ("-xinfo|stream", [false, true, true]),
        ("-xinfo|groups", [true, false, false]),
        ("-xinfo|consumers", [true, true, false]),
    ] {
        let server = RedisServer::start(&[]);
        let mut client = Client::connect(server.port).unwrap();
        for number in 0..30 {
            fill(&mut client, &format!("s:{number:02}"));
        }
        let url = watcher(&server, &["~*", "+@all", rule]);
        let exporter = exporter(&url, "streams: ['s:*']");
        let page = after_passes(&exporter, 2.0);
        let shown = [
            "redis_stream_length",
            "redis_stream_group_consumers",
            "redis_stream_group_consumer_messages_pending",
        ]
        .map(|metric| !page.all(metric, &[]).is_empty());
        assert_eq!(shown, metrics, "{rule}");
        let denied = if shown[0] { 0.0 } else { 30.0 };
        assert_eq!(dropped(&page, "denied"), denied, "{rule}");
        after_passes(&exporter, 2.0);
        // The sweep itself queries types, too.
        let each = if rule == "-type" { 2 } else { 1 };
        let (errors, connections) = (errors(&server), sweep::connections_so_far(&exporter));
        assert!(
            errors >= each && f64::from(errors) <= f64::from(each) * connections,
            "{rule}: {errors} errors over {connections:?} connections\n{}",
            exporter.log()
        );
    }
}
