//! Writes the report as one JSON document for machines. Pure. Numbers are exact, in base units.
//!
//! | field | meaning |
//! | --- | --- |
//! | `target`, `address`, `server` | the scanned server; `server` is null if it sent no reply |
//! | `end` | `complete`, `interrupted` or `failed` |
//! | `failure` | why it failed, else null |
//! | `seconds` | duration of the pass |
//! | `ended_timestamp_seconds` | end of the pass, since the epoch |
//! | `keys_seen` | key names seen, including duplicates of SCAN |
//! | `used_bytes`, `explained_share` | `used_memory` minus `used_memory_startup`, and the share of it that the total explains; or null |
//! | `evicted_per_second`, `expired_per_second` | keys of all namespaces that the server removed per second during the pass; null on replicas and after less than a second |
//! | `lru_horizon_seconds`, `lru_horizon_error_seconds` | idle time after which the server evicts keys, and half the width of its interval; null unless the policy evicts by last use and enough is known |
//! | `sampled` | `keys`, `ttls`, `types` and `idle`: number of keys seen, with a known TTL, with a known type, and with a known idle time; `lookups`: those that the server counted for these queries |
//! | `refused` | the queries that the server rejects: `scan`, `memory`, `ttl`, `type`, `idle` |
//! | `databases` | list of `database`, `keys`, and `coverage`, the share of keys seen |
//! | `selected_databases` | list of the only databases that the configuration selects; null for all |
//! | `namespaces` | list, see below; sorted by memory, largest first, or in the order of `--sort` |
//! | `verdict` | list of sentences on what is notable |
//! | `total` | `keys`, `keys_error`, `memory_bytes`, `memory_error_bytes`, `keys_without_ttl`, `keys_without_ttl_error`, `violations`, `violations_error`, `largest_key_bytes` |
//! | `suggestions` | with `--suggest`: list of `name`, `match`, `keys` (of the sample), `share`, `keys_with_known_ttl`, `keys_without_ttl` (of these), `ttl_required`, `ttl_max_seconds`, and if that is too long `shorter_ttl_max_seconds` and `shorter_ttl_reason` (`beyond_lru_horizon`, `idle_memory` or `longer_than_use`) |
//! | `suggested_yaml` | with `--suggest`: the same as a `namespaces` block for the configuration |
//! | `compared` | with `--compare`: `target` of the earlier pass, `seconds` between the two (null if unknown), `was_complete`, the number of `unchanged` namespaces, `skipped_databases` (not compared because one of the passes did not scan them), and `changes`, a list of `name`, `database`, `presence` (`both`, `new` or `gone`), `keys`, `memory_bytes`, `share` and `keys_without_ttl`; each of these four has `before`, `now`, `change`, `error` (half the width of the 95 % interval of the change) and `is_beyond_error`, or is null |
//! | `largest_keys` | with `--largest`: list of `key`, `key_length`, `namespace`, `database` and `memory_bytes`, largest first |
//! | `broken_policies` | with `--examples`: list of `namespace`, `database`, `ttl_required` (list of keys without a TTL) and `ttl_max` (list of `key`, `key_length` and `ttl_seconds`), each with up to three keys |
//!
//! A name of a key has up to 512 bytes. A longer one ends with an ellipsis and its length, such as
//! `… (9,000 bytes)`. `key_length` is the length of the whole name in bytes.
//!
//! A namespace has these fields. Values that are unknown or not declared are null. Names are UTF-8
//! with other bytes as `\xNN`.
//!
//! | field | meaning |
//! | --- | --- |
//! | `name`, `database` | the namespace and its database |
//! | `keys`, `memory_bytes` | each with `value`, `error`, `lower` and `upper` (95 % interval, error 0 when exact) |
//! | `share` | share of all keys |
//! | `mean_bytes` | memory per key |
//! | `keys_without_ttl`, `keys_without_ttl_error` | keys that never expire, and the error |
//! | `ttl_seconds` | `p50_lower` and `p50_upper` (the bucket of the median), `p50` (interpolated between them), `max` (longest seen) and `buckets`, a cumulative list of `at_most` and `keys`; `at_most` null includes all keys |
//! | `types` | keys by data type |
//! | `violations` | `ttl_required` and `ttl_max` |
//! | `evicted_per_second` | keys of the namespace that the server evicted per second in about the last five minutes, estimated; null without `--watch`, and until enough is known |
//! | `idle` | list of `at_least` (seconds), `memory_share` and `memory_bytes`: the memory that was not used for that long. A time that is not known is missing |
//! | `expiring` | list of `within` (seconds), `share`, `keys` and `memory_bytes`: what expires that soon. A time that is not known is missing |
//! | `expiry_burst` | `share` of the keys that expires within ten seconds, `in_seconds` and `timestamp_seconds`; null without such a burst in the next hour |
//! | `declared` | `ttl_required`, `ttl_max_seconds`, `memory_quota_bytes` and `on_eviction` |
//! | `largest_key_bytes` | memory of the largest key |

