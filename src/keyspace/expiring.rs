//! Forecasts the keys of each namespace that expire soon, from the TTLs of the keys queried last.
//! Pure.
//!
//! A TTL becomes a time of expiry when it is read, so that a forecast needs no further query. TTLs
//! read long ago miss keys that were written since. A forecast
//! uses only those read during the last half of the time that it covers, and during the last half of
//! the usual TTL.

use std::collections::{BTreeMap, VecDeque};

use super::NamespaceId;
use super::panel::NamespacePlace;
use super::sample_limit::SampleLimit;
use super::tally::Expiry;
use crate::number::{length, to_float as float};

pub mod families;

/// The times that forecasts cover, in seconds.
pub const WITHIN: [u32; 4] = [60, 300, 900, 3_600];

/// Maximum number of keys to remember, and the same for one namespace of a database. One of thousands
/// of targets remembers fewer.
const REMEMBERED: SampleLimit = SampleLimit {
    one: 32_768,
    of_all: 2_000_000,
    least: 1_000,
};
const REMEMBERED_EACH_MAX: usize = 1_024;

/// Minimum number of known TTLs for a forecast.
const KNOWN_MIN: usize = 50;

/// Number of seconds over which a burst is counted.
const BURST_SECONDS: f64 = 10.0;

/// Minimum number of known TTLs that end in a burst.
const BURST_KNOWN_MIN: usize = 5;

/// Minimum share of the keys that expires in a burst.
const BURST_SHARE_MIN: f64 = 0.05;

/// Share of the keys that expired in a burst, from which the TTLs read before it no longer count:
/// they are those of other keys.
const TURNOVER_SHARE: f64 = 0.2;

/// Tolerance for times of readings that lie ahead, in seconds. A larger one means that the clock was
/// set back.
const AHEAD_MAX: f64 = 1.0;

/// A key whose TTL was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownExpiry {
    /// Time of the reading, in seconds since the epoch.
    pub at: f64,
    /// The TTL.
    pub expiry: Expiry,
    /// Memory in bytes, if it was read too.
    pub bytes: Option<u64>,
}

/// The same in little memory. A target remembers thousands of keys.
#[derive(Clone, Copy, Debug)]
struct PackedExpiry {
    at: f64,
    /// In milliseconds; [`UNKNOWN`] without a TTL.
    ttl: u64,
    /// [`UNKNOWN`] if it was not read.
    bytes: u64,
}

/// More than any TTL or memory.
const UNKNOWN: u64 = u64::MAX;

/// The TTLs read last of each namespace in each database.
#[derive(Debug, Default)]
pub struct KnownExpiries {
    places: BTreeMap<NamespacePlace, VecDeque<PackedExpiry>>,
    /// Number of running sweeps, which share the memory.
    sweeps: usize,
}

/// What expires soon in a namespace of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpiryForecast {
    /// The parts that expire within [`WITHIN`]. One is `None` if too few TTLs were read lately.
    pub within: [Option<ExpiringPart>; WITHIN.len()],
    /// The largest burst within an hour, if there is one.
    pub burst: Option<Burst>,
}

/// A part of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpiringPart {
    /// Share of the keys.
    pub keys: f64,
    /// Share of the memory.
    pub memory: f64,
}

/// Many keys that expire within a few seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Their share of the keys.
    pub share: f64,
    /// Their mean time of expiry, in seconds since the epoch.
    pub at: f64,
}

impl ExpiryForecast {
    /// No key has a TTL.
    pub const NOTHING: Self = Self {
        within: [Some(ExpiringPart {
            keys: 0.0,
            memory: 0.0,
        }); WITHIN.len()],
        burst: None,
    };
}

impl KnownExpiry {
    /// Returns the time of expiry, in seconds since the epoch; `None` without a TTL.
    fn expires(&self) -> Option<f64> {
        match self.expiry {
            Expiry::Never => None,
            Expiry::In(milliseconds) => Some(self.at + float(milliseconds) / 1_000.0),
        }
    }

    fn expires_within(&self, from: f64, to: f64) -> bool {
        self.expires().is_some_and(|time| from < time && time <= to)
    }
}

impl From<KnownExpiry> for PackedExpiry {
    fn from(known: KnownExpiry) -> Self {
        Self {
            at: known.at,
            ttl: match known.expiry {
                Expiry::Never => UNKNOWN,
                Expiry::In(milliseconds) => milliseconds,
            },
            bytes: known.bytes.unwrap_or(UNKNOWN),
        }
    }
}

impl From<PackedExpiry> for KnownExpiry {
    fn from(packed: PackedExpiry) -> Self {
        let known = |number: u64| Some(number).filter(|number| *number != UNKNOWN);
        Self {
            at: packed.at,
            expiry: known(packed.ttl).map_or(Expiry::Never, Expiry::In),
            bytes: known(packed.bytes),
        }
    }
}

impl KnownExpiries {
    /// Sets the number of running sweeps.
    pub const fn set_sweeps(&mut self, sweeps: usize) {
        self.sweeps = sweeps;
    }

