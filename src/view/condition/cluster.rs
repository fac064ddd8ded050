//! Replication, sentinels and clusters. Pure.

use super::super::facts::Seen;
use super::{Condition, NONE, Thresholds, critical, is, limits, warning};
use crate::quantity::{bytes, count, counted, duration, noun};

pub(super) const CONDITIONS: &[Condition] = &[
    critical("RedisReplicaLinkDown", NONE, |seen, _| {
        let is_down = is(seen, "redis_master_link_up", 0.0);
        let is_copying = is(seen, "redis_master_sync_in_progress", 1.0);
        (is_down && !is_copying).then(|| "The replica has lost its primary.".to_owned())
    }),
    warning("RedisReplicaSyncSlow", NONE, |seen, _| {
        is(seen, "redis_master_sync_in_progress", 1.0)
            .then(|| "The replica is copying all data of its primary.".to_owned())
    }),
    warning("RedisReplicationLagHigh", limits([0.5, 10.0]), lag),
    critical("RedisSentinelMasterNotOk", NONE, |seen, _| {
        let mut masters = seen.samples("redis_sentinel_master_status");
        let master = masters.find(|master| master.number() == Some(0.0))?;
        let name = master.label("master_name").unwrap_or_default();
        Some(format!(
            "The sentinel considers the primary {name} to be down."
        ))
    }),
    critical("RedisSentinelQuorumLost", NONE, |seen, _| {
        let mut masters = seen.samples("redis_sentinel_master_ckquorum_status");
        let master = masters.find(|master| master.number() == Some(0.0))?;
        let name = master.label("master_name").unwrap_or_default();
        Some(format!("The sentinels cannot fail over {name}."))
    }),
    warning("RedisSentinelTilt", NONE, |seen, _| {
        is(seen, "redis_sentinel_tilt", 1.0)
            .then(|| "The sentinel is in TILT mode and does not act.".to_owned())
    }),
    critical("RedisClusterStateFail", NONE, |seen, _| {
        let is_down = is(seen, "redis_cluster_state", 0.0) && is_member(seen);
        is_down.then(|| "The cluster is down.".to_owned())
    }),
    critical(
        "RedisClusterSlotsUncovered",
        limits([16_384.0]),
        |seen, [all, ..]| {
            let missing = all - seen.number("redis_cluster_slots_assigned")?;
            let failed = seen.number("redis_cluster_slots_fail").unwrap_or(0.0);
            let slots = missing.max(0.0) + failed;
            let slots_text = count(slots);
            let have = noun(
                &slots_text,
                "slot of the cluster has",
                "slots of the cluster have",
            );
            (slots > 0.0 && is_member(seen))
                .then(|| format!("{slots_text} {have} no working node."))
        },
    ),
    warning("RedisClusterSlotsPfail", NONE, |seen, _| {
        let slots = seen.number("redis_cluster_slots_pfail")?;
        let slots_text = counted(slots, "slot", "slots");
        (slots > 0.0 && is_member(seen))
            .then(|| format!("The node cannot reach the nodes of {slots_text}."))
    }),
];

fn is_member(seen: &Seen<'_>) -> bool {
    is(seen, "redis_cluster_enabled", 1.0)
}

fn lag(seen: &Seen<'_>, [share_max, seconds_max, ..]: Thresholds) -> Option<String> {
    let backlog = seen.number("redis_replication_backlog_bytes");
    let written = seen.number("redis_master_repl_offset");
    let offsets = seen.samples("redis_connected_slave_offset_bytes");
    let offsets = offsets.filter(|sample| sample.label("slave_state") == Some("online"));
    let behind = offsets.filter_map(|sample| Some(written? - sample.number()?));
    let behind =
        behind.filter(|behind| backlog.is_some_and(|backlog| *behind > share_max * backlog));
    if let Some(behind) = behind.reduce(f64::max) {
        return Some(format!("A replica lags behind by {}.", bytes(behind)));
    }
    let lags = seen.samples("redis_connected_slave_lag_seconds");
    let lags = lags.filter(|sample| sample.label("slave_state") == Some("online"));
    let lag = lags.filter_map(|sample| sample.number()).reduce(f64::max)?;
    (lag > seconds_max).then(|| format!("A replica lags behind by {}.", duration(lag)))
}
