//! Estimates the server time that the queries of a sweep cost. Pure.
//!
//! The defaults were measured. The server's own measurements of the same commands correct them.

mod correction;

use super::queries;
use crate::info::Info;
use crate::query::Query;
pub use correction::CpuAccount;

/// The commands of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepQuery {
    /// SCAN, per key that it returns.
    Scan,
    /// MEMORY USAGE of one key.
    Memory,
    /// PTTL of one key.
    Expiry,
    /// TYPE of one key.
    Type,
    /// OBJECT IDLETIME of one key.
    Idle,
}

impl SweepQuery {
    /// All commands of a sweep.
    pub const ALL: [Self; 5] = [
        Self::Scan,
        Self::Memory,
        Self::Expiry,
        Self::Type,
        Self::Idle,
    ];

    /// Returns the value of the `question` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Memory => "memory",
            Self::Expiry => "ttl",
            Self::Type => "type",
            Self::Idle => "idle",
        }
    }

    /// Returns the query that is sent.
    #[must_use]
    pub fn query(self) -> &'static Query {
        match self {
            Self::Scan => &queries::SCAN,
            Self::Memory => &queries::MEMORY,
            Self::Expiry => &queries::EXPIRY,
            Self::Type => &queries::TYPE,
            Self::Idle => &queries::IDLE,
        }
    }

    /// Returns the sweep command of a query.
    #[must_use]
    pub fn of(query: &'static Query) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.query() == query)
    }

    /// Returns the command's names in INFO commandstats. Servers before 7.0 do not list subcommands
    /// there.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Scan => &["cmdstat_scan"],
            Self::Memory => &["cmdstat_memory|usage", "cmdstat_memory"],
            Self::Expiry => &["cmdstat_pttl"],
            Self::Type => &["cmdstat_type"],
            Self::Idle => &["cmdstat_object|idletime", "cmdstat_object"],
        }
    }
}

/// Cost of a command in addition to its execution, in microseconds within a pipeline: reading it,
/// looking it up and writing the reply. commandstats does not include it.
const OVERHEAD_MICROSECONDS: f64 = 0.5;

/// Cost of a round trip in addition to its commands, in microseconds of CPU time: the server wakes
/// up, reads the queries, and writes the replies. commandstats does not include it. Measured on
/// Redis 7.0.
pub const ROUND_TRIP_MICROSECONDS: f64 = 25.0;

/// Limits of a measured cost, in microseconds. A value beyond them results from a stalled server.
const COST_MICROSECONDS_MAX: f64 = 1_000.0;
const COST_MICROSECONDS_MIN: f64 = 0.1;

/// Minimum number of calls for an estimate of the cost per call.
const CALLS_MIN: f64 = 50.0;

/// Maximum intended duration of one SCAN, which blocks other clients.
const SCAN_MICROSECONDS_MAX: f64 = 400.0;

/// Minimum COUNT. Below it, the fixed cost of a call makes each key more expensive.
const COUNT_MIN: u32 = 50;

/// Maximum cost, relative to the usual one, if other clients send all commands of the sweep too.
/// The cost is then unknown: their SCAN may have a larger COUNT. If only the exporter sends some
/// commands, their slowdown is the maximum instead.
const UNCERTAIN_TIMES_USUAL: f64 = 2.0;

/// Server time per key in microseconds, by command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    scan: f64,
    memory: f64,
    expiry: f64,
    kind: f64,
    idle: f64,
    /// Number of keys per SCAN on which the cost per key is based.
    keys_per_scan: Option<f64>,
}

impl Default for Costs {
    /// Returns the costs measured on Redis 7.0, rounded up.
    fn default() -> Self {
        Self {
            scan: 0.8,
            memory: 1.3,
            expiry: 1.0,
            kind: 1.0,
            idle: 1.5,
            keys_per_scan: None,
        }
    }
}

impl Costs {
    /// Returns the cost per key of one command, in microseconds.
    #[must_use]
    pub const fn of(&self, query: SweepQuery) -> f64 {
        match query {
            SweepQuery::Scan => self.scan,
            SweepQuery::Memory => self.memory,
            SweepQuery::Expiry => self.expiry,
            SweepQuery::Type => self.kind,
            SweepQuery::Idle => self.idle,
        }
    }

    /// Returns the cost of one SCAN that returned `keys` keys, in microseconds. A SCAN that
    /// returned few keys visited as many buckets as any other.
    #[must_use]
    pub fn of_scan(&self, keys: f64, count: f64) -> f64 {
        self.scan * keys.max(self.keys_per_scan.unwrap_or(count))
    }

