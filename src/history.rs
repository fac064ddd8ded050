//! The last hour of a target: a ring of points that polls fill, at most one every 30 seconds. Pure.
//!
//! It only remembers a few numbers, so that the page at `/` can show trends and judge rates without
//! Prometheus. A target needs at most 18 KB.

mod losses;
mod ring;
mod sizes;

use std::collections::VecDeque;

use crate::metric::Snapshot;
use crate::number::to_count;

use losses::RecentLosses;
pub use sizes::Growth;
use sizes::HourlySizes;

/// Maximum number of points.
pub const POINTS: usize = 120;

/// Minimum number of points that are kept, if polls are so rare that an hour has fewer.
const POINTS_MIN: usize = 12;

/// Minimum time that a point covers, in seconds.
const STEP_MIN: f64 = 30.0;

/// Time that the points cover, in seconds.
const HOUR: f64 = 3_600.0;

/// Number of points without a poll after which the next increase is not attributed to one point.
const GAP_MAX: u64 = 2;

const MEMORY: &str = "redis_memory_used_bytes";
const UPTIME: &str = "redis_uptime_in_seconds";
const INTERVAL: &str = "redis_exporter_poll_interval_seconds";

/// A counter whose increases are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Increase {
    /// Commands, without those of the exporter.
    Commands,
    /// Lookups that found a key, without those of the exporter.
    Hits,
    /// Lookups that found no key, without those of the exporter.
    Misses,
    /// Keys evicted because of the memory limit.
    Evicted,
    /// Keys that expired.
    Expired,
    /// Rejected connections.
    Rejected,
    /// Rejected writes: errors OOM, MISCONF and NOREPLICAS.
    RefusedWrites,
    /// Calls of commands that the exporter does not send all the time.
    Calls,
    /// Seconds that these calls took.
    Busy,
}

