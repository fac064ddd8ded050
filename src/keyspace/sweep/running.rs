//! Counts the running sweeps, which share the resources of the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::CHECK_EVERY;

/// Number of checks per second of all sweeps together, up to which each checks at the usual interval.
const CHECKS_PER_SECOND: usize = 500;

/// Maximum factor by which checks are rarer.
const CHECKS_RARER_MAX: usize = 4;

static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A running sweep. It has its share until it is dropped.
#[derive(Debug)]
pub(super) struct RunningSweep(());

impl RunningSweep {
    /// Counts another sweep.
    pub(super) fn start() -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Returns the number of running sweeps, with this one.
    #[expect(clippy::unused_self, reason = "only a running sweep has a share")]
    pub(super) fn of_all(&self) -> usize {
        RUNNING.load(Ordering::Relaxed)
    }

    /// Returns the interval between checks of the server.
    pub(super) fn check_every(&self) -> Duration {
        check_every(self.of_all())
    }
}

fn check_every(sweeps: usize) -> Duration {
    let rarer = sweeps.div_ceil(CHECKS_PER_SECOND);
    let rarer = rarer.clamp(1, CHECKS_RARER_MAX);
    CHECK_EVERY * u32::try_from(rarer).unwrap_or(1)
}

impl Drop for RunningSweep {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_many_sweeps_are_rarer() {
        let seconds = [1, 500, 501, 2_000, 100_000].map(|sweeps| check_every(sweeps).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 4]);
    }
}
