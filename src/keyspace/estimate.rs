//! Estimates what a database contains from the keys that a sweep saw. Pure.
//!
//! Keys and memory have confidence intervals; other details are scaled to the number of keys.
//!
//! A hash table is in random order, so the keys of a part of a sweep are a uniform random sample.
//! The total number of keys is known, so only shares are estimated.

mod drift;
mod expires;
mod living;
mod memory;
mod scale;
mod turnover;
mod unseen;

use std::collections::BTreeSet;

use super::NamespaceId;
use super::cost::SweepQuery;
use super::tally::Tally;
use super::window::{Tallies, Window};
use crate::metric::Histogram;
use crate::number::{to_count, to_float as float};
pub use expires::{bound_by_expires, fewest_violations};
use scale::{apportion, scale, size_histogram, ttl_histogram, types};
pub use unseen::{unexplained, widen, widen_aggregates};

/// The 97.5 % quantile of the normal distribution: a 95 % interval reaches this many standard
/// errors to each side.
const Z: f64 = 1.959_964;

/// Rule of three: with 95 % confidence, a kind of key that is absent from a sample of n keys is less
/// than this number divided by n of all keys.
const UNSEEN_TIMES: f64 = 3.0;

/// A database to estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Database {
    /// Number of keys, from DBSIZE.
    pub keys: u64,
    /// Whether a part of a sweep is a uniform sample of the keys. It is not on cluster nodes since
    /// Redis 7.4 and Valkey 8: SCAN goes slot by slot there, and hash tags put related keys into
    /// one slot.
    pub sweep_is_uniform: bool,
}

/// An estimate with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Distance from the estimate to the farther end of the interval.
    pub error: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// The estimates for one namespace in one database. A detail is `None` if it was queried for no
/// key.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceEstimate {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Number of keys; the value is a whole number.
    pub keys: Estimate,
    /// Memory in bytes.
    pub memory: Option<Estimate>,
    /// Keys that never expire. They break a policy that requires a TTL.
    pub without_ttl: Option<Estimate>,
    /// Remaining TTLs of the other keys, in milliseconds.
    pub ttl: Option<Histogram>,
    /// Longest remaining TTL seen, in milliseconds.
    pub longest_ttl: Option<u64>,
    /// Memory per key, in bytes.
    pub key_bytes: Option<Histogram>,
    /// Keys by type, in the order of [`super::tally::DataType::ALL`].
    pub types: Option<[u64; 7]>,
    /// Keys whose TTL exceeds the maximum of their policy.
    pub max_broken: Option<Estimate>,
    /// Memory of the largest key seen, in bytes.
    pub largest_key_bytes: Option<u64>,
    /// Keys that would form namespaces of their own if there were not too many.
    pub folded: u64,
    /// Whether its keys may use memory that was not measured. Either some keys were not queried, or
    /// some large ones are aggregates, of which MEMORY USAGE samples only a few elements.
    pub may_hide_memory: bool,
}

impl NamespaceEstimate {
    /// Removes the estimates based on queries that the server rejects. The few keys queried before
    /// the rejection are not a representative sample.
    #[must_use]
    pub fn without_refused(self, refused: impl Fn(SweepQuery) -> bool) -> Self {
        let mut estimate = self;
        if refused(SweepQuery::Memory) {
            estimate.memory = None;
            estimate.key_bytes = None;
            estimate.largest_key_bytes = None;
        }
        if refused(SweepQuery::Expiry) {
            estimate.without_ttl = None;
            estimate.ttl = None;
            estimate.max_broken = None;
        }
        if refused(SweepQuery::Type) {
            estimate.types = None;
        }
        estimate
    }
}

/// The size of a sample relative to its database.
#[derive(Clone, Copy, Debug)]
struct SampleSize {
    seen: u64,
    population: u64,
    whole: bool,
}

impl SampleSize {
    /// Returns whether every key of the database was seen, and no other.
    const fn is_exact(self) -> bool {
        self.population == 0 || (self.whole && self.seen == self.population)
    }

    /// Returns the share of keys that were not seen, for the finite population correction. A
    /// partial pass that saw more keys than exist has seen deleted ones, so no correction applies.
    fn unseen_share(self) -> f64 {
        if self.seen >= self.population {
            return 1.0;
        }
        1.0 - ratio(self.seen, self.population)
    }
}