    /// Records the TTL of a key. Forgets those read so long ago that no forecast uses them.
    pub fn learn(&mut self, place: NamespacePlace, known: KnownExpiry) {
        let most = REMEMBERED.of_each(self.sweeps);
        let each = (most / self.places.len().max(1)).clamp(1, REMEMBERED_EACH_MAX);
        let remembered = self.places.entry(place).or_default();
        let is_old = |first: &PackedExpiry| known.at - first.at > longest();
        while remembered.len() >= each || remembered.front().is_some_and(is_old) {
            remembered.pop_front();
        }
        remembered.push_back(known.into());
    }

    /// Forgets all TTLs, because a clock was set. Times of expiry are those of the clock before.
    pub fn forget_all(&mut self) {
        self.places.clear();
    }

    /// Returns what expires soon in a namespace of a database.
    #[must_use]
    pub fn forecast(&self, place: NamespacePlace, now: f64) -> ExpiryForecast {
        let Some(remembered) = self.places.get(&place) else {
            return ExpiryForecast::default();
        };
        let remembered = remembered.iter().map(|packed| KnownExpiry::from(*packed));
        let remembered = remembered.filter(|known| known.at <= now + AHEAD_MAX);
        let remembered: Vec<KnownExpiry> = remembered.collect();
        let all = || remembered.iter();
        let since = last_turnover(all(), now);
        let oldest = usual_ttl(all()) / 2.0;
        let read_within = |seconds: f64| {
            let seconds = seconds.min(oldest);
            let read = all().filter(move |known| known.at >= since && now - known.at <= seconds);
            read.copied().collect::<Vec<KnownExpiry>>()
        };
        ExpiryForecast {
            within: WITHIN.map(|within| {
                let within = f64::from(within);
                part(&read_within(within / 2.0), now, now + within)
            }),
            burst: burst_ahead(&read_within(longest() / 2.0), now),
        }
    }

    /// Forgets the databases whose data were replaced.
    pub fn forget(&mut self, is_forgotten: &dyn Fn(u32) -> bool) {
        self.places
            .retain(|(database, _), _| !is_forgotten(*database));
    }

    /// Forgets namespaces without series.
    pub fn retain(&mut self, is_shown: impl Fn(NamespaceId) -> bool) {
        self.places.retain(|(_, namespace), _| is_shown(*namespace));
    }
}

/// Returns the longest time that a forecast covers, in seconds.
fn longest() -> f64 {
    WITHIN.into_iter().max().map_or(0.0, f64::from)
}

/// Returns the median of the TTLs, in seconds.
fn usual_ttl<'k>(known: impl Iterator<Item = &'k KnownExpiry>) -> f64 {
    let mut ttls: Vec<f64> = known
        .filter_map(|key| Some(key.expires()? - key.at))
        .collect();
    let middle = ttls.len() / 2;
    if ttls.is_empty() {
        return f64::MAX;
    }
    *ttls.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Returns the part of the keys that expires in a time; `None` if too few are known.
fn part(known: &[KnownExpiry], from: f64, to: f64) -> Option<ExpiringPart> {
    if known.len() < KNOWN_MIN {
        return None;
    }
    let ends = || known.iter().filter(|key| key.expires_within(from, to));
    let keys = length(ends().count()) / length(known.len());
    let measured = known.iter().filter_map(|key| key.bytes);
    let bytes: f64 = measured.clone().map(float).sum();
    let ending: f64 = ends().filter_map(|key| key.bytes).map(float).sum();
    let is_measured = measured.count() >= KNOWN_MIN && bytes > 0.0;
    let memory = if is_measured { ending / bytes } else { keys };
    Some(ExpiringPart { keys, memory })
}

/// Returns the largest burst within the next hour.
fn burst_ahead(known: &[KnownExpiry], now: f64) -> Option<Burst> {
    if known.len() < KNOWN_MIN {
        return None;
    }
    let times = largest_burst(known.iter(), now, now + longest());
    let share = length(times.len()) / length(known.len());
    let is_burst = times.len() >= BURST_KNOWN_MIN && share >= BURST_SHARE_MIN;
    is_burst.then(|| Burst {
        share,
        at: times.iter().sum::<f64>() / length(times.len()),
    })
}

/// Returns the end of the last burst in the past that removed a large part of the keys.
fn last_turnover<'k>(known: impl Iterator<Item = &'k KnownExpiry> + Clone, now: f64) -> f64 {
    let all = known.clone().count();
    let times = largest_burst(known, now - longest() / 2.0, now);
    let is_large =
        times.len() >= BURST_KNOWN_MIN && length(times.len()) >= TURNOVER_SHARE * length(all);
    let end = times.last().filter(|_| is_large);
    end.copied().unwrap_or(f64::MIN)
}

/// Returns the times of expiry in the burst with the most keys between two times, in order.
fn largest_burst<'k>(known: impl Iterator<Item = &'k KnownExpiry>, from: f64, to: f64) -> Vec<f64> {
    let ending = known.filter(|key| key.expires_within(from, to));
    let mut times: Vec<f64> = ending.filter_map(KnownExpiry::expires).collect();
    times.sort_by(f64::total_cmp);
    let (mut first, mut largest) = (0, 0..0);
    for (last, time) in times.iter().enumerate() {
        while times
            .get(first)
            .is_some_and(|early| time - early > BURST_SECONDS)
        {
            first += 1;
        }
        if last + 1 - first > largest.len() {
            largest = first..last + 1;
        }
    }
    times.get(largest).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests;
