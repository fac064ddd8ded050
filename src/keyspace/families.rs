//! The rows of the metrics of namespaces and of the sweep. Turns estimates into samples.
//!
//! It computes nothing.

use std::time::Duration;

use super::NamespaceId;
use super::cost::SweepQuery;
use super::estimate::{Estimate, NamespaceEstimate};
use super::pace::Limit;
use super::tally::DataType;
use crate::config::{OnEviction, TtlPolicy};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::to_float as float;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static KEYS: Family<2> = Family::gauge("redis_key_namespace_keys", &["db", "key_namespace"], source("SCAN", ""), Unit::One, "Keys of the namespace, estimated from the latest pass of the sweep.");
    pub(super) static KEYS_ERROR: Family<2> = Family::gauge("redis_key_namespace_keys_error", &["db", "key_namespace"], source("SCAN", ""), Unit::One, "Half the width of the 95% confidence interval of the keys; 0 only if all keys were scanned and nothing has changed since.");
    pub(super) static MEMORY: Family<2> = Family::gauge("redis_key_namespace_memory_bytes", &["db", "key_namespace"], source("MEMORY USAGE", ""), Unit::Bytes, "Memory of the keys of the namespace, estimated from the latest pass of the sweep.");
    pub(super) static MEMORY_ERROR: Family<2> = Family::gauge("redis_key_namespace_memory_error_bytes", &["db", "key_namespace"], source("MEMORY USAGE", ""), Unit::Bytes, "Half the width of the 95% confidence interval of the memory, including used memory that no namespace explains but that its keys may use.");
    pub(super) static WITHOUT_TTL: Family<2> = Family::gauge("redis_key_namespace_keys_without_ttl", &["db", "key_namespace"], source("PTTL", ""), Unit::One, "Estimated keys of the namespace that never expire.");
    pub(super) static WITHOUT_TTL_ERROR: Family<2> = Family::gauge("redis_key_namespace_keys_without_ttl_error", &["db", "key_namespace"], source("PTTL", ""), Unit::One, "Half the width of the 95% confidence interval of the keys that never expire; 0 if the number is exact.");
    pub(super) static TTL: Family<2> = Family::histogram("redis_key_namespace_ttl_seconds", &["db", "key_namespace"], source("PTTL", ""), Unit::Milliseconds, "Remaining TTLs of keys with a TTL, in seconds; shows the current state, so rate() does not apply.");
    pub(super) static KEY_BYTES: Family<2> = Family::histogram("redis_key_namespace_key_bytes", &["db", "key_namespace"], source("MEMORY USAGE", ""), Unit::Bytes, "Memory of each key, in bytes; shows the current state, so rate() does not apply.");
    pub(super) static TYPE_KEYS: Family<3> = Family::gauge("redis_key_namespace_type_keys", &["db", "key_namespace", "type"], source("TYPE", ""), Unit::One, "Estimated keys of the namespace by data type; types without keys are absent.");
    pub(super) static POLICY_VIOLATIONS: Family<3> = Family::gauge("redis_key_namespace_policy_violations", &["db", "key_namespace", "policy"], source("PTTL", ""), Unit::One, "Estimated keys that violate the policy: no TTL (ttl_required), or a TTL that is too long (ttl_max).");
    pub(super) static POLICY_VIOLATIONS_ERROR: Family<3> = Family::gauge("redis_key_namespace_policy_violations_error", &["db", "key_namespace", "policy"], source("PTTL", ""), Unit::One, "Half the width of the 95% confidence interval of the keys that violate the policy; 0 if the number is exact.");
    pub(super) static POLICY_VIOLATIONS_MIN: Family<2> = Family::gauge("redis_key_namespace_policy_violations_min", &["db", "policy"], source("INFO", "db*:expires"), Unit::One, "Minimum number of keys of the database that violate the policy: keys without a TTL beyond those in namespaces that allow it.");
    pub(super) static TTL_MAX: Family<2> = Family::gauge("redis_key_namespace_ttl_max_seconds", &["db", "key_namespace"], source("config", "ttl.max"), Unit::Seconds, "Longest TTL that the policy of the namespace allows.");
    pub(super) static MEMORY_QUOTA: Family<2> = Family::gauge("redis_key_namespace_memory_quota_bytes", &["db", "key_namespace"], source("config", "memory_quota"), Unit::Bytes, "Maximum memory that the policy of the namespace allows.");
    pub(super) static ON_EVICTION: Family<3> = Family::gauge("redis_key_namespace_on_eviction_info", &["db", "key_namespace", "on_eviction"], source("config", "on_eviction"), Unit::One, "Declared effect of the eviction of keys of the namespace, harmful or harmless; always 1.");
    pub(super) static LARGEST_KEY: Family<2> = Family::gauge("redis_key_namespace_largest_key_bytes", &["db", "key_namespace"], source("MEMORY USAGE", ""), Unit::Bytes, "Memory of the largest key that was measured in the latest pass; each pass measures a part of the keys of a large namespace.");
    pub(super) static FOLDED_KEYS: Family<1> = Family::gauge("redis_key_namespace_folded_keys", &["db"], source("SCAN", ""), Unit::One, "Estimated keys that count as other because there are more namespaces than the limit.");
    pub(super) static HIDDEN_GROUPS: Family<0> = Family::gauge("redis_exporter_sweep_hidden_groups", &[], source("SCAN", ""), Unit::One, "Groups of keys that count as other because each has too few keys to be exported; 0 if namespaces are declared.");
    pub(super) static MEMORY_SHARE: Family<0> = Family::gauge("redis_key_namespace_memory_share", &[], source("MEMORY USAGE", ""), Unit::One, "Memory of all namespaces as a share of the memory that Redis uses for data: used_memory minus used_memory_startup.");
    pub(super) static COVERAGE: Family<1> = Family::gauge("redis_exporter_sweep_coverage_ratio", &["db"], source("SCAN", ""), Unit::One, "Share of the keys on which the estimates are based; 1 once a pass is complete.");
    pub(super) static ESTIMATE_AGE: Family<1> = Family::gauge("redis_exporter_sweep_estimate_age_seconds", &["db"], source("SCAN", ""), Unit::Seconds, "Age of the oldest data on which the estimates are based, in seconds.");
    pub(super) static KEYS_VISITED: Family<0> = Family::counter("redis_exporter_sweep_keys_visited_total", &[], source("SCAN", ""), Unit::One, "Key names that the sweep has scanned.");
    pub(super) static KEYS_VANISHED: Family<0> = Family::counter("redis_exporter_sweep_keys_vanished_total", &[], source("PTTL", ""), Unit::One, "Keys that no longer existed when the sweep queried their details.");
    pub(super) static PASSES: Family<0> = Family::counter("redis_exporter_sweep_passes_total", &[], source("SCAN", ""), Unit::One, "Complete passes over all databases.");
    pub(super) static PASS_DURATION: Family<0> = Family::gauge("redis_exporter_sweep_pass_duration_seconds", &[], source("SCAN", ""), Unit::Seconds, "Duration of the last complete pass, in seconds.");
    pub(super) static PASS_TIMESTAMP: Family<0> = Family::gauge("redis_exporter_sweep_last_pass_timestamp_seconds", &[], source("SCAN", ""), Unit::Seconds, "End time of the last complete pass, in seconds since the epoch.");
    pub(super) static MIN_PASS_INTERVAL: Family<0> = Family::gauge("redis_exporter_sweep_min_pass_interval_seconds", &[], source("SCAN", ""), Unit::Seconds, "Configured minimum time between the starts of two passes, in seconds.");
    pub(super) static INDUCED_LOOKUPS: Family<1> = Family::counter("redis_exporter_sweep_induced_lookups_total", &["result"], source("PTTL", ""), Unit::One, "Keyspace hits and misses in INFO of the target that the sweep has caused; none if it scans another server instead.");
    pub(super) static SERVER_SECONDS: Family<0> = Family::counter("redis_exporter_sweep_server_seconds_total", &[], source("INFO", "cmdstat_*:usec"), Unit::Seconds, "Estimated CPU time of the server for the sweep, in seconds.");
    pub(super) static SLOWDOWN: Family<0> = Family::gauge("redis_exporter_sweep_slowdown_ratio", &[], source("SCAN", ""), Unit::One, "Factor by which the sweep is slower than its budgets allow because the server is slow; 1 if it is not.");
    pub(super) static LIMIT: Family<1> = Family::gauge("redis_exporter_sweep_limited", &["reason"], source("SCAN", ""), Unit::One, "Whether this limit prevents the sweep from being faster (1): its CPU share, its budget of commands or keys, slow replies, or round trips.");
    pub(super) static COMMANDS_PER_SECOND: Family<0> = Family::gauge("redis_exporter_sweep_commands_per_second_max", &[], source("SCAN", ""), Unit::One, "Maximum commands per second of the sweep; absent if they are not limited.");
    pub(super) static ROUND_TRIP: Family<0> = Family::gauge("redis_exporter_sweep_round_trip_min_seconds", &[], source("SCAN", ""), Unit::Seconds, "Shortest round trip of the sweep in the last minutes, in seconds; the sweep slows down above this plus sweep.max_latency.");
    pub(super) static RANDOM_ORDER: Family<0> = Family::gauge("redis_exporter_sweep_random_order", &[], source("SCAN", ""), Unit::One, "Whether the sweep scans the segments of a database in random order (1) or in sequence (0).");
    pub(super) static SUCCESS: Family<0> = Family::gauge("redis_exporter_sweep_success", &[], source("SCAN", ""), Unit::One, "Whether the sweep is running (1), or has failed and will be retried (0).");
    pub(super) static QUESTION_SUCCESS: Family<1> = Family::gauge("redis_exporter_sweep_question_success", &["question"], source("SCAN", ""), Unit::One, "Whether the server accepts a query of the sweep (1) or rejects it (0); absent if it was never sent.");
    pub(super) static DECLARED: Family<0> = Family::gauge("redis_exporter_sweep_declared", &[], source("SCAN", ""), Unit::One, "Whether the configuration declares namespaces or keys that need the sweep (1), or the sweep runs by default (0).");
}

