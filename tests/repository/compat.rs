//! Compares all metrics of `redis_exporter` with the rows: name, type and labels.
//!
//! Each must also occur on a page of a real server. Exceptions are listed by name. Golden pages and
//! live tests check the values.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::collector::{ALL, Circumstances, Replies};
use redis_namespace_exporter::encode::{encode, spellings};
use redis_namespace_exporter::metric::Names;
use redis_namespace_exporter::metric::{Descriptor, Snapshot};
use redis_namespace_exporter::reply::Reply;

use crate::support;

/// A pattern of names instead of a name.
const NO_NAME: &str = "redis_cluster_*";

/// Our labels that differ, with the reason.
const OTHER_LABELS: &[(&str, &str)] = &[(
    "redis_exporter_build_info",
    "there is no Go version; an absent label is an empty one",
)];

/// Names that a live test shows, with its file.
const SHOWN_LIVE: &[(&str, &[&str])] = &[
    (
        "side_by_side.rs",
        &[
            "redis_aof_base_size_bytes",
            "redis_aof_buffer_length",
            "redis_aof_current_size_bytes",
            "redis_aof_delayed_fsync",
            "redis_aof_pending_bio_fsync",
            "redis_aof_pending_rewrite",
            "redis_exporter_build_info",
            "redis_exporter_last_scrape_connect_time_seconds",
            "redis_exporter_last_scrape_duration_seconds",
            "redis_exporter_last_scrape_error",
            "redis_exporter_last_scrape_ping_time_seconds",
            "redis_exporter_scrape_duration_seconds",
            "redis_exporter_scrapes_total",
            "redis_target_scrape_request_errors_total",
            "redis_up",
        ],
    ),
    (
        "keys.rs",
        &[
            "redis_key_group_count",
            "redis_key_group_memory_usage_bytes",
            "redis_key_memory_usage_bytes",
            "redis_key_size",
            "redis_key_value",
            "redis_key_value_as_string",
            "redis_keys_count",
            "redis_last_key_groups_scrape_duration_milliseconds",
            "redis_number_of_distinct_key_groups",
        ],
    ),
    (
        "more_collectors.rs",
        &[
            "redis_rdb_current_size_bytes",
            "redis_script_result",
            "redis_script_values",
        ],
    ),
    (
        "sentinel.rs",
        &[
            "redis_sentinel_config_key_value",
            "redis_sentinel_config_value",
            "redis_sentinel_peer_info",
        ],
    ),
];

/// Names that no server here produces, by their start, with the reason. All of them are plain
/// fields of a reply.
const NOT_HERE: &[(&str, &str)] = &[
    (
        "redis_active_time_io_thread_seconds_total",
        "Valkey 8.1 with several I/O threads",
    ),
    (
        "redis_aof_rewrite_buffer_length",
        "a server before 7.0 with an append-only file",
    ),
    ("redis_bf_", "Valkey with valkey-bloom"),
    ("redis_cached_keys_total", "KeyDB with a storage provider"),
    ("redis_client_biggest_input_buf", "a server before 5.0"),
    ("redis_client_longest_output_list", "a server before 5.0"),
    ("redis_json_", "Valkey with valkey-json"),
    (
        "redis_memory_max_fragmentation_reservation_",
        "Azure Cache for Redis",
    ),
    ("redis_memory_max_reservation_", "Azure Cache for Redis"),
    (
        "redis_search_",
        "Redis with RediSearch, or Valkey with valkey-search",
    ),
    ("redis_tile38_", "Tile38"),
];

/// One line of the table.
struct Line {
    name: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn table() -> Vec<Line> {
    let table = support::in_repository("tests/golden/redis_exporter-metrics.tsv");
    let table = fs::read_to_string(table).expect("the table is there");
    let lines = table.lines().skip(1).map(|line| {
        let mut columns = line.split('\t').map(ToOwned::to_owned);
        let mut column = || columns.next().unwrap_or_default();
        let (name, kind, labels) = (column(), column(), column());
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        Line {
            name,
            kind,
            labels: labels.map(ToOwned::to_owned).collect(),
        }
    });
    let lines: Vec<Line> = lines.filter(|line| line.name != NO_NAME).collect();
    assert!(lines.len() > 390, "the table is whole");
    lines
}

/// Returns all spellings with their rows.
fn rows() -> BTreeMap<&'static str, (&'static str, &'static Descriptor)> {
    let families = catalogue::families().into_iter();
    let spelled = families.flat_map(|family| {
        let spellings = spellings(family, true);
        spellings.map(move |spelling| (spelling.name, (spelling.kind.as_str(), family)))
    });
    spelled.collect()
}

