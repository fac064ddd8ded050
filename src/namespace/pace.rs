//! How fast a walk goes: its budget of the server's time, and how it yields. Pure.

use std::time::Duration;

use super::cost::{Costs, Probe};
use crate::config::Sweep;

/// The first keys come at this many times the share, so that the first scrape has an estimate.
const START_FACTOR: f64 = 10.0;

/// At the start a walk still leaves the server this much of its time.
const START_SHARE_MAX: f64 = 0.2;

/// A walk that yields to a slow server becomes at most this many times slower.
const SLOWDOWN_MAX: f64 = 256.0;

/// A pass should not take longer than this. Where the budget does not allow for that, details are
/// asked only for a share of the keys.
const PASS_WANTED: Duration = Duration::from_mins(10);

/// Fewer details than for this share of the keys say too little about rare namespaces.
const DETAIL_SHARE_MIN: f64 = 0.02;

/// For which share of the keys details are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetailShares {
    /// MEMORY USAGE.
    pub memory: f64,
    /// PTTL and TYPE.
    pub expiry: f64,
}

/// Shares with which a pass over so many keys takes the wanted time within the budget. Memory
/// goes first: it is heavy-tailed, and asking for it counts as no lookup.
#[must_use]
pub fn detail_shares(keys: f64, costs: &Costs, sweep: &Sweep) -> DetailShares {
    let budget = sweep.cpu_share.as_f64() * PASS_WANTED.as_secs_f64() * 1e6;
    let per_key = budget / keys.max(1.0);
    let memory_cost = costs.of(Probe::Memory);
    let expiry_cost = costs.of(Probe::Expiry) + costs.of(Probe::Type);
    let left = per_key - costs.of(Probe::Scan);
    let memory = (left / memory_cost).clamp(DETAIL_SHARE_MIN, 1.0);
    let left = left - memory * memory_cost;
    let expiry = (left / expiry_cost).clamp(DETAIL_SHARE_MIN, 1.0);
    DetailShares { memory, expiry }
}

/// What one batch of a walk was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Keys that it looked at.
    pub keys: u32,
    /// The server's time that it took, in microseconds.
    pub microseconds: f64,
    /// The longest of its round trips.
    pub round_trip: Duration,
}

/// Turns batches into pauses.
#[derive(Clone, Debug)]
pub struct Pace {
    share: f64,
    keys_per_second: Option<f64>,
    max_latency: Duration,
    first_keys: u64,
    seen: u64,
    slowdown: f64,
}

impl Pace {
    /// The pace that a configuration asks for.
    #[must_use]
    pub fn new(sweep: &Sweep) -> Self {
        Self {
            share: sweep.cpu_share.as_f64(),
            keys_per_second: sweep.keys_per_second.map(f64::from),
            max_latency: sweep.max_latency,
            first_keys: u64::from(sweep.first_keys),
            seen: 0,
            slowdown: 1.0,
        }
    }

    /// Goes on where an earlier connection has ended: the first keys are looked at quickly once.
    pub const fn resume(&mut self, seen: u64) {
        self.seen = seen;
    }

    /// Whether the first keys are still being looked at quickly.
    #[must_use]
    pub const fn is_starting(&self) -> bool {
        self.seen < self.first_keys
    }

    /// How many times slower than its budget allows the walk goes now, to let others pass.
    #[must_use]
    pub const fn slowdown(&self) -> f64 {
        self.slowdown
    }

    /// How long to wait after a batch.
    pub fn pause(&mut self, batch: &Batch) -> Duration {
        let starting = self.is_starting();
        self.seen = self.seen.saturating_add(u64::from(batch.keys));
        self.yield_to_others(batch.round_trip);
        let share = if starting {
            (self.share * START_FACTOR).clamp(self.share, START_SHARE_MAX.max(self.share))
        } else {
            self.share
        };
        let by_share = batch.microseconds / 1e6 * (1.0 / share - 1.0);
        let by_keys = self.keys_per_second.filter(|_| !starting);
        let by_keys = by_keys.map_or(0.0, |most| f64::from(batch.keys) / most);
        Duration::from_secs_f64(by_share.max(by_keys) * self.slowdown)
    }

    /// Halves the speed while round trips are too long, and comes back more slowly.
    fn yield_to_others(&mut self, round_trip: Duration) {
        let factor = if round_trip > self.max_latency {
            2.0
        } else {
            0.8
        };
        self.slowdown = (self.slowdown * factor).clamp(1.0, SLOWDOWN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(300);

    fn batch(microseconds: f64, round_trip: Duration) -> Batch {
        Batch {
            keys: 100,
            microseconds,
            round_trip,
        }
    }

    fn sweep() -> Sweep {
        Sweep {
            first_keys: 0,
            ..Sweep::default()
        }
    }

    #[test]
    fn the_share_of_the_server_is_kept() {
        let mut pace = Pace::new(&sweep());
        let pause = pace.pause(&batch(350.0, QUICK));
        assert_eq!(pause, Duration::from_micros(34_650));
    }

    #[test]
    fn the_first_keys_come_at_ten_times_the_share() {
        let mut pace = Pace::new(&Sweep {
            first_keys: 200,
            ..Sweep::default()
        });
        let pauses: Vec<_> = (0..3).map(|_| pace.pause(&batch(350.0, QUICK))).collect();
        let quick = Duration::from_micros(3_150);
        assert_eq!(pauses, [quick, quick, Duration::from_micros(34_650)]);
    }

    #[test]
    fn a_slow_server_is_left_alone_and_taken_up_again() {
        let mut pace = Pace::new(&sweep());
        let normal = pace.pause(&batch(350.0, QUICK));
        let slow = Duration::from_millis(20);
        for _ in 0..20 {
            pace.pause(&batch(350.0, slow));
        }
        let yielding = pace.pause(&batch(350.0, slow));
        assert!(yielding > normal * 200, "{yielding:?}");
        for _ in 0..40 {
            pace.pause(&batch(350.0, QUICK));
        }
        assert_eq!(pace.pause(&batch(350.0, QUICK)), normal);
    }

    #[test]
    fn keys_per_second_is_a_limit_of_its_own() {
        let mut pace = Pace::new(&Sweep {
            keys_per_second: Some(1_000),
            ..sweep()
        });
        assert_eq!(pace.pause(&batch(350.0, QUICK)), Duration::from_millis(100));
    }

    #[test]
    fn a_whole_core_knows_no_pause() {
        let mut pace = Pace::new(&Sweep {
            cpu_share: crate::config::Share::WHOLE,
            ..sweep()
        });
        assert_eq!(pace.pause(&batch(350.0, QUICK)), Duration::ZERO);
    }

    #[test]
    fn details_are_asked_for_all_keys_of_a_small_keyspace_and_for_a_share_of_a_large_one() {
        let costs = Costs::default();
        let shares = |keys: f64| detail_shares(keys, &costs, &sweep());
        assert_eq!(
            shares(300_000.0),
            DetailShares {
                memory: 1.0,
                expiry: 1.0
            }
        );
        let large = shares(3_000_000.0);
        assert!(large.memory > 0.8 && large.expiry <= 0.05, "{large:?}");
        let huge = shares(1e9);
        assert_eq!(
            huge,
            DetailShares {
                memory: DETAIL_SHARE_MIN,
                expiry: DETAIL_SHARE_MIN
            }
        );
    }
}
