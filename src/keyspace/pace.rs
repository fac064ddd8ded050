//! How fast a sweep goes: its budgets of the server's time and of commands, and how it yields. Pure.

mod forecast;

use std::time::Duration;

pub use forecast::Forecast;

use super::cost::{Costs, SweepQuery};
use super::round_trip::RoundTrips;
use crate::config::Sweep;
use crate::connection::Spacing;
use crate::number::to_float;

/// The first keys come at this many times the share, so that the first scrape has an estimate.
const START_FACTOR: f64 = 10.0;

/// At the start a sweep still leaves the server this much of its time.
const START_SHARE_MAX: f64 = 0.2;

/// Keys whose memory is asked among the first ones: enough for an estimate.
const START_DETAILS: f64 = 2_000.0;

/// A sweep that yields to a slow server becomes at most this many times slower.
const SLOWDOWN_MAX: f64 = 32.0;

/// A pause that its budgets make shorter is drawn out to at most this, to let others pass.
const SLOWDOWN_PAUSE_MAX: f64 = 5.0;

/// A pass should not take longer than this. Where the budget of time does not allow for that,
/// details are asked only for a share of the keys.
const PASS_WANTED: Duration = Duration::from_mins(10);

/// The same for the budget of commands: names cost few commands, and details many.
const PASS_WANTED_BY_COMMANDS: Duration = Duration::from_mins(2);

/// Fewer details than for this share of the keys say too little about rare namespaces.
const DETAIL_SHARE_MIN: f64 = 0.02;

/// The default budget of commands, with the default share of a core: this share of the commands
/// that others send to the server, and at least so many in a second.
const COMMAND_SHARE: f64 = 0.1;
const COMMANDS_MIN: f64 = 50.0;

/// The share of a core for which [`COMMAND_SHARE`] is meant. A larger one asks for more commands.
const CPU_SHARE_USUAL: f64 = 0.01;

/// With this share of a core or more a sweep is meant to be fast: commands are not limited unless
/// the configuration says so.
pub const FAST_SHARE: f64 = 0.5;

/// Commands in one pipeline where others must not feel it: about as long for the server as one
/// SCAN.
const SMALL_PIPELINE: usize = 75;

/// The most commands that go out at once: more would make other clients wait.
const LARGE_PIPELINE: usize = 300;

/// From this round trip on a batch is one pipeline, and its parts go out one after the other without
/// waiting for replies. What takes less is not the network.
const FAR: Duration = Duration::from_millis(2);

/// The part of its time that a batch is meant to take. The rest is for the round trips between the
/// batches, such as those for INFO and for the ends of segments.
const BUSY_SHARE: f64 = 0.7;

/// How a large pipeline goes out where others must not feel it.
pub const SMALL_PARTS: Spacing = Spacing {
    commands: SMALL_PIPELINE,
    gap: Duration::from_millis(1),
};

/// COUNT grows at most this many times where round trips are too long for the budget.
const COUNT_GROWTH_MAX: f64 = 5.0;

/// A sweep that is behind its budget makes up for at most this much time, at twice the speed at most.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// For which share of the keys details are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetailShares {
    /// MEMORY USAGE.
    pub memory: f64,
    /// PTTL and TYPE.
    pub expiry: f64,
}

/// The most commands in a second; none where they are not limited. `others` is how many commands
/// other clients send in a second, `keys` how many keys a pass has to visit.
#[must_use]
pub fn commands_per_second(sweep: &Sweep, others: f64, keys: f64) -> Option<f64> {
    if let Some(most) = sweep.commands_per_second {
        return Some(f64::from(most));
    }
    let share = sweep.cpu_share.as_f64();
    if share >= FAST_SHARE {
        return None;
    }
    // The names alone take so many commands in the time that a pass should take.
    let names = keys / f64::from(sweep.count) / PASS_WANTED.as_secs_f64();
    let least = COMMANDS_MIN.max(names);
    Some((others * COMMAND_SHARE).max(least) * share / CPU_SHARE_USUAL)
}

