//! Rows for the plain fields of the Replication section of INFO. What has the primary or the
//! replica as labels is read elsewhere.

use super::row::{counter, gauge};
use crate::metric::Family;
use crate::metric::Unit::{Bytes, One, Seconds};

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    gauge("connected_slaves", One, "redis_connected_slaves", "Replicas that are connected."),
    gauge("min_slaves_good_slaves", One, "redis_min_slaves_good_slaves", "Replicas whose lag is small enough to count as good."),
    gauge("master_repl_offset", Bytes, "redis_master_repl_offset", "How far the server's replication stream is, in bytes."),
    gauge("second_repl_offset", Bytes, "redis_second_repl_offset", "How far the server accepts the replication ID of the former primary, in bytes; -1 when it does not."),
    gauge("repl_backlog_active", One, "redis_repl_backlog_is_active", "Whether the replication backlog is in use."),
    gauge("repl_backlog_size", Bytes, "redis_replication_backlog_bytes", "Size of the replication backlog."),
    gauge("repl_backlog_first_byte_offset", Bytes, "redis_repl_backlog_first_byte_offset", "Where in the replication stream the backlog begins, in bytes."),
    gauge("repl_backlog_histlen", Bytes, "redis_repl_backlog_history_bytes", "Bytes of data in the replication backlog."),
    gauge("slave_priority", One, "redis_slave_priority", "Priority of a replica in a failover; the lowest wins, 0 never does."),
    gauge("replica_announced", One, "redis_replica_announced", "Whether Sentinel announces the replica."),
    gauge("master_current_sync_attempts", One, "redis_master_current_sync_attempts", "Attempts of a replica to synchronise since it last lost its primary."),
    counter("master_total_sync_attempts", One, "redis_master_sync_attempts_total", "Attempts of a replica to synchronise with a primary."),
    counter("total_disconnect_time_sec", Seconds, "redis_master_disconnected_seconds_total", "Time for which a replica was without its primary."),
    gauge("replica_full_sync_buffer_size", Bytes, "redis_replica_full_sync_buffer_size_bytes", "Replication stream that a replica keeps during a full synchronisation."),
    gauge("replica_full_sync_buffer_peak", Bytes, "redis_replica_full_sync_buffer_peak_bytes", "Most of the replication stream that a replica has kept during a full synchronisation."),
    gauge("replicas_waiting_psync", One, "redis_replicas_waiting_psync", "Replicas that load a dual-channel synchronisation and have yet to continue with the stream."),
    gauge("replicas_repl_buffer_size", Bytes, "redis_replicas_repl_buffer_size_bytes", "Replication stream that a replica keeps during a dual-channel synchronisation."),
    gauge("replicas_repl_buffer_peak", Bytes, "redis_replicas_repl_buffer_peak_bytes", "Most of the replication stream that a replica has kept during a dual-channel synchronisation."),
];
