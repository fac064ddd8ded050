//! Checks that all INFO fields in the recorded replies of ten servers have a row or a reason to
//! have none.
//!
//! The exposition is tested elsewhere.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use redis_namespace_exporter::collector::ALL;
use redis_namespace_exporter::collector::info::{COLLECTOR, has_row, left_out};
use redis_namespace_exporter::info::{Info, number};
use redis_namespace_exporter::metric::{Descriptor, Kind, Unit};

/// Sections whose fields are records, or have names that users choose.
const RECORD_SECTIONS: &[&str] = &[
    "Commandstats",
    "Errorstats",
    "Latencystats",
    "Keyspace",
    "Keysizes",
    "Modules",
];

/// Recordings in the format of INFO.
const RECORDINGS: &[&str] = &[
    "info-everything",
    "info-all",
    "info-default",
    "clustermode-info-everything",
    "clustermode-cluster-info",
    "replica-info-everything",
    "sentinel-info-everything",
];

const SERVERS: usize = 10;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Returns the text of a RESP bulk string.
fn bulk_string(bytes: &[u8]) -> String {
    let reply = std::str::from_utf8(bytes).expect("a recording is UTF-8");
    let (length, rest) = reply
        .strip_prefix('$')
        .and_then(|reply| reply.split_once("\r\n"))
        .expect("a recording is a bulk string");
    let length: usize = length
        .parse()
        .expect("a bulk string starts with its length");
    rest.get(..length)
        .expect("a bulk string has that length")
        .to_owned()
}

/// Returns the texts of all recordings in the format of INFO.
fn recordings() -> Vec<String> {
    let servers = fs::read_dir(golden()).expect("the recordings are there");
    let servers = servers.map(|entry| entry.expect("a folder can be read").path());
    let servers: Vec<PathBuf> = servers.filter(|path| path.is_dir()).collect();
    assert_eq!(servers.len(), SERVERS, "there is one folder per server");
    let paths = servers.iter().flat_map(|server| {
        RECORDINGS
            .iter()
            .map(move |recording| server.join(format!("{recording}.resp")))
    });
    paths
        .map(|path| fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .map(|bytes| bulk_string(&bytes))
        .collect()
}

/// Returns the names of all plain numeric fields in the recordings.
fn numeric_fields() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in recordings() {
        let info = Info::parse(text);
        let plain = info
            .fields()
            .filter(|field| !RECORD_SECTIONS.contains(&field.section));
        let numeric = plain.filter(|field| number(field.value).is_some());
        names.extend(numeric.map(|field| field.name.to_owned()));
    }
    assert!(
        names.len() > 200,
        "the recordings hold {} numeric fields",
        names.len()
    );
    names
}

/// One spelling of the metric of a field.
struct Spelling {
    name: &'static str,
    kind: Kind,
    /// Whether values are exported as the server reported them, without conversion.
    as_replied: bool,
}

/// Returns all spellings of a row, the clean one first.
fn spellings(row: &Descriptor) -> Vec<Spelling> {
    let unconverted = matches!(row.unit, Unit::One | Unit::Bytes | Unit::Seconds);
    let clean = Spelling {
        name: row.name,
        kind: row.kind,
        as_replied: unconverted,
    };
    let legacy = row.legacy.iter().map(|legacy| Spelling {
        name: legacy.name,
        kind: legacy.kind,
        as_replied: unconverted || legacy.as_replied,
    });
    [clean].into_iter().chain(legacy).collect()
}

/// Returns the spellings by field, of all collectors.
///
/// All Tile38 fields get a common prefix here, which only some of them have in replies.
fn spellings_by_field() -> BTreeMap<String, Vec<Spelling>> {
    let mut by_field: BTreeMap<String, Vec<Spelling>> = BTreeMap::new();
    for row in ALL.iter().flat_map(|collector| (collector.families)()) {
        let field = match (row.source.command, row.source.field) {
            ("SERVER EXT", field) if !field.starts_with("tile38_") => format!("tile38_{field}"),
            (_, field) => field.to_owned(),
        };
        by_field.entry(field).or_default().extend(spellings(row));
    }
    by_field
}

