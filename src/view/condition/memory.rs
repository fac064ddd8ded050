//! Memory, evictions and rejected writes. Pure.

use super::super::card::{FIVE_MINUTES, hit_ratio};
use super::super::facts::Seen;
use super::{
    Condition, MEBIBYTE, NONE, Thresholds, critical, info, is, is_primary, limits, warning,
};
use crate::history::Increase;
use crate::quantity::{bytes, counted, percent, rate};

pub(super) const CONDITIONS: &[Condition] = &[
    critical("RedisMemoryExhausted", limits([0.97]), |seen, limits| {
        let keeps_all = seen.instance("maxmemory_policy") == Some("noeviction");
        let text = memory_above(seen, limits).filter(|_| keeps_all && is_primary(seen))?;
        Some(format!("{text} Redis is about to reject writes."))
    }),
    warning("RedisMemoryUsageHigh", limits([0.90]), |seen, limits| {
        memory_above(seen, limits).filter(|_| !is_expected(seen))
    }),
    info("RedisMemoryUsageHigh", limits([0.90]), |seen, limits| {
        memory_above(seen, limits).filter(|_| is_expected(seen))
    }),
    critical(
        "RedisWritesRejected",
        limits([300.0]),
        |seen, [window, ..]| {
            let rejected = seen
                .history
                .increase(Increase::RefusedWrites, window, seen.now)?;
            let writes = counted(rejected, "write", "writes");
            (rejected > 0.0).then(|| format!("Redis rejected {writes} in the last five minutes."))
        },
    ),
    critical(
        "RedisEvictionRateHigh",
        limits([10.0, 60.0, 0.10, 0.80]),
        |seen, limits| {
            let [_, _, _, ratio_min] = limits;
            let misses_many = hit_ratio(seen).is_some_and(|ratio| ratio < ratio_min);
            let text = evictions(seen, limits).filter(|_| misses_many)?;
            Some(format!("{text} Keys are evicted before they are used."))
        },
    ),
    warning(
        "RedisEvictionRateHigh",
        limits([10.0, 60.0, 0.01]),
        evictions,
    ),
    warning(
        "RedisVolatileEvictionWithoutTTLs",
        limits([0.05, 0.75]),
        |seen, [least, full, ..]| {
            let policy = seen.instance("maxmemory_policy")?;
            let keys = seen.sum("redis_db_keys").filter(|keys| *keys > 0.0)?;
            let share = seen.sum("redis_db_keys_expiring")? / keys;
            let is_wrong = policy.starts_with("volatile-") && share < least && used(seen)? > full;
            let share = percent(share);
            is_wrong.then(|| {
                format!("{policy} may only evict keys with a TTL, which are {share} of all.")
            })
        },
    ),
    info(
        "RedisMemoryFragmented",
        limits([1.5, 512.0 * MEBIBYTE]),
        |seen, [ratio_max, most, ..]| {
            let ratio = seen.number("redis_mem_fragmentation_ratio")?;
            let wasted = seen.number("redis_mem_fragmentation_bytes")?;
            let wasted_text = bytes(wasted);
            (ratio > ratio_max && wasted > most)
                .then(|| format!("Fragmentation wastes {wasted_text} of memory."))
        },
    ),
    warning(
        "RedisSwappingSuspected",
        limits([0.9, 256.0 * MEBIBYTE]),
        |seen, [share, least, ..]| {
            let resident = seen.number("redis_memory_used_rss_bytes")?;
            let used = seen.number("redis_memory_used_bytes")?;
            (resident < share * used && used > least)
                .then(|| "Parts of the memory seem to be swapped out.".to_owned())
        },
    ),
    info("RedisMaxmemoryUnset", NONE, |seen, _| {
        let has_no_limit = is(seen, "redis_memory_max_bytes", 0.0)
            && seen.number("redis_memory_limit_bytes").is_none();
        let is_other = seen.instance("redis_mode") == Some("sentinel") || !is_primary(seen);
        (has_no_limit && !is_other).then(|| "There is no memory limit: maxmemory is 0.".to_owned())
    }),
];

/// Returns memory as a share of its limit.
fn used(seen: &Seen<'_>) -> Option<f64> {
    let limit = seen.number("redis_memory_limit_bytes");
    let limit = limit.filter(|limit| *limit > 0.0)?;
    Some(seen.number("redis_memory_used_bytes")? / limit)
}

fn memory_above(seen: &Seen<'_>, [share_max, ..]: Thresholds) -> Option<String> {
    let share = used(seen).filter(|share| *share > share_max)?;
    let is_replica = seen.instance("role") == Some("slave");
    let limit = bytes(seen.number("redis_memory_limit_bytes")?);
    let share = percent(share);
    (!is_replica).then(|| format!("Memory is at {share} of its limit of {limit}."))
}

fn is_expected(seen: &Seen<'_>) -> bool {
    is(seen, "redis_memory_expect_full", 1.0)
}

/// Returns the evictions if they exceed a rate, and a share of all keys per minute.
fn evictions(seen: &Seen<'_>, [rate_min, per_minute, share_max, _]: Thresholds) -> Option<String> {
    let evicted = seen
        .history
        .rate(Increase::Evicted, FIVE_MINUTES, seen.now)?;
    let keys = seen.sum("redis_db_keys")?;
    let (each, keys_text) = (rate(evicted), counted(keys, "key", "keys"));
    (evicted > rate_min && per_minute * evicted > share_max * keys).then(|| {
        format!(
            "Redis evicted {each} keys per second in the last five minutes, out of {keys_text}."
        )
    })
}
