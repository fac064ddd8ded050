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
    gauge("hz", One, "redis_hz", "How often per second the server runs its background tasks now."),
    gauge("configured_hz", One, "redis_configured_hz", "How often per second the server is configured to run its background tasks."),
    gauge("clients_hz", One, "redis_clients_hz", "How often per second the server looks after its clients."),
    gauge("shutdown_in_milliseconds", Milliseconds, "redis_shutdown_in_seconds", "Most seconds for which a shutdown that is under way still waits for its replicas."),
];
