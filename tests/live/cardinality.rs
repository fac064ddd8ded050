//! Number of series on a page, compared with `redis_exporter` and with excluded commands.

use std::collections::BTreeMap;

use crate::support::redis::Client;
use crate::support::redis_exporter::{Exposition, RedisExporter};
use crate::support::{Launch, RedisServer};

/// Metrics with more series than in `redis_exporter`, and the reason.
const MORE: &[(&str, &str)] = &[(
    "redis_errors_total",
    "codes that alerts use start at 0; otherwise the first error would be invisible",
)];

/// Prefixes of the metrics about the exporters themselves.
const OF_ITSELF: &[&str] = &["go_", "process_", "redis_exporter_", "promhttp_"];

/// Calls commands of every kind to create many command statistics.
fn use_commands(server: &RedisServer) {
    for words in [
        &["SET", "string", "1"][..],
        &["GET", "string"],
        &["INCR", "string"],
        &["MSET", "a", "1", "b", "2"],
        &["MGET", "a", "b"],
        &["APPEND", "a", "x"],
        &["EXPIRE", "a", "1000"],
        &["TTL", "a"],
        &["RPUSH", "list", "1", "2"],
        &["LRANGE", "list", "0", "-1"],
        &["LPOP", "list"],
        &["SADD", "set", "1", "2"],
        &["SMEMBERS", "set"],
        &["ZADD", "zset", "1", "a"],
        &["ZRANGE", "zset", "0", "-1"],
        &["HSET", "hash", "a", "1"],
        &["HGETALL", "hash"],
        &["XADD", "stream", "*", "a", "1"],
        &["XLEN", "stream"],
        &["PFADD", "log", "a"],
        &["GEOADD", "geo", "1", "1", "a"],
        &["SETBIT", "bits", "7", "1"],
        &["PUBLISH", "channel", "a"],
        &["EVAL", "return 1", "0"],
        &["OBJECT", "ENCODING", "string"],
        &["MEMORY", "USAGE", "string"],
        &["CLIENT", "LIST"],
        &["SCAN", "0"],
        &["DBSIZE"],
    ] {
        server.ask(words);
    }
    let mut client = Client::connect(server.port).unwrap();
    assert!(client.try_ask(&["LPUSH", "string", "1"]).unwrap().is_err());
}

/// Returns the number of series of each metric.
fn counts(page: &Exposition) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    let names = page.samples.keys().map(|(name, _)| name.as_str());
    for name in names.filter(|name| !OF_ITSELF.iter().any(|start| name.starts_with(start))) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[test]
fn shared_names_add_no_series_to_redis_exporter() {
    let server = RedisServer::start(&[]);
    use_commands(&server);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    ))
    .start();
    let redis_exporter = RedisExporter::of(&server, &[]);
    // The server has then seen the queries of both exporters.
    drop(redis_exporter.exposition());
    exporter.polls(2);
    let theirs = redis_exporter.exposition();
    exporter.polls(2);
    let ours = Exposition::parse(&exporter.get("/scrape?target=cache").text());
    let theirs = counts(&theirs);
    let shared: BTreeMap<&str, usize> = counts(&ours)
        .into_iter()
        .filter(|(name, _)| theirs.contains_key(name))
        .collect();
    let more: Vec<_> = shared
        .iter()
        .filter(|(name, count)| **count > theirs[**name])
        .map(|(name, _)| *name)
        .collect();
    let expected: Vec<_> = MORE.iter().map(|(name, _)| *name).collect();
    assert_eq!(more, expected);
    let sum = |counts: &BTreeMap<&str, usize>| {
        let all = counts.iter().filter(|(name, _)| !more.contains(name));
        all.map(|(_, count)| count).sum::<usize>()
    };
    let (here, there) = (sum(&shared), sum(&theirs));
    assert!(
        here <= there,
        "{here} series here, {there} in redis_exporter"
    );
    assert!(here > 250, "only {here} series with shared names");
}

