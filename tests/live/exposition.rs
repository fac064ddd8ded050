//! The page as a whole: names, types, and the effects of the configuration.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Stdio};

use redis_namespace_exporter::{collector, outcome, telemetry};

use crate::support::redis::Client;
use crate::support::{Exporter, Launch, Page, RedisServer, wait};

const NO_PROMTOOL: &str = "promtool is missing: run scripts/test, or apt-get install prometheus";

/// A name with its type, like a TYPE line.
type Spelling = (String, String);

/// Returns the spellings of `redis_exporter` that break Prometheus conventions by their name or
/// type. They are on the page only if `legacy_names` is on.
fn legacy_spellings() -> BTreeSet<Spelling> {
    let collected = collector::ALL
        .iter()
        .flat_map(|collector| (collector.families)());
    let families = collected
        .chain(outcome::families())
        .chain(telemetry::families());
    families
        .filter_map(|family| family.legacy)
        .map(|legacy| (legacy.name.to_owned(), legacy.kind.as_str().to_owned()))
        .collect()
}

/// Returns the metrics of a page from its TYPE lines.
fn spellings(page: &str) -> Vec<Spelling> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Returns the legacy spellings on a page.
fn legacy_on(page: &str) -> Vec<Spelling> {
    let legacy = legacy_spellings();
    let mut found = spellings(page);
    found.retain(|spelling| legacy.contains(spelling));
    found
}

/// Returns the names that promtool reports, with its messages.
fn complaints(page: &str) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page");
    std::fs::write(&path, page).unwrap();
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(File::open(&path).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .expect(NO_PROMTOOL);
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let found: Vec<_> = text
        .lines()
        .map(|line| (line.split(' ').next().unwrap().to_owned(), line.to_owned()))
        .collect();
    assert_eq!(output.status.success(), found.is_empty(), "{text}");
    found
}

/// Servers of each kind with values for many metrics.
struct Busy {
    servers: Vec<(&'static str, RedisServer)>,
}

impl Busy {
    fn start() -> Self {
        let primary = RedisServer::start(&[
            "--slowlog-log-slower-than",
            "0",
            "--latency-monitor-threshold",
            "1",
            "--enable-debug-command",
            "yes",
            "--maxmemory",
            "64mb",
            "--maxmemory-policy",
            "allkeys-lru",
            "--repl-diskless-sync-delay",
            "0",
            "--appendonly",
            "yes",
        ]);
        let port = primary.port.to_string();
        let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]);
        let node = RedisServer::start(&["--cluster-enabled", "yes"]);
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        let sentinel = RedisServer::sentinel(&format!("sentinel monitor main 127.0.0.1 {port} 1"));
        let gone = RedisServer::start(&["--requirepass", "needed"]);
        keep_busy(&primary);
        let servers = vec![
            ("primary", primary),
            ("replica", replica),
            ("node", node),
            ("sentinel", sentinel),
            ("gone", gone),
        ];
        Self { servers }
    }

    fn exporter(&self, legacy_names: bool) -> Exporter {
        let target = |(name, server): &(_, RedisServer)| {
            format!("- {{ name: {name}, url: '{}' }}\n", server.url())
        };
        let targets = self.servers.iter().map(target).collect::<Vec<_>>().concat();
        let exporter = Launch::configured(&format!(
            "legacy_names: {legacy_names}\npoll: {{ interval: 1s }}\ntargets:\n{targets}"
        ))
        .start();
        exporter.until("the replica and the sentinel", |page| {
            page.get("redis_master_link_up", &[("target", "replica")]) == Some(1.0)
                && page.all("redis_sentinel_master_status", &[]).len() == 1
                && page
                    .all(
                        "redis_connected_slave_offset_bytes",
                        &[("target", "primary")],
                    )
                    .len()
                    == 1
        });
        exporter
    }
}

/// Creates all data types, expiring keys, several databases, errors, a script call, and a slow
/// command.
fn keep_busy(server: &RedisServer) {
    let mut client = Client::connect(server.port).unwrap();
    for words in [
        &["SET", "string", "1"][..],
        &["SETEX", "expiring", "1000", "value"],
        &["HSET", "hash", "field", "value"],
        &["LPUSH", "list", "a", "b"],
        &["SADD", "set", "a", "b"],
        &["ZADD", "sorted", "1", "a"],
        &["XADD", "stream", "*", "field", "value"],
        &["PFADD", "log", "a"],
        &["SETBIT", "bits", "7", "1"],
        &["GEOADD", "places", "13", "52", "a"],
        &["EVAL", "return 1", "0"],
        &["GET", "string"],
        &["GET", "nothing"],
        &["PUBLISH", "prism:events", "x"],
        &["DEBUG", "SLEEP", "0.01"],
        &["SELECT", "3"],
        &["SET", "other", "1"],
        &["SELECT", "0"],
    ] {
        client.ask(words);
    }
    for words in [
        &["INCR", "list"][..],
        &["NONSENSE"],
        &["EVALSHA", "0", "0"],
        &["AUTH", "a", "b"],
    ] {
        assert!(client.try_ask(words).unwrap().is_err(), "{words:?}");
    }
}

