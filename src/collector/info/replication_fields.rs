//! Rows for the plain fields of the Replication section of INFO. Fields with the primary or replica
//! as labels are read elsewhere.

use super::row::{counter, gauge};
use crate::metric::Family;
use crate::metric::Unit::{Bytes, One, Seconds};

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    gauge("connected_slaves", One, "redis_connected_slaves", "Connected replicas."),
    gauge("min_slaves_good_slaves", One, "redis_min_slaves_good_slaves", "Replicas whose lag is below min-replicas-max-lag."),
    gauge("master_repl_offset", Bytes, "redis_master_repl_offset", "Offset of the replication stream of the server, in bytes."),
    gauge("second_repl_offset", Bytes, "redis_second_repl_offset", "Offset up to which the server accepts the replication ID of the former primary, in bytes; -1 if it does not."),
    gauge("repl_backlog_active", One, "redis_repl_backlog_is_active", "Whether the replication backlog is in use."),
    gauge("repl_backlog_size", Bytes, "redis_replication_backlog_bytes", "Size of the replication backlog."),
    gauge("repl_backlog_first_byte_offset", Bytes, "redis_repl_backlog_first_byte_offset", "Offset in the replication stream of the first byte in the backlog."),
    gauge("repl_backlog_histlen", Bytes, "redis_repl_backlog_history_bytes", "Bytes of data in the replication backlog."),
    gauge("slave_priority", One, "redis_slave_priority", "Priority of a replica in a failover; the lowest value wins, and 0 excludes the replica."),
    gauge("replica_announced", One, "redis_replica_announced", "Whether Sentinel announces the replica."),
    gauge("master_current_sync_attempts", One, "redis_master_current_sync_attempts", "Synchronization attempts of a replica since it last lost its primary."),
    counter("master_total_sync_attempts", One, "redis_master_sync_attempts_total", "Synchronization attempts of a replica."),
    counter("total_disconnect_time_sec", Seconds, "redis_master_disconnected_seconds_total", "Time during which a replica had no link to its primary, in seconds."),
    gauge("replica_full_sync_buffer_size", Bytes, "redis_replica_full_sync_buffer_size_bytes", "Size of the replication stream that a replica has buffered during a full synchronization."),
    gauge("replica_full_sync_buffer_peak", Bytes, "redis_replica_full_sync_buffer_peak_bytes", "Peak size of the replication stream that a replica has buffered during a full synchronization."),
    gauge("replicas_waiting_psync", One, "redis_replicas_waiting_psync", "Replicas that are loading a dual-channel synchronization and have not yet resumed the stream."),
    gauge("replicas_repl_buffer_size", Bytes, "redis_replicas_repl_buffer_size_bytes", "Size of the replication stream that a replica has buffered during a dual-channel synchronization."),
    gauge("replicas_repl_buffer_peak", Bytes, "redis_replicas_repl_buffer_peak_bytes", "Peak size of the replication stream that a replica has buffered during a dual-channel synchronization."),
];