    /// Returns the COUNT at which a SCAN does not exceed its maximum duration, up to `wanted`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    pub fn count(&self, wanted: u32) -> u32 {
        let count = (SCAN_MICROSECONDS_MAX / self.scan) as u32;
        count.clamp(COUNT_MIN.min(wanted), wanted)
    }

    fn set(&mut self, query: SweepQuery, microseconds: f64) {
        let cost = microseconds.clamp(COST_MICROSECONDS_MIN, COST_MICROSECONDS_MAX);
        match query {
            SweepQuery::Scan => self.scan = cost,
            SweepQuery::Memory => self.memory = cost,
            SweepQuery::Expiry => self.expiry = cost,
            SweepQuery::Type => self.kind = cost,
            SweepQuery::Idle => self.idle = cost,
        }
    }

    /// Corrects the costs by the time that the server spent on the commands between two readings of
    /// commandstats. If other clients sent them too, a cost rises at most to a limit.
    pub fn correct(&mut self, before: &Spent, after: &Spent, sent: &QueriesSent) {
        let readings = SweepQuery::ALL
            .into_iter()
            .zip(before.0.iter().zip(&after.0));
        let readings = readings.filter_map(|(query, (before, after))| {
            let (calls, microseconds) = (
                after.calls - before.calls,
                after.microseconds - before.microseconds,
            );
            let ours = sent.of(query);
            // A counter that decreased was reset.
            let is_known = ours >= CALLS_MIN && calls >= ours && microseconds >= 0.0;
            let cost = microseconds / calls + OVERHEAD_MICROSECONDS;
            is_known.then_some((query, cost, calls <= ours))
        });
        let mut readings: Vec<(SweepQuery, f64, bool)> = readings.collect();
        for (query, cost, _) in &mut readings {
            if *query == SweepQuery::Scan {
                let keys = (sent.keys / sent.of(SweepQuery::Scan)).max(1.0);
                self.keys_per_scan = Some(keys);
                *cost /= keys;
            }
        }
        let usual = Self::default();
        let certain = readings.iter().filter(|(_, _, is_certain)| *is_certain);
        let slowness = certain.map(|(query, cost, _)| cost / usual.of(*query));
        let slowness = slowness.reduce(f64::min);
        let slowness = slowness.map_or(UNCERTAIN_TIMES_USUAL, |times| times.max(1.0));
        for (query, cost, is_certain) in readings {
            let bound = (usual.of(query) * slowness).max(self.of(query));
            self.set(query, if is_certain { cost } else { cost.min(bound) });
        }
    }
}

/// The queries of a sweep between two readings of commandstats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueriesSent {
    /// Calls, in the order of [`SweepQuery::ALL`].
    calls: [f64; SweepQuery::ALL.len()],
    /// Number of keys that the SCANs returned.
    keys: f64,
}

impl QueriesSent {
    /// Adds calls of one command.
    pub fn add(&mut self, query: SweepQuery, calls: f64) {
        for (known, sum) in SweepQuery::ALL.iter().zip(&mut self.calls) {
            if *known == query {
                *sum += calls;
            }
        }
    }

    /// Records one SCAN and the number of keys it returned.
    pub fn add_scan(&mut self, keys: f64) {
        self.add(SweepQuery::Scan, 1.0);
        self.keys += keys;
    }

    /// Returns whether there are enough calls to estimate the cost of a SCAN.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.of(SweepQuery::Scan) >= CALLS_MIN
    }

    fn of(&self, query: SweepQuery) -> f64 {
        let calls = SweepQuery::ALL.iter().zip(self.calls);
        let mut calls = calls.filter(|(known, _)| **known == query);
        calls.next().map_or(0.0, |(_, calls)| calls)
    }
}

/// Time that the server has spent on the commands of a sweep since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent([QueryUsage; SweepQuery::ALL.len()]);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct QueryUsage {
    calls: f64,
    microseconds: f64,
}