/// The value of the `policy` label for keys that must have a TTL.
const TTL_REQUIRED: &str = "ttl_required";

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::KEYS.descriptor(),
        rows::KEYS_ERROR.descriptor(),
        rows::MEMORY.descriptor(),
        rows::MEMORY_ERROR.descriptor(),
        rows::WITHOUT_TTL.descriptor(),
        rows::WITHOUT_TTL_ERROR.descriptor(),
        rows::TTL.descriptor(),
        rows::KEY_BYTES.descriptor(),
        rows::TYPE_KEYS.descriptor(),
        rows::POLICY_VIOLATIONS.descriptor(),
        rows::POLICY_VIOLATIONS_ERROR.descriptor(),
        rows::POLICY_VIOLATIONS_MIN.descriptor(),
        rows::TTL_MAX.descriptor(),
        rows::MEMORY_QUOTA.descriptor(),
        rows::ON_EVICTION.descriptor(),
        rows::LARGEST_KEY.descriptor(),
        rows::FOLDED_KEYS.descriptor(),
        rows::MEMORY_SHARE.descriptor(),
        rows::COVERAGE.descriptor(),
        rows::ESTIMATE_AGE.descriptor(),
        rows::KEYS_VISITED.descriptor(),
        rows::KEYS_VANISHED.descriptor(),
        rows::PASSES.descriptor(),
        rows::PASS_DURATION.descriptor(),
        rows::PASS_TIMESTAMP.descriptor(),
        rows::MIN_PASS_INTERVAL.descriptor(),
        rows::INDUCED_LOOKUPS.descriptor(),
        rows::SERVER_SECONDS.descriptor(),
        rows::SLOWDOWN.descriptor(),
        rows::LIMIT.descriptor(),
        rows::COMMANDS_PER_SECOND.descriptor(),
        rows::ROUND_TRIP.descriptor(),
        rows::HIDDEN_GROUPS.descriptor(),
        rows::RANDOM_ORDER.descriptor(),
        rows::SUCCESS.descriptor(),
        rows::QUESTION_SUCCESS.descriptor(),
        rows::DECLARED.descriptor(),
    ]
}

