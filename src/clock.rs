//! The wall clock, in seconds since the epoch, and a clock for durations that no one sets.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Returns the current time.
#[must_use]
pub fn time() -> SystemTime {
    SystemTime::now()
}

/// Returns the current time in seconds.
#[must_use]
pub fn now() -> f64 {
    seconds(time())
}

/// Returns the seconds since the first call. Changes of the wall clock have no effect on it.
#[must_use]
pub fn monotonic() -> f64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed().as_secs_f64()
}

/// Converts a time. Times before the epoch become 0.
#[must_use]
pub fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