/// Shares with which a pass over so many keys takes the wanted time within the budgets. Memory
/// goes first: it is heavy-tailed, and asking for it counts as no lookup.
#[must_use]
pub fn detail_shares(
    keys: f64,
    costs: &Costs,
    sweep: &Sweep,
    commands: Option<f64>,
) -> DetailShares {
    let keys = keys.max(1.0);
    let time = sweep.cpu_share.as_f64() * PASS_WANTED.as_secs_f64() * 1e6 / keys;
    let time = divide(
        time - costs.of(SweepQuery::Scan),
        costs.of(SweepQuery::Memory),
        costs.of(SweepQuery::Expiry) + costs.of(SweepQuery::Type),
    );
    let Some(commands) = commands else {
        return time;
    };
    let commands = commands * PASS_WANTED_BY_COMMANDS.as_secs_f64() / keys;
    let commands = divide(commands - 1.0 / f64::from(sweep.count), 1.0, 2.0);
    DetailShares {
        memory: time.memory.min(commands.memory),
        expiry: time.expiry.min(commands.expiry),
    }
}

/// How many random keys are drawn at once on a node of a cluster with so many keys, for an estimate
/// before the first pass is whole. They must stay a small part of all, as none may count twice: a
/// small keyspace is soon walked, and drawn from once only.
#[must_use]
pub fn glimpse_keys(keys: u64, has_earlier: bool) -> usize {
    let is_small = keys < GLIMPSE_KEYS * 32;
    let most = if has_earlier && is_small {
        0
    } else {
        GLIMPSE_KEYS
    };
    usize::try_from(most.min(keys / 8)).unwrap_or(usize::MAX)
}

/// Divides what is left for the details of one key.
fn divide(left: f64, memory_cost: f64, expiry_cost: f64) -> DetailShares {
    let memory = (left / memory_cost).clamp(DETAIL_SHARE_MIN, 1.0);
    let left = left - memory * memory_cost;
    let expiry = (left / expiry_cost).clamp(DETAIL_SHARE_MIN, 1.0);
    DetailShares { memory, expiry }
}

/// Random keys that are drawn at once: shares are then known to three percentage points.
const GLIMPSE_KEYS: u64 = 1_024;

/// What one batch of a sweep was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Keys that it visited.
    pub keys: u32,
    /// Commands that it sent.
    pub commands: u32,
    /// The server's time that it took, in microseconds.
    pub microseconds: f64,
    /// The longest of its round trips; zero where it took none.
    pub round_trip: Duration,
    /// From the end of the pause before it to its last reply.
    pub took: Duration,
}

/// What a sweep goes no faster for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Its share of a core of the server.
    #[default]
    CpuShare,
    /// Its budget of commands.
    Commands,
    /// The configured number of keys in a second.
    Keys,
    /// The server or the network answers more slowly than usual.
    Latency,
    /// The round trips themselves: the budgets would allow for more.
    RoundTrips,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 5] = [
        Self::CpuShare,
        Self::Commands,
        Self::Keys,
        Self::Latency,
        Self::RoundTrips,
    ];

    /// The value of the `reason` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CpuShare => "cpu_share",
            Self::Commands => "commands_per_second",
            Self::Keys => "keys_per_second",
            Self::Latency => "max_latency",
            Self::RoundTrips => "round_trips",
        }
    }
}

/// How the commands of the next batch are put into pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The most commands in one pipeline.
    pub commands: usize,
    /// Whether the next SCAN goes out with the last details of the batch before.
    pub scans_ahead: bool,
    /// How the pipeline goes out.
    pub spacing: Spacing,
}

/// Turns batches into pauses.
#[derive(Clone, Debug)]
pub struct Pace {
    share: f64,
    keys_per_second: Option<f64>,
    commands_per_second: Option<f64>,
    max_latency: Duration,
    first_keys: u64,
    seen: u64,
    trips: RoundTrips,
    /// By how much the last round trips were too long.
    excesses: [Duration; 3],
    slowdown: f64,
    /// Commands beyond the budget that later pauses have to make up for.
    owed: u32,
    limit: Limit,
    /// The time that the budgets give to the last batch.
    period: Duration,
    /// The same for each key of it, in seconds.
    key_period: f64,
    /// How far the sweep is behind its budgets.
    behind: Duration,
}

impl Pace {
    /// The pace that a configuration asks for.
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

    /// Goes on where an earlier connection has ended: the first keys are visited quickly once.
    pub const fn resume(&mut self, seen: u64) {
        self.seen = seen;
    }

    /// Sets the most commands in a second.
    pub const fn set_commands_per_second(&mut self, most: Option<f64>) {
        self.commands_per_second = most;
    }

    /// Takes note of commands beyond the budget. Later pauses make up for them, at half the budget.
    pub const fn owe(&mut self, commands: u32) {
        self.owed = self.owed.saturating_add(commands);
    }

