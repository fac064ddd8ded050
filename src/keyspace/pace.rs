//! Determines the speed of a sweep: its budgets of server time and commands, and when it yields.
//! Pure.

mod budget;
mod forecast;
mod limit;

use std::time::Duration;

pub use budget::{DetailShares, commands_per_second, detail_shares, keys_to_draw, share_of_all};
pub use forecast::Forecast;
pub use limit::Limit;

use super::round_trip::RoundTrips;
use crate::config::Sweep;
use crate::connection::Spacing;
use crate::number::{length, to_float};

/// Factor by which the CPU share is increased for the first keys, so that the first scrape has an
/// estimate.
const START_FACTOR: f64 = 10.0;

/// Upper limit of the increased CPU share at the start.
const START_SHARE_MAX: f64 = 0.2;

/// Number of MEMORY USAGE commands among the first keys: enough for an estimate.
const START_DETAILS: f64 = 2_000.0;

/// Maximum time for which the budget would permit these commands, in seconds.
const START_DETAILS_SECONDS: f64 = 40.0;

/// Maximum slowdown of a sweep that yields to a slow server.
const SLOWDOWN_MAX: f64 = 32.0;

/// Maximum pause due to a slowdown, in seconds. Longer pauses due to the budgets stay as they are.
const SLOWDOWN_PAUSE_MAX: f64 = 5.0;

/// CPU share from which a sweep is fast: its commands are unlimited unless the configuration limits
/// them.
pub const FAST_SHARE: f64 = 0.5;

/// Maximum number of commands in a small pipeline, which other clients do not notice. It takes the
/// server about as long as one SCAN.
const SMALL_PIPELINE: usize = 75;

/// Maximum number of commands in a large pipeline. More would make other clients wait.
const LARGE_PIPELINE: usize = 300;

/// Maximum number of commands for which a near server need not wake up separately: they take a
/// small part of the time of the SCAN that is sent with them.
const FEW_COMMANDS: usize = 10;

/// Maximum time between a SCAN and the details of its keys on a near server.
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// Round trip from which a batch is one pipeline, and its parts are sent one after the other
/// without waiting for replies. A shorter round trip is not due to the network.
const FAR: Duration = Duration::from_millis(2);

/// Intended share of the time that a batch takes. The rest is for round trips between batches, such
/// as those for INFO and at the ends of segments.
const BUSY_SHARE: f64 = 0.7;

/// Spacing of a large pipeline that other clients must not notice.
pub const SMALL_PARTS: Spacing = Spacing {
    commands: SMALL_PIPELINE,
    gap: Duration::from_millis(1),
};

/// Maximum factor by which COUNT grows if round trips are too long for the budget.
const COUNT_GROWTH_MAX: f64 = 5.0;

/// Maximum delay that a sweep makes up for. It does so at no more than twice the speed.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// Measurements of one batch of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Keys visited.
    pub keys: u32,
    /// Commands sent.
    pub commands: u32,
    /// Server time, in microseconds.
    pub microseconds: f64,
    /// Longest round trip; zero if there was none.
    pub round_trip: Duration,
    /// Time from the end of the previous pause to the last reply of the batch.
    pub took: Duration,
}

/// The pipelines of the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Maximum number of commands in one pipeline.
    pub commands: usize,
    /// Whether the next SCAN is sent with the last details of the previous batch.
    pub scans_ahead: bool,
    /// Spacing of the commands in a pipeline.
    pub spacing: Spacing,
}

/// Calculates the pause after each batch.
#[derive(Clone, Debug)]
pub struct Pace {
    share: f64,
    keys_per_second: Option<f64>,
    commands_per_second: Option<f64>,
    max_latency: Duration,
    first_keys: u64,
    seen: u64,
    trips: RoundTrips,
    /// How far the last round trips exceeded the minimum.
    excesses: [Duration; 3],
    slowdown: f64,
    /// Commands beyond the budget that later pauses have to make up for.
    owed: u32,
    limit: Limit,
    /// The time that the budgets give to the last batch.
    period: Duration,
    /// The same per key of that batch, in seconds.
    key_period: f64,
    /// How far the sweep is behind its budgets.
    behind: Duration,
}