impl Spent {
    /// Reads INFO commandstats.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        Self(SweepQuery::ALL.map(|query| {
            let mut names = query.fields().iter();
            let field = names.find_map(|name| info.find(name));
            let number = |name: &str| field.and_then(|field| field.number_in_record(name));
            QueryUsage {
                calls: number("calls").unwrap_or(0.0),
                microseconds: number("usec").unwrap_or(0.0),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a hundred calls of every command. The SCANs returned a hundred keys each.
    fn hundred() -> QueriesSent {
        let mut sent = QueriesSent::default();
        for _ in 0..100 {
            sent.add_scan(100.0);
        }
        for query in [SweepQuery::Memory, SweepQuery::Expiry, SweepQuery::Type] {
            sent.add(query, 100.0);
        }
        sent
    }

    fn spent(text: &str) -> Spent {
        Spent::read(&Info::parse(text))
    }

    fn corrected(text: &str) -> Costs {
        let mut costs = Costs::default();
        costs.correct(&Spent::default(), &spent(text), &hundred());
        costs
    }

    #[test]
    fn costs_follow_commandstats() {
        let costs = corrected(
            "cmdstat_scan:calls=100,usec=10000\ncmdstat_memory|usage:calls=100,usec=250\n",
        );
        assert!((costs.of(SweepQuery::Scan) - 1.005).abs() < 1e-9);
        assert!((costs.of(SweepQuery::Memory) - 3.0).abs() < 1e-9);
        assert!(
            (costs.of(SweepQuery::Expiry) - Costs::default().of(SweepQuery::Expiry)).abs() < 1e-9
        );
    }

    #[test]
    fn reset_of_statistics_changes_no_cost() {
        let mut costs = Costs::default();
        let before = spent("cmdstat_scan:calls=100000,usec=5000000\n");
        let after = spent("cmdstat_scan:calls=3,usec=100\n");
        costs.correct(&before, &after, &hundred());
        assert_eq!(costs, Costs::default());
    }

    #[test]
    fn expensive_scans_of_others_raise_the_cost_to_a_limit() {
        // Two scans of another client with COUNT 20000, of 15 ms each.
        let costs = corrected("cmdstat_scan:calls=102,usec=36000\n");
        assert!((costs.of(SweepQuery::Scan) - 1.6).abs() < 1e-9, "{costs:?}");
        let costs = corrected("cmdstat_scan:calls=300,usec=15000\n");
        assert!(costs.of(SweepQuery::Scan) < Costs::default().of(SweepQuery::Scan));
    }

    #[test]
    fn other_commands_show_the_slowdown_while_others_scan() {
        let with = |details: &str| {
            corrected(&format!(
                "cmdstat_scan:calls=102,usec=36000\ncmdstat_memory|usage:calls=100,usec=250\n{details}"
            ))
            .of(SweepQuery::Scan)
        };
        let scan = Costs::default().of(SweepQuery::Scan);
        let quick = with("cmdstat_pttl:calls=100,usec=30\n");
        assert!((quick - scan).abs() < 1e-9, "{quick}");
        let slow = with("cmdstat_pttl:calls=100,usec=150\n");
        assert!((slow - scan * 2.0).abs() < 1e-9, "{slow}");
    }

    #[test]
    fn known_cost_stays_while_others_scan() {
        let mut costs = corrected("cmdstat_scan:calls=100,usec=49950\n");
        assert!((costs.of(SweepQuery::Scan) - 5.0).abs() < 1e-9);
        let after = spent("cmdstat_scan:calls=102,usec=99950\n");
        costs.correct(&Spent::default(), &after, &hundred());
        assert!((costs.of(SweepQuery::Scan) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn count_stays_for_cheap_keys_on_a_slow_server() {
        assert_eq!(Costs::default().count(100), 100);
        assert_eq!(Costs::default().count(1_000), 500);
        assert_eq!(Costs::default().count(10), 10);
        let slow = corrected("cmdstat_scan:calls=100,usec=39950\n");
        assert_eq!(slow.count(100), 100);
        let stuck = corrected("cmdstat_scan:calls=100,usec=9000000\n");
        assert_eq!(stuck.count(100), 50);
    }

    #[test]
    fn empty_scan_still_has_a_cost() {
        let mut costs = Costs::default();
        assert!((costs.of_scan(0.0, 100.0) - 80.0).abs() < 1e-9);
        let mut sent = QueriesSent::default();
        for _ in 0..100 {
            sent.add_scan(10.0);
        }
        let after = spent("cmdstat_scan:calls=100,usec=5950\n");
        costs.correct(&Spent::default(), &after, &sent);
        assert!((costs.of_scan(0.0, 100.0) - 60.0).abs() < 1e-9);
        assert!((costs.of_scan(20.0, 100.0) - 120.0).abs() < 1e-9);
    }
}
