//! Waiting for conditions, never for a fixed time.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a slow and busy machine.
pub const LONG: Duration = Duration::from_secs(3 * 60);

/// Tolerance for promised times on an idle machine.
const LEAST_SLACK: Duration = Duration::from_millis(300);

/// Returns the tolerance for promised times under the current load: a multiple of the time to start
/// a process.
pub fn slack() -> Duration {
    let start = || {
        let started = Instant::now();
        Command::new("true").status().unwrap();
        started.elapsed()
    };
    let slowest = (0..5).map(|_| start()).max().unwrap_or_default();
    LEAST_SLACK + 20 * slowest
}

/// Interval between two checks of a condition.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Checks until there is a result, and returns it.
///
/// # Panics
///
/// After `limit`. The message contains `what`.
pub fn until<T>(limit: Duration, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = check() {
            return seen;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} for: {what}");
        thread::sleep(CHECK_INTERVAL);
    }
}

/// Checks a condition during a period of time.
///
/// # Panics
///
/// The condition is not met.
pub fn throughout(period: Duration, mut hold: impl FnMut()) {
    let started = Instant::now();
    while started.elapsed() < period {
        hold();
        thread::sleep(CHECK_INTERVAL);
    }
}

/// Sets a flag when dropped, so that a thread that waits for it ends even if a test fails.
pub struct End<'a>(pub &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
