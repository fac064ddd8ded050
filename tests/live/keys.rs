//! Compares keys that are shown by name, counted by pattern, or grouped with what a direct client
//! reads.

use std::collections::BTreeMap;

use crate::support::redis::Client;
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Starts an exporter that sweeps one server as fast as it can.
fn exporter(server: &RedisServer, keys: &str) -> Exporter {
    exporter_of(&server.url(), keys)
}

fn exporter_of(url: &str, keys: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\n\
         targets:\n- url: '{url}'\n  \
         sweep: {{ enabled: true, min_pass_interval: 500ms, cpu_share: 50%, largest_keys: 3 }}\n\
         keys:\n{keys}\n"
    ))
    .start()
}

fn passes(page: &Page) -> f64 {
    page.get("redis_exporter_sweep_passes_total", &[])
        .unwrap_or(0.0)
}

/// Returns the page after this many more passes.
fn after_passes(exporter: &Exporter, more: f64) -> Page {
    let before = passes(&exporter.page());
    exporter.until("a pass", |page| passes(page) >= before + more)
}

/// Writes keys of all types and returns their sizes as reported by the server.
fn fill(client: &mut Client, prefix: &str) -> BTreeMap<String, f64> {
    let fill: [(&str, &[&str], &str); 7] = [
        ("string", &["SET", "", "hello world"], "STRLEN"),
        ("empty", &["SET", "", ""], "STRLEN"),
        ("list", &["RPUSH", "", "a", "b", "c"], "LLEN"),
        ("set", &["SADD", "", "a", "b"], "SCARD"),
        ("zset", &["ZADD", "", "1", "a"], "ZCARD"),
        ("hash", &["HSET", "", "a", "1", "b", "2"], "HLEN"),
        ("stream", &["XADD", "", "*", "a", "1"], "XLEN"),
    ];
    let mut sizes = BTreeMap::new();
    for (kind, words, size) in fill {
        let key = format!("{prefix}:{kind}");
        let words: Vec<&str> = words
            .iter()
            .enumerate()
            .map(|(at, word)| if at == 1 { key.as_str() } else { *word })
            .collect();
        client.ask(&words);
        sizes.insert(key.clone(), client.ask(&[size, &key]).parse().unwrap());
    }
    sizes
}

fn memory(client: &mut Client, key: &str) -> f64 {
    client.ask(&["MEMORY", "USAGE", key]).parse().unwrap()
}

fn errors(server: &RedisServer) -> u32 {
    server.info("total_error_replies").unwrap().parse().unwrap()
}

fn assert_keys(page: &Page, client: &mut Client, database: &str, sizes: &BTreeMap<String, f64>) {
    for (key, size) in sizes {
        let labels = [("db", database), ("key", key.as_str())];
        assert_eq!(page.value("redis_key_size", &labels), *size, "{key}");
        assert_eq!(
            page.value("redis_key_memory_usage_bytes", &labels),
            memory(client, key),
            "{key}"
        );
    }
}

#[test]
fn denied_keys_do_not_shift_the_sizes_of_others() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    let first = fill(&mut client, "a");
    client.ask(&["SET", "secret:1", "x"]);
    client.ask(&["SET", "secret:2", "xx"]);
    client.ask(&["SELECT", "3"]);
    let third = fill(&mut client, "third");
    client.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">pw", "+@all", "~a:*", "~third:*", "~missing",
    ]);
    let singles: Vec<String> = ["db0=secret:1", "db0=missing", "db0=secret:2", "db99=a:list"]
        .into_iter()
        .map(str::to_owned)
        .chain(first.keys().map(|key| format!("db0={key}")))
        .map(|name| format!("\"{name}\""))
        .collect();
    let keys = format!(
        "  check_single: [{}]\n  check: [\"db3=third:*\", \"db9=third:*\"]",
        singles.join(", ")
    );
    let url = format!("redis://watcher:pw@{}", server.address());
    let exporter = exporter_of(&url, &keys);
    let page = after_passes(&exporter, 2.0);
    assert_keys(&page, &mut client, "db3", &third);
    client.ask(&["SELECT", "0"]);
    assert_keys(&page, &mut client, "db0", &first);
    let shown = page.all("redis_key_size", &[]).len();
    assert_eq!(shown, first.len() + third.len());
    let denied = [("reason", "denied")];
    assert_eq!(
        page.value("redis_exporter_sweep_dropped_keys", &denied),
        2.0
    );
    let before = errors(&server);
    exporter.polls(4);
    after_passes(&exporter, 2.0);
    assert_eq!(errors(&server), before, "denied queries are not sent again");
}