/// A counter with its family, and the first labels that count.
type CountRow = (Increase, &'static str, fn(&str) -> bool);

/// All counters, in the order of their values in a point.
const COUNTS: [CountRow; 9] = [
    (Increase::Commands, "redis_commands_processed_total", |_| {
        true
    }),
    (Increase::Hits, "redis_keyspace_hits_total", |_| true),
    (Increase::Misses, "redis_keyspace_misses_total", |_| true),
    (Increase::Evicted, "redis_evicted_keys_total", |_| true),
    (Increase::Expired, "redis_expired_keys_total", |_| true),
    (
        Increase::Rejected,
        "redis_rejected_connections_total",
        |_| true,
    ),
    (Increase::RefusedWrites, "redis_errors_total", |error| {
        ["OOM", "MISCONF", "NOREPLICAS"].contains(&error)
    }),
    (Increase::Calls, "redis_commands_total", is_of_clients),
    (
        Increase::Busy,
        "redis_commands_duration_seconds_total",
        is_of_clients,
    ),
];

/// Returns whether the exporter does not send a command all the time. The recording rules exclude
/// the same commands.
pub fn is_of_clients(command: &str) -> bool {
    let starts = ["latency", "memory", "object"];
    !["info", "pttl", "scan", "type"].contains(&command)
        && !starts.iter().any(|start| command.starts_with(start))
}

/// Values of all counters; NaN if unknown.
type Amounts = [f64; COUNTS.len()];

/// A part of the last hour.
#[derive(Clone, Copy, Debug)]
struct HourPart {
    /// Its number since the epoch.
    step: u64,
    /// Time that the increases cover.
    seconds: f32,
    memory: f32,
    restarts: f32,
    increases: [f32; COUNTS.len()],
}

/// The last hour of a target.
#[derive(Clone, Debug, Default)]
pub struct LastHour {
    /// Time that a point covers, in seconds; 0 before the first poll.
    step: f64,
    points: VecDeque<HourPart>,
    last: Option<LastPoll>,
    /// End of the last failed poll, in seconds since the epoch.
    failed_at: Option<f64>,
    /// Increases between the last two polls, per second; NaN if unknown.
    now: Option<Amounts>,
    sizes: HourlySizes,
    losses: RecentLosses,
}

#[derive(Clone, Copy, Debug)]
struct LastPoll {
    at: f64,
    uptime: Option<f64>,
    totals: Amounts,
}

impl LastHour {
    /// Records a successful poll. `at` is its end in seconds since the epoch.
    pub fn record(&mut self, at: f64, snapshot: &Snapshot) {
        if self.step <= 0.0 {
            let interval = snapshot.number(INTERVAL).unwrap_or(0.0);
            self.step = interval.max(STEP_MIN);
        }
        let totals = COUNTS.map(|(_, family, counts)| total(snapshot, family, counts));
        let uptime = snapshot.number(UPTIME);
        let before = self.last.replace(LastPoll { at, uptime, totals });
        self.now = None;
        let step = self.step_at(at);
        if self.points.back().is_some_and(|last| last.step > step) {
            // The clock was set back. Times of earlier points are wrong.
            self.points.clear();
        }
        let Some(point) = self.point(step) else {
            return;
        };
        point.memory = narrow(snapshot.number(MEMORY).unwrap_or(f64::NAN));
        let Some(before) = before else { return };
        let passed = at - before.at;
        let has_restarted = uptime
            .zip(before.uptime)
            .is_some_and(|(now, then)| now < then);
        if has_restarted {
            point.restarts += 1.0;
            return;
        }
        if passed <= 0.0 || self.step_at(before.at) + GAP_MAX < step {
            return;
        }
        let mut rates = [f64::NAN; COUNTS.len()];
        let Some(point) = self.point(step) else {
            return;
        };
        point.seconds += narrow(passed);
        let increases = totals
            .iter()
            .zip(before.totals)
            .map(|(now, then)| now - then);
        for ((sum, rate), increase) in point.increases.iter_mut().zip(&mut rates).zip(increases) {
            // A counter that was reset is unknown.
            let increase = if increase < 0.0 { f64::NAN } else { increase };
            *sum += narrow(increase);
            *rate = increase / passed;
        }
        self.now = Some(rates);
    }

    /// Forgets everything except when a poll failed.
    pub fn clear(&mut self) {
        *self = Self {
            failed_at: self.failed_at,
            ..Self::default()
        };
    }

    /// Records results of the sweep. `at` is in seconds since the epoch.
    pub fn record_namespaces(&mut self, at: f64, snapshot: &Snapshot) {
        self.sizes.record(at, snapshot);
        self.losses.record(at, snapshot);
    }

    /// Forgets the results of the sweep.
    pub fn clear_namespaces(&mut self) {
        self.sizes.clear();
        self.losses.clear();
    }

    /// Returns the growth of a namespace in at most about an hour. `bytes` is its memory now.
    #[must_use]
    pub fn growth(&self, database: &str, name: &str, bytes: f64, now: f64) -> Option<Growth> {
        self.sizes.growth(database, name, bytes, now)
    }

    /// Returns the evicted keys of a namespace per second in about five minutes; `None` if unknown.
    #[must_use]
    pub fn eviction_rate(&self, database: &str, name: &str, now: f64) -> Option<f64> {
        self.losses.rate(database, name, now)
    }

    /// Records a failed poll: the rates of now are unknown. `at` is its end in seconds since the epoch.
    pub const fn record_failure(&mut self, at: f64) {
        self.now = None;
        self.failed_at = Some(at);
    }

    /// Returns whether a poll failed in the last seconds.
    #[must_use]
    pub fn failed_within(&self, seconds: f64, now: f64) -> bool {
        // A time in the future is one before the clock was set back.
        let age = self.failed_at.map(|at| now - at);
        age.is_some_and(|age| (0.0..=seconds).contains(&age))
    }

    /// Returns the number of points of an hour.
    fn points_max(&self) -> usize {
        let points = to_count((HOUR / self.step.max(STEP_MIN)).ceil());
        usize::try_from(points).map_or(POINTS, |points| points.clamp(POINTS_MIN, POINTS))
    }

    fn step_at(&self, at: f64) -> u64 {
        to_count(at / self.step.max(STEP_MIN))
    }

    /// Returns the newest point, which has this number. There always is one.
    fn point(&mut self, step: u64) -> Option<&mut HourPart> {
        let is_new = self.points.back().is_none_or(|last| last.step != step);
        if is_new {
            if self.points.len() >= self.points_max() {
                self.points.pop_front();
            }
            self.points.push_back(HourPart {
                step,
                seconds: 0.0,
                memory: f32::NAN,
                restarts: 0.0,
                increases: [0.0; COUNTS.len()],
            });
        }
        self.points.back_mut()
    }

    /// Returns the increase per second between the last two polls.
    #[must_use]
    pub fn rate_now(&self, count: Increase) -> Option<f64> {
        let rates = self.now.as_ref()?;
        rates
            .get(place(count))
            .copied()
            .filter(|rate| rate.is_finite())
    }

    /// Yields the points of the last seconds with a known increase of this counter.
    fn within(&self, count: Increase, seconds: f64, now: f64) -> impl Iterator<Item = (f64, f64)> {
        let from = self.step_at(now - seconds);
        let points = self.points.iter().filter(move |point| point.step > from);
        points.filter_map(move |point| {
            let increase = f64::from(*point.increases.get(place(count))?);
            let is_known = increase.is_finite() && point.seconds > 0.0;
            is_known.then(|| (increase, f64::from(point.seconds)))
        })
    }

    /// Returns the increase in about the last seconds; `None` if it is unknown.
    #[must_use]
    pub fn increase(&self, count: Increase, seconds: f64, now: f64) -> Option<f64> {
        let increases = self
            .within(count, seconds, now)
            .map(|(increase, _)| increase);
        increases.reduce(|one, other| one + other)
    }

    /// Returns the increase per second in about the last seconds; `None` if it is unknown.
    #[must_use]
    pub fn rate(&self, count: Increase, seconds: f64, now: f64) -> Option<f64> {
        let parts = self.within(count, seconds, now);
        let (increase, passed) = parts.reduce(|one, other| (one.0 + other.0, one.1 + other.1))?;
        Some(increase / passed)
    }

    /// Returns how often the server restarted in the last seconds.
    #[must_use]
    pub fn restarts(&self, seconds: f64, now: f64) -> f64 {
        let from = self.step_at(now - seconds);
        let points = self.points.iter().filter(|point| point.step > from);
        points.map(|point| f64::from(point.restarts)).sum()
    }

    /// Returns the time that a point covers, in seconds.
    #[must_use]
    pub const fn step(&self) -> f64 {
        self.step
    }

    /// Returns the memory at each point up to now, oldest first; `None` if there was no poll.
    #[must_use]
    pub fn memory(&self, now: f64) -> Vec<Option<f64>> {
        self.series(now, |point| f64::from(point.memory))
    }

    /// Returns the increase per second at each point up to now, oldest first.
    #[must_use]
    pub fn rates(&self, count: Increase, now: f64) -> Vec<Option<f64>> {
        let at = place(count);
        self.series(now, |point| {
            let increase = point.increases.get(at).copied().unwrap_or(f32::NAN);
            f64::from(increase) / f64::from(point.seconds)
        })
    }

    /// Returns the share of lookups that found a key at each point up to now, oldest first.
    #[must_use]
    pub fn hit_ratios(&self, now: f64) -> Vec<Option<f64>> {
        let of = |point: &HourPart, count| {
            let increase = point.increases.get(place(count)).copied();
            f64::from(increase.unwrap_or(f32::NAN))
        };
        self.series(now, |point| {
            let hits = of(point, Increase::Hits);
            hits / (hits + of(point, Increase::Misses))
        })
    }

    fn series(&self, now: f64, value: impl Fn(&HourPart) -> f64) -> Vec<Option<f64>> {
        let Some(first) = self.points.front() else {
            return Vec::new();
        };
        let last = self.step_at(now);
        let oldest = last.saturating_sub(self.points_max() as u64 - 1);
        let mut points = self.points.iter().peekable();
        (first.step.max(oldest)..=last)
            .map(|step| {
                while points.next_if(|point| point.step < step).is_some() {}
                let point = points.next_if(|point| point.step == step)?;
                Some(value(point)).filter(|value| value.is_finite())
            })
            .collect()
    }
}

fn place(count: Increase) -> usize {
    let place = COUNTS.iter().position(|(row, ..)| *row == count);
    place.unwrap_or(COUNTS.len())
}

/// Returns the sum of the counted samples of a family; NaN if it has none.
fn total(snapshot: &Snapshot, family: &str, counts: fn(&str) -> bool) -> f64 {
    let Some(run) = snapshot.family(family) else {
        return f64::NAN;
    };
    let samples = run.samples().filter_map(|sample| {
        let is_counted = sample.label_values().next().is_none_or(counts);
        sample.number().filter(|_| is_counted)
    });
    samples.sum()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a graph needs no more digits"
)]
const fn narrow(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Family, Unit, source};

    static COMMANDS: Family<0> = Family::counter(
        "redis_commands_processed_total",
        &[],
        source("", ""),
        Unit::One,
        "",
    );
    static HITS: Family<0> = Family::counter(
        "redis_keyspace_hits_total",
        &[],
        source("", ""),
        Unit::One,
        "",
    );
    static MISSES: Family<0> = Family::counter(
        "redis_keyspace_misses_total",
        &[],
        source("", ""),
        Unit::One,
        "",
    );
    static CALLS: Family<1> = Family::counter(
        "redis_commands_total",
        &["cmd"],
        source("", ""),
        Unit::One,
        "",
    );
    static USED: Family<0> = Family::gauge(MEMORY, &[], source("", ""), Unit::Bytes, "");
    static EVERY: Family<0> = Family::gauge(INTERVAL, &[], source("", ""), Unit::Seconds, "");
    static UP_FOR: Family<0> = Family::gauge(UPTIME, &[], source("", ""), Unit::Seconds, "");

    fn snapshot(uptime: f64, commands: f64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.push(&UP_FOR, [], uptime);
        snapshot.push(&COMMANDS, [], commands);
        snapshot.push(&HITS, [], commands / 2.0);
        snapshot.push(&MISSES, [], commands / 2.0);
        snapshot.push(&CALLS, ["info"], uptime);
        snapshot.push(&CALLS, ["get"], commands);
        snapshot.push(&USED, [], 1_000.0 + uptime);
        snapshot.finish()
    }

    fn polled(every: f64, seconds: f64) -> LastHour {
        let mut history = LastHour::default();
        let mut passed = 0.0;
        while passed <= seconds {
            history.record(3_000.0 + passed, &snapshot(passed, 10.0 * passed));
            passed += every;
        }
        history
    }

    #[test]
    fn rates_are_increases_per_second() {
        let history = polled(15.0, 600.0);
        let now = 3_600.0;
        for count in [Increase::Commands, Increase::Calls] {
            assert_eq!(history.rate_now(count), Some(10.0));
            assert_eq!(history.rate(count, 300.0, now), Some(10.0));
        }
        assert_eq!(history.increase(Increase::Hits, 300.0, now), Some(1_425.0));
        assert_eq!(history.rate(Increase::Evicted, 300.0, now), None);
        assert_eq!(history.hit_ratios(now).last(), Some(&Some(0.5)));
        assert_eq!(history.memory(now).last(), Some(&Some(1_600.0)));
        assert_eq!(history.memory(now).len(), 21);
    }

    #[test]
    fn an_hour_needs_at_most_18_kilobytes() {
        let history = polled(1.0, 3.0 * 3_600.0);
        assert_eq!(history.points.len(), POINTS);
        let bytes = history.points.capacity() * size_of::<HourPart>() + size_of::<LastHour>();
        // The documentation states the sum.
        let bytes = bytes + sizes::bytes_max() + losses::bytes_max();
        assert!((17_000..=18_000).contains(&bytes), "{bytes}");
        assert!(POINTS * size_of::<HourPart>() < 8 << 10);
        assert_eq!(history.memory(3_000.0 + 3.0 * 3_600.0).len(), POINTS);
    }

    #[test]
    fn points_of_rare_polls_cover_an_hour_too() {
        for (every, points) in [(60.0, 60), (300.0, 12), (900.0, 12)] {
            let mut history = LastHour::default();
            let (mut now, end) = (3_600.0, 7.0 * 3_600.0);
            while now < end {
                let mut snapshot = Snapshot::default();
                snapshot.push(&EVERY, [], every);
                snapshot.push(&USED, [], 1.0);
                now += every;
                history.record(now, &snapshot.finish());
            }
            assert_eq!(history.points.len(), points, "{every}");
            assert_eq!(history.memory(now).len(), points, "{every}");
        }
    }

    #[test]
    fn failures_are_remembered_without_a_history() {
        let mut history = polled(30.0, 60.0);
        history.record_failure(3_100.0);
        history.clear();
        assert!(history.memory(3_100.0).is_empty());
        assert!(history.failed_within(50.0, 3_150.0));
        assert!(!history.failed_within(50.0, 3_151.0));
        // The clock was set back.
        assert!(!history.failed_within(50.0, 3_000.0));
    }

    #[test]
    fn restart_and_outage_are_not_rates() {
        let mut history = polled(15.0, 60.0);
        history.record(3_075.0, &snapshot(1.0, 5.0));
        assert_eq!(history.rate_now(Increase::Commands), None);
        assert!(history.restarts(900.0, 3_100.0) > 0.0);
        history.record(3_375.0, &snapshot(301.0, 5_000.0));
        assert_eq!(history.rate_now(Increase::Commands), None);
        assert_eq!(history.rate(Increase::Commands, 120.0, 3_375.0), None);
        assert!(history.memory(3_375.0).contains(&None));
    }

    #[test]
    fn old_points_do_not_look_fresh() {
        let history = polled(15.0, 600.0);
        assert_eq!(history.rate(Increase::Commands, 300.0, 9_000.0), None);
        assert_eq!(history.memory(9_000.0).iter().flatten().count(), 0);
    }

    #[test]
    fn clock_that_is_set_back_starts_again() {
        let mut history = polled(15.0, 600.0);
        history.record(1_000.0, &snapshot(700.0, 7_000.0));
        assert_eq!(history.points.len(), 1);
        assert_eq!(history.rate_now(Increase::Commands), None);
    }
}