use serde_json::{Map, Value, json};

use super::comparison::{self, Comparison};
use super::kept_name::KeptName;
use super::named::{BrokenPolicy, SizedKey};
use super::report::{PassEnd, Report, mean, median, whole};
use super::suggest::{Suggestion, to_yaml};
use super::verdict;
use crate::config::OnEviction;
use crate::keyspace::estimate::Estimate;
use crate::keyspace::expiring::WITHIN;
use crate::keyspace::sweep::census::Finding;
use crate::keyspace::tally::DataType;
use crate::metric::Histogram;
use crate::number::to_float;

/// The parts of the document that only some flags add.
#[derive(Clone, Copy, Debug, Default)]
pub struct Additions<'a> {
    /// The suggested namespaces.
    pub suggestions: Option<&'a [Suggestion]>,
    /// The comparison with an earlier pass.
    pub comparison: Option<&'a Comparison>,
    /// The largest keys.
    pub largest: Option<&'a [SizedKey]>,
    /// Examples of broken policies.
    pub broken: Option<&'a [BrokenPolicy]>,
}

/// Returns the document, with a line break at its end.
#[must_use]
pub fn document(report: &Report, additions: &Additions<'_>) -> String {
    let total = report.total();
    let (end, failure) = match &report.end {
        PassEnd::Complete => ("complete", None),
        PassEnd::Interrupted => ("interrupted", None),
        PassEnd::Failed(failure) => ("failed", Some(failure.to_string())),
    };
    let databases = report.databases.iter().map(|seen| {
        json!({ "database": seen.database, "keys": seen.keys, "coverage": number(seen.coverage) })
    });
    let mut document = json!({
        "target": report.target,
        "address": report.address,
        "server": report.server,
        "end": end,
        "failure": failure,
        "seconds": report.duration.as_secs_f64(),
        "ended_timestamp_seconds": number(report.ended),
        "keys_seen": report.keys_seen,
        "used_bytes": report.used_bytes.map(number),
        "explained_share": report.explained_share(),
        "evicted_per_second": report.removed.evicted_per_second().map(number),
        "expired_per_second": report.removed.expired_per_second().map(number),
        "lru_horizon_seconds": report.horizon.map(|horizon| number(horizon.seconds)),
        "lru_horizon_error_seconds": report.horizon.map(|horizon| number(horizon.error)),
        "sampled": {
            "keys": report.queried.keys,
            "ttls": report.queried.ttls,
            "types": report.queried.types,
            "idle": report.queried.idle,
            "lookups": report.queried.lookups,
        },
        "refused": report.refused.iter().map(|query| query.as_str()).collect::<Vec<_>>(),
        "databases": databases.collect::<Vec<_>>(),
        "selected_databases": report.selected,
        "namespaces": report.rows.iter().map(|row| namespace(row, total.keys, report)).collect::<Vec<_>>(),
        "verdict": verdict::sentences(report),
        "total": {
            "keys": number(total.keys),
            "keys_error": number(total.keys_error),
            "memory_bytes": total.memory.map(|(bytes, _)| number(bytes)),
            "memory_error_bytes": total.memory.map(|(_, error)| number(error)),
            "keys_without_ttl": total.without_ttl.map(|(keys, _)| number(keys.round())),
            "keys_without_ttl_error": total.without_ttl.map(|(_, error)| number(error)),
            "violations": total.violations.map(|(keys, _)| number(keys.round())),
            "violations_error": total.violations.map(|(_, error)| number(error)),
            "largest_key_bytes": total.largest_key_bytes,
        },
    });
    if let Some(fields) = document.as_object_mut() {
        add(fields, additions);
    }
    format!("{document:#}\n")
}

