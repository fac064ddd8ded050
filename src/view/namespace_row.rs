//! The namespaces of a target: what they hold, what they lose, and which policies they violate.
//! Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::{Seen, histogram};
use crate::metric::{Histogram, Sample};
use crate::number::to_float;

/// A part of the keys with a TTL.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TtlRange {
    /// Longest remaining TTL of the range, in seconds; null if it is unlimited.
    pub at_most_seconds: Option<f64>,
    /// Keys whose remaining TTL is in the range.
    pub keys: f64,
}

/// A namespace in one database. Numbers are estimates; see the metrics of the same name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NamespaceRow {
    /// The name.
    pub name: String,
    /// The database, such as `db0`.
    pub db: String,
    /// Keys.
    pub keys: Option<f64>,
    /// Half the width of the 95% confidence interval of the keys.
    pub keys_error: Option<f64>,
    /// Memory of the keys.
    pub memory_bytes: Option<f64>,
    /// Half the width of the 95% confidence interval of the memory.
    pub memory_error_bytes: Option<f64>,
    /// Increase of the memory in at most an hour.
    pub memory_growth_bytes: Option<f64>,
    /// Time of that increase, in seconds.
    pub memory_growth_seconds: Option<f64>,
    /// Memory as a share of that of all namespaces.
    pub memory_share: Option<f64>,
    /// Keys that never expire.
    pub keys_without_ttl: Option<f64>,
    /// Half the width of the 95% confidence interval of the keys that never expire.
    pub keys_without_ttl_error: Option<f64>,
    /// Remaining TTLs, shortest first.
    pub ttl: Vec<TtlRange>,
    /// Longest TTL that the policy allows, in seconds.
    pub ttl_max_seconds: Option<f64>,
    /// Keys without a TTL that must have one.
    pub violations_ttl_required: Option<f64>,
    /// Half the width of their 95% confidence interval.
    pub violations_ttl_required_error: Option<f64>,
    /// Keys whose TTL is too long.
    pub violations_ttl_max: Option<f64>,
    /// Half the width of their 95% confidence interval.
    pub violations_ttl_max_error: Option<f64>,
    /// Maximum memory that the policy allows.
    pub memory_quota_bytes: Option<f64>,
    /// Memory as a share of the quota.
    pub memory_quota_ratio: Option<f64>,
    /// Memory of the largest key.
    pub largest_key_bytes: Option<f64>,
    /// Keys evicted since the exporter started.
    pub evicted_keys: Option<f64>,
    /// Keys evicted per second in the last five minutes.
    pub evictions_per_second: Option<f64>,
    /// Keys expired since the exporter started.
    pub expired_keys: Option<f64>,
    /// Keys that expire within five minutes.
    pub expiring_soon_keys: Option<f64>,
    /// Declared effect of the eviction of keys: `harmful` or `harmless`.
    pub on_eviction: Option<String>,
}

/// A number of a namespace.
type NumberField = fn(&mut NamespaceRow) -> &mut Option<f64>;

