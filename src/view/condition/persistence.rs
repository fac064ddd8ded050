//! Snapshots and the append-only file. Pure.

use super::{Condition, NONE, critical, is, limits, warning};
use crate::quantity::duration;

pub(super) const CONDITIONS: &[Condition] = &[
    critical("RedisAOFWriteFailed", NONE, |seen, _| {
        let has_failed = is(seen, "redis_aof_last_write_status", 0.0);
        (has_failed && is(seen, "redis_aof_enabled", 1.0))
            .then(|| "Redis cannot write its append-only file.".to_owned())
    }),
    warning("RedisBackgroundSaveFailed", NONE, |seen, _| {
        let has_failed = is(seen, "redis_rdb_last_bgsave_status", 0.0);
        let has_failed_rewrite =
            is(seen, "redis_aof_last_bgrewrite_status", 0.0) && is(seen, "redis_aof_enabled", 1.0);
        (has_failed || has_failed_rewrite)
            .then(|| "The last save in the background failed.".to_owned())
    }),
    warning(
        "RedisSnapshotStale",
        limits([24.0 * 3_600.0]),
        |seen, [oldest, ..]| {
            let saved = seen.number("redis_rdb_last_save_timestamp_seconds")?;
            let changes = seen.number("redis_rdb_changes_since_last_save")?;
            let has_saved = seen.number("redis_rdb_last_bgsave_duration_seconds")? >= 0.0;
            let is_off = is(seen, "redis_config_save_points", 0.0);
            let age = seen.now - saved;
            let age_text = duration(age);
            (age > oldest && changes > 0.0 && has_saved && !is_off).then(|| {
                format!("The last snapshot is {age_text} old, and data has changed since.")
            })
        },
    ),
    warning("RedisSaveStuck", limits([1_800.0]), |seen, [most, ..]| {
        let save = seen.number("redis_rdb_current_bgsave_duration_seconds");
        let rewrite = seen.number("redis_aof_current_rewrite_duration_seconds");
        let longest = [save, rewrite].into_iter().flatten().reduce(f64::max)?;
        let text = duration(longest);
        (longest > most).then(|| format!("A save in the background has been running for {text}."))
    }),
];