fn add(fields: &mut Map<String, Value>, additions: &Additions<'_>) {
    if let Some(suggestions) = additions.suggestions {
        let list: Vec<Value> = suggestions.iter().map(suggestion).collect();
        fields.insert("suggestions".to_owned(), list.into());
        fields.insert("suggested_yaml".to_owned(), to_yaml(suggestions).into());
    }
    if let Some(comparison) = additions.comparison {
        let compared = comparison::document::compared(comparison);
        fields.insert("compared".to_owned(), compared);
    }
    if let Some(largest) = additions.largest {
        let list: Vec<Value> = largest.iter().map(named_key).collect();
        fields.insert("largest_keys".to_owned(), list.into());
    }
    if let Some(broken) = additions.broken {
        let list: Vec<Value> = broken.iter().map(broken_policy).collect();
        fields.insert("broken_policies".to_owned(), list.into());
    }
}

fn named_key(key: &SizedKey) -> Value {
    json!({
        "key": key.key.text(),
        "key_length": key.key.length(),
        "namespace": key.namespace,
        "database": key.database,
        "memory_bytes": key.bytes,
    })
}

fn broken_policy(broken: &BrokenPolicy) -> Value {
    let too_long = broken.beyond_max.iter();
    let too_long = too_long.map(|(key, left)| {
        json!({ "key": key.text(), "key_length": key.length(), "ttl_seconds": seconds(*left) })
    });
    let without_ttl = broken.without_ttl.iter().map(KeptName::text);
    json!({
        "namespace": broken.namespace,
        "database": broken.database,
        "ttl_required": without_ttl.collect::<Vec<_>>(),
        "ttl_max": too_long.collect::<Vec<_>>(),
    })
}

fn namespace(row: &Finding, all: f64, report: &Report) -> Value {
    let estimate = &row.estimate;
    let keys = estimate.keys.value;
    let mean = estimate.memory.and_then(|memory| mean(memory.value, keys));
    let types = estimate.types.map(|types| {
        let types = DataType::ALL.iter().zip(types);
        let types = types.map(|(data_type, keys)| (data_type.as_str().to_owned(), keys.into()));
        Value::Object(types.collect::<Map<_, _>>())
    });
    json!({
        "name": row.name,
        "database": row.database,
        "keys": interval(estimate.keys),
        "share": number(if all > 0.0 { keys / all } else { 0.0 }),
        "memory_bytes": estimate.memory.map(interval),
        "mean_bytes": mean.map(number),
        "keys_without_ttl": estimate.without_ttl.map(whole),
        "keys_without_ttl_error": estimate.without_ttl.map(|without| number(without.error)),
        "ttl_seconds": estimate.ttl.as_ref().map(|ttl| times(ttl, estimate.longest_ttl)),
        "types": types,
        "evicted_per_second": report.eviction_rate(row).map(number),
        "idle": idle(row),
        "expiring": expiring(row),
        "expiry_burst": row.expiring.burst.map(|burst| json!({
            "share": number(burst.share),
            "in_seconds": number(burst.at - report.ended),
            "timestamp_seconds": number(burst.at),
        })),
        "violations": {
            "ttl_required": estimate.without_ttl.filter(|_| row.ttl.required).map(whole),
            "ttl_max": estimate.max_broken.filter(|_| row.ttl.max.is_some()).map(whole),
        },
        "declared": {
            "ttl_required": row.ttl.required,
            "ttl_max_seconds": row.ttl.max.map(|max| number(max.as_secs_f64())),
            "memory_quota_bytes": row.memory_quota,
            "on_eviction": row.on_eviction.map(OnEviction::as_str),
        },
        "largest_key_bytes": estimate.largest_key_bytes,
    })
}

fn idle(row: &Finding) -> Value {
    let memory = row.estimate.memory;
    let shares = row.idle.iter().map(|idle| {
        let bytes = memory.map(|memory| number((idle.share * memory.value).round()));
        json!({ "at_least": number(idle.least), "memory_share": number(idle.share), "memory_bytes": bytes })
    });
    shares.collect()
}

