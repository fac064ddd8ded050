//! Collects the result of a pass in one value: rows, totals and how the pass ended. Pure, and no
//! text.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use super::evictions::EvictionRates;
use crate::config::Target;
use crate::config::arguments::SortBy;
use crate::failure::Failure;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::estimate::Estimate;
use crate::keyspace::expiring::{ExpiringPart, WITHIN};
use crate::keyspace::idle::LruHorizon;
use crate::keyspace::panel::RemovalRates;
use crate::keyspace::sweep::KeyDetails;
use crate::keyspace::sweep::census::{Census, Finding};
use crate::label::OTHER;
use crate::metric::Histogram;
use crate::number::{to_count, to_float};

/// Share of a namespace from which an idle time or a time of expiry is worth a column.
const TELLING_SHARE: f64 = 0.05;

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassEnd {
    /// The pass covered every key.
    Complete,
    /// A signal interrupted the pass.
    Interrupted,
    /// The target failed.
    Failed(Failure),
}

/// Number of keys with a known TTL or type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queried {
    /// Keys whose details were requested and that still existed.
    pub keys: u64,
    /// Keys with a known TTL.
    pub ttls: u64,
    /// Keys with a known type.
    pub types: u64,
    /// Keys with a known idle time.
    pub idle: u64,
    /// Lookups that the server counted for these queries.
    pub lookups: u64,
}

impl Queried {
    /// Counts a key.
    pub fn count(&mut self, found: &KeyDetails) {
        self.keys += u64::from(!found.is_gone);
        self.ttls += u64::from(found.details.expiry.is_some());
        self.types += u64::from(found.details.data_type.is_some());
        self.lookups += u64::from(found.hits) + u64::from(found.misses);
    }
}

/// A pass that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How the pass ended.
    pub end: PassEnd,
    /// Kind of the server; `None` if it sent no reply.
    pub server: Option<String>,
    /// Keys with a known TTL or type.
    pub queried: Queried,
    /// Duration of the pass.
    pub duration: Duration,
}

/// A database of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeenDatabase {
    /// Number of the database.
    pub database: u32,
    /// Number of keys.
    pub keys: u64,
    /// Share of the keys that was seen, from 0 to 1.
    pub coverage: f64,
}

/// The result of a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Name of the target.
    pub target: String,
    /// Address of the target, or of the replica that was scanned instead.
    pub address: String,
    /// Kind of the server.
    pub server: Option<String>,
    /// How the pass ended.
    pub end: PassEnd,
    /// Keys with a known TTL or type.
    pub queried: Queried,
    /// Duration of the pass.
    pub duration: Duration,
    /// Key names seen.
    pub keys_seen: u64,
    /// The databases to scan.
    pub databases: Vec<SeenDatabase>,
    /// The only databases that the configuration selects; `None` for all.
    pub selected: Option<Vec<u32>>,
    /// Memory of keys and values that the server reports; `None` if not all databases were scanned.
    pub used_bytes: Option<f64>,
    /// The idle time after which the server evicts keys, if it is known.
    pub horizon: Option<LruHorizon>,
    /// Keys that the server evicted and expired during the pass.
    pub removed: RemovalRates,
    /// The evicted keys of each namespace, if keys are followed between passes.
    pub evicted: EvictionRates,
    /// End of the pass, in seconds since the epoch.
    pub ended: f64,
    /// The queries that the server rejects.
    pub refused: Vec<SweepQuery>,
    /// The namespaces, sorted by memory, largest first, until `sort` changes the order.
    pub rows: Vec<Finding>,
}

/// The sums of all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// Number of keys.
    pub keys: f64,
    /// Half-width of the interval around the number of keys.
    pub keys_error: f64,
    /// Memory in bytes, and the half-width of its interval; `None` if no memory is known.
    pub memory: Option<(f64, f64)>,
    /// Keys without a TTL, and the half-width of the interval.
    pub without_ttl: Option<(f64, f64)>,
    /// Keys that violate a policy, and the half-width of the interval; `None` if no policy is
    /// declared.
    pub violations: Option<(f64, f64)>,
    /// Memory of the largest key, in bytes.
    pub largest_key_bytes: Option<u64>,
}

