//! Compares with `redis_exporter` on the same server, with default settings. All of its families
//! exist here with the same type and labels, and all constant values are equal.

use crate::support::redis::Client;
use crate::support::redis_exporter::{Exposition, RedisExporter, Series};
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// A known difference from `redis_exporter`.
struct Difference {
    /// The kind of server, or empty for all kinds.
    of: &'static str,
    /// The prefix of the metric names.
    start: &'static str,
    why: &'static str,
}

const fn difference(of: &'static str, start: &'static str, why: &'static str) -> Difference {
    Difference { of, start, why }
}

/// Families that are missing here, have another type, or have constant values that differ.
const DIFFERENCES: &[Difference] = &[
    difference("", "go_", "about the Go runtime there"),
    difference(
        "",
        "process_",
        "each is a separate process, and here is no limit of virtual memory",
    ),
    difference("", "redis_exporter_build_info", "it is a different program"),
    difference("", "redis_exporter_scrape", "each counts its own scrapes"),
    difference(
        "",
        "redis_last_key_groups_scrape_duration_milliseconds",
        "there 0 if no key groups are configured; here absent",
    ),
    difference(
        "",
        "redis_expired_time_cap_reached_total",
        "there a gauge; later versions have a counter",
    ),
    difference(
        "",
        "redis_keyspace_",
        "here since the start of the exporter, and without its own queries",
    ),
    difference(
        "",
        "redis_commands_processed_total",
        "here since the start of the exporter, and without its own queries",
    ),
    difference(
        "sentinel",
        "redis_db_keys",
        "there 16 empty databases, which a sentinel does not have",
    ),
    difference(
        "replica",
        "redis_slowlog_last_id",
        "there 0 while the log is empty",
    ),
    difference(
        "replica",
        "redis_last_slow_execution_duration_seconds",
        "there 0 while the log is empty",
    ),
    difference(
        "cluster",
        "redis_slowlog_last_id",
        "there 0 while the log is empty",
    ),
    difference(
        "cluster",
        "redis_last_slow_execution_duration_seconds",
        "there 0 while the log is empty",
    ),
];

/// Gauges that change on an idle server. They must exist, but their values are not compared.
const MOVING: &[&str] = &[
    // `redis_exporter` opens a new connection for each scrape.
    "redis_connected_clients",
    "redis_client_recent_max_input_buffer_bytes",
    "redis_client_recent_max_output_buffer_bytes",
    "redis_exporter_last_scrape_connect_time_seconds",
    "redis_exporter_last_scrape_duration_seconds",
    "redis_exporter_last_scrape_ping_time_seconds",
    "redis_latency_percentiles_usec",
    "redis_mem_clients_normal",
    "redis_mem_fragmentation_bytes",
    "redis_mem_fragmentation_ratio",
    "redis_memory_used_bytes",
    "redis_memory_used_dataset_bytes",
    "redis_memory_used_overhead_bytes",
    "redis_memory_used_peak_bytes",
    "redis_memory_used_rss_bytes",
    "redis_allocator_active_bytes",
    "redis_allocator_allocated_bytes",
    "redis_allocator_frag_bytes",
    "redis_allocator_frag_ratio",
    "redis_allocator_resident_bytes",
    "redis_allocator_rss_bytes",
    "redis_allocator_rss_ratio",
    "redis_uptime_in_seconds",
    // Primaries and replicas, sentinels, and cluster nodes exchange messages.
    "redis_cluster_messages_",
    "redis_connected_slave_lag_seconds",
    "redis_connected_slave_offset_bytes",
    "redis_master_last_io_seconds_ago",
    "redis_master_repl_offset",
    "redis_repl_backlog_history_bytes",
    "redis_slave_repl_offset",
    // TTLs decrease.
    "redis_db_avg_ttl_seconds",
];

/// Labels that only later versions of `redis_exporter` have.
const NEWER_LABELS: &[(&str, &str)] = &[("redis_instance_info", "master_replid=")];

/// Families that at least one of the servers must have, so that the comparison covers enough.
const SHOWN: &[&str] = &[
    "redis_aof_base_size_bytes",
    "redis_aof_buffer_length",
    "redis_aof_current_size_bytes",
    "redis_aof_delayed_fsync",
    "redis_aof_pending_bio_fsync",
    "redis_aof_pending_rewrite",
    "redis_cluster_state",
    "redis_commands_total",
    "redis_connected_slave_offset_bytes",
    "redis_db_avg_ttl_seconds",
    "redis_errors_total",
    "redis_exporter_build_info",
    "redis_exporter_last_scrape_connect_time_seconds",
    "redis_exporter_last_scrape_duration_seconds",
    "redis_exporter_last_scrape_error",
    "redis_exporter_last_scrape_ping_time_seconds",
    "redis_exporter_scrape_duration_seconds",
    "redis_exporter_scrapes_total",
    "redis_latency_percentiles_usec",
    "redis_latency_spike_last",
    "redis_master_link_up",
    "redis_sentinel_master_ckquorum_status",
    "redis_sentinel_master_ok_slaves",
    "redis_slowlog_last_id",
    "redis_target_scrape_request_errors_total",
    "redis_up",
];

