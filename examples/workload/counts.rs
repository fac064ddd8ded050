//! Counters of completed work.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start, shared by all tasks.
#[derive(Debug, Default)]
pub struct Counts {
    /// Completed operations, successful or not.
    pub operations: Count,
    /// Operations that the server rejected, or that failed with the connection.
    pub failures: Count,
    /// Lookups in the API cache that found their key.
    pub cache_hits: Count,
    /// Lookups in the API cache that did not.
    pub cache_misses: Count,
    /// Session reads that found their key.
    pub session_hits: Count,
    /// Session reads that did not. A login follows.
    pub session_misses: Count,
    /// Messages that the subscribers received.
    pub messages: Count,
    /// Bytes of values that were only written to fill the server.
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

    /// Returns the total.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