/// The declaration of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared<'a> {
    /// Name as label text.
    pub name: &'a str,
    /// Policy for the TTLs of its keys.
    pub ttl: TtlPolicy,
    /// Maximum memory of its keys, in bytes.
    pub memory_quota: Option<u64>,
    /// Declared effect of the eviction of its keys.
    pub on_eviction: Option<OnEviction>,
}

/// Progress of the sweep in one database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatabaseProgress {
    /// Number of the database.
    pub database: u32,
    /// Share of its keys on which the estimates are based, from 0 to 1.
    pub coverage: f64,
    /// Age of the oldest scanned part on which they are based, in seconds.
    pub age: Option<f64>,
}

/// Progress of the sweep of a target since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Key names seen.
    pub keys_visited: u64,
    /// Keys that no longer existed when their details were queried.
    pub keys_vanished: u64,
    /// Complete passes over all databases.
    pub passes: u64,
    /// Duration of the last complete pass, in seconds.
    pub pass_duration: Option<f64>,
    /// End of the last complete pass, in seconds of Unix time.
    pub pass_timestamp: Option<f64>,
    /// Minimum time between the starts of two passes, in seconds.
    pub min_pass_interval: f64,
    /// Whether the configuration declares namespaces or keys.
    pub declared: bool,
    /// Keyspace hits that the sweep caused on the target.
    pub induced_hits: u64,
    /// Keyspace misses that the sweep caused on the target.
    pub induced_misses: u64,
    /// Server time used, in seconds.
    pub server_seconds: f64,
    /// How many times slower than its budgets the sweep is, to yield to other clients.
    pub slowdown: f64,
    /// What limits the speed of the sweep.
    pub limit: Limit,
    /// Maximum number of commands per second.
    pub commands_per_second: Option<f64>,
    /// Minimum recent round trip, in seconds.
    pub round_trip: Option<f64>,
    /// Whether the parts of a database are visited in random order.
    pub random_order: bool,
    /// Memory of all namespaces as a share of the memory that the server uses for its data.
    pub memory_share: Option<f64>,
    /// Namespaces without their own series.
    pub hidden_namespaces: u64,
    /// Whether the sweep is running.
    pub success: bool,
    /// Whether the server accepts each query, in the order of `SweepQuery::ALL`; `None` if it was
    /// never sent.
    pub replies: [Option<bool>; SweepQuery::ALL.len()],
}

