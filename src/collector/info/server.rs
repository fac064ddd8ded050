//! Rows for the Server section of INFO. Its texts are labels of `redis_instance_info`.

use super::row::gauge;
use crate::metric::Family;
use crate::metric::Unit::{Microseconds, Milliseconds, One, Seconds};

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    gauge("uptime_in_seconds", Seconds, "redis_uptime_in_seconds", "Seconds since the server started."),
    gauge("server_time_usec", Microseconds, "redis_server_time_seconds", "Time by the server's own clock, in seconds since the epoch."),
    gauge("process_id", One, "redis_process_id", "Process ID of the server."),
    gauge("io_threads_active", One, "redis_io_threads_active", "Whether the I/O threads are in use."),
    gauge("hz", One, "redis_hz", "Current rate of the background tasks of the server, per second."),
    gauge("configured_hz", One, "redis_configured_hz", "Configured rate of the background tasks of the server, per second."),
    gauge("clients_hz", One, "redis_clients_hz", "Rate at which the server runs its client tasks, per second."),
    gauge("shutdown_in_milliseconds", Milliseconds, "redis_shutdown_in_seconds", "Maximum remaining time that the current shutdown waits for replicas, in seconds."),
];