/// The families with one number for each namespace, and the fields that they set.
type NumberRow = (&'static str, NumberField);

const NUMBERS: [NumberRow; 12] = [
    ("redis_key_namespace_keys", |row| &mut row.keys),
    ("redis_key_namespace_keys_error", |row| &mut row.keys_error),
    ("redis_key_namespace_memory_bytes", |row| {
        &mut row.memory_bytes
    }),
    ("redis_key_namespace_memory_error_bytes", |row| {
        &mut row.memory_error_bytes
    }),
    ("redis_key_namespace_keys_without_ttl", |row| {
        &mut row.keys_without_ttl
    }),
    ("redis_key_namespace_keys_without_ttl_error", |row| {
        &mut row.keys_without_ttl_error
    }),
    ("redis_key_namespace_ttl_max_seconds", |row| {
        &mut row.ttl_max_seconds
    }),
    ("redis_key_namespace_memory_quota_bytes", |row| {
        &mut row.memory_quota_bytes
    }),
    ("redis_key_namespace_largest_key_bytes", |row| {
        &mut row.largest_key_bytes
    }),
    ("redis_key_namespace_evicted_keys_total", |row| {
        &mut row.evicted_keys
    }),
    ("redis_key_namespace_expired_keys_total", |row| {
        &mut row.expired_keys
    }),
    ("redis_key_namespace_expiring_keys", |row| {
        &mut row.expiring_soon_keys
    }),
];

/// The families with a number for each policy of a namespace, the policies, and the fields.
const VIOLATIONS: [(&str, &str, NumberField); 4] = [
    (
        "redis_key_namespace_policy_violations",
        "ttl_required",
        |row| &mut row.violations_ttl_required,
    ),
    (
        "redis_key_namespace_policy_violations_error",
        "ttl_required",
        |row| &mut row.violations_ttl_required_error,
    ),
    ("redis_key_namespace_policy_violations", "ttl_max", |row| {
        &mut row.violations_ttl_max
    }),
    (
        "redis_key_namespace_policy_violations_error",
        "ttl_max",
        |row| &mut row.violations_ttl_max_error,
    ),
];

/// The label `within` of keys that expire soon, in seconds.
const SOON: &str = "300";

/// Returns the namespaces of a target, those with most memory first.
pub(super) fn namespaces(seen: &Seen<'_>) -> Vec<NamespaceRow> {
    let mut rows: BTreeMap<(&str, &str), NamespaceRow> = BTreeMap::new();
    for (family, field) in NUMBERS {
        let samples = seen.swept_samples(family);
        for sample in
            samples.filter(|sample| sample.label("within").is_none_or(|time| time == SOON))
        {
            if let Some(row) = row_of(&mut rows, &sample) {
                *field(row) = sample.number();
            }
        }
    }
    for (family, policy, field) in VIOLATIONS {
        let samples = seen.swept_samples(family);
        for sample in samples.filter(|sample| sample.label("policy") == Some(policy)) {
            if let Some(row) = row_of(&mut rows, &sample) {
                *field(row) = sample.number();
            }
        }
    }
    for sample in seen.swept_samples("redis_key_namespace_ttl_seconds") {
        if let Some((row, times)) = row_of(&mut rows, &sample).zip(histogram(&sample)) {
            row.ttl = ranges(times);
        }
    }
    for sample in seen.swept_samples("redis_key_namespace_on_eviction_info") {
        if let Some(row) = row_of(&mut rows, &sample) {
            row.on_eviction = sample.label("on_eviction").map(str::to_owned);
        }
    }
    let all: f64 = rows.values().filter_map(|row| row.memory_bytes).sum();
    // A declared namespace without an estimate has no row yet.
    let known = rows.into_values().filter(|row| row.keys.is_some());
    let mut rows: Vec<NamespaceRow> = known.collect();
    for row in &mut rows {
        let (history, now) = (seen.history, seen.now);
        let growth = row
            .memory_bytes
            .and_then(|bytes| history.growth(&row.db, &row.name, bytes, now));
        row.memory_growth_bytes = growth.map(|growth| growth.bytes);
        row.memory_growth_seconds = growth.map(|growth| growth.seconds);
        row.evictions_per_second = history.eviction_rate(&row.db, &row.name, now);
        row.memory_share = row
            .memory_bytes
            .filter(|_| all > 0.0)
            .map(|bytes| bytes / all);
        let quota = row.memory_quota_bytes.filter(|quota| *quota > 0.0);
        row.memory_quota_ratio = row
            .memory_bytes
            .zip(quota)
            .map(|(used, quota)| used / quota);
    }
    let size = |row: &NamespaceRow| row.memory_bytes.or(row.keys).unwrap_or(0.0);
    rows.sort_by(|one, other| size(other).total_cmp(&size(one)));
    rows
}

fn row_of<'r, 'a>(
    rows: &'r mut BTreeMap<(&'a str, &'a str), NamespaceRow>,
    sample: &Sample<'a>,
) -> Option<&'r mut NamespaceRow> {
    let place = (sample.label("db")?, sample.label("key_namespace")?);
    Some(rows.entry(place).or_insert_with(|| NamespaceRow {
        db: place.0.to_owned(),
        name: place.1.to_owned(),
        ..NamespaceRow::default()
    }))
}

/// Converts cumulative counts of milliseconds into ranges.
fn ranges(times: &Histogram) -> Vec<TtlRange> {
    let mut before = 0;
    let mut ranges: Vec<TtlRange> = Vec::with_capacity(times.edges.len() + 1);
    for (edge, count) in times.edges.iter().zip(times.counts.iter()) {
        ranges.push(TtlRange {
            at_most_seconds: Some(to_float(edge.at) / 1e3),
            keys: to_float(count.saturating_sub(before)),
        });
        before = count;
    }
    ranges.push(TtlRange {
        at_most_seconds: None,
        keys: to_float(times.count.saturating_sub(before)),
    });
    ranges
}