/// Builds the report of a pass. If `is_declared`, namespaces from the configuration are included
/// even without keys.
#[must_use]
pub fn build(target: &Target, census: &Census, pass: Ended, is_declared: bool, now: f64) -> Report {
    let wanted = target.sweep.databases.as_ref();
    let is_wanted = |database: u32| wanted.is_none_or(|wanted| wanted.contains(&database));
    let databases = census.databases().into_iter();
    let databases = databases.filter(|(database, _, _)| is_wanted(*database));
    let address = target.sweep.from.as_ref();
    Report {
        target: target.name.clone(),
        address: address
            .map_or(&target.endpoint.address, |from| &from.address)
            .to_string(),
        server: pass.server,
        end: pass.end,
        queried: pass.queried,
        duration: pass.duration,
        keys_seen: census.keys_visited(),
        databases: databases
            .map(|(database, keys, coverage)| SeenDatabase {
                database,
                keys,
                coverage,
            })
            .collect(),
        selected: wanted.cloned(),
        used_bytes: census.used_bytes().filter(|_| wanted.is_none()),
        horizon: census.lru_horizon(),
        removed: *census.removal_rates(),
        evicted: EvictionRates::default(),
        ended: now,
        refused: census.refused().collect(),
        rows: rows(census.findings(now), is_declared),
    }
}

/// Returns the rows, sorted by memory. A declared namespace without keys in any database has one
/// row.
fn rows(findings: Vec<Finding>, is_declared: bool) -> Vec<Finding> {
    let named: Vec<&Finding> = findings.iter().collect();
    let mut shown: BTreeSet<String> = named
        .iter()
        .filter(|finding| finding.estimate.keys.value > 0.0)
        .map(|finding| finding.name.clone())
        .collect();
    let mut rows: Vec<Finding> = findings
        .into_iter()
        .filter(|finding| {
            finding.estimate.keys.value > 0.0
                || (is_declared && finding.name != OTHER && shown.insert(finding.name.clone()))
        })
        .collect();
    sort(&mut rows, SortBy::Memory);
    rows
}

/// Sorts rows. Equal ones are in the order of memory, keys and names.
fn sort(rows: &mut [Finding], by: SortBy) {
    let memory = |row: &Finding| row.estimate.memory.map_or(0.0, |memory| memory.value);
    let keys = |row: &Finding| row.estimate.keys.value;
    let without_ttl = |row: &Finding| row.estimate.without_ttl.map_or(0.0, |keys| keys.value);
    rows.sort_by(|left, right| {
        let first = match by {
            SortBy::Memory => Ordering::Equal,
            SortBy::Keys => keys(right).total_cmp(&keys(left)),
            SortBy::Name => left.name.cmp(&right.name),
            SortBy::NoTtl => without_ttl(right).total_cmp(&without_ttl(left)),
        };
        first
            .then_with(|| memory(right).total_cmp(&memory(left)))
            .then_with(|| keys(right).total_cmp(&keys(left)))
            .then_with(|| left.name.cmp(&right.name))
    });
}

impl Report {
    /// Sorts the rows.
    pub fn sort(&mut self, by: SortBy) {
        sort(&mut self.rows, by);
    }

    /// Returns the sums of all rows. Errors are added as those of independent estimates.
    #[must_use]
    pub fn total(&self) -> Total {
        let sum = |part: &dyn Fn(&Finding) -> Option<(f64, f64)>| {
            let parts: Vec<_> = self.rows.iter().filter_map(part).collect();
            let value = parts.iter().map(|(value, _)| value).sum();
            let error = together(parts.iter().map(|(_, error)| *error));
            (!parts.is_empty()).then_some((value, error))
        };
        let pair = |estimate: Estimate| (estimate.value, estimate.error);
        let largest = self.rows.iter().map(|row| row.estimate.largest_key_bytes);
        Total {
            keys: self.rows.iter().map(|row| row.estimate.keys.value).sum(),
            keys_error: together(self.rows.iter().map(|row| row.estimate.keys.error)),
            memory: sum(&|row| row.estimate.memory.map(pair))
                .map(|(bytes, error)| (bytes, self.memory_error(bytes, error))),
            without_ttl: sum(&|row| row.estimate.without_ttl.map(pair)),
            violations: sum(&violations),
            largest_key_bytes: largest.flatten().max(),
        }
    }

    /// Returns the evicted keys of a namespace per second, if they are known.
    #[must_use]
    pub fn eviction_rate(&self, row: &Finding) -> Option<f64> {
        let place = (row.database, row.name.clone());
        self.evicted.get(&place).copied()
    }

    /// Returns the evicted keys of all rows per second, if those of each are known.
    #[must_use]
    pub fn eviction_rate_of_all(&self) -> Option<f64> {
        let rates = self.rows.iter().map(|row| self.eviction_rate(row));
        rates.sum::<Option<f64>>().filter(|_| !self.rows.is_empty())
    }