/// Adds the estimates of one database. Omits namespaces that `declared` does not know.
pub fn push<'a>(
    database: u32,
    estimates: &[NamespaceEstimate],
    declared: impl Fn(NamespaceId) -> Option<Declared<'a>>,
    snapshot: &mut Snapshot,
) {
    let database = format!("db{database}");
    for estimate in estimates {
        if let Some(declared) = declared(estimate.namespace) {
            push_namespace(&database, estimate, declared, snapshot);
        }
    }
    let folded = estimates.iter().map(|estimate| estimate.folded);
    let folded = folded.reduce(u64::saturating_add);
    snapshot.push(&rows::FOLDED_KEYS, [&database], folded.map(float));
}

fn push_namespace(
    database: &str,
    estimate: &NamespaceEstimate,
    declared: Declared<'_>,
    snapshot: &mut Snapshot,
) {
    let labels = [database, declared.name];
    let mut push = |family, value: Option<f64>| snapshot.push(family, labels, value);
    let value_of = |estimate: Estimate| estimate.value;
    let error_of = |estimate: Estimate| estimate.error;
    push(&rows::KEYS, Some(estimate.keys.value));
    push(&rows::KEYS_ERROR, Some(estimate.keys.error));
    push(&rows::MEMORY, estimate.memory.map(value_of));
    push(&rows::MEMORY_ERROR, estimate.memory.map(error_of));
    push(&rows::WITHOUT_TTL, estimate.without_ttl.map(value_of));
    push(&rows::WITHOUT_TTL_ERROR, estimate.without_ttl.map(error_of));
    push(&rows::LARGEST_KEY, estimate.largest_key_bytes.map(float));
    push(&rows::MEMORY_QUOTA, declared.memory_quota.map(float));
    let ttl_max = declared.ttl.max.as_ref().map(Duration::as_secs_f64);
    push(&rows::TTL_MAX, ttl_max);
    if let Some(ttl) = &estimate.ttl {
        snapshot.push_histogram(&rows::TTL, labels, ttl.clone());
    }
    if let Some(key_bytes) = &estimate.key_bytes {
        snapshot.push_histogram(&rows::KEY_BYTES, labels, key_bytes.clone());
    }
    if let Some(on_eviction) = declared.on_eviction {
        let labels = [database, declared.name, on_eviction.as_str()];
        snapshot.push(&rows::ON_EVICTION, labels, 1.0);
    }
    push_types(labels, estimate, snapshot);
    push_violations(labels, estimate, declared.ttl, snapshot);
}

