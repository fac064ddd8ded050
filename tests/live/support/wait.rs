//! Waiting for a condition, never for a time.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a slow machine that is busy.
pub const LONG: Duration = Duration::from_mins(3);

/// What an idle machine may add to a time that is promised.
const LEAST_SLACK: Duration = Duration::from_millis(300);

/// Returns what this machine may add to a time that is promised, as busy as it is now: many times
/// what it takes to start a process.
pub fn slack() -> Duration {
    let start = || {
        let started = Instant::now();
        Command::new("true").status().unwrap();
        started.elapsed()
    };
    let slowest = (0..5).map(|_| start()).max().unwrap_or_default();
    LEAST_SLACK + 20 * slowest
}

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

/// Sets a flag when it is dropped, so that a thread that runs until then ends even if a test fails.
pub struct End<'a>(pub &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
