//! Counts the running sweeps, which share the resources of the process.

use std::sync::atomic::{AtomicUsize, Ordering};

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
}

impl Drop for RunningSweep {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}