impl Pace {
    /// Returns the configured pace.
    #[must_use]
    pub fn new(sweep: &Sweep) -> Self {
        Self {
            share: sweep.cpu_share.as_f64(),
            keys_per_second: sweep.keys_per_second.map(f64::from),
            commands_per_second: commands_per_second(sweep, 0.0, 0.0),
            max_latency: sweep.max_latency,
            first_keys: u64::from(sweep.first_keys),
            seen: 0,
            trips: RoundTrips::default(),
            excesses: [Duration::ZERO; 3],
            slowdown: 1.0,
            owed: 0,
            limit: Limit::default(),
            period: Duration::ZERO,
            key_period: f64::MAX,
            behind: Duration::ZERO,
        }
    }

    /// Resumes after a reconnect: the first keys are visited quickly only once.
    pub const fn resume(&mut self, seen: u64) {
        self.seen = seen;
    }

    /// Sets the maximum number of commands per second.
    pub const fn set_commands_per_second(&mut self, most: Option<f64>) {
        self.commands_per_second = most;
    }

    /// Records commands beyond the budget. Later pauses make up for them, at half the budget.
    pub const fn owe(&mut self, commands: u32) {
        self.owed = self.owed.saturating_add(commands);
    }

    /// Returns whether later pauses still have to make up for commands beyond the budget.
    #[must_use]
    pub const fn owes(&self) -> bool {
        self.commands_per_second.is_some() && self.owed > 0
    }

    /// Returns the number of owed commands to settle with a batch of `commands` commands.
    fn settle(&mut self, commands: u32, starting: bool) -> u32 {
        if starting {
            return 0;
        }
        let settled = self.owed.min(commands);
        self.owed -= settled;
        settled
    }

    /// Returns whether the first keys are still being visited quickly.
    #[must_use]
    pub const fn is_starting(&self) -> bool {
        self.seen < self.first_keys
    }

    /// Returns the shares of the keys whose details are queried now. They are smaller for the first
    /// keys: the estimate is due soon, and a burst of thousands of commands must be avoided.
    #[must_use]
    pub fn shares(&self, shares: DetailShares, keys: u64) -> DetailShares {
        let Some(commands) = self.commands_per_second.filter(|_| self.is_starting()) else {
            return shares;
        };
        let first_keys = to_float(self.first_keys.min(keys).max(1));
        let details = START_DETAILS.min(commands * START_DETAILS_SECONDS);
        let enough = details.max(commands) / first_keys;
        let enough = enough.min(1.0);
        DetailShares {
            memory: enough,
            expiry: enough,
        }
    }

    /// Returns how many times slower than its budget the sweep is, to yield to other clients.
    #[must_use]
    pub const fn slowdown(&self) -> f64 {
        self.slowdown
    }

    /// Returns what limits the speed of the sweep.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Returns the minimum recent round trip; `None` before the first one.
    #[must_use]
    pub fn least_round_trip(&self) -> Option<Duration> {
        self.trips.least()
    }

    /// Returns the maximum number of commands per second; `None` if it is unlimited.
    #[must_use]
    pub const fn most_commands(&self) -> Option<f64> {
        self.commands_per_second
    }

    /// Returns the pipelines of the next batch. If time permits, small pipelines are sent one after
    /// the other. A few commands are sent with the next SCAN. If round trips are long, pipelines are as large as needed to use the budget.
    #[must_use]
    pub fn shape(&self, commands: usize) -> Shape {
        let is_far = self.trip() >= FAR;
        let all_at_once = |commands| Shape {
            commands,
            scans_ahead: true,
            spacing: Spacing::NONE,
        };
        if self.share >= FAST_SHARE {
            // The server itself limits how much of a pipeline it reads at once.
            return all_at_once(if is_far { usize::MAX } else { LARGE_PIPELINE });
        }
        let fitting = self.period.as_secs_f64() * BUSY_SHARE / self.trip().as_secs_f64().max(1e-9);
        let small = commands.div_ceil(SMALL_PIPELINE);
        // The SCAN takes its own round trip.
        if length(small) + 1.0 <= fitting {
            return Shape {
                commands: SMALL_PIPELINE,
                scans_ahead: commands <= FEW_COMMANDS && self.period <= AHEAD_MAX,
                spacing: Spacing::NONE,
            };
        }
        if is_far {
            return Shape {
                spacing: SMALL_PARTS,
                ..all_at_once(usize::MAX)
            };
        }
        let pipelines = (1..small).rev().find(|count| length(*count) <= fitting);
        let each = commands.div_ceil(pipelines.unwrap_or(1));
        all_at_once(each.clamp(SMALL_PIPELINE, LARGE_PIPELINE))
    }