/// A page of `redis_exporter`, and pages of the exporter before and after it.
struct Pages {
    kind: &'static str,
    before: Exposition,
    theirs: Exposition,
    after: Exposition,
}

/// Returns the page of the target without the `target` label, and the other metrics of the page of
/// all targets.
fn ours(exporter: &Exporter) -> Exposition {
    let mut all = Exposition::parse(&exporter.get("/metrics").text());
    let target = Exposition::parse(&exporter.get("/probe?target=it").text());
    all.kinds.extend(target.kinds);
    all.samples.extend(target.samples);
    with_comparable_labels(all)
}

/// Removes labels that cannot be compared. Prometheus treats a label with an empty value as absent.
fn with_comparable_labels(page: Exposition) -> Exposition {
    let is_newer = |name: &str, label: &str| {
        let mut newer = NEWER_LABELS.iter();
        newer.any(|(of, start)| name == *of && label.starts_with(start))
    };
    let samples = page.samples.into_iter().map(|((name, labels), value)| {
        let labels = labels.into_iter();
        let kept = labels.filter(|label| !label.ends_with("=\"\"") && !is_newer(&name, label));
        let kept = kept.collect();
        ((name, kept), value)
    });
    Exposition {
        samples: samples.collect(),
        kinds: page.kinds,
    }
}

impl Pages {
    fn of(kind: &'static str, server: &RedisServer) -> Self {
        let exporter = Launch::configured(&format!(
            "poll: {{ interval: 500ms }}\ntargets: [{{ name: it, url: '{}' }}]\n",
            server.url()
        ))
        .start();
        exporter.until("the server", Page::is_up);
        let redis_exporter = RedisExporter::of(server, &["-ping-on-connect"]);
        // The first queries of both exporters add new entries to the statistics.
        redis_exporter.exposition();
        exporter.polls(2);
        let before = ours(&exporter);
        let theirs = with_comparable_labels(redis_exporter.exposition());
        exporter.polls(2);
        Self {
            kind,
            before,
            theirs,
            after: ours(&exporter),
        }
    }

    /// Returns each difference as a metric name and a message.
    fn wrong(&self) -> Vec<(&str, String)> {
        let kinds = self.theirs.kinds.iter();
        let kinds = kinds.filter_map(|(name, theirs)| {
            let here = self.after.kinds.get(name);
            let line = format!("{}: {name}: there {theirs}, here {here:?}", self.kind);
            (here != Some(theirs)).then_some((name.as_str(), line))
        });
        let samples = self.theirs.samples.iter();
        let samples = samples.filter_map(|(series, value)| {
            let (before, after) = (
                self.before.samples.get(series),
                self.after.samples.get(series),
            );
            let line = format!(
                "{}: {series:?}: there {value}, here {before:?} and {after:?}",
                self.kind
            );
            (!self.has(series, *value)).then_some((series.0.as_str(), line))
        });
        kinds.chain(samples).collect()
    }

    /// Returns whether the exporter showed this value before or after. For a counter, the value may
    /// also be between the two.
    fn has(&self, series: &Series, value: f64) -> bool {
        let of = |page: &Exposition| page.samples.get(series).copied();
        let (before, after) = (of(&self.before), of(&self.after));
        if self.is_counter(&series.0) {
            let was = before.unwrap_or_default();
            return was <= value && after.is_some_and(|after| value <= after);
        }
        let moves = MOVING.iter().any(|start| series.0.starts_with(start));
        moves && after.is_some() || before == Some(value) || after == Some(value)
    }

