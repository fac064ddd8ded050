//! Rows for fields that only relatives of Redis and managed services have: KeyDB, Tile38, Azure.
//! Those of Valkey stand with the section that they belong to.

use super::row::{counter, gauge};
use crate::metric::Family;
use crate::metric::Kind::{Counter, Gauge};
use crate::metric::Unit::{Bytes, One, Seconds};

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    // KeyDB
    gauge("server_threads", One, "redis_server_threads", "Threads that serve clients, on KeyDB.").legacy("redis_server_threads_total", Gauge),
    counter("long_lock_waits", One, "redis_long_lock_waits_total", "Long waits for the global lock, on KeyDB.").legacy_kind(Gauge),
    gauge("current_client_thread", One, "redis_current_client_thread", "Number of the thread that answered, on KeyDB."),
    gauge("instantaneous_lock_contention", One, "redis_instantaneous_lock_contention", "Threads that hold or wait for the global lock now, on KeyDB."),
    gauge("avg_lock_contention", One, "redis_lock_contention_average", "Mean number of threads that hold or wait for the global lock, on KeyDB."),
    gauge("mvcc_depth", One, "redis_mvcc_depth", "Depth of the deepest stack of snapshots, on KeyDB."),
    gauge("available_system_memory", Bytes, "redis_available_system_memory_bytes", "Memory of the machine that is available, on KeyDB."),
    gauge("connected_masters", One, "redis_connected_masters", "Primaries that a replica is connected to, on KeyDB."),
    gauge("master_global_link_status", One, "redis_master_global_link_up", "Whether the links to all primaries are up, on KeyDB."),
    counter("cached_keys", One, "redis_cached_keys_total", "Keys in memory of a database on flash storage, on KeyDB."),
    counter("storage_provider_read_hits", One, "redis_storage_provider_read_hits_total", "Reads from flash storage that found the key, on KeyDB.").legacy("redis_storage_provider_read_hits", Counter),
    counter("storage_provider_read_misses", One, "redis_storage_provider_read_misses_total", "Reads from flash storage that found nothing, on KeyDB.").legacy("redis_storage_provider_read_misses", Counter),
    // Azure Cache for Redis
    gauge("maxmemory_reservation", Bytes, "redis_memory_max_reservation_bytes", "Memory that is set aside for what is no cache, on Azure."),
    gauge("maxmemory_desired_reservation", Bytes, "redis_memory_max_reservation_desired_bytes", "Memory that should be set aside for what is no cache, on Azure."),
    gauge("maxfragmentationmemory_reservation", Bytes, "redis_memory_max_fragmentation_reservation_bytes", "Memory that is set aside for fragmentation, on Azure."),
    gauge("maxfragmentationmemory_desired_reservation", Bytes, "redis_memory_max_fragmentation_reservation_desired_bytes", "Memory that should be set aside for fragmentation, on Azure."),
    // Tile38
    gauge("tile38_aof_size", Bytes, "redis_tile38_aof_size_bytes", "Size of the append-only file, on Tile38."),
    gauge("tile38_avg_point_size", Bytes, "redis_tile38_avg_item_size_bytes", "Mean size of a point, on Tile38."),
    gauge("tile38_sys_cpus", One, "redis_tile38_cpus", "CPUs of the machine, on Tile38.").legacy("redis_tile38_cpus_total", Gauge),
    gauge("tile38_heap_released_bytes", Bytes, "redis_tile38_heap_released_bytes", "Heap that was given back to the operating system, on Tile38."),
    gauge("tile38_heap_alloc_bytes", Bytes, "redis_tile38_heap_size_bytes", "Heap that is allocated, on Tile38."),
    gauge("tile38_http_transport", One, "redis_tile38_http_transport", "Whether HTTP is served, on Tile38."),
    gauge("tile38_in_memory_size", Bytes, "redis_tile38_in_memory_size_bytes", "Memory of the data, on Tile38."),
    gauge("tile38_max_heap_size", Bytes, "redis_tile38_max_heap_size_bytes", "Most heap that the server may use, on Tile38."),
    gauge("tile38_alloc_bytes", Bytes, "redis_tile38_mem_alloc_bytes", "Memory that is allocated, on Tile38."),
    gauge("tile38_num_collections", One, "redis_tile38_num_collections", "Collections, on Tile38.").legacy("redis_tile38_num_collections_total", Gauge),
    gauge("tile38_num_hooks", One, "redis_tile38_num_hooks", "Webhooks, on Tile38.").legacy("redis_tile38_num_hooks_total", Gauge),
    gauge("tile38_num_objects", One, "redis_tile38_num_objects", "Objects, on Tile38.").legacy("redis_tile38_num_objects_total", Gauge),
    gauge("tile38_num_points", One, "redis_tile38_num_points", "Points, on Tile38.").legacy("redis_tile38_num_points_total", Gauge),
    gauge("tile38_pointer_size", Bytes, "redis_tile38_pointer_size_bytes", "Size of a pointer on the machine, on Tile38."),
    gauge("tile38_read_only", One, "redis_tile38_read_only", "Whether the server only takes reads, on Tile38."),
    gauge("tile38_go_threads", One, "redis_tile38_threads", "Threads of the server, on Tile38.").legacy("redis_tile38_threads_total", Gauge),
    gauge("tile38_go_goroutines", One, "redis_tile38_go_goroutines", "Goroutines of the server, on Tile38.").legacy("redis_tile38_go_goroutines_total", Gauge),
    gauge("tile38_last_gc_time_seconds", Seconds, "redis_tile38_last_gc_time_seconds", "When garbage was last collected, in seconds since the epoch, on Tile38."),
    gauge("tile38_next_gc_bytes", Bytes, "redis_tile38_next_gc_bytes", "Heap size at which garbage is collected next, on Tile38."),
];