#[test]
fn no_key_type_causes_errors_and_lookups_are_counted() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    fill(&mut client, "k");
    client.ask(&["PFADD", "k:hyperloglog", "a", "b"]);
    client.ask(&["XGROUP", "CREATE", "k:stream", "g", "0"]);
    client.ask(&["XGROUP", "CREATECONSUMER", "k:stream", "g", "c"]);
    client.ask(&["CONFIG", "RESETSTAT"]);
    let exporter = exporter(
        &server,
        "  check: [\"k:*\"]\n  check_single: [missing, \"db77=x\"]\n  values: text\n  \
         streams: [\"k:*\"]\n  single_streams: [missing, \"k:hash\"]",
    );
    exporter.polls(3);
    after_passes(&exporter, 2.0);
    let counts = |page: &Page| {
        let of = |result| {
            page.value(
                "redis_exporter_sweep_induced_lookups_total",
                &[("result", result)],
            )
        };
        let info = |name| page.value(name, &[]);
        [
            (of("hit"), info("redis_info_keyspace_hits_total")),
            (of("miss"), info("redis_info_keyspace_misses_total")),
        ]
    };
    // The two counts are published at different times. They are equal between two steps.
    exporter.until("equal counts", |page| {
        counts(page)
            .iter()
            .all(|(ours, theirs)| ours == theirs && *ours > 0.0)
    });
    assert_eq!(errors(&server), 0);
    let clients = server.ask(&["CLIENT", "LIST"]);
    assert_eq!(
        clients
            .matches("name=redis-namespace-exporter-sweep")
            .count(),
        1
    );
}

#[test]
fn values_are_shown_as_configured() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    let long = "x".repeat(5000);
    for (key, value) in [("n", "-1.5"), ("t", "v1"), ("empty", ""), ("long", &long)] {
        client.ask(&["SET", key, value]);
    }
    client.ask(&["RPUSH", "list", "1"]);
    for (shown, numbers, texts) in [("off", 0, 0), ("number", 1, 0), ("text", 1, 1)] {
        let keys = format!("  check_single: [\"n\", t, empty, long, list]\n  values: {shown}");
        let exporter = exporter(&server, &keys);
        let page = exporter.until("sizes", |page| page.all("redis_key_size", &[]).len() == 5);
        assert_eq!(page.all("redis_key_value", &[]).len(), numbers, "{shown}");
        let strings = page.all("redis_key_value_as_string", &[]);
        assert_eq!(strings.len(), texts, "{shown}");
        if shown == "text" {
            assert_eq!(page.value("redis_key_value", &[("key", "n")]), -1.5);
            page.value("redis_key_value_as_string", &[("key", "t"), ("val", "v1")]);
        }
    }
}

#[test]
fn pass_counts_patterns_and_key_groups_exactly() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (prefix, group, count) in [
        ("user", "user", 300),
        ("cart", "cart", 70),
        ("x", "unclassified", 25),
        ("small", "small", 5),
    ] {
        for number in 0..count {
            let key = format!("{prefix}:{number}");
            client.ask(&["SET", &key, &"v".repeat(number)]);
            let sum = sums.entry(group).or_default();
            *sum = (sum.0 + 1.0, sum.1 + memory(&mut client, &key));
        }
    }
    let keys = "  count: [\"*\", \"user:1*\", \"db0=none:*\", \"db5=*\"]\n  \
                groups: [\"^(user|cart|small):\"]\n  max_groups: 3";
    let exporter = exporter(&server, keys);
    let page = after_passes(&exporter, 1.0);
    for (pattern, database, expected) in [
        ("*", "db0", 400.0),
        ("user:1*", "db0", 111.0),
        ("none:*", "db0", 0.0),
        ("*", "db5", 0.0),
    ] {
        let labels = [("db", database), ("key", pattern)];
        assert_eq!(page.value("redis_keys_count", &labels), expected);
        assert_eq!(page.value("redis_key_pattern_keys_error", &labels), 0.0);
    }
    sums.insert("overflow", sums["small"]);
    sums.remove("small");
    for (group, (count, bytes)) in &sums {
        let labels = [("db", "db0"), ("key_group", group)];
        assert_eq!(page.value("redis_key_group_count", &labels), *count);
        let found = page.value("redis_key_group_memory_usage_bytes", &labels);
        assert_eq!(found, *bytes, "{group}");
    }
    assert_eq!(page.all("redis_key_group_count", &[]).len(), sums.len());
    let distinct = page.value("redis_number_of_distinct_key_groups", &[("db", "db0")]);
    assert_eq!(distinct, 4.0);
    page.value("redis_last_key_groups_scrape_duration_milliseconds", &[]);
}

