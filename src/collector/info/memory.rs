//! Rows for the Memory section of INFO and for the memory of scripts.

use super::row::{counter, gauge};
use crate::metric::Family;
use crate::metric::Kind::Gauge;
use crate::metric::Unit::{Bytes, One, Percent, Seconds};

/// Differences that can be negative. Some versions print them as unsigned numbers.
pub(super) const MAY_BE_NEGATIVE: &[&str] = &[
    "allocator_frag_bytes",
    "allocator_rss_bytes",
    "mem_fragmentation_bytes",
    "rss_overhead_bytes",
];

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    gauge("used_memory", Bytes, "redis_memory_used_bytes", "Memory that the server has allocated."),
    gauge("used_memory_rss", Bytes, "redis_memory_used_rss_bytes", "Resident memory of the server, from the operating system."),
    gauge("used_memory_peak", Bytes, "redis_memory_used_peak_bytes", "Peak of the allocated memory."),
    gauge("used_memory_peak_time", Seconds, "redis_memory_used_peak_timestamp_seconds", "Time of the memory peak, in seconds since the epoch."),
    gauge("used_memory_peak_perc", Percent, "redis_memory_used_peak_ratio", "Allocated memory as a share of its peak."),
    gauge("used_memory_overhead", Bytes, "redis_memory_used_overhead_bytes", "Memory that the server needs to manage its data: startup, buffers, tables."),
    gauge("used_memory_startup", Bytes, "redis_memory_used_startup_bytes", "Memory that the server had allocated after startup."),
    gauge("used_memory_dataset", Bytes, "redis_memory_used_dataset_bytes", "Memory of the data: allocated memory without the overhead."),
    gauge("used_memory_dataset_perc", Percent, "redis_memory_used_dataset_ratio", "Memory of the data as a share of the memory allocated since startup."),
    gauge("used_memory_lua", Bytes, "redis_memory_used_lua_bytes", "Memory of the Lua engine that runs EVAL scripts."),
    gauge("used_memory_vm_eval", Bytes, "redis_memory_used_vm_eval_bytes", "Memory of the engines that run EVAL scripts, not included in the allocated memory."),
    gauge("used_memory_scripts_eval", Bytes, "redis_memory_used_scripts_eval_bytes", "Memory for managing cached EVAL scripts."),
    gauge("used_memory_vm_functions", Bytes, "redis_memory_used_vm_functions_bytes", "Memory of the engines that run functions, not included in the allocated memory."),
    gauge("used_memory_functions", Bytes, "redis_memory_used_functions_bytes", "Memory for managing functions."),
    gauge("used_memory_vm_total", Bytes, "redis_memory_used_vm_bytes", "Memory of all script engines, not included in the allocated memory.").legacy("redis_memory_used_vm_total", Gauge),
    gauge("used_memory_scripts", Bytes, "redis_memory_used_scripts_bytes", "Memory for managing scripts and functions."),
    gauge("number_of_cached_scripts", One, "redis_number_of_cached_scripts", "Cached EVAL scripts."),
    gauge("number_of_functions", One, "redis_number_of_functions", "Loaded functions."),
    gauge("number_of_libraries", One, "redis_number_of_libraries", "Loaded function libraries."),
    gauge("engines_count", One, "redis_scripting_engines", "Loaded scripting engines."),
    gauge("engines_total_used_memory", Bytes, "redis_scripting_engines_memory_used_bytes", "Memory of all scripting engines."),
    gauge("engines_total_memory_overhead", Bytes, "redis_scripting_engines_memory_overhead_bytes", "Memory for managing the scripting engines."),
    gauge("maxmemory", Bytes, "redis_memory_max_bytes", "Configured memory limit; 0 means no limit."),
    gauge("allocator_allocated", Bytes, "redis_allocator_allocated_bytes", "Bytes allocated from the allocator, including internal fragmentation."),
    gauge("allocator_active", Bytes, "redis_allocator_active_bytes", "Bytes in active pages of the allocator, including external fragmentation."),
    gauge("allocator_resident", Bytes, "redis_allocator_resident_bytes", "Resident bytes of the allocator, including pages that it could release."),
    gauge("allocator_muzzy", Bytes, "redis_allocator_muzzy_bytes", "Bytes that the allocator has freed but the operating system has not yet reclaimed."),
    gauge("allocator_frag_ratio", One, "redis_allocator_frag_ratio", "Active bytes of the allocator per allocated byte: external fragmentation."),
    gauge("allocator_frag_bytes", Bytes, "redis_allocator_frag_bytes", "Active bytes of the allocator beyond the allocated ones."),
    gauge("allocator_rss_ratio", One, "redis_allocator_rss_ratio", "Resident bytes of the allocator per active byte."),
    gauge("allocator_rss_bytes", Bytes, "redis_allocator_rss_bytes", "Resident bytes of the allocator beyond the active ones."),
    gauge("rss_overhead_ratio", One, "redis_rss_overhead_ratio", "Resident bytes of the process per resident byte of the allocator."),
    gauge("rss_overhead_bytes", Bytes, "redis_rss_overhead_bytes", "Resident bytes of the process beyond those of the allocator."),
    gauge("mem_fragmentation_ratio", One, "redis_mem_fragmentation_ratio", "Resident bytes of the process per allocated byte."),
    gauge("mem_fragmentation_bytes", Bytes, "redis_mem_fragmentation_bytes", "Resident bytes of the process beyond the allocated ones; negative if memory is swapped out."),
    gauge("mem_not_counted_for_evict", Bytes, "redis_mem_not_counted_for_eviction_bytes", "Memory that does not count toward the eviction limit, such as replica and AOF buffers."),
    gauge("mem_replication_backlog", Bytes, "redis_mem_replication_backlog_bytes", "Memory of the replication backlog."),
    gauge("mem_total_replication_buffers", Bytes, "redis_mem_total_replication_buffers_bytes", "Memory of all replication buffers together."),
    gauge("mem_replica_full_sync_buffer", Bytes, "redis_mem_replica_full_sync_buffer_bytes", "Memory of the buffer in which a replica stores the replication stream during a full synchronization."),
    gauge("mem_replicas_repl_buffer", Bytes, "redis_mem_replicas_repl_buffer_bytes", "Memory of the buffer in which a replica stores the replication stream during a dual-channel synchronization."),
    gauge("mem_clients_slaves", Bytes, "redis_mem_clients_slaves", "Memory of replica clients in bytes."),
    gauge("mem_clients_normal", Bytes, "redis_mem_clients_normal", "Memory of normal clients in bytes."),
    gauge("mem_cluster_links", Bytes, "redis_mem_cluster_links_bytes", "Memory of the links to other nodes on the cluster bus."),
    gauge("mem_cluster_slot_migration_output_buffer", Bytes, "redis_mem_cluster_slot_migration_output_buffer_bytes", "Memory of the output buffer of a slot migration."),
    gauge("mem_cluster_slot_migration_input_buffer", Bytes, "redis_mem_cluster_slot_migration_input_buffer_bytes", "Memory of the input buffer of a slot migration."),
    gauge("mem_cluster_slot_migration_input_buffer_peak", Bytes, "redis_mem_cluster_slot_migration_input_buffer_peak_bytes", "Peak memory of the input buffer of a slot migration."),
    gauge("mem_cluster_slot_import", Bytes, "redis_mem_cluster_slot_import_bytes", "Memory for importing slots."),
    gauge("mem_cluster_slot_export", Bytes, "redis_mem_cluster_slot_export_bytes", "Memory for exporting slots."),
    gauge("mem_aof_buffer", Bytes, "redis_mem_aof_buffer_bytes", "Memory of the AOF buffers."),
    gauge("mem_overhead_db_hashtable_rehashing", Bytes, "redis_mem_overhead_db_hashtable_rehashing_bytes", "Memory of database hash tables that are being resized."),
    gauge("active_defrag_running", One, "redis_active_defrag_running", "Target CPU usage of active defragmentation in percent; 0 if it is not running."),
    gauge("lazyfree_pending_objects", One, "redis_lazyfree_pending_objects", "Objects waiting to be freed in the background."),
    counter("lazyfreed_objects", One, "redis_lazyfreed_objects_total", "Objects freed in the background.").legacy("redis_lazyfreed_objects", Gauge),
];
