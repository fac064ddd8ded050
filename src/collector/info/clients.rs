//! Rows for the Clients section of INFO.

use super::row::gauge;
use crate::metric::Family;
use crate::metric::Unit::{Bytes, Milliseconds, One};

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    gauge("connected_clients", One, "redis_connected_clients", "Client connections, excluding replicas."),
    gauge("maxclients", One, "redis_max_clients", "Maximum number of connected clients."),
    gauge("blocked_clients", One, "redis_blocked_clients", "Clients that wait in a blocking command such as BLPOP."),
    gauge("tracking_clients", One, "redis_tracking_clients", "Clients that use client-side caching."),
    gauge("pubsub_clients", One, "redis_pubsub_clients", "Clients that subscribe to channels or patterns."),
    gauge("watching_clients", One, "redis_watching_clients", "Clients that watch keys for a transaction."),
    gauge("clients_in_timeout_table", One, "redis_clients_in_timeout_table", "Blocked clients whose command has a timeout."),
    gauge("total_watched_keys", One, "redis_total_watched_keys", "Keys that clients watch."),
    gauge("total_blocking_keys", One, "redis_total_blocking_keys", "Keys on which clients are blocked."),
    gauge("total_blocking_keys_on_nokey", One, "redis_total_blocking_keys_on_nokey", "Keys on which clients are blocked that must be unblocked when the key is deleted."),
    gauge("client_recent_max_input_buffer", Bytes, "redis_client_recent_max_input_buffer_bytes", "Largest recent input buffer of a client, in bytes."),
    gauge("client_recent_max_output_buffer", Bytes, "redis_client_recent_max_output_buffer_bytes", "Largest recent output buffer of a client, in bytes."),
    gauge("client_biggest_input_buf", Bytes, "redis_client_biggest_input_buf", "Largest input buffer of a connected client in bytes, on servers before 5.0."),
    gauge("client_longest_output_list", One, "redis_client_longest_output_list", "Longest output list of a connected client, on servers before 5.0."),
    gauge("paused_timeout_milliseconds", Milliseconds, "redis_clients_paused_timeout_seconds", "Remaining time that clients are paused in seconds; 0 if they are not."),
];