fn kind(word: &str) -> Kind {
    match word {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        _ => panic!("{word} is no type of a plain field"),
    }
}

#[test]
fn every_recorded_field_has_a_row_or_a_reason() {
    let unknown: Vec<_> = numeric_fields()
        .into_iter()
        .filter(|field| !has_row(field) && left_out::reason(field).is_none())
        .collect();
    assert!(
        unknown.is_empty(),
        "neither in a row nor left out: {unknown:?}"
    );
}

/// Fields that occur only in states that were not recorded: under load, while saving, or without a
/// primary.
const NOT_RECORDED: &[&str] = &[
    "aof_pending_rewrite",
    "loading_start_time",
    "loading_total_bytes",
    "loading_loaded_bytes",
    "loading_loaded_perc",
    "loading_eta_seconds",
    "current_cow_peak",
    "current_save_keys_total",
    "min_slaves_good_slaves",
    "master_link_down_since_seconds",
    "master_sync_total_bytes",
    "master_sync_read_bytes",
    "master_sync_left_bytes",
    "master_sync_perc",
    "master_sync_last_io_seconds_ago",
    "shutdown_in_milliseconds",
];

#[test]
fn fields_of_rare_states_have_rows() {
    let shown = spellings_by_field();
    for field in NOT_RECORDED {
        assert!(shown.contains_key(*field), "{field} is not shown");
    }
}

#[test]
fn no_field_with_a_row_is_left_out() {
    for row in (COLLECTOR.families)() {
        let field = row.source.field;
        assert_eq!(left_out::reason(field), None, "{field} has a row");
    }
}

#[test]
fn redis_exporter_fields_keep_name_type_and_unit() {
    let path = golden().join("compat-metrics.tsv");
    let table = fs::read_to_string(path).expect("the table is there");
    let shown = spellings_by_field();
    let mut seen = 0;
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, word, field] = *columns.as_slice() else {
            panic!("{line:?} has not three columns")
        };
        let spellings = shown
            .get(field)
            .unwrap_or_else(|| panic!("{field} has no row"));
        let spelling = spellings.iter().find(|spelling| spelling.name == name);
        let spelling = spelling.unwrap_or_else(|| panic!("{field} is not shown as {name}"));
        // The clean spelling of a metric may have another type while legacy names are off.
        let last = spellings.iter().rfind(|spelling| spelling.name == name);
        let last = last.expect("one was found");
        assert_eq!(last.kind, kind(word), "{name} has another type");
        // The only field that is converted.
        if name != "redis_latest_fork_seconds" {
            assert!(spelling.as_replied, "{name} has another unit");
        }
        seen += 1;
    }
    assert!(seen > 200, "the table has {seen} lines");
}

#[test]
fn recorded_cluster_fields_are_gauges() {
    let shown = spellings_by_field();
    let fields = numeric_fields();
    let fields: Vec<_> = fields
        .iter()
        .filter(|field| field.starts_with("cluster_"))
        .collect();
    assert!(
        fields.len() > 15,
        "the recordings hold {} fields of the cluster",
        fields.len()
    );
    for field in fields {
        let name = match field.as_str() {
            "cluster_stats_messages_sent" => "redis_cluster_messages_sent_total".to_owned(),
            "cluster_stats_messages_received" => "redis_cluster_messages_received_total".to_owned(),
            _ => format!("redis_{}", field.replace('-', "_")),
        };
        let spellings = shown
            .get(field.as_str())
            .unwrap_or_else(|| panic!("{field} has no row"));
        let found = spellings.iter().any(|spelling| {
            spelling.name == name && spelling.kind == Kind::Gauge && spelling.as_replied
        });
        assert!(found, "{field} is not shown as the gauge {name}");
    }
}
