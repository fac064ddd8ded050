//! The rows of the keys that are exported by name, counted or grouped.
//!
//! It computes nothing.

use crate::metric::{Descriptor, Family, Kind, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Kind, Unit, source};

    /// Memory of a key that is exported by name.
    pub static MEMORY: Family<2> = Family::gauge("redis_key_memory_usage_bytes", &["db", "key"], source("MEMORY USAGE", ""), Unit::Bytes, "Memory of a key: keys of keys.check and keys.check_single, and the largest keys that the last pass has measured.");
    /// Size of a key that is exported by name.
    pub static SIZE: Family<2> = Family::gauge("redis_key_size", &["db", "key"], source("STRLEN, LLEN, SCARD, ZCARD, HLEN, XLEN, ARCOUNT", ""), Unit::One, "Bytes of a string or HyperLogLog, or elements of any other key; absent if the key does not exist.");
    /// A numeric value.
    pub static VALUE: Family<2> = Family::gauge("redis_key_value", &["db", "key"], source("GETRANGE", ""), Unit::One, "Value of a numeric string, if keys.values enables it.");
    /// A value that is not numeric.
    pub static VALUE_AS_STRING: Family<3> = Family::gauge("redis_key_value_as_string", &["db", "key", "val"], source("GETRANGE", ""), Unit::One, "Value of a non-numeric string in a label, if keys.values enables it; always 1.");
    /// Keys that match a pattern.
    pub static COUNT: Family<2> = Family::gauge("redis_key_pattern_keys", &["db", "key"], source("SCAN", ""), Unit::One, "Keys that match a pattern of keys.count, estimated from the latest pass of the sweep.").legacy("redis_keys_count", Kind::Gauge);
    /// Error of the estimated keys.
    pub static COUNT_ERROR: Family<2> = Family::gauge("redis_key_pattern_keys_error", &["db", "key"], source("SCAN", ""), Unit::One, "Half the width of the 95% confidence interval of the estimate; 0 if all keys were scanned.");
    /// Keys of a group.
    pub static GROUP_KEYS: Family<2> = Family::gauge("redis_key_group_keys", &["db", "key_group"], source("SCAN", ""), Unit::One, "Keys of the group that keys.groups captures, estimated from the latest pass of the sweep.").legacy_instead("redis_key_group_count", Kind::Gauge);
    /// Error of the estimated keys.
    pub static GROUP_KEYS_ERROR: Family<2> = Family::gauge("redis_key_group_keys_error", &["db", "key_group"], source("SCAN", ""), Unit::One, "Half the width of the 95% confidence interval of the keys; 0 if all keys were scanned.");
    /// Memory of a group.
    pub static GROUP_MEMORY: Family<2> = Family::gauge("redis_key_group_memory_usage_bytes", &["db", "key_group"], source("MEMORY USAGE", ""), Unit::Bytes, "Memory of the keys of the group, estimated from the latest pass of the sweep.");
    /// Number of groups.
    pub static GROUPS: Family<1> = Family::gauge("redis_number_of_distinct_key_groups", &["db"], source("SCAN", ""), Unit::One, "Number of distinct groups; beyond four times keys.max_groups, groups are not distinguished.");
    /// Duration of the last complete pass.
    pub static GROUPS_DURATION: Family<0> = Family::gauge("redis_last_key_groups_scrape_duration_seconds", &[], source("SCAN", ""), Unit::Milliseconds, "Duration of the last complete pass, which counted the groups, in seconds.").legacy_as_replied("redis_last_key_groups_scrape_duration_milliseconds", Kind::Gauge);
    /// Keys, groups and consumers that are not exported.
    pub static DROPPED: Family<1> = Family::gauge("redis_exporter_sweep_dropped_keys", &["reason"], source("SCAN", ""), Unit::One, "Keys, groups and consumers that are not exported, by reason: the limit of keys.* with that name (max_checked, max_streams, max_groups, max_stream_groups, max_stream_consumers), or rejected by the server (denied).");
}

pub use rows::{
    COUNT, COUNT_ERROR, DROPPED, GROUP_KEYS, GROUP_KEYS_ERROR, GROUP_MEMORY, GROUPS,
    GROUPS_DURATION, MEMORY, SIZE, VALUE, VALUE_AS_STRING,
};

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        MEMORY.descriptor(),
        SIZE.descriptor(),
        VALUE.descriptor(),
        VALUE_AS_STRING.descriptor(),
        COUNT.descriptor(),
        COUNT_ERROR.descriptor(),
        GROUP_KEYS.descriptor(),
        GROUP_KEYS_ERROR.descriptor(),
        GROUP_MEMORY.descriptor(),
        GROUPS.descriptor(),
        GROUPS_DURATION.descriptor(),
        DROPPED.descriptor(),
    ]
}
