//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a slow machine that is busy.
pub const LONG: Duration = Duration::from_mins(3);

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and returns it.
///
/// # Panics
///
/// When `limit` is over; the message says what was waited for.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} for: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Holds a condition over a stretch of time.
///
/// # Panics
///
/// When it does not hold.
pub fn throughout(stretch: Duration, mut hold: impl FnMut()) {
    let started = Instant::now();
    while started.elapsed() < stretch {
        hold();
        thread::sleep(LOOK_EVERY);
    }
}