    /// Returns the error of the total memory. Memory that no namespace explains may belong to each of
    /// them, but only once.
    fn memory_error(&self, bytes: f64, error: f64) -> f64 {
        let Some(used) = self.used_bytes else {
            return error;
        };
        let estimates = self.rows.iter().filter_map(|row| row.estimate.memory);
        let below = together(estimates.map(|memory| memory.value - memory.lower));
        error.min(below + (used - bytes).max(0.0))
    }

    /// Returns the total of the rows as a share of the memory of the server's data.
    #[must_use]
    pub fn explained_share(&self) -> Option<f64> {
        let (bytes, _) = self.total().memory?;
        let used = self.used_bytes.filter(|used| *used > 0.0)?;
        Some((bytes / used).min(1.0))
    }
}

fn together(errors: impl Iterator<Item = f64>) -> f64 {
    errors.map(|error| error * error).sum::<f64>().sqrt()
}

/// Returns an estimate as a whole number of keys.
#[must_use]
pub fn whole(estimate: Estimate) -> u64 {
    to_count(estimate.value.round())
}

/// Returns how many keys violate a policy of their namespace, and the half-width of the interval;
/// `None` if the namespace has no policy.
#[must_use]
pub fn violations(row: &Finding) -> Option<(f64, f64)> {
    let required = row.estimate.without_ttl.filter(|_| row.ttl.required);
    let max = row.estimate.max_broken.filter(|_| row.ttl.max.is_some());
    let estimates = required.into_iter().chain(max);
    // Both come from the same sample, so their errors may have the same direction.
    let pairs = estimates.map(|estimate| (estimate.value, estimate.error));
    pairs.reduce(|left, right| (left.0 + right.0, left.1 + right.1))
}

/// Returns the share of the memory of a namespace that was idle for at least this many seconds.
#[must_use]
pub fn idle_share(row: &Finding, least: f64) -> Option<f64> {
    let known = row.idle.iter().find(|idle| idle.least >= least);
    known
        .filter(|idle| idle.least <= least)
        .map(|idle| idle.share)
}

/// Returns the longest idle time that a significant part of some namespace has, in seconds.
#[must_use]
pub fn telling_idle(rows: &[Finding]) -> Option<f64> {
    let shares = rows.iter().flat_map(|row| &row.idle);
    let telling = shares.filter(|idle| idle.share >= TELLING_SHARE);
    telling.map(|idle| idle.least).reduce(f64::max)
}

/// Returns the part of the keys of a namespace that expires within this many seconds.
#[must_use]
pub fn expiring_part(row: &Finding, within: u32) -> Option<ExpiringPart> {
    let parts = WITHIN.into_iter().zip(row.expiring.within);
    let mut parts = parts.filter(|(seconds, _)| *seconds == within);
    parts.next().and_then(|(_, part)| part)
}

/// Returns the shortest time within which a significant part of some namespace expires, in seconds.
#[must_use]
pub fn telling_expiry(rows: &[Finding]) -> Option<u32> {
    let is_telling = |within: &u32| {
        let parts = rows.iter().filter_map(|row| expiring_part(row, *within));
        parts
            .map(|part| part.keys)
            .any(|share| share >= TELLING_SHARE)
    };
    WITHIN.into_iter().find(is_telling)
}

/// Returns memory per key, in bytes.
#[must_use]
pub fn mean(memory: f64, keys: f64) -> Option<f64> {
    (keys > 0.0).then(|| memory / keys)
}

/// The median of remaining TTLs, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median {
    /// Exclusive lower bound: the edge below its bucket.
    pub lower: u64,
    /// Inclusive upper bound: the edge above its bucket, or the longest TTL for the last bucket.
    pub upper: u64,
    /// The median if the keys of its bucket were spread evenly.
    pub interpolated: u64,
}