/// Returns all families on golden pages.
fn on_golden_pages() -> BTreeSet<String> {
    let folder = support::in_repository("tests/golden");
    let servers = fs::read_dir(folder).expect("the recordings are there");
    let servers = servers.filter_map(|entry| fs::read_dir(entry.ok()?.path()).ok());
    let files = servers
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let pages = files.filter(|path| path.extension().is_some_and(|end| end == "prom"));
    let mut names = BTreeSet::new();
    for page in pages {
        let page = fs::read_to_string(page).expect("a page can be read");
        let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        names.extend(kinds.filter_map(|kind| Some(kind.split(' ').next()?.to_owned())));
    }
    names
}

fn is_not_here(name: &str) -> bool {
    NOT_HERE.iter().any(|(start, _)| name.starts_with(start))
}

fn live_names() -> impl Iterator<Item = &'static str> {
    SHOWN_LIVE.iter().flat_map(|(_, names)| *names).copied()
}

#[test]
fn redis_exporter_metrics_keep_name_type_and_labels() {
    let rows = rows();
    let mut wrong = Vec::new();
    for Line { name, kind, labels } in table() {
        let Some((ours, family)) = rows.get(name.as_str()) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        if *ours != kind {
            wrong.push(format!("{name} is a {ours}, not a {kind}"));
        }
        let own: BTreeSet<String> = family.labels.iter().map(ToString::to_string).collect();
        if own != labels && !OTHER_LABELS.iter().any(|(other, _)| *other == name) {
            wrong.push(format!("{name} has {own:?}, not {labels:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn redis_exporter_metrics_are_on_a_page() {
    let golden = on_golden_pages();
    let live: BTreeSet<&str> = live_names().collect();
    let unseen: Vec<String> = table()
        .into_iter()
        .map(|line| line.name)
        .filter(|name| !golden.contains(name) && !live.contains(name.as_str()))
        .filter(|name| !is_not_here(name))
        .collect();
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}

#[test]
fn metrics_listed_as_not_produced_are_not() {
    let golden = on_golden_pages();
    let names: Vec<String> = table().into_iter().map(|line| line.name).collect();
    for (start, needs) in NOT_HERE {
        let found = names.iter().filter(|name| name.starts_with(start));
        let mut found = found.peekable();
        assert!(found.peek().is_some(), "{start} is not in the table");
        for name in found {
            assert!(!golden.contains(name), "{name} needs no {needs}");
        }
    }
}

#[test]
fn metrics_listed_as_live_are_only_tested_live() {
    let golden = on_golden_pages();
    let names: BTreeSet<String> = table().into_iter().map(|line| line.name).collect();
    for (file, shown) in SHOWN_LIVE {
        let path = support::in_repository("tests/live").join(file);
        let test = fs::read_to_string(path).expect("the test is there");
        for name in *shown {
            assert!(names.contains(*name), "{name} is not in the table");
            assert!(!golden.contains(*name), "{name} is on a golden page");
            assert!(!is_not_here(name), "{name} is listed twice");
            assert!(
                test.contains(&format!("\"{name}\"")),
                "{name} is not in {file}"
            );
        }
    }
}

/// Returns the page of a server with one field in INFO, and this reply to everything else.
fn page_of(field: &str, reply: &Reply) -> String {
    let info = format!("redis_version:7.0.15\r\n{field}:1\r\n");
    let mut replies = Replies::new(&info, Circumstances::default());
    for query in ALL.iter().flat_map(|collector| collector.queries) {
        replies.record(*query, reply.clone());
    }
    let further = ALL
        .iter()
        .flat_map(|collector| (collector.further)(&replies));
    let further: Vec<_> = further.map(|command| command.ticket).collect();
    for ticket in further {
        replies.record(ticket, reply.clone());
    }
    let mut snapshot = Snapshot::default();
    for collector in ALL {
        let _ = collector.read(&replies, &mut snapshot);
    }
    let page = encode(&[(None, &snapshot.finish())], &Names::default());
    String::from_utf8(page).expect("a page is UTF-8")
}

#[test]
fn unrecorded_fields_become_metrics() {
    let rows = rows();
    for Line { name, .. } in table() {
        if !is_not_here(&name) {
            continue;
        }
        let (_, family) = rows.get(name.as_str()).expect("it has a row");
        let field = family.source.field.replace("<n>", "1");
        let pair = [&field, "1"].map(|word| Reply::Bytes(word.as_bytes().into()));
        let replies = [Reply::List(pair.to_vec()), Reply::Integer(1)];
        let is_shown = replies.iter().any(|reply| {
            let page = page_of(&field, reply);
            page.contains(&format!("# TYPE {name} "))
        });
        assert!(is_shown, "{name} is not read from {:?}", family.source);
    }
}
