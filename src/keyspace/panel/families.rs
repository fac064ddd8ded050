//! The rows of the metrics of the panel. Turns its counts into samples.

use super::Panel;
use super::totals::Totals;
use crate::keyspace::NamespaceId;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::{length, to_float as float};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static VANISHED: Family<3> = Family::counter("redis_key_namespace_vanished_keys_total", &["db", "key_namespace", "when"], source("SCAN", ""), Unit::One, "Estimated keys of the namespace that vanished before their TTL had ended, after it, without a TTL, or with an unknown one, from sampled keys.");
    pub(super) static EVICTED: Family<2> = Family::counter("redis_key_namespace_evicted_keys_total", &["db", "key_namespace"], source("INFO", "evicted_keys"), Unit::One, "Keys of the namespace that Redis evicted to free memory, from key events, or its estimated share of evicted_keys from sampled keys; absent while other removals hide it.");
    pub(super) static EXPIRED: Family<2> = Family::counter("redis_key_namespace_expired_keys_total", &["db", "key_namespace"], source("INFO", "expired_keys"), Unit::One, "Keys of the namespace that Redis removed because their TTL had ended, from key events, or its estimated share of expired_keys from sampled keys.");
    pub(super) static LOST_TTL: Family<2> = Family::histogram("redis_key_namespace_lost_ttl_seconds", &["db", "key_namespace"], source("PTTL", ""), Unit::Milliseconds, "TTLs that sampled keys of the namespace still had when they vanished, in seconds; the counts are those of the sample.");
    pub(super) static RENEWED: Family<2> = Family::gauge("redis_key_namespace_ttl_renewed_ratio", &["db", "key_namespace"], source("PTTL", ""), Unit::One, "Estimated share of the keys of the namespace with a TTL whose TTL is renewed within a minute, from sampled keys; absent if too few were queried twice.");
    pub(super) static RENEWED_ERROR: Family<2> = Family::gauge("redis_key_namespace_ttl_renewed_error_ratio", &["db", "key_namespace"], source("PTTL", ""), Unit::One, "Half the width of the 95% confidence interval of the share of keys whose TTL is renewed.");
    pub(super) static KEYS: Family<0> = Family::gauge("redis_exporter_panel_keys", &[], source("SCAN", ""), Unit::One, "Sampled keys that will be checked again.");
    pub(super) static CHECKS: Family<1> = Family::counter("redis_exporter_panel_checks_total", &["result"], source("SCAN", ""), Unit::One, "Sampled keys that were checked again, and still existed (alive) or not (vanished).");
}

/// Values of the label `when`, in the order of the counts.
const WHEN: [&str; 4] = ["before_ttl", "after_ttl", "no_ttl", UNKNOWN];
const UNKNOWN: &str = "unknown";

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::VANISHED.descriptor(),
        rows::EVICTED.descriptor(),
        rows::EXPIRED.descriptor(),
        rows::LOST_TTL.descriptor(),
        rows::RENEWED.descriptor(),
        rows::RENEWED_ERROR.descriptor(),
        rows::KEYS.descriptor(),
        rows::CHECKS.descriptor(),
    ]
}

/// Adds the evicted and expired keys of a place, if they are known.
pub fn push_removed(keys: [Option<f64>; 2], labels: [&str; 2], snapshot: &mut Snapshot) {
    for (row, keys) in [&rows::EVICTED, &rows::EXPIRED].into_iter().zip(keys) {
        if let Some(keys) = keys {
            snapshot.push(row, labels, keys.round());
        }
    }
}

/// Adds the other samples of a panel, if it has had keys. Of each namespace, kinds that are rare in
/// practice begin with the first key.
pub fn push<'a>(panel: &Panel, name: impl Fn(NamespaceId) -> &'a str, snapshot: &mut Snapshot) {
    if !panel.has_begun() {
        return;
    }
    for ((database, namespace), totals) in &panel.totals {
        push_place(
            totals,
            [&format!("db{database}"), name(*namespace)],
            snapshot,
        );
    }
    for ((database, namespace), renewed) in panel.renewals.ratios() {
        let labels = [&*format!("db{database}"), name(namespace)];
        snapshot.push(&rows::RENEWED, labels, renewed.ratio);
        snapshot.push(&rows::RENEWED_ERROR, labels, renewed.error);
    }
    let members = panel.runs.iter().map(|run| run.members.len());
    snapshot.push(&rows::KEYS, [], length(members.sum()));
    for (result, checks) in [("alive", panel.alive), ("vanished", panel.gone)] {
        snapshot.push(&rows::CHECKS, [result], float(checks));
    }
}

fn push_place(totals: &Totals, labels: [&str; 2], snapshot: &mut Snapshot) {
    let [database, name] = labels;
    for (when, keys) in WHEN.into_iter().zip(totals.vanished()) {
        if when != UNKNOWN || keys > 0.0 {
            snapshot.push(&rows::VANISHED, [database, name, when], keys.round());
        }
    }
    let lost_ttl = totals.lost_ttl();
    if lost_ttl.count > 0 {
        snapshot.push_histogram(&rows::LOST_TTL, labels, lost_ttl);
    }
}