    /// Whether there are commands beyond the budget that were not made up for yet.
    #[must_use]
    pub const fn owes(&self) -> bool {
        self.commands_per_second.is_some() && self.owed > 0
    }

    /// The part of what is owed that goes with a batch of so many commands.
    fn settle(&mut self, commands: u32, starting: bool) -> u32 {
        if starting {
            return 0;
        }
        let settled = self.owed.min(commands);
        self.owed -= settled;
        settled
    }

    /// Whether the first keys are still being visited quickly.
    #[must_use]
    pub const fn is_starting(&self) -> bool {
        self.seen < self.first_keys
    }

    /// For which shares of the keys details are asked now. Among the first keys fewer will do: the
    /// estimate must come soon, and thousands of commands at once be spared.
    #[must_use]
    pub fn shares(&self, shares: DetailShares, keys: u64) -> DetailShares {
        let Some(commands) = self.commands_per_second.filter(|_| self.is_starting()) else {
            return shares;
        };
        let first_keys = to_float(self.first_keys.min(keys).max(1));
        let enough = START_DETAILS.max(commands) / first_keys;
        let enough = enough.min(1.0);
        DetailShares {
            memory: enough,
            expiry: enough,
        }
    }

    /// How many times slower than its budget allows the sweep goes now, to let others pass.
    #[must_use]
    pub const fn slowdown(&self) -> f64 {
        self.slowdown
    }

    /// What the sweep goes no faster for.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// The least round trip of late; none before the first.
    #[must_use]
    pub fn least_round_trip(&self) -> Option<Duration> {
        self.trips.least()
    }

    /// The most commands in a second; none where they are not limited.
    #[must_use]
    pub const fn most_commands(&self) -> Option<f64> {
        self.commands_per_second
    }

    /// How the commands of the next batch go out. Small pipelines one after the other where there
    /// is time for them; where round trips are long, as large ones as it takes to use the budget.
    #[must_use]
    pub fn shape(&self, commands: usize) -> Shape {
        let is_far = self.trip() >= FAR;
        let all_at_once = |commands| Shape {
            commands,
            scans_ahead: true,
            spacing: Spacing::NONE,
        };
        if self.share >= FAST_SHARE {
            // The server itself reads no more of a pipeline at once than is good for its clients.
            return all_at_once(if is_far { usize::MAX } else { LARGE_PIPELINE });
        }
        let fitting = self.period.as_secs_f64() * BUSY_SHARE / self.trip().as_secs_f64().max(1e-9);
        let small = commands.div_ceil(SMALL_PIPELINE);
        // The SCAN takes a round trip of its own.
        if to_float(small as u64) + 1.0 <= fitting {
            return Shape {
                commands: SMALL_PIPELINE,
                scans_ahead: false,
                spacing: Spacing::NONE,
            };
        }
        if is_far {
            return Shape {
                spacing: SMALL_PARTS,
                ..all_at_once(usize::MAX)
            };
        }
        let pipelines = (1..small)
            .rev()
            .find(|count| to_float(*count as u64) <= fitting);
        let each = commands.div_ceil(pipelines.unwrap_or(1));
        all_at_once(each.clamp(SMALL_PIPELINE, LARGE_PIPELINE))
    }

    /// COUNT of the next SCAN: more than configured where the keys of one round trip would otherwise
    /// be fewer than the budgets allow for.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast stops at the ends of the type"
    )]
    pub fn count(&self, configured: u32) -> u32 {
        if self.trip() < FAR {
            return configured;
        }
        let keys = self.trip().as_secs_f64() / BUSY_SHARE / self.key_period.max(1e-9);
        let times = (keys / f64::from(configured)).ceil();
        (f64::from(configured) * times.clamp(1.0, COUNT_GROWTH_MAX)) as u32
    }

    /// What the network alone takes.
    fn trip(&self) -> Duration {
        self.trips.least().unwrap_or_default()
    }

    /// How long to wait after a batch. The time that it took counts.
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

    /// The pause after a batch that was meant to take `wanted` and has taken `took`. What earlier
    /// batches took too long is made up for.
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

    /// The share of a core with which the first keys are visited.
    fn start_share(&self) -> f64 {
        (self.share * START_FACTOR).clamp(self.share, START_SHARE_MAX.max(self.share))
    }

    /// The seconds that the budgets give to a batch, and which of them gives most.
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

    /// Halves the speed while round trips are longer than usual by too much, and comes back more
    /// slowly. One late reply is no reason: this machine may have been busy.
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
