//! What was done so far. Counters only: no I/O, no rates.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start, shared by all tasks.
#[derive(Debug, Default)]
pub struct Counts {
    /// Operations that ended, whatever came of them.
    pub operations: Count,
    /// Operations that the server refused or that the connection lost.
    pub failures: Count,
    /// API cache look-ups that found their key.
    pub cache_hits: Count,
    /// API cache look-ups that did not.
    pub cache_misses: Count,
    /// Session reads that found their key.
    pub session_hits: Count,
    /// Session reads that did not, followed by a new login.
    pub session_misses: Count,
    /// Messages that the subscribers received.
    pub messages: Count,
    /// Bytes of values written only to fill the server.
    pub pressure_bytes: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to the total.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The total so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
