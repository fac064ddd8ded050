//! The wall clock, in seconds since the epoch. Durations are measured with a monotonic clock
//! instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the current time.
#[must_use]
pub fn now() -> f64 {
    seconds(SystemTime::now())
}

/// Converts a time. Times before the epoch become 0.
#[must_use]
pub fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
