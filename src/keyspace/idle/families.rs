//! The rows of the metrics of idle times. Turns them into samples.

use std::collections::BTreeMap;

use super::share::LEAST;
use super::{DoubleRatio, HitRatios, IdleTimes, LruHorizon};
use crate::keyspace::NamespaceId;
use crate::keyspace::estimate::NamespaceEstimate;
use crate::keyspace::ghosts::Ghosts;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static IDLE: Family<2> = Family::histogram("redis_key_namespace_idle_seconds", &["db", "key_namespace"], source("OBJECT IDLETIME", ""), Unit::Seconds, "Estimated keys of the namespace by the time since they were last used, in seconds, from sampled keys; shows the current state, so rate() does not apply.");
    pub(super) static IDLE_MEMORY: Family<3> = Family::gauge("redis_key_namespace_idle_memory_bytes", &["db", "key_namespace", "idle"], source("OBJECT IDLETIME", ""), Unit::Bytes, "Estimated memory of the keys of the namespace that were not used for at least this many seconds, from sampled keys.");
    pub(super) static HORIZON: Family<0> = Family::gauge("redis_lru_horizon_seconds", &[], source("OBJECT IDLETIME", ""), Unit::Seconds, "Estimated time after which Redis evicts a key that is not used: half of the evicted keys were not used for longer; absent unless the policy evicts by last use.");
    pub(super) static HORIZON_ERROR: Family<0> = Family::gauge("redis_lru_horizon_error_seconds", &[], source("OBJECT IDLETIME", ""), Unit::Seconds, "Half the width of the 95% confidence interval of the LRU horizon, in seconds.");
    pub(super) static HIT_RATIO: Family<1> = Family::gauge("redis_hit_ratio_estimate", &["memory"], source("OBJECT IDLETIME", ""), Unit::One, "Estimated hit ratio with this many times the memory limit (0.5, and experimental 2), from sampled keys, and the measured one of the same period (1); absent unless the policy is allkeys-lru and the estimate is certain to 10 points.");
    pub(super) static HIT_RATIO_ERROR: Family<1> = Family::gauge("redis_hit_ratio_estimate_error", &["memory"], source("OBJECT IDLETIME", ""), Unit::One, "Half the width of the 95% confidence interval of the estimated hit ratio.");
    pub(super) static SAMPLES: Family<0> = Family::gauge("redis_exporter_idle_samples", &[], source("OBJECT IDLETIME", ""), Unit::One, "Sampled idle times of the last hour on which the idle times and the LRU horizon are based.");
}

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::IDLE.descriptor(),
        rows::IDLE_MEMORY.descriptor(),
        rows::HORIZON.descriptor(),
        rows::HORIZON_ERROR.descriptor(),
        rows::HIT_RATIO.descriptor(),
        rows::HIT_RATIO_ERROR.descriptor(),
        rows::SAMPLES.descriptor(),
    ]
}

/// The ghosts of a server, and whether some of its keys have a TTL.
#[derive(Clone, Copy, Debug)]
pub struct Followed<'a> {
    /// The ghosts.
    pub ghosts: &'a Ghosts,
    /// Whether their TTLs must be known.
    pub needs_ttls: bool,
}

/// Adds the samples of idle times. `estimates` are those of the databases, and `name` returns the name
/// of a namespace. `followed` is `None` if there are further databases, whose keys are evicted too.
pub fn push<'a>(
    times: &IdleTimes,
    estimates: &[(u32, Vec<NamespaceEstimate>)],
    name: impl Fn(NamespaceId) -> &'a str,
    followed: Option<Followed<'_>>,
    snapshot: &mut Snapshot,
) {
    if times.is_empty() {
        return;
    }
    snapshot.push(&rows::SAMPLES, [], times.count());
    let places = times.places();
    let mut keys = BTreeMap::new();
    for (database, estimates) in estimates {
        let label = format!("db{database}");
        for estimate in estimates {
            let place = (*database, estimate.namespace);
            keys.insert(place, estimate.keys.value);
            let Some(idle) = places.get(&place) else {
                continue;
            };
            let labels = [&*label, name(estimate.namespace)];
            if let Some(histogram) = idle.histogram(estimate.keys.value) {
                snapshot.push_histogram(&rows::IDLE, labels, histogram);
            }
            let shares = idle.shares(estimate.keys.value).into_iter();
            for ((_, least), share) in LEAST.iter().zip(shares) {
                let bytes = share.zip(estimate.memory);
                let bytes = bytes.map(|(share, memory)| share * memory.value);
                let [database, name] = labels;
                snapshot.push(&rows::IDLE_MEMORY, [database, name, least], bytes);
            }
        }
    }
    let Some(Followed { ghosts, needs_ttls }) = followed else {
        return;
    };
    if let Some(horizon) = times.horizon(&keys) {
        push_horizon(horizon, snapshot);
    }
    let half = times.hit_ratios(&keys);
    let double = times.double_hit_ratio(ghosts, &keys, needs_ttls);
    push_hit_ratios(half, double, snapshot);
}

fn push_horizon(horizon: LruHorizon, snapshot: &mut Snapshot) {
    snapshot.push(&rows::HORIZON, [], horizon.seconds);
    snapshot.push(&rows::HORIZON_ERROR, [], horizon.error);
}

fn push_hit_ratios(half: Option<HitRatios>, double: Option<DoubleRatio>, snapshot: &mut Snapshot) {
    let whole = half.map(|found| found.whole.ratio);
    let whole = whole.or(double.map(|found| found.whole));
    let estimates = [
        ("0.5", half.map(|found| found.half)),
        ("2", double.map(|found| found.double)),
    ];
    for (memory, estimate) in estimates {
        if let Some(estimate) = estimate {
            snapshot.push(&rows::HIT_RATIO, [memory], estimate.ratio);
            snapshot.push(&rows::HIT_RATIO_ERROR, [memory], estimate.error);
        }
    }
    snapshot.push(&rows::HIT_RATIO, ["1"], whole);
}