/// Returns the number of series of a server in `redis_exporter`, in the exporter with default
/// settings, and in the exporter with all metrics. The sweep has then queried all details of the
/// namespaces.
fn series_of(server: &RedisServer, namespaces: usize) -> [usize; 3] {
    let start = |series: &str| {
        Launch::configured(&format!(
            "poll: {{ interval: 500ms }}\nseries: {series}\n\
             sweep: {{ min_pass_interval: 1s, lookups_per_minute: 100000 }}\n\
             targets: [{{ name: cache, url: '{}' }}]\n",
            server.url()
        ))
        .start()
    };
    let redis_exporter = RedisExporter::of(server, &[]);
    let exporters = [start("compact"), start("full")];
    let [compact, full] = exporters.map(|exporter| {
        let page = exporter.until("all details of the namespaces", |page| {
            let details = ["largest_key_bytes", "keys_without_ttl", "type_keys"];
            let mut details = details
                .map(|name| format!("redis_key_namespace_{name}"))
                .into_iter();
            details.all(|name| page.all(&name, &[]).len() >= namespaces)
        });
        page.0.lines().filter(|line| !line.starts_with('#')).count()
    });
    [redis_exporter.exposition().samples.len(), compact, full]
}

#[test]
fn defaults_add_at_most_half_the_series_of_full() {
    let quiet = RedisServer::start(&[]);
    for key in 0..200 {
        let key = key.to_string();
        quiet.ask(&["SET", &format!("user:{key}"), "x"]);
        quiet.ask(&["SET", &format!("session:{key}"), "x", "EX", "3600"]);
    }
    let busy = RedisServer::start(&[]);
    use_commands(&busy);
    for namespace in ["user", "cart", "feed", "job", "session", "page"] {
        for key in 0..100 {
            let key = format!("{namespace}:{key}");
            busy.ask(&["SET", &key, "x", "EX", "3600"]);
            if namespace < "g" {
                busy.ask(&["PERSIST", &key]);
            }
        }
    }
    for (server, namespaces) in [(quiet, 2), (busy, 6)] {
        let [theirs, compact, full] = series_of(&server, namespaces);
        let measured = format!("{theirs} in redis_exporter, {compact} by default, {full} in full");
        assert!(2 * (compact - theirs) <= full - theirs, "{measured}");
        println!("{measured}");
    }
}

#[test]
fn excluded_commands_are_hidden_but_not_counted_as_dropped() {
    let server = RedisServer::start(&["--slowlog-log-slower-than", "0"]);
    server.ask(&["FLUSHALL"]);
    use_commands(&server);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\n\
         commands: {{ exclude: ['z*', 'client|*', 'GET'] }}\n\
         targets:\n\
         - {{ name: most, url: '{0}' }}\n\
         - {{ name: few, url: '{0}', commands: {{ include: ['get', 'set'], exclude: [] }} }}\n",
        server.url()
    ))
    .start();
    exporter.polls_of("few", 2);
    let page = exporter.polls_of("most", 2);
    let is_shown = |target: &str, command: &str| {
        let start = format!("target=\"{target}\"");
        let command = format!("cmd=\"{command}\"");
        let mut lines = page.0.lines();
        lines.any(|line| line.contains(&start) && line.contains(&command))
    };
    for command in ["get", "zadd", "zrange", "client|list"] {
        assert!(!is_shown("most", command), "{command}");
    }
    for command in ["set", "hset", "memory|usage"] {
        assert!(is_shown("most", command), "{command}");
        assert_eq!(is_shown("few", command), command == "set", "{command}");
    }
    assert!(is_shown("few", "get"));
    // Alert rules need this series.
    let flushes = [("target", "few"), ("cmd", "flushall")];
    assert_eq!(page.get("redis_commands_total", &flushes), Some(1.0));
    // This metric is absent if no samples were dropped.
    assert_eq!(page.get("redis_exporter_dropped_samples", &[]), None);
}