/// Estimates each of `namespaces`, in the order of their numbers.
///
/// Keys of any other namespace are folded into [`NamespaceId::OTHER`]. The keys of all estimates
/// add up to those of the database.
///
/// Returns nothing until there is a sample: nothing was seen yet, or the sweep is not uniform and
/// no pass is complete.
#[must_use]
pub fn estimate(
    window: &Window,
    database: Database,
    namespaces: &[NamespaceId],
) -> Vec<NamespaceEstimate> {
    let totals = window.totals();
    let sample = SampleSize {
        seen: window.seen(),
        population: database.keys,
        whole: window.is_whole(),
    };
    let may_tell = sample.whole || (database.sweep_is_uniform && sample.seen > 0);
    if sample.population > 0 && !may_tell {
        return Vec::new();
    }
    let namespaces: BTreeSet<NamespaceId> = namespaces.iter().copied().collect();
    let totals = fold(totals, &namespaces);
    let namespaces: BTreeSet<NamespaceId> =
        namespaces.iter().chain(totals.keys()).copied().collect();
    let unseen = Tally::default();
    let tallies: Vec<(NamespaceId, &Tally)> = namespaces
        .into_iter()
        .map(|namespace| {
            (
                namespace,
                totals.get(&namespace).map_or(&unseen, |tally| &**tally),
            )
        })
        .collect();
    let seen: Vec<u64> = tallies.iter().map(|(_, tally)| tally.keys).collect();
    let keys = apportion(sample.population, &seen);
    let now = living::keys(window, sample, database.sweep_is_uniform, &tallies);
    let each = tallies.into_iter().enumerate();
    each.map(|(place, (namespace, tally))| {
        let counted = keys.get(place).copied().unwrap_or(0);
        let keys = match now.get(place) {
            Some(now) => *now,
            None => LivingKeys {
                keys: keys_interval(tally.keys, counted, sample),
                survival: 1.0,
                // If a namespace is certainly empty, everything about it is known.
                none: counted == 0 && sample.is_exact(),
            },
        };
        estimate_namespace(namespace, tally, keys, window.known(namespace))
    })
    .collect()
}

/// The estimated number of keys of a namespace.
#[derive(Clone, Copy, Debug)]
struct LivingKeys {
    keys: Estimate,
    /// Share of the seen keys that still exist.
    survival: f64,
    /// Whether the namespace is certainly empty.
    none: bool,
}

/// Adds namespaces that are not listed to [`NamespaceId::OTHER`].
fn fold(totals: Tallies, namespaces: &BTreeSet<NamespaceId>) -> Tallies {
    let mut kept = Tallies::new();
    for (namespace, mut tally) in totals {
        let place = if namespace == NamespaceId::OTHER || namespaces.contains(&namespace) {
            namespace
        } else {
            tally.folded = tally.keys;
            NamespaceId::OTHER
        };
        kept.entry(place).or_default().merge(&tally);
    }
    kept
}

fn estimate_namespace(
    namespace: NamespaceId,
    tally: &Tally,
    now: LivingKeys,
    known: &[u64],
) -> NamespaceEstimate {
    let interval = now.keys;
    let keys = rounded(interval.value);
    let scaled = |part: u64, count: u64| scale(part, count, keys, now.none);
    let memory = memory::estimate(&tally.memory, now, known);
    let expiry = &tally.expiry;
    NamespaceEstimate {
        namespace,
        keys: interval,
        memory,
        without_ttl: part(expiry.without_ttl, expiry.count, now),
        ttl: ttl_histogram(expiry, keys),
        longest_ttl: expiry.longest,
        key_bytes: memory.and_then(|memory| size_histogram(&tally.memory, keys, memory.value)),
        types: types(tally, keys),
        max_broken: part(expiry.max_broken, expiry.count, now),
        largest_key_bytes: tally.memory.largest().first().copied(),
        folded: scaled(tally.folded, tally.keys).unwrap_or(0),
        may_hide_memory: may_hide_memory(tally, now),
    }
}