    /// Returns COUNT of the next SCAN. It exceeds the configured value if one round trip would
    /// otherwise return fewer keys than the budgets permit.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    pub fn count(&self, configured: u32) -> u32 {
        if self.trip() < FAR {
            return configured;
        }
        let keys = self.trip().as_secs_f64() / BUSY_SHARE / self.key_period.max(1e-9);
        let times = (keys / f64::from(configured)).ceil();
        (f64::from(configured) * times.clamp(1.0, COUNT_GROWTH_MAX)) as u32
    }

    /// Returns the latency of the network alone.
    fn trip(&self) -> Duration {
        self.trips.least().unwrap_or_default()
    }

    /// Returns how long to wait after a batch. The duration of the batch is subtracted.
    pub fn pause(&mut self, batch: &Batch) -> Duration {
        let starting = self.is_starting();
        self.seen = self.seen.saturating_add(u64::from(batch.keys));
        if !batch.round_trip.is_zero() {
            self.yield_to_others(batch.round_trip);
        }
        let settled = self.settle(batch.commands, starting);
        let commands = batch.commands.saturating_add(settled);
        let (period, limit) = self.budget(&Batch { commands, ..*batch }, starting);
        if batch.keys > 0 {
            self.period = Duration::from_secs_f64(period);
            self.key_period = period / f64::from(batch.keys);
        }
        let wanted =
            Duration::from_secs_f64((period * self.slowdown).min(SLOWDOWN_PAUSE_MAX.max(period)));
        let pause = self.catch_up(wanted, batch.took);
        self.limit = if self.slowdown > 1.0 {
            Limit::Latency
        } else if self.behind == BEHIND_MAX {
            Limit::RoundTrips
        } else {
            limit
        };
        self.trips.pass(pause + batch.took);
        pause
    }

    /// Returns the pause after a batch that should take `wanted` and took `took`. It makes up for
    /// delays of earlier batches.
    fn catch_up(&mut self, wanted: Duration, took: Duration) -> Duration {
        if self.slowdown > 1.0 {
            self.behind = Duration::ZERO;
        }
        let behind = self.behind + took;
        let least = (wanted / 2).saturating_sub(took);
        let pause = wanted.saturating_sub(behind).max(least);
        self.behind = (behind + pause).saturating_sub(wanted).min(BEHIND_MAX);
        pause
    }

    /// Returns the share of a core for the first keys.
    fn start_share(&self) -> f64 {
        (self.share * START_FACTOR).clamp(self.share, START_SHARE_MAX.max(self.share))
    }

    /// Returns the time that a batch should take, in seconds, and the limit that determines it.
    fn budget(&self, batch: &Batch, starting: bool) -> (f64, Limit) {
        let share = if starting {
            self.start_share()
        } else {
            self.share
        };
        let by_share = if share >= 1.0 {
            0.0
        } else {
            batch.microseconds / 1e6 / share
        };
        let per = |count: u32, most: Option<f64>| {
            let most = most.filter(|_| !starting);
            most.map_or(0.0, |most| f64::from(count) / most)
        };
        let others = [
            (
                per(batch.commands, self.commands_per_second),
                Limit::Commands,
            ),
            (per(batch.keys, self.keys_per_second), Limit::Keys),
        ];
        others
            .into_iter()
            .fold((by_share, Limit::CpuShare), |longest, other| {
                if other.0 > longest.0 { other } else { longest }
            })
    }

    /// Halves the speed while round trips are much longer than usual, and recovers more slowly. One
    /// late reply has no effect: the exporter's host may have been busy.
    fn yield_to_others(&mut self, round_trip: Duration) {
        let [_, before, last] = self.excesses;
        self.excesses = [before, last, self.trips.excess(round_trip)];
        let mut sorted = self.excesses;
        sorted.sort_unstable();
        let [_, median, _] = sorted;
        let factor = if median > self.max_latency { 2.0 } else { 0.8 };
        self.slowdown = (self.slowdown * factor).clamp(1.0, SLOWDOWN_MAX);
    }
}

#[cfg(test)]
mod tests;
