//! Compares keys, counts, key groups and streams with `redis_exporter`. With the same server and
//! options, all samples are the same except for the listed differences.

use crate::support::redis::Client;
use crate::support::redis_exporter::{Exposition, RedisExporter, Series};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Prefixes of the metrics that the options for keys and streams add.
const COMPARED: &[&str] = &[
    "redis_key_",
    "redis_keys_count",
    "redis_stream_",
    "redis_number_of_distinct_key_groups",
    "redis_last_key_groups_scrape_duration_milliseconds",
];

/// Known differences: prefix of the name, label, and reason.
const DIFFERENT: &[(&str, &str, &str)] = &[
    (
        "redis_key_size",
        "key=\"k:hyperloglog\"",
        "there the result of PFCOUNT, which writes to the key; here the size in bytes",
    ),
    (
        "redis_key_size",
        "key=\"k:missing\"",
        "there 0; here absent, because only an empty string has the size 0",
    ),
    (
        "redis_key_value_as_string",
        "val=\"\"",
        "there an empty label; here only the size is 0",
    ),
    (
        "redis_key_value_as_string",
        "key=\"user:3\"",
        "there the whole value; here its first 512 bytes",
    ),
    (
        "redis_number_of_distinct_key_groups",
        "db=\"db2\"",
        "there 0 for a database without keys; here only databases that the server lists",
    ),
    (
        "redis_last_key_groups_scrape_duration_milliseconds",
        "",
        "there the duration of a script; here that of a pass",
    ),
    (
        "redis_stream_group_consumer_idle_seconds",
        "",
        "the value increases, and the two exporters query it at different times",
    ),
];

/// Prefixes of metrics that this version of `redis_exporter` does not have. Later versions have the
/// first six.
const NEWER: &[&str] = &[
    "redis_key_memory_usage_bytes",
    "redis_stream_entries_added_total",
    "redis_stream_first_entry_id",
    "redis_stream_last_entry_id",
    "redis_stream_max_deleted_entry_id",
    "redis_stream_group_entries_read",
    "redis_stream_group_lag",
    "redis_key_pattern_keys",
    "redis_key_pattern_keys_error",
    "redis_key_group_keys",
    "redis_key_group_keys_error",
    "redis_key_namespace_",
];

fn is_different((name, labels): &Series) -> bool {
    DIFFERENT.iter().any(|(start, label, _)| {
        name == start && (label.is_empty() || labels.iter().any(|text| text == label))
    })
}

fn is_compared(name: &str) -> bool {
    COMPARED.iter().any(|start| name.starts_with(start))
}

fn fill(server: &RedisServer) {
    let mut client = Client::connect(server.port).unwrap();
    let commands = "SET k:number 12.5|SET k:text hello|SET k:float 1e3|SETBIT k:bits 100 1|\
        PFADD k:hyperloglog a b c|RPUSH k:list a b|SADD k:set a|ZADD k:zset 1 a|HSET k:hash a 1|\
        SET other x|XADD s:1 5-1 a 1|XADD s:1 6-1 a 1|XADD s:1 7-1 a 1|XGROUP CREATE s:1 g 0|\
        XGROUP CREATE s:1 late $|XREADGROUP GROUP g c COUNT 2 STREAMS s:1 >|\
        XREADGROUP GROUP g d COUNT 1 STREAMS s:1 >|XACK s:1 g 6-1|XDEL s:1 5-1|\
        XGROUP CREATE s:empty g 0 MKSTREAM|SELECT 1|SET k:3 x|SET user:1 x|SET user:2 x|SET b:1 x|\
        SET c:1 x|XADD jobs 9-9 a 1";
    for command in commands.split('|') {
        let words: Vec<&str> = command.split_whitespace().collect();
        client.ask(&words);
    }
    client.ask(&["SET", "k:empty", ""]);
    client.ask(&["SELECT", "0"]);
    client.ask(&["SET", "k:empty", ""]);
    // The key groups must differ in memory. Otherwise it would be random which of them are shown.
    client.ask(&["SELECT", "1"]);
    client.ask(&["SET", "user:3", &"x".repeat(1_000)]);
    client.ask(&["SET", "k:4", &"x".repeat(500)]);
}