    fn is_counter(&self, name: &str) -> bool {
        let kind = |name: &str| self.theirs.kinds.get(name).map(String::as_str);
        let of_summary = ["_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        kind(name) == Some("counter") || of_summary.and_then(kind) == Some("summary")
    }

    fn is_known(&self, difference: &Difference, name: &str) -> bool {
        let is_of = difference.of.is_empty() || difference.of == self.kind;
        is_of && name.starts_with(difference.start)
    }
}

fn load(server: &RedisServer) {
    let mut client = Client::connect(server.port).unwrap();
    let commands = "SET number 12.5|SET text hello|INCR count|APPEND text x|SETBIT bits 100 1|\
        PFADD hll a b c|RPUSH list a b|LRANGE list 0 -1|SADD set a|SMEMBERS set|ZADD zset 1 a|\
        ZRANGE zset 0 -1|HSET hash a 1|HGETALL hash|XADD stream * a 1|XLEN stream|GEOADD geo 1 1 a|\
        GET text|GET missing|MGET number text|DEL bits|EXPIRE text 10000|TTL text|SCAN 0|TYPE text|\
        EXISTS text|SETEX short 1000 x|RENAME number other|DBSIZE|PUBLISH channel x|ECHO x|TIME|\
        SELECT 3|SET elsewhere x|EVAL return(1) 0|CONFIG GET save|CLIENT ID|MULTI|SET a 1|EXEC|\
        DEBUG SLEEP 0.02|BGREWRITEAOF";
    for command in commands.split('|') {
        let words: Vec<&str> = command.split_whitespace().collect();
        client.ask(&words);
    }
    for wrong in [["LPUSH", "a", "x"], ["NOSUCH", "a", "b"]] {
        client.try_ask(&wrong).unwrap().unwrap_err();
    }
    until(LONG, "the end of the rewrite", || {
        (server.info("aof_rewrite_in_progress")? == "0").then_some(())
    });
    server.ask(&["BGSAVE"]);
    until(LONG, "the end of the save", || {
        (server.info("rdb_bgsave_in_progress")? == "0").then_some(())
    });
}

/// Keeps the slowlog empty, also on a busy machine.
const EMPTY_LOG: [&str; 2] = ["--slowlog-log-slower-than", "1000000000"];

/// Starts a cluster of three nodes that know each other.
fn cluster() -> Vec<RedisServer> {
    let start = |_| RedisServer::start(&[&["--cluster-enabled", "yes"][..], &EMPTY_LOG].concat());
    let nodes: Vec<RedisServer> = (0..3).map(start).collect();
    for (node, slots) in nodes
        .iter()
        .zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")])
    {
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]);
        let first = nodes[0].port.to_string();
        node.ask(&["CLUSTER", "MEET", "127.0.0.1", &first]);
    }
    until(LONG, "a healthy cluster", || {
        let is_well = |node: &RedisServer| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        nodes.iter().all(is_well).then_some(())
    });
    nodes
}

#[test]
fn families_and_constant_values_match_redis_exporter() {
    let primary = RedisServer::start(&[
        "--appendonly",
        "yes",
        "--maxmemory",
        "100mb",
        "--latency-monitor-threshold",
        "1",
        "--slowlog-log-slower-than",
        "5000",
        "--enable-debug-command",
        "yes",
    ]);
    load(&primary);
    let port = primary.port.to_string();
    let prompt = ["--repl-diskless-sync-delay", "0"];
    let follow = ["--replicaof", "127.0.0.1", &port];
    let replica = RedisServer::start(&[&follow[..], &prompt, &EMPTY_LOG].concat());
    until(LONG, "the link", || {
        (replica.info("master_link_status")? == "up").then_some(())
    });
    let sentinel = RedisServer::sentinel(&format!("sentinel monitor main 127.0.0.1 {port} 1"));
    until(LONG, "the replica at the sentinel", || {
        sentinel.info("master0")?.contains("slaves=1").then_some(())
    });
    let cluster = cluster();
    let pages = [
        Pages::of("standalone", &primary),
        Pages::of("replica", &replica),
        Pages::of("sentinel", &sentinel),
        Pages::of("cluster", &cluster[1]),
    ];
    let is_known = |page: &Pages, name: &str| {
        let mut differences = DIFFERENCES.iter();
        differences.any(|difference| page.is_known(difference, name))
    };
    let wrong = pages.iter().flat_map(|page| {
        let wrong = page.wrong().into_iter();
        wrong.filter(|(name, _)| !is_known(page, name))
    });
    let wrong: Vec<String> = wrong.map(|(_, line)| line).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Every listed difference must exist.
    for difference in DIFFERENCES {
        let is_seen = |page: &Pages| {
            let wrong = page.wrong();
            wrong
                .iter()
                .any(|(name, _)| page.is_known(difference, name))
        };
        let (start, why) = (difference.start, difference.why);
        assert!(pages.iter().any(is_seen), "{start} is the same: {why}");
    }
    for name in SHOWN {
        let is_shown = |page: &Pages| page.theirs.kinds.contains_key(*name);
        assert!(pages.iter().any(is_shown), "{name} was not compared");
    }
    for start in MOVING {
        let is_shown = |page: &Pages| page.theirs.kinds.keys().any(|name| name.starts_with(start));
        assert!(pages.iter().any(is_shown), "{start} was not compared");
    }
}
