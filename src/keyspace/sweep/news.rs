//! Logs the passes of a sweep, and when the server slows it down.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::Sweeper;
use crate::logfmt::seconds;

/// Factor above which the sweep counts as slowed down, compared with its budgets.
const SLOW: f64 = 2.0;

/// Factor below which a slowdown is over.
const NORMAL: f64 = 1.1;

/// Minimum time between the starts of two slowdowns that are logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The slowdowns of a sweep, for deciding which ones to log.
#[derive(Debug, Default)]
pub(super) struct Slowdowns {
    since: Option<Instant>,
    /// Time of the last slowdown whose start was logged.
    logged: Option<Instant>,
}

/// A change worth a log line.
#[derive(Debug, PartialEq, Eq)]
enum LoadChange {
    Began,
    /// The slowdown ended after this time.
    Ended(Duration),
}

impl Slowdowns {
    /// Records how slow the sweep is, and returns the change to log, if any.
    fn observe(&mut self, factor: f64, now: Instant) -> Option<LoadChange> {
        match self.since {
            None if factor >= SLOW => {
                let is_due = |logged: Instant| now.duration_since(logged) >= LOG_EVERY;
                if !self.logged.is_none_or(is_due) {
                    return None;
                }
                self.since = Some(now);
                self.logged = Some(now);
                Some(LoadChange::Began)
            }
            Some(since) if factor < NORMAL => {
                self.since = None;
                Some(LoadChange::Ended(now.duration_since(since)))
            }
            _ => None,
        }
    }
}

impl Sweeper<'_> {
    /// Logs the first pass since the start of the exporter at the level info, later ones at the
    /// level debug.
    pub(super) fn log_pass(&self, took: Duration) {
        let keys = self.census.keys_visited() - self.pass.visited_before;
        let (name, seconds) = (self.name, seconds(took));
        if self.census.passes() == 1 {
            info!(name, keys, seconds, "first pass finished");
        } else {
            debug!(name, keys, seconds, "pass finished");
        }
    }

    /// Logs the start and the end of a slowdown.
    pub(super) fn log_slowdown(&mut self) {
        let (name, factor) = (self.name, self.pace.slowdown());
        let change = self.slowdowns.observe(factor, Instant::now());
        let factor = factor.round();
        match change {
            Some(LoadChange::Began) => {
                let reason = self.pace.limit().as_str();
                info!(name, reason, factor, "the sweep is slowed down");
            }
            Some(LoadChange::Ended(after)) => {
                let seconds = seconds(after);
                info!(name, seconds, "the sweep is no longer slowed down");
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowdown_is_two_lines_at_most_once_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut slowdowns = Slowdowns::default();
        let ended = |seconds| Some(LoadChange::Ended(Duration::from_secs(seconds)));
        for (factor, seconds, expected) in [
            (1.0, 0, None),
            (1.9, 1, None),
            (2.0, 2, Some(LoadChange::Began)),
            (16.0, 3, None),
            (1.5, 4, None),
            (1.0, 5, ended(3)),
            (8.0, 6, None),
            (1.0, 7, None),
            (8.0, 62, Some(LoadChange::Began)),
            (8.0, 200, None),
            (1.0, 201, ended(139)),
        ] {
            let found = slowdowns.observe(factor, at(seconds));
            assert_eq!(found, expected, "{factor} at {seconds}");
        }
    }
}