fn redis_exporter(server: &RedisServer) -> RedisExporter {
    RedisExporter::of(
        server,
        &[
            "-check-keys=db0=k:*,db1=user:*",
            "-check-single-keys=db0=other,db0=k:missing,db1=b:1",
            "-count-keys=db0=k:*,db1=none:*,db1=*",
            "-check-key-groups=^(k),^([a-z]+):.*",
            "-max-distinct-key-groups=2",
            "-check-streams=db0=s:*",
            "-check-single-streams=db1=jobs",
        ],
    )
}

fn exporter(server: &RedisServer) -> Exporter {
    let exporter = Launch::configured(&format!(
        "targets:\n- name: cache\n  url: '{}'\n  \
         sweep: {{ enabled: true, min_pass_interval: 500ms, cpu_share: 50% }}\n\
         keys:\n  \
         check: ['db0=k:*', 'db1=user:*']\n  \
         check_single: ['db0=other', 'db0=k:missing', 'db1=b:1']\n  \
         values: text\n  \
         count: ['db0=k:*', 'db1=none:*', 'db1=*']\n  \
         groups: ['^(k)', '^([a-z]+):.*']\n  \
         max_groups: 2\n  \
         streams: ['db0=s:*']\n  \
         single_streams: ['db1=jobs']\n",
        server.url()
    ))
    .start();
    let passes = |page: &Page| page.get("redis_exporter_sweep_passes_total", &[]) >= Some(2.0);
    exporter.until("two passes", passes);
    exporter
}

#[test]
fn samples_match_redis_exporter() {
    let server = RedisServer::start(&["--databases", "3"]);
    fill(&server);
    let exporter = exporter(&server);
    let ours = Exposition::parse(&exporter.get("/scrape?target=cache").text());
    let theirs = redis_exporter(&server).exposition();

    let samples = theirs.samples.iter();
    let compared: Vec<_> = samples
        .filter(|(series, _)| is_compared(&series.0))
        .collect();
    let wrong: Vec<String> = compared
        .iter()
        .filter(|(series, value)| {
            !is_different(series) && ours.samples.get(*series) != Some(*value)
        })
        .map(|(series, value)| {
            let here = ours.samples.get(*series);
            format!("{series:?}: there {value}, here {here:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared.len() > 50, "only {} samples", compared.len());

    for name in theirs.kinds.keys().filter(|name| is_compared(name)) {
        assert_eq!(ours.kinds.get(name), theirs.kinds.get(name), "{name}");
    }
    let is_new = |name: &str| NEWER.iter().any(|start| name.starts_with(start));
    let more: Vec<_> = ours
        .samples
        .keys()
        .filter(|series| is_compared(&series.0) && !is_new(&series.0))
        .filter(|series| !is_different(series) && !theirs.samples.contains_key(*series))
        .collect();
    assert!(more.is_empty(), "only here: {more:?}");
}

#[test]
fn listed_differences_still_exist() {
    let server = RedisServer::start(&["--databases", "3"]);
    fill(&server);
    let exporter = exporter(&server);
    let ours = Exposition::parse(&exporter.get("/scrape?target=cache").text());
    let theirs = redis_exporter(&server).exposition();
    for (name, label, why) in DIFFERENT {
        let of = |page: &Exposition| {
            let samples = page.samples.clone().into_iter();
            let is_it = |(name_here, labels): &Series| {
                name_here == name && (label.is_empty() || labels.iter().any(|text| text == label))
            };
            samples
                .filter(|(series, _)| is_it(series))
                .collect::<Vec<_>>()
        };
        assert_ne!(of(&ours), of(&theirs), "{name} {label}: {why}");
    }
}