#[test]
fn promtool_accepts_pages_without_legacy_names() {
    let busy = Busy::start();
    let exporter = busy.exporter(false);
    let page = exporter.page().0;
    assert_eq!(complaints(&page), []);
    assert_eq!(legacy_on(&page), []);
    for part in [
        "err=\"WRONGTYPE\"",
        "redis_latency_spike",
        "redis_exporter_polls_total",
    ] {
        assert!(page.contains(part), "the server was not busy: no {part}");
    }
    for target in ["primary", "gone"] {
        let own = exporter.get(&format!("/probe?target={target}")).text();
        assert_eq!(complaints(&own), [], "{target}");
        assert_eq!(legacy_on(&own), [], "{target}");
        // Alerts on failed polls need the same series labels as redis_up.
        for counted in [
            "\nredis_exporter_poll_failures_total{reason=\"refused\"} ",
            "\nredis_exporter_task_panics_total 0\n",
        ] {
            assert!(own.contains(counted), "{target} has no {counted}");
        }
    }
}

#[test]
fn promtool_rejects_only_legacy_names() {
    let busy = Busy::start();
    let page = busy.exporter(true).page().0;
    let found = complaints(&page);
    assert!(!found.is_empty());
    let legacy: BTreeSet<String> = legacy_on(&page).into_iter().map(|(name, _)| name).collect();
    let strange: Vec<_> = found
        .iter()
        .filter(|(name, _)| !legacy.contains(name))
        .collect();
    assert!(strange.is_empty(), "{strange:#?}");
    for name in ["redis_total_error_replies", "redis_commands_latencies_usec"] {
        assert!(legacy.contains(name), "{name}");
    }
}

#[test]
fn pages_contain_each_family_and_series_once() {
    let busy = Busy::start();
    for legacy in [false, true] {
        let page = busy.exporter(legacy).page().0;
        let families = spellings(&page);
        let distinct: BTreeSet<_> = families.iter().map(|(name, _)| name).collect();
        assert_eq!(distinct.len(), families.len());
        let mut series = BTreeSet::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(name), "{name} is there more than once");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn reload_turns_off_legacy_names() {
    let server = RedisServer::start(&[]);
    let with = |legacy: bool| {
        format!(
            "legacy_names: {legacy}\npoll: {{ interval: 300ms }}\ntargets: [{{ url: '{}' }}]\n",
            server.url()
        )
    };
    let exporter = Launch::configured(&with(true)).start();
    exporter.until("a legacy name", |page| {
        page.get("redis_total_error_replies", &[]).is_some()
    });
    exporter.reconfigure(&with(false));
    assert_eq!(
        exporter.reload().text().trim(),
        "targets: 0 started, 0 ended, 1 kept"
    );
    let page = exporter.until("only clean names", |page| {
        page.get("redis_total_error_replies", &[]).is_none() && page.is_up()
    });
    page.value("redis_error_replies_total", &[]);
    exporter.polls(2);
    let own = exporter
        .get(&format!("/probe?target={}", server.address()))
        .text();
    assert!(!own.contains("redis_total_error_replies"));
}

#[test]
fn memory_limit_of_the_server_overrides_the_declared_one() {
    let (limited, open) = (
        RedisServer::start(&["--maxmemory", "64mb"]),
        RedisServer::start(&[]),
    );
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 300ms }}\ntargets:\n\
         - {{ name: limited, url: '{0}', memory_limit: 256MiB }}\n\
         - {{ name: declared, url: '{1}', memory_limit: 256MiB, expect_full: true }}\n\
         - {{ name: unknown, url: '{1}' }}\n",
        limited.url(),
        open.url()
    ))
    .start();
    let mib = 1024.0 * 1024.0;
    let page = exporter.page();
    let limit = |target| page.get("redis_memory_limit_bytes", &[("target", target)]);
    assert_eq!(limit("limited"), Some(64.0 * mib));
    assert_eq!(limit("declared"), Some(256.0 * mib));
    assert_eq!(limit("unknown"), None);
    let full = page.label_values("redis_memory_expect_full", "target", 1.0);
    assert_eq!(full, ["declared"]);
    open.ask(&["CONFIG", "SET", "maxmemory", "100mb"]);
    exporter.within(wait::LONG, "the new limit", |page| {
        page.get("redis_memory_limit_bytes", &[("target", "unknown")]) == Some(100.0 * mib)
    });
}

#[test]
fn disabled_collectors_send_and_show_nothing() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 300ms }}\ntargets: [{{ url: '{}', collectors: {{ slowlog: false, latency_histogram: false, commandstats: false }} }}]\n",
        server.url()
    ))
    .start();
    let page = exporter.polls(3);
    for name in [
        "redis_slowlog_length",
        "redis_commands_total",
        "redis_commands_latencies_usec_count",
    ] {
        assert!(page.all(name, &[]).is_empty(), "{name}");
    }
    assert!(
        page.get(
            "redis_exporter_collector_success",
            &[("collector", "slowlog")]
        )
        .is_none()
    );
    assert_eq!(server.info("cmdstat_slowlog|len"), None);
    assert_eq!(server.info("cmdstat_latency|histogram"), None);
}

#[test]
fn server_start_time_does_not_jitter() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::of(&server.url()).start();
    let start = |page: &Page| page.value("redis_start_time_seconds", &[]);
    let first = start(&exporter.page());
    for _ in 0..5 {
        assert_eq!(start(&exporter.polls(1)).to_bits(), first.to_bits());
    }
}
