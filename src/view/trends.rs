//! The last hour as series of numbers, for graphs. Pure.

use serde::Serialize;

use super::facts::Seen;
use crate::history::Increase;

/// The last hour of a target. All series have the same length; the last value is the newest.
#[derive(Debug, Serialize)]
pub struct Trends {
    /// Time between two values, in seconds; null before the first poll.
    pub step_seconds: Option<f64>,
    /// Memory that the server has allocated.
    pub memory_bytes: Vec<Option<f64>>,
    /// Commands per second, without those of the exporter.
    pub commands_per_second: Vec<Option<f64>>,
    /// Share of lookups that found a key, without those of the exporter.
    pub hit_ratio: Vec<Option<f64>>,
    /// Keys evicted per second.
    pub evictions_per_second: Vec<Option<f64>>,
}

impl Trends {
    /// Returns the last hour of a target.
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let (history, now) = (seen.history, seen.now);
        Self {
            step_seconds: Some(history.step()).filter(|step| *step > 0.0),
            memory_bytes: history.memory(now),
            commands_per_second: history.rates(Increase::Commands, now),
            hit_ratio: history.hit_ratios(now),
            evictions_per_second: history.rates(Increase::Evicted, now),
        }
    }
}
