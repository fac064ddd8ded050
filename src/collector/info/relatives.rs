//! Rows for fields that only compatible servers and managed services have: KeyDB, Tile38, Azure.
//! Rows of Valkey are with their section.

use super::row::{counter, gauge};
use crate::metric::Family;
use crate::metric::Kind::{Counter, Gauge};
use crate::metric::Unit::{Bytes, One};

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    // KeyDB
    gauge("server_threads", One, "redis_server_threads", "Threads that serve clients, on KeyDB.").legacy("redis_server_threads_total", Gauge),
    counter("long_lock_waits", One, "redis_long_lock_waits_total", "Long waits for the global lock, on KeyDB.").legacy_kind(Gauge),
    gauge("current_client_thread", One, "redis_current_client_thread", "Number of the thread that served INFO, on KeyDB."),
    gauge("instantaneous_lock_contention", One, "redis_instantaneous_lock_contention", "Threads that hold or wait for the global lock, on KeyDB."),
    gauge("avg_lock_contention", One, "redis_lock_contention_average", "Mean number of threads that hold or wait for the global lock, on KeyDB."),
    gauge("mvcc_depth", One, "redis_mvcc_depth", "Depth of the deepest stack of snapshots, on KeyDB."),
    gauge("connected_masters", One, "redis_connected_masters", "Primaries to which a replica is connected, on KeyDB."),
    gauge("master_global_link_status", One, "redis_master_global_link_up", "Whether the links to all primaries are up, on KeyDB."),
    counter("cached_keys", One, "redis_cached_keys_total", "Keys in memory of a database on flash storage, on KeyDB."),
    counter("storage_provider_read_hits", One, "redis_storage_provider_read_hits_total", "Reads from flash storage that found the key, on KeyDB.").legacy("redis_storage_provider_read_hits", Counter),
    counter("storage_provider_read_misses", One, "redis_storage_provider_read_misses_total", "Reads from flash storage that found nothing, on KeyDB.").legacy("redis_storage_provider_read_misses", Counter),
    // Azure Cache for Redis
    gauge("maxmemory_reservation", Bytes, "redis_memory_max_reservation_bytes", "Memory reserved for purposes other than the cache, on Azure."),
    gauge("maxmemory_desired_reservation", Bytes, "redis_memory_max_reservation_desired_bytes", "Desired memory reservation for purposes other than the cache, on Azure."),
    gauge("maxfragmentationmemory_reservation", Bytes, "redis_memory_max_fragmentation_reservation_bytes", "Memory reserved for fragmentation, on Azure."),
    gauge("maxfragmentationmemory_desired_reservation", Bytes, "redis_memory_max_fragmentation_reservation_desired_bytes", "Desired memory reservation for fragmentation, on Azure."),
];