/// Returns the median of the remaining TTLs; `None` if no key has one. `longest` bounds the last
/// bucket.
#[must_use]
pub fn median(histogram: &Histogram, longest: u64) -> Option<Median> {
    if histogram.count == 0 {
        return None;
    }
    let half = to_float(histogram.count) / 2.0;
    let edges = histogram.edges.iter().map(|edge| edge.at);
    let buckets = edges.zip(histogram.counts.iter());
    let beyond = std::iter::once((longest, histogram.count));
    let (mut lower, mut below) = (0, 0);
    for (edge, counted) in buckets.chain(beyond) {
        let upper = edge.min(longest).max(lower);
        if to_float(counted) >= half {
            let bucket = counted.saturating_sub(below).max(1);
            let part = (half - to_float(below)) / to_float(bucket);
            return Some(Median {
                lower,
                upper: edge,
                interpolated: to_count(to_float(lower) + part * to_float(upper - lower)),
            });
        }
        (lower, below) = (upper, counted);
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::TtlPolicy;
    use crate::keyspace::NamespaceId;
    use crate::keyspace::estimate::NamespaceEstimate;
    use crate::keyspace::expiring::ExpiryForecast;
    use crate::keyspace::idle::IdleShare;
    use crate::keyspace::tally::TTL_EDGES;

    fn exactly(value: f64) -> Estimate {
        Estimate {
            value,
            error: 0.0,
            lower: value,
            upper: value,
        }
    }

    /// Returns an exact row. Half of its keys have TTLs up to an hour.
    pub(in super::super) fn row(name: &str, database: u32, keys: u64, bytes: f64) -> Finding {
        let counts = TTL_EDGES
            .iter()
            .map(|edge| if edge.at < 3_600_000 { 0 } else { keys / 2 });
        Finding {
            database,
            name: name.to_owned(),
            ttl: TtlPolicy::default(),
            memory_quota: None,
            on_eviction: None,
            idle: Vec::new(),
            expiring: ExpiryForecast::default(),
            estimate: NamespaceEstimate {
                namespace: NamespaceId::OTHER,
                keys: exactly(f64::from(u32::try_from(keys).unwrap())),
                memory: Some(exactly(bytes)),
                without_ttl: Some(exactly(f64::from(u32::try_from(keys / 2).unwrap()))),
                ttl: Some(Histogram {
                    edges: &TTL_EDGES,
                    counts: counts.collect(),
                    count: keys / 2,
                    sum: 0.0,
                    only_full: false,
                }),
                longest_ttl: (keys > 1).then_some(3_600_000),
                key_bytes: None,
                types: Some([keys, 0, 0, 0, 0, 0, 0]),
                max_broken: Some(exactly(1.0)),
                largest_key_bytes: (keys > 0).then_some(2_048),
                folded: 0,
                may_hide_memory: false,
            },
        }
    }

    pub(in super::super) fn report(rows: Vec<Finding>) -> Report {
        Report {
            target: "cache".to_owned(),
            address: "redis://127.0.0.1:6379".to_owned(),
            server: Some("redis 7.0 standalone".to_owned()),
            end: PassEnd::Complete,
            queried: Queried {
                keys: 3_000,
                ttls: 3_000,
                types: 3_000,
                idle: 0,
                lookups: 6_000,
            },
            duration: Duration::from_millis(1_500),
            keys_seen: 3_000,
            databases: vec![SeenDatabase {
                database: 0,
                keys: 3_000,
                coverage: 1.0,
            }],
            selected: None,
            used_bytes: None,
            horizon: None,
            removed: RemovalRates::default(),
            evicted: EvictionRates::default(),
            ended: 1_000.0,
            refused: Vec::new(),
            rows,
        }
    }

    fn names(rows: &[Finding]) -> Vec<(&str, u32)> {
        let name = |row: &Finding| row.name.len();
        assert!(rows.iter().all(|row| name(row) > 0));
        rows.iter()
            .map(|row| (row.name.as_str(), row.database))
            .collect()
    }

    fn part(keys: f64) -> ExpiringPart {
        ExpiringPart { keys, memory: keys }
    }

    /// Returns a row with idle shares, and with parts that expire within a minute and five.
    pub(in super::super) fn aging(name: &str, idle: &[(f64, f64)], parts: [f64; 2]) -> Finding {
        let idle = idle.iter().map(|(least, share)| IdleShare {
            least: *least,
            share: *share,
        });
        Finding {
            idle: idle.collect(),
            expiring: ExpiryForecast {
                within: [Some(part(parts[0])), Some(part(parts[1])), None, None],
                burst: None,
            },
            ..row(name, 0, 1_000, 512_000.0)
        }
    }

    #[test]
    fn longest_idle_and_shortest_expiry_with_a_share_are_telling() {
        let rows = [
            aging("a", &[(60.0, 0.9), (600.0, 0.2)], [0.0, 0.04]),
            aging(
                "b",
                &[(60.0, 0.8), (600.0, 0.0), (3_600.0, 0.04)],
                [0.01, 0.3],
            ),
        ];
        assert_eq!(
            (telling_idle(&rows), telling_expiry(&rows)),
            (Some(600.0), Some(300))
        );
        assert_eq!(idle_share(&rows[0], 600.0), Some(0.2));
        assert_eq!(idle_share(&rows[0], 3_600.0), None);
        assert_eq!(expiring_part(&rows[1], 300), Some(part(0.3)));
        assert_eq!(expiring_part(&rows[1], 900), None);
        let none = [row("a", 0, 10, 10.0)];
        assert_eq!((telling_idle(&none), telling_expiry(&none)), (None, None));
    }

    #[test]
    fn rows_are_sorted_by_memory() {
        let findings = vec![
            row("small", 0, 10, 10.0),
            row("big", 0, 1, 99.0),
            row("more", 0, 20, 10.0),
        ];
        let rows = rows(findings, false);
        assert_eq!(names(&rows), [("big", 0), ("more", 0), ("small", 0)]);
    }

    #[test]
    fn rows_can_be_sorted_by_other_columns() {
        let mut few = row("b", 0, 10, 9_000.0);
        few.estimate.without_ttl = Some(exactly(10.0));
        let mut report = report(vec![few, row("a", 0, 30, 10.0), row("c", 0, 20, 20.0)]);
        for (by, expected) in [
            (SortBy::Memory, ["b", "c", "a"]),
            (SortBy::Keys, ["a", "c", "b"]),
            (SortBy::Name, ["a", "b", "c"]),
        ] {
            report.sort(by);
            let found: Vec<&str> = report.rows.iter().map(|row| &*row.name).collect();
            assert_eq!(found, expected, "{by:?}");
        }
    }

    #[test]
    fn a_declared_namespace_without_keys_has_one_row() {
        let findings = || {
            vec![
                row("other", 0, 0, 0.0),
                row("used", 0, 1, 9.0),
                row("empty", 0, 0, 0.0),
                row("used", 1, 0, 0.0),
                row("empty", 1, 0, 0.0),
            ]
        };
        let declared = rows(findings(), true);
        assert_eq!(names(&declared), [("used", 0), ("empty", 0)]);
        assert_eq!(names(&rows(findings(), false)), [("used", 0)]);
    }

    #[test]
    fn total_adds_errors_as_independent() {
        let mut parts = vec![row("a", 0, 10, 100.0), row("b", 0, 20, 50.0)];
        parts[0].estimate.keys.error = 3.0;
        parts[1].estimate.keys.error = 4.0;
        parts[0].ttl.required = true;
        let total = report(parts).total();
        assert!((total.keys - 30.0).abs() < 1e-9);
        assert!((total.keys_error - 5.0).abs() < 1e-9);
        assert_eq!(total.memory, Some((150.0, 0.0)));
        assert_eq!(total.without_ttl, Some((15.0, 0.0)));
        assert_eq!(total.violations, Some((5.0, 0.0)));
        assert_eq!(total.largest_key_bytes, Some(2_048));
        assert_eq!(report(Vec::new()).total(), Total::default());
    }

    #[test]
    fn only_declared_policies_can_be_violated() {
        let mut row = row("a", 0, 10, 100.0);
        assert_eq!(violations(&row), None);
        row.ttl.max = Some(Duration::from_secs(1));
        assert_eq!(violations(&row), Some((1.0, 0.0)));
        row.ttl.required = true;
        assert_eq!(violations(&row), Some((6.0, 0.0)));
    }

    /// Each namespace may have the megabyte that none explains.
    #[test]
    fn unexplained_memory_counts_once_in_the_total() {
        let rows = (0..100).map(|at| {
            let mut row = row(&format!("n{at}"), 0, 10, 1_000.0);
            let estimate = Estimate {
                error: 1_000_000.0,
                upper: 1_001_000.0,
                ..exactly(1_000.0)
            };
            row.estimate.memory = Some(estimate);
            row
        });
        let mut report = report(rows.collect());
        report.used_bytes = Some(1_100_000.0);
        let (bytes, error) = report.total().memory.unwrap();
        assert!((bytes - 100_000.0).abs() < 1.0);
        assert!((error - 1_000_000.0).abs() < 1.0, "{error}");
    }

    #[test]
    fn the_median_is_within_its_bucket() {
        let histogram = |counts: [u64; 10], count| Histogram {
            edges: &TTL_EDGES,
            counts: counts.iter().copied().collect(),
            count,
            sum: 0.0,
            only_full: false,
        };
        let none = histogram([0; 10], 0);
        assert_eq!(median(&none, 0), None);
        // 100 keys between 15 minutes and an hour. The longest TTL is 45 minutes.
        let hour = histogram([0, 0, 0, 0, 0, 100, 100, 100, 100, 100], 100);
        let expected = |lower, upper, interpolated| Median {
            lower,
            upper,
            interpolated,
        };
        assert_eq!(
            median(&hour, 2_700_000),
            Some(expected(900_000, 3_600_000, 1_800_000))
        );
        // One beyond the last edge.
        let long = histogram([0; 10], 1);
        assert_eq!(
            median(&long, 4_592_000_000),
            Some(expected(2_592_000_000, 4_592_000_000, 3_592_000_000))
        );
    }
}