#[test]
fn largest_keys_are_shown_until_deleted() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    // Each key is twice as large as the previous one, because the server's allocator rounds up.
    for number in 0..10 {
        let value = "x".repeat(64 << number);
        client.ask(&["SET", &format!("k:{number}"), &value]);
    }
    client.ask(&["SELECT", "2"]);
    client.ask(&["SET", "giant", &"x".repeat(100_000)]);
    let exporter = exporter(&server, "  max_checked: 1");
    let shown = |page: &Page| {
        let of = |key| page.get("redis_key_memory_usage_bytes", &[("key", key)]);
        (["giant", "k:9", "k:8", "k:7"]).map(|key| of(key).is_some())
    };
    let page = after_passes(&exporter, 1.0);
    assert_eq!(shown(&page), [true, true, true, false]);
    let labels = [("db", "db2"), ("key", "giant")];
    assert_eq!(
        page.value("redis_key_memory_usage_bytes", &labels),
        memory(&mut client, "giant")
    );
    client.ask(&["DEL", "giant"]);
    let page = after_passes(&exporter, 2.0);
    assert_eq!(shown(&page), [false, true, true, true]);
}

#[test]
fn key_queries_do_not_change_the_database_of_the_sweep() {
    let server = RedisServer::start(&["--enable-debug-command", "yes"]);
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&["DEBUG", "POPULATE", "8000"]);
    client.ask(&["SELECT", "3"]);
    client.ask(&["SET", "x", "three"]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\n\
         targets:\n- url: '{}'\n  \
         sweep: {{ enabled: true, first_keys: 0, keys_per_second: 2500, commands_per_second: 1000000 }}\n\
         keys: {{ check_single: [\"db3=x\"], count: [\"*\", \"db3=*\"] }}\n",
        server.url()
    ))
    .start();
    // The key was queried during the sweep of database 0.
    let page = exporter.until("the key", |page| {
        !page.all("redis_key_size", &[]).is_empty()
    });
    assert_eq!(passes(&page), 0.0);
    let page = after_passes(&exporter, 1.0);
    let labels = |database| [("db", database), ("key", "*")];
    for (database, keys) in [("db0", 8000.0), ("db3", 1.0)] {
        assert_eq!(page.value("redis_keys_count", &labels(database)), keys);
        let error = page.value("redis_key_pattern_keys_error", &labels(database));
        assert_eq!(error, 0.0, "{database}");
    }
    assert_eq!(page.value("redis_key_size", &[("key", "x")]), 5.0);
}

#[test]
fn keys_beyond_the_limit_are_counted() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    for number in 0..30 {
        client.ask(&["SET", &format!("k:{number:02}"), "x"]);
    }
    let exporter = exporter(&server, "  check: [\"k:*\"]\n  max_checked: 10");
    let page = after_passes(&exporter, 2.0);
    assert_eq!(page.all("redis_key_size", &[]).len(), 10);
    page.value("redis_key_size", &[("key", "k:00")]);
    page.value("redis_key_size", &[("key", "k:09")]);
    let reason = [("reason", "max_checked")];
    let dropped = page.value("redis_exporter_sweep_dropped_keys", &reason);
    assert_eq!(dropped, 20.0);
}

#[test]
fn cluster_node_shows_only_its_own_keys() {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    let other = RedisServer::start(&["--cluster-enabled", "yes"]);
    // `foo` is in slot 12182, `bar` in 5061.
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "8000", "16383"]);
    other.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "7999"]);
    server.ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string()]);
    crate::support::until(crate::support::wait::LONG, "a writable node", || {
        let mut client = Client::connect(server.port).ok()?;
        client.try_ask(&["SET", "foo", "four"]).ok()?.ok()
    });
    let mut client = Client::connect(server.port).unwrap();
    crate::support::until(crate::support::wait::LONG, "a cluster", || {
        let reply = client.try_ask(&["GET", "bar"]).ok()?;
        reply
            .is_err_and(|error| error.starts_with("MOVED"))
            .then_some(())
    });
    let moved = || server.info("errorstat_MOVED");
    let exporter = exporter(
        &server,
        "  check_single: [bar, foo]\n  single_streams: [bar, foo]\n  count: [\"*\"]",
    );
    let page = after_passes(&exporter, 1.0);
    let before = moved();
    assert!(before.is_some());
    after_passes(&exporter, 2.0);
    assert_eq!(
        moved(),
        before,
        "a key of another node is not queried again at once"
    );
    assert_eq!(page.all("redis_key_size", &[]).len(), 1);
    assert_eq!(page.value("redis_key_size", &[("key", "foo")]), 4.0);
    assert_eq!(page.value("redis_keys_count", &[]), 1.0);
}