/// Estimates how many keys of a namespace have a property that `part` of `count` sampled keys have.
fn part(part: u64, count: u64, now: LivingKeys) -> Option<Estimate> {
    let keys = now.keys;
    let value = float(scale(part, count, rounded(keys.value), now.none)?);
    let unseen = 1.0 - now.survival * float(count) / keys.value.max(1.0);
    let (lower, upper) = if now.none || unseen <= 0.0 {
        let share = value / keys.value.max(1.0);
        (share, share)
    } else {
        wilson_of(ratio(part, count), float(count) / unseen, 1.0)
    };
    let (lower, upper) = (lower.max(0.0) * keys.lower, upper.min(1.0) * keys.upper);
    Some(around(value, lower, upper, keys.upper.max(value)))
}

/// Share of measured keys from which no memory is considered hidden. A 95 % interval makes no
/// promise about the remaining twentieth.
const MEASURED_ENOUGH: f64 = 0.95;

fn may_hide_memory(tally: &Tally, now: LivingKeys) -> bool {
    let measured = float(tally.memory.count) * now.survival;
    let strings = u64::from(tally.types.first().copied().unwrap_or(0));
    let has_aggregates = strings < tally.typed() || tally.typed() == 0;
    measured < MEASURED_ENOUGH * now.keys.value || has_aggregates
}

fn keys_interval(seen: u64, keys: u64, sample: SampleSize) -> Estimate {
    let population = float(sample.population);
    let (lower, upper) = if sample.is_exact() {
        (float(keys), float(keys))
    } else if sample.seen == 0 {
        (0.0, population)
    } else if sample.whole {
        // Keys came and went during the pass, or a rehash showed some twice. The truth may be as
        // counted or as scaled to the size of the database.
        let scaled = population * ratio(seen, sample.seen);
        let seen = float(seen);
        // All keys added since may belong to this namespace, and so may all removed ones.
        let came = (population - float(sample.seen)).max(0.0);
        let went = (float(sample.seen) - population).max(0.0);
        (scaled.min(seen - went), scaled.max(seen + came))
    } else if seen == 0 {
        (0.0, population * UNSEEN_TIMES / float(sample.seen))
    } else {
        wilson(seen, sample)
    };
    around(float(keys), lower, upper, population)
}

/// Returns the Wilson interval of a share, times the population. The finite population correction
/// increases the effective sample size, so the interval narrows by the square root of the unseen
/// share.
fn wilson(seen: u64, sample: SampleSize) -> (f64, f64) {
    let share = ratio(seen, sample.seen);
    let effective = float(sample.seen) / sample.unseen_share();
    wilson_of(share, effective, float(sample.population))
}

/// Returns the Wilson interval of a share with this effective sample size, times the population.
fn wilson_of(share: f64, effective: f64, population: f64) -> (f64, f64) {
    let square = Z * Z / effective;
    let centre = (share + square / 2.0) / (1.0 + square);
    let spread = (share * (1.0 - share) / effective + square / (4.0 * effective)).max(0.0);
    let half = Z / (1.0 + square) * spread.sqrt();
    (population * (centre - half), population * (centre + half))
}

fn around(value: f64, lower: f64, upper: f64, most: f64) -> Estimate {
    let lower = lower.clamp(0.0, most).min(value);
    let upper = upper.clamp(0.0, most).max(value);
    Estimate {
        value,
        error: (value - lower).max(upper - value),
        lower,
        upper,
    }
}

/// Returns the share of the server's memory that the namespaces explain, at most 1. `used` is
/// `used_memory` in bytes without that of an empty server. Returns `None` if that or all memory is
/// unknown.
#[must_use]
pub fn explained_share<'a>(
    estimates: impl IntoIterator<Item = &'a NamespaceEstimate>,
    used: f64,
) -> Option<f64> {
    let memory = estimates.into_iter().filter_map(|estimate| estimate.memory);
    let memory = memory
        .map(|memory| memory.value)
        .reduce(|sum, more| sum + more)?;
    (used > 0.0).then(|| (memory / used).min(1.0))
}

fn ratio(part: u64, all: u64) -> f64 {
    float(part) / float(all)
}

fn rounded(number: f64) -> u64 {
    to_count(number.round())
}

#[cfg(test)]
mod tests;
