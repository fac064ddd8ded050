//! Memory, evictions and rejected writes. Pure.

use super::super::card::hit_ratio;
use super::super::facts::Seen;
use super::{Condition, critical, info, is, is_primary, warning};
use crate::history::Increase;
use crate::quantity::{bytes, counted, percent, rate};

const FIVE_MINUTES: f64 = 300.0;
const MEBIBYTE: f64 = 1_048_576.0;

pub(super) const CONDITIONS: &[Condition] = &[
    critical("RedisMemoryExhausted", |seen| {
        let keeps_all = seen.instance("maxmemory_policy") == Some("noeviction");
        let text = memory_above(seen, 0.97).filter(|_| keeps_all && is_primary(seen))?;
        Some(format!("{text} Redis is about to reject writes."))
    }),
    warning("RedisMemoryUsageHigh", |seen| {
        memory_above(seen, 0.90).filter(|_| !is_expected(seen))
    }),
    info("RedisMemoryUsageHigh", |seen| {
        memory_above(seen, 0.90).filter(|_| is_expected(seen))
    }),
    critical("RedisWritesRejected", |seen| {
        let rejected = seen
            .history
            .increase(Increase::RefusedWrites, FIVE_MINUTES, seen.now)?;
        let writes = counted(rejected, "write", "writes");
        (rejected > 0.0).then(|| format!("Redis rejected {writes} in the last five minutes."))
    }),
    critical("RedisEvictionRateHigh", |seen| {
        let misses_many = hit_ratio(seen).is_some_and(|ratio| ratio < 0.80);
        let text = evictions(seen, 0.10).filter(|_| misses_many)?;
        Some(format!("{text} Keys are evicted before they are used."))
    }),
    warning("RedisEvictionRateHigh", |seen| evictions(seen, 0.01)),
    warning("RedisVolatileEvictionWithoutTTLs", |seen| {
        let policy = seen.instance("maxmemory_policy")?;
        let keys = seen.sum("redis_db_keys").filter(|keys| *keys > 0.0)?;
        let share = seen.sum("redis_db_keys_expiring")? / keys;
        let is_wrong = policy.starts_with("volatile-") && share < 0.05 && used(seen)? > 0.75;
        let share = percent(share);
        is_wrong
            .then(|| format!("{policy} may only evict keys with a TTL, which are {share} of all."))
    }),
    info("RedisMemoryFragmented", |seen| {
        let ratio = seen.number("redis_mem_fragmentation_ratio")?;
        let wasted = seen.number("redis_mem_fragmentation_bytes")?;
        let wasted_text = bytes(wasted);
        (ratio > 1.5 && wasted > 512.0 * MEBIBYTE)
            .then(|| format!("Fragmentation wastes {wasted_text} of memory."))
    }),
    warning("RedisSwappingSuspected", |seen| {
        let resident = seen.number("redis_memory_used_rss_bytes")?;
        let used = seen.number("redis_memory_used_bytes")?;
        (resident < 0.9 * used && used > 256.0 * MEBIBYTE)
            .then(|| "Parts of the memory seem to be swapped out.".to_owned())
    }),
    info("RedisMaxmemoryUnset", |seen| {
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

fn memory_above(seen: &Seen<'_>, share_max: f64) -> Option<String> {
    let share = used(seen).filter(|share| *share > share_max)?;
    let is_replica = seen.instance("role") == Some("slave");
    let limit = bytes(seen.number("redis_memory_limit_bytes")?);
    let share = percent(share);
    (!is_replica).then(|| format!("Memory is at {share} of its limit of {limit}."))
}

fn is_expected(seen: &Seen<'_>) -> bool {
    is(seen, "redis_memory_expect_full", 1.0)
}

/// Returns the evictions if they exceed a share of all keys per minute.
fn evictions(seen: &Seen<'_>, share_max: f64) -> Option<String> {
    let evicted = seen
        .history
        .rate(Increase::Evicted, FIVE_MINUTES, seen.now)?;
    let keys = seen.sum("redis_db_keys")?;
    let (each, keys_text) = (rate(evicted), counted(keys, "key", "keys"));
    (evicted > 10.0 && 60.0 * evicted > share_max * keys)
        .then(|| format!("Redis evicts {each} keys per second, of {keys_text}."))
}