fn expiring(row: &Finding) -> Value {
    let estimate = &row.estimate;
    let parts = WITHIN.into_iter().zip(row.expiring.within);
    let parts = parts.filter_map(|(within, part)| {
        let part = part?;
        let bytes = estimate.memory.map(|memory| number((part.memory * memory.value).round()));
        let keys = number((part.keys * estimate.keys.value).round());
        Some(json!({ "within": within, "share": number(part.keys), "keys": keys, "memory_bytes": bytes }))
    });
    parts.collect()
}

fn times(ttl: &Histogram, longest: Option<u64>) -> Value {
    let edges = ttl.edges.iter().map(|edge| json!(edge.at / 1_000));
    let buckets = edges.zip(ttl.counts.iter());
    let buckets = buckets.chain([(Value::Null, ttl.count)]);
    let buckets: Vec<Value> = buckets
        .map(|(edge, keys)| json!({ "at_most": edge, "keys": keys }))
        .collect();
    let median = longest.and_then(|longest| median(ttl, longest));
    json!({
        "p50": median.map(|median| seconds(median.interpolated)),
        "p50_lower": median.map(|median| seconds(median.lower)),
        "p50_upper": median.map(|median| seconds(median.upper)),
        "max": longest.map(seconds),
        "buckets": buckets,
    })
}

fn interval(estimate: Estimate) -> Value {
    json!({
        "value": number(estimate.value),
        "error": number(estimate.error),
        "lower": number(estimate.lower),
        "upper": number(estimate.upper),
    })
}

fn suggestion(suggestion: &Suggestion) -> Value {
    json!({
        "name": suggestion.name,
        "match": suggestion.pattern,
        "keys": suggestion.keys,
        "share": number(suggestion.share),
        "keys_with_known_ttl": suggestion.known_ttls,
        "keys_without_ttl": suggestion.keys_without_ttl,
        "ttl_required": suggestion.ttl_required,
        "ttl_max_seconds": suggestion.ttl_max.map(|max| number(max.as_secs_f64())),
        "shorter_ttl_max_seconds": suggestion.shorter_ttl.map(|ttl| number(ttl.max.as_secs_f64())),
        "shorter_ttl_reason": suggestion.shorter_ttl.map(|ttl| ttl.reason.as_str()),
    })
}

fn seconds(milliseconds: u64) -> Value {
    number(to_float(milliseconds) / 1_000.0)
}

