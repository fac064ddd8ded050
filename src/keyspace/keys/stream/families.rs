//! The rows of streams, groups and consumers.
//!
//! The field of a row is the field of the reply. It computes nothing.

use crate::metric::{Descriptor, Family, Source, Unit, source};

const STREAM: &str = "XINFO STREAM";
const GROUPS: &str = "XINFO GROUPS";
const CONSUMERS: &str = "XINFO CONSUMERS";

/// Returns a gauge of a stream.
const fn of_stream(name: &'static str, field: &'static str, help: &'static str) -> Family<2> {
    Family::gauge(
        name,
        &["db", "stream"],
        source(STREAM, field),
        Unit::One,
        help,
    )
}

/// Returns a counter of a stream.
const fn total_of_stream(name: &'static str, field: &'static str, help: &'static str) -> Family<2> {
    Family::counter(
        name,
        &["db", "stream"],
        source(STREAM, field),
        Unit::One,
        help,
    )
}

/// Returns a gauge of a group.
const fn of_group(name: &'static str, field: &'static str, help: &'static str) -> Family<3> {
    Family::gauge(
        name,
        &["db", "stream", "group"],
        source(GROUPS, field),
        Unit::One,
        help,
    )
}

/// Returns a gauge of a consumer.
const fn of_consumer(
    name: &'static str,
    source: Source,
    unit: Unit,
    help: &'static str,
) -> Family<4> {
    Family::gauge(
        name,
        &["db", "stream", "group", "consumer"],
        source,
        unit,
        help,
    )
}

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, CONSUMERS, STREAM, of_consumer, of_group, of_stream, source, total_of_stream};

    pub(super) static LENGTH: Family<2> = of_stream("redis_stream_length", "length", "Entries of the stream.");
    pub(super) static RADIX_TREE_KEYS: Family<2> = of_stream("redis_stream_radix_tree_keys", "radix-tree-keys", "Keys in the radix tree of the stream.");
    pub(super) static RADIX_TREE_NODES: Family<2> = of_stream("redis_stream_radix_tree_nodes", "radix-tree-nodes", "Nodes in the radix tree of the stream.");
    pub(super) static LAST_GENERATED_ID: Family<2> = of_stream("redis_stream_last_generated_id", "last-generated-id", "Milliseconds of the largest ID ever added; 0 if none was added.");
    pub(super) static PRODUCERS: Family<2> = of_stream("redis_stream_idempotent_producers", "pids-tracked", "Idempotent producers of the stream (Redis 8.6 and later).");
    pub(super) static IDEMPOTENT_IDS: Family<2> = of_stream("redis_stream_idempotent_ids", "iids-tracked", "Producer IDs that the stream remembers to detect duplicates.");
    pub(super) static IDEMPOTENT_ADDED: Family<2> = total_of_stream("redis_stream_idempotent_ids_added_total", "iids-added", "Entries added with a producer ID.");
    pub(super) static DUPLICATES: Family<2> = total_of_stream("redis_stream_idempotent_duplicates_total", "iids-duplicates", "Entries not added because their producer ID was a duplicate.");
    /// Number of groups.
    pub static GROUPS_OF_STREAM: Family<2> = of_stream("redis_stream_groups", "groups", "Groups of the stream.");
    pub(super) static MAX_DELETED_ENTRY_ID: Family<2> = of_stream("redis_stream_max_deleted_entry_id", "max-deleted-entry-id", "Milliseconds of the largest ID deleted by XDEL; 0 if none was deleted.");
    pub(super) static FIRST_ENTRY_ID: Family<2> = of_stream("redis_stream_first_entry_id", "first-entry", "Milliseconds of the ID of the first entry; absent if the stream is empty.");
    pub(super) static LAST_ENTRY_ID: Family<2> = of_stream("redis_stream_last_entry_id", "last-entry", "Milliseconds of the ID of the last entry; absent if the stream is empty.");
    pub(super) static ENTRIES_ADDED: Family<2> = Family::counter("redis_stream_entries_added_total", &["db", "stream"], source(STREAM, "entries-added"), Unit::One, "Entries ever added to the stream.");
    /// Number of consumers of a group.
    pub static CONSUMERS_OF_GROUP: Family<3> = of_group("redis_stream_group_consumers", "consumers", "Consumers of the group.");
    pub(super) static GROUP_PENDING: Family<3> = of_group("redis_stream_group_messages_pending", "pending", "Entries delivered to consumers of the group but not acknowledged.");
    pub(super) static GROUP_LAST_DELIVERED_ID: Family<3> = of_group("redis_stream_group_last_delivered_id", "last-delivered-id", "Milliseconds of the last ID delivered to the group; 0 if none was delivered.");
    pub(super) static GROUP_ENTRIES_READ: Family<3> = of_group("redis_stream_group_entries_read", "entries-read", "Number of entries up to the last one delivered to the group; absent if the server cannot determine it.");
    pub(super) static GROUP_LAG: Family<3> = of_group("redis_stream_group_lag", "lag", "Entries not yet delivered to the group; absent if the server cannot determine it, for example after XDEL.");
    pub(super) static CONSUMER_PENDING: Family<4> = of_consumer("redis_stream_group_consumer_messages_pending", source(CONSUMERS, "pending"), Unit::One, "Entries delivered to the consumer but not acknowledged.");
    pub(super) static CONSUMER_IDLE: Family<4> = of_consumer("redis_stream_group_consumer_idle_seconds", source(CONSUMERS, "idle"), Unit::Milliseconds, "Time since the consumer last tried to read or claim entries, in seconds.");
    pub(super) static CONSUMER_INACTIVE: Family<4> = of_consumer("redis_stream_group_consumer_inactive_seconds", source(CONSUMERS, "inactive"), Unit::Milliseconds, "Time since the consumer last received an entry, in seconds; absent if it never did.");
}

pub use rows::{CONSUMERS_OF_GROUP, GROUPS_OF_STREAM};

/// Fields of XINFO STREAM.
pub static OF_STREAM: [&Family<2>; 13] = [
    &rows::LENGTH,
    &rows::RADIX_TREE_KEYS,
    &rows::RADIX_TREE_NODES,
    &rows::LAST_GENERATED_ID,
    &GROUPS_OF_STREAM,
    &rows::MAX_DELETED_ENTRY_ID,
    &rows::FIRST_ENTRY_ID,
    &rows::LAST_ENTRY_ID,
    &rows::ENTRIES_ADDED,
    &rows::PRODUCERS,
    &rows::IDEMPOTENT_IDS,
    &rows::IDEMPOTENT_ADDED,
    &rows::DUPLICATES,
];

/// Fields of each group in XINFO GROUPS.
pub static OF_GROUP: [&Family<3>; 5] = [
    &CONSUMERS_OF_GROUP,
    &rows::GROUP_PENDING,
    &rows::GROUP_LAST_DELIVERED_ID,
    &rows::GROUP_ENTRIES_READ,
    &rows::GROUP_LAG,
];

/// Fields of each consumer in XINFO CONSUMERS.
pub static OF_CONSUMER: [&Family<4>; 3] = [
    &rows::CONSUMER_PENDING,
    &rows::CONSUMER_IDLE,
    &rows::CONSUMER_INACTIVE,
];

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    let of_stream = OF_STREAM.iter().map(|family| family.descriptor());
    let of_group = OF_GROUP.iter().map(|family| family.descriptor());
    let of_consumer = OF_CONSUMER.iter().map(|family| family.descriptor());
    of_stream.chain(of_group).chain(of_consumer).collect()
}