fn push_types([database, name]: [&str; 2], estimate: &NamespaceEstimate, snapshot: &mut Snapshot) {
    let types = estimate.types.unwrap_or_default();
    for (data_type, keys) in DataType::ALL.into_iter().zip(types) {
        // In a sample, a type that was not seen may still exist.
        if keys > 0 {
            let labels = [database, name, data_type.as_str()];
            snapshot.push(&rows::TYPE_KEYS, labels, float(keys));
        }
    }
}

fn push_violations(
    [database, name]: [&str; 2],
    estimate: &NamespaceEstimate,
    policy: TtlPolicy,
    snapshot: &mut Snapshot,
) {
    let required = estimate.without_ttl.filter(|_| policy.required);
    let max = estimate.max_broken.filter(|_| policy.max.is_some());
    for (label, keys) in [(TTL_REQUIRED, required), ("ttl_max", max)] {
        if let Some(keys) = keys {
            let labels = [database, name, label];
            snapshot.push(&rows::POLICY_VIOLATIONS, labels, keys.value);
            snapshot.push(&rows::POLICY_VIOLATIONS_ERROR, labels, keys.error);
        }
    }
}

/// Adds the minimum number of keys of a database without the TTL that their namespace requires.
pub fn push_fewest_violations(database: u32, fewest: f64, snapshot: &mut Snapshot) {
    let database = format!("db{database}");
    let labels = [&*database, TTL_REQUIRED];
    snapshot.push(&rows::POLICY_VIOLATIONS_MIN, labels, fewest);
}