/// Returns a whole number without a decimal point.
#[expect(
    clippy::cast_possible_truncation,
    reason = "only exact values are converted"
)]
pub(super) fn number(value: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        json!(value as i64)
    } else {
        json!(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::tests::{aging, report, row};
    use super::super::suggest::{ShorterTtl, TooLong};
    use super::*;
    use crate::failure::{Failure, Reason};
    use crate::keyspace::expiring::Burst;
    use crate::keyspace::idle::LruHorizon;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_exact_and_in_base_units() {
        let mut rows = vec![row("a", 0, 2_000, 3_145_728.0)];
        rows[0].ttl.max = Some(Duration::from_secs(60));
        rows[0].memory_quota = Some(4_096);
        rows[0].on_eviction = Some(OnEviction::Harmful);
        let text = document(&report(rows), &Additions::default());
        assert!(!text.contains("2000.0"), "{text}");
        let document = read(&text);
        assert_eq!(document["end"], "complete");
        assert_eq!(document["seconds"], 1.5);
        assert_eq!(document["failure"], Value::Null);
        assert_eq!(document["refused"], json!([]));
        assert_eq!(
            document["databases"],
            json!([{ "database": 0, "keys": 3_000, "coverage": 1 }])
        );
        let namespace = &document["namespaces"][0];
        assert_eq!(
            namespace["keys"],
            json!({ "value": 2_000, "error": 0, "lower": 2_000, "upper": 2_000 })
        );
        assert_eq!(namespace["memory_bytes"]["value"], 3_145_728);
        assert_eq!(namespace["mean_bytes"], 1_572.864);
        assert_eq!(namespace["ttl_seconds"]["max"], 3_600);
        assert_eq!(namespace["ttl_seconds"]["p50"], 2_250);
        assert_eq!(namespace["ttl_seconds"]["p50_lower"], 900);
        assert_eq!(namespace["ttl_seconds"]["p50_upper"], 3_600);
        assert_eq!(document["sampled"]["ttls"], 3_000);
        let buckets = namespace["ttl_seconds"]["buckets"].as_array().unwrap();
        assert_eq!(buckets.len(), 11);
        assert_eq!(buckets[5], json!({ "at_most": 3_600, "keys": 1_000 }));
        assert_eq!(buckets[10], json!({ "at_most": null, "keys": 1_000 }));
        assert_eq!(namespace["types"]["string"], 2_000);
        assert_eq!(
            namespace["violations"],
            json!({ "ttl_required": null, "ttl_max": 1 })
        );
        assert_eq!(
            namespace["declared"],
            json!({
                "ttl_required": false,
                "ttl_max_seconds": 60,
                "memory_quota_bytes": 4_096,
                "on_eviction": "harmful",
            })
        );
        assert_eq!(document["total"]["keys"], 2_000);
        assert_eq!(document["total"]["violations"], 1);
        assert!(document.get("suggestions").is_none());
    }

    #[test]
    fn unmeasured_times_are_missing() {
        let mut aging = aging("a", &[(60.0, 0.5)], [0.0, 0.25]);
        aging.expiring.burst = Some(Burst {
            share: 0.2,
            at: 1_090.0,
        });
        let mut report = report(vec![aging, row("b", 0, 1, 1.0)]);
        report.horizon = Some(LruHorizon {
            seconds: 90.0,
            error: 9.0,
        });
        let document = read(&document(&report, &Additions::default()));
        assert_eq!(document["lru_horizon_seconds"], 90);
        assert_eq!(document["evicted_per_second"], Value::Null);
        let [known, unknown] = [0, 1].map(|row| &document["namespaces"][row]);
        assert_eq!(
            known["idle"],
            json!([{ "at_least": 60, "memory_share": 0.5, "memory_bytes": 256_000 }])
        );
        assert_eq!(
            known["expiring"],
            json!([
                { "within": 60, "share": 0, "keys": 0, "memory_bytes": 0 },
                { "within": 300, "share": 0.25, "keys": 250, "memory_bytes": 128_000 },
            ])
        );
        assert_eq!(
            known["expiry_burst"],
            json!({ "share": 0.2, "in_seconds": 90, "timestamp_seconds": 1_090 })
        );
        assert_eq!(
            (&unknown["idle"], &unknown["expiring"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(unknown["expiry_burst"], Value::Null);
        assert_eq!(unknown["declared"]["on_eviction"], Value::Null);
    }

    #[test]
    fn suggestions_are_a_list_and_yaml() {
        let suggestions = [Suggestion {
            name: "a".to_owned(),
            pattern: "a:*".to_owned(),
            keys: 10,
            share: 0.5,
            known_ttls: 10,
            keys_without_ttl: 0,
            ttl_required: true,
            ttl_max: Some(Duration::from_secs(60)),
            leaking_ttl_max: None,
            shorter_ttl: Some(ShorterTtl {
                max: Duration::from_secs(30),
                reason: TooLong::BeyondHorizon(40.0),
            }),
        }];
        let additions = Additions {
            suggestions: Some(&suggestions),
            ..Additions::default()
        };
        let document = read(&document(&report(Vec::new()), &additions));
        let suggestion = &document["suggestions"][0];
        assert_eq!(suggestion["match"], "a:*");
        assert_eq!(suggestion["ttl_max_seconds"], 60);
        assert_eq!(suggestion["shorter_ttl_max_seconds"], 30);
        assert_eq!(suggestion["shorter_ttl_reason"], "beyond_lru_horizon");
        let yaml = document["suggested_yaml"].as_str().unwrap();
        assert!(yaml.starts_with("namespaces:\n"), "{yaml}");
    }

    #[test]
    fn names_with_any_characters_round_trip() {
        let name = "a\"b\\xff\u{1b}\nö";
        let document = read(&document(
            &report(vec![row(name, 0, 1, 1.0)]),
            &Additions::default(),
        ));
        assert_eq!(document["namespaces"][0]["name"], name);
    }

    #[test]
    fn document_names_the_failure() {
        let mut report = report(Vec::new());
        report.end = PassEnd::Failed(Failure::new(Reason::Timeout, "no reply"));
        let document = read(&document(&report, &Additions::default()));
        assert_eq!(document["end"], "failed");
        assert_eq!(document["failure"], "timeout: no reply");
        assert_eq!(document["total"]["memory_bytes"], Value::Null);
    }
}
