//! The rows of the metrics of keys that expire soon. Turns forecasts into samples.

use super::{ExpiryForecast, WITHIN};
use crate::keyspace::estimate::NamespaceEstimate;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static KEYS: Family<3> = Family::gauge("redis_key_namespace_expiring_keys", &["db", "key_namespace", "within"], source("PTTL", ""), Unit::One, "Estimated keys of the namespace that expire within this many seconds unless their TTL is renewed; absent if too few TTLs were read lately.");
    pub(super) static MEMORY: Family<3> = Family::gauge("redis_key_namespace_expiring_memory_bytes", &["db", "key_namespace", "within"], source("PTTL", ""), Unit::Bytes, "Estimated memory of the keys of the namespace that expire within this many seconds unless their TTL is renewed.");
    pub(super) static BURST_RATIO: Family<2> = Family::gauge("redis_key_namespace_expiry_burst_ratio", &["db", "key_namespace"], source("PTTL", ""), Unit::One, "Largest share of the keys of the namespace that expires within ten seconds during the next hour; absent below 0.05.");
    pub(super) static BURST_TIME: Family<2> = Family::gauge("redis_key_namespace_expiry_burst_timestamp_seconds", &["db", "key_namespace"], source("PTTL", ""), Unit::Seconds, "Time when that share of the keys expires, in seconds since the epoch.");
}

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::KEYS.descriptor(),
        rows::MEMORY.descriptor(),
        rows::BURST_RATIO.descriptor(),
        rows::BURST_TIME.descriptor(),
    ]
}

/// Adds the samples of a namespace. Of the times in which no key expires, only the longest has one.
pub fn push(
    forecast: &ExpiryForecast,
    estimate: &NamespaceEstimate,
    labels: [&str; 2],
    snapshot: &mut Snapshot,
) {
    let [database, name] = labels;
    let longest = WITHIN.into_iter().max();
    for (within, part) in WITHIN.into_iter().zip(forecast.within) {
        let Some(part) = part else { continue };
        let keys = (part.keys * estimate.keys.value).round();
        if keys < 1.0 && Some(within) != longest {
            continue;
        }
        let within = within.to_string();
        let labels = [database, name, &within];
        snapshot.push(&rows::KEYS, labels, keys);
        if let Some(memory) = estimate.memory {
            snapshot.push(&rows::MEMORY, labels, (part.memory * memory.value).round());
        }
    }
    if let Some(burst) = forecast.burst {
        snapshot.push(&rows::BURST_RATIO, labels, burst.share);
        snapshot.push(&rows::BURST_TIME, labels, burst.at);
    }
}