/// Adds the samples of the sweep itself.
pub fn push_progress(progress: &Progress, databases: &[DatabaseProgress], snapshot: &mut Snapshot) {
    for database in databases {
        let name = format!("db{}", database.database);
        snapshot.push(&rows::COVERAGE, [&name], database.coverage);
        snapshot.push(&rows::ESTIMATE_AGE, [&name], database.age);
    }
    for (result, lookups) in [
        ("hit", progress.induced_hits),
        ("miss", progress.induced_misses),
    ] {
        snapshot.push(&rows::INDUCED_LOOKUPS, [result], float(lookups));
    }
    for (query, replies) in SweepQuery::ALL.iter().zip(progress.replies) {
        let success = replies.map(f64::from);
        snapshot.push(&rows::QUESTION_SUCCESS, [query.as_str()], success);
    }
    for limit in Limit::ALL {
        let is_it = limit == progress.limit;
        snapshot.push(&rows::LIMIT, [limit.as_str()], f64::from(is_it));
    }
    let mut push = |family, value: Option<f64>| snapshot.push(family, [], value);
    push(&rows::COMMANDS_PER_SECOND, progress.commands_per_second);
    push(&rows::ROUND_TRIP, progress.round_trip);
    push(&rows::MEMORY_SHARE, progress.memory_share);
    push(&rows::PASS_DURATION, progress.pass_duration);
    push(&rows::PASS_TIMESTAMP, progress.pass_timestamp);
    let mut push = |family, value: f64| snapshot.push(family, [], value);
    push(&rows::KEYS_VISITED, float(progress.keys_visited));
    push(&rows::KEYS_VANISHED, float(progress.keys_vanished));
    push(&rows::PASSES, float(progress.passes));
    push(&rows::HIDDEN_GROUPS, float(progress.hidden_namespaces));
    push(&rows::SLOWDOWN, progress.slowdown);
    push(&rows::MIN_PASS_INTERVAL, progress.min_pass_interval);
    push(&rows::DECLARED, progress.declared.into());
    push(&rows::SERVER_SECONDS, progress.server_seconds);
    push(&rows::RANDOM_ORDER, progress.random_order.into());
    push(&rows::SUCCESS, progress.success.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::tally::{SIZE_EDGES, TTL_EDGES};
    use crate::metric::{Histogram, Sample, SampleValue, Series};
    use std::collections::{BTreeMap, BTreeSet};

    const HOUR: TtlPolicy = TtlPolicy {
        required: true,
        max: Some(Duration::from_secs(60 * 60)),
    };

    fn declared(ttl: TtlPolicy) -> impl Fn(NamespaceId) -> Option<Declared<'static>> {
        move |namespace| {
            (namespace == NamespaceId(0)).then_some(Declared {
                name: "session",
                ttl,
                memory_quota: Some(1_024),
                on_eviction: Some(OnEviction::Harmful),
            })
        }
    }

    fn estimate(namespace: u32) -> NamespaceEstimate {
        let counted = |value| Estimate {
            value,
            error: 1.0,
            lower: value,
            upper: value,
        };
        let histogram = |edges, buckets| Histogram {
            edges,
            counts: vec![5; buckets].into(),
            count: 9,
            sum: 1_000.0,
            only_full: false,
        };
        NamespaceEstimate {
            namespace: NamespaceId(namespace),
            keys: counted(10.0),
            memory: Some(counted(2_000.0)),
            without_ttl: Some(counted(1.0)),
            ttl: Some(histogram(&TTL_EDGES, TTL_EDGES.len())),
            longest_ttl: Some(60_000),
            key_bytes: Some(histogram(&SIZE_EDGES, SIZE_EDGES.len())),
            types: Some([9, 0, 0, 1, 0, 0, 0]),
            max_broken: Some(counted(0.0)),
            largest_key_bytes: Some(700),
            folded: 3,
            may_hide_memory: false,
        }
    }

    fn unqueried(namespace: u32) -> NamespaceEstimate {
        NamespaceEstimate {
            memory: None,
            without_ttl: None,
            ttl: None,
            longest_ttl: None,
            key_bytes: None,
            types: None,
            max_broken: None,
            largest_key_bytes: None,
            ..estimate(namespace)
        }
    }

    /// Returns the name and labels of each sample, with its number or its count for a histogram.
    fn shown(snapshot: &Snapshot) -> BTreeMap<String, f64> {
        let line = |sample: Sample<'_>| {
            let labels: Vec<&str> = sample.label_values().collect();
            let value = match sample.value {
                SampleValue::Number(number) => number,
                SampleValue::Histogram(histogram) => float(histogram.count),
                SampleValue::Summary(_) => panic!("there is no summary"),
            };
            (
                format!("{} {}", sample.family.name, labels.join(" ")),
                value,
            )
        };
        snapshot.samples().map(line).collect()
    }

    fn shown_of(estimate: NamespaceEstimate, ttl: TtlPolicy) -> BTreeMap<String, f64> {
        let mut snapshot = Snapshot::default();
        push(2, &[estimate], declared(ttl), &mut snapshot);
        shown(&snapshot.finish())
    }

    fn expected(lines: &[(&str, f64)]) -> BTreeMap<String, f64> {
        let line = |(name, value): &(&str, f64)| (format!("redis_key_namespace_{name}"), *value);
        lines.iter().map(line).collect()
    }

    #[test]
    fn estimate_becomes_a_sample_of_each_family() {
        let lines = [
            ("keys db2 session", 10.0),
            ("keys_error db2 session", 1.0),
            ("memory_bytes db2 session", 2_000.0),
            ("memory_error_bytes db2 session", 1.0),
            ("keys_without_ttl db2 session", 1.0),
            ("keys_without_ttl_error db2 session", 1.0),
            ("ttl_seconds db2 session", 9.0),
            ("key_bytes db2 session", 9.0),
            ("type_keys db2 session string", 9.0),
            ("type_keys db2 session zset", 1.0),
            ("policy_violations db2 session ttl_required", 1.0),
            ("policy_violations db2 session ttl_max", 0.0),
            ("policy_violations_error db2 session ttl_required", 1.0),
            ("policy_violations_error db2 session ttl_max", 1.0),
            ("ttl_max_seconds db2 session", 3_600.0),
            ("memory_quota_bytes db2 session", 1_024.0),
            ("on_eviction_info db2 session harmful", 1.0),
            ("largest_key_bytes db2 session", 700.0),
            ("folded_keys db2", 3.0),
        ];
        assert_eq!(shown_of(estimate(0), HOUR), expected(&lines));
    }

    /// Returns the number of series of an estimate without a policy.
    fn count_of(estimate: &NamespaceEstimate, series: Series) -> usize {
        let mut snapshot = Snapshot::default();
        let declared = Declared {
            name: "session",
            ttl: TtlPolicy::default(),
            memory_quota: None,
            on_eviction: None,
        };
        push_namespace("db0", estimate, declared, &mut snapshot);
        let count = |sample: Sample<'_>| match sample.value {
            value if !series.shows(value) => 0,
            // The last bucket, the sum and the count.
            SampleValue::Histogram(histogram) => {
                let edges = histogram.edges.iter();
                edges.filter(|edge| series.has(edge)).count() + 3
            }
            SampleValue::Number(_) | SampleValue::Summary(_) => 1,
        };
        snapshot.finish().samples().map(count).sum()
    }

    #[test]
    fn namespace_has_the_documented_number_of_series() {
        let mut estimate = estimate(0);
        estimate.types = Some([10, 0, 0, 0, 0, 0, 0]);
        let counts = |estimate: &NamespaceEstimate| {
            [Series::Compact, Series::Full].map(|series| count_of(estimate, series))
        };
        assert_eq!(counts(&estimate), [22, 35]);
        estimate.ttl = estimate.ttl.map(|ttl| Histogram {
            only_full: true,
            ..ttl
        });
        assert_eq!(counts(&estimate), [15, 35]);
        let page = include_str!("../../docs/reference/metrics/series.md");
        for text in ["adds 22 series", "it adds 15", "35 for every namespace"] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn unqueried_values_are_absent() {
        let lines = [
            ("keys db2 session", 10.0),
            ("keys_error db2 session", 1.0),
            ("ttl_max_seconds db2 session", 3_600.0),
            ("memory_quota_bytes db2 session", 1_024.0),
            ("on_eviction_info db2 session harmful", 1.0),
            ("folded_keys db2", 3.0),
        ];
        assert_eq!(shown_of(unqueried(0), HOUR), expected(&lines));
    }

    #[test]
    fn violations_are_exported_only_for_declared_policies() {
        let shown = shown_of(estimate(0), TtlPolicy::default());
        assert!(shown.keys().all(|line| !line.contains("policy_violations")));
        assert!(shown.keys().all(|line| !line.contains("ttl_max_seconds")));
    }

    #[test]
    fn namespace_without_a_name_is_omitted() {
        assert_eq!(
            shown_of(estimate(1), HOUR),
            expected(&[("folded_keys db2", 3.0)])
        );
    }

    #[test]
    fn missing_estimates_give_no_samples() {
        let mut snapshot = Snapshot::default();
        push(0, &[], declared(HOUR), &mut snapshot);
        assert!(snapshot.is_empty());
    }

    #[test]
    fn pass_duration_and_end_are_absent_before_the_first_pass() {
        let mut snapshot = Snapshot::default();
        let database = DatabaseProgress {
            database: 0,
            coverage: 0.5,
            age: None,
        };
        push_progress(&Progress::default(), &[database], &mut snapshot);
        let shown = shown(&snapshot.finish());
        let names: Vec<&str> = shown.keys().map(|line| line.trim_end()).collect();
        let expected = [
            "redis_exporter_sweep_coverage_ratio db0",
            "redis_exporter_sweep_declared",
            "redis_exporter_sweep_hidden_groups",
            "redis_exporter_sweep_induced_lookups_total hit",
            "redis_exporter_sweep_induced_lookups_total miss",
            "redis_exporter_sweep_keys_vanished_total",
            "redis_exporter_sweep_keys_visited_total",
            "redis_exporter_sweep_limited commands_per_second",
            "redis_exporter_sweep_limited cpu_share",
            "redis_exporter_sweep_limited keys_per_second",
            "redis_exporter_sweep_limited max_latency",
            "redis_exporter_sweep_limited round_trips",
            "redis_exporter_sweep_min_pass_interval_seconds",
            "redis_exporter_sweep_passes_total",
            "redis_exporter_sweep_random_order",
            "redis_exporter_sweep_server_seconds_total",
            "redis_exporter_sweep_slowdown_ratio",
            "redis_exporter_sweep_success",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn exported_families_are_listed_once() {
        let mut snapshot = Snapshot::default();
        push(0, &[estimate(0)], declared(HOUR), &mut snapshot);
        push_fewest_violations(0, 1.0, &mut snapshot);
        let progress = Progress {
            pass_duration: Some(1.0),
            pass_timestamp: Some(1.0),
            memory_share: Some(1.0),
            commands_per_second: Some(50.0),
            round_trip: Some(0.02),
            replies: [Some(true), Some(false), None, None, None],
            ..Progress::default()
        };
        let database = DatabaseProgress {
            database: 0,
            coverage: 1.0,
            age: Some(1.0),
        };
        push_progress(&progress, &[database], &mut snapshot);
        let pushed: BTreeSet<_> = snapshot
            .samples()
            .map(|sample| sample.family.name)
            .collect();
        let listed: Vec<_> = families().iter().map(|family| family.name).collect();
        assert_eq!(pushed, listed.iter().copied().collect());
        assert_eq!(pushed.len(), listed.len());
    }
}
