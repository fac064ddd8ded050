//! Estimates from sampled keys how long keys have not been used, and how long Redis keeps a key that
//! is not used. Pure.
//!
//! Every sample is the idle time of one key, chosen at random among the keys of its namespace.
//! Namespaces with few samples get more of them, so each sample is weighted by the keys of its
//! namespace.

mod counts;
mod double;
#[cfg(test)]
mod double_simulation;
pub mod families;
mod half;
mod horizon;
mod reading;
mod sample;
mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::NamespaceId;
use super::panel::NamespacePlace;
use super::sample_limit::SampleLimit;
use crate::number::{length, to_float as float};
use counts::{CountHistory, Period};
pub use double::DoubleRatio;
pub use half::HitRatios;
use half::MemoryUse;
use horizon::Aged;
pub use horizon::LruHorizon;
pub use reading::{IdleReading, Policy, Uses};
pub use sample::IdleSample;
use sample::{PackedSample, Taken};
pub use share::{IdleMemory, IdleShare};

/// Maximum number of samples. At the maximum rate, they are those of the last seven minutes. One of
/// thousands of targets keeps fewer.
const SAMPLES: SampleLimit = SampleLimit {
    one: 4_096,
    of_all: 2_000_000,
    least: SAMPLES_ENOUGH,
};

/// Maximum age of a sample, in seconds.
const AGE_MAX: f64 = 3_600.0;

/// Number of samples of a namespace below which its keys are preferred.
const WANTED_OF_EACH: u32 = 50;

/// Number of samples below which more lookups are spent on them.
const WANTED_AT_FIRST: usize = 300;

/// Periods that the horizon may be based on, in seconds. The shortest one with enough samples is
/// used, or the longest one.
const PERIODS: [f64; 3] = [300.0, 900.0, AGE_MAX];

/// Number of samples that are enough to use a shorter period, and the minimum for a horizon.
const SAMPLES_ENOUGH: usize = 1_000;
const SAMPLES_MIN: usize = 200;

/// Time until an idle time is queried again after the server refused one, in seconds.
const REFUSED_FOR: f64 = 600.0;

/// Minimum number of evictions in the period of a horizon.
const EVICTED_MIN: f64 = 100.0;

/// Minimum number of lookups in the period of a hit ratio.
const LOOKUPS_MIN: f64 = 1_000.0;

/// The horizon is known once the policy has been in use for this many times as long. Before that,
/// Redis evicts keys that an earlier policy left behind.
const HORIZONS_KNOWN: f64 = 2.0;

/// Tolerance for idle times above the uptime, in seconds: the clocks of the server have a
/// resolution of one second.
const GRACE: f64 = 2.0;

/// The sampled idle times of a server.
#[derive(Debug, Default)]
pub struct IdleTimes {
    samples: VecDeque<PackedSample>,
    /// Number of running sweeps, which share the memory.
    sweeps: usize,
    /// Number of samples of each place.
    of_each: BTreeMap<NamespacePlace, u32>,
    /// The counters of the server, by time.
    counts: CountHistory,
    reading: IdleReading,
    /// The last policy that a reading included.
    policy: Option<Policy>,
    /// Time at which the server last refused an idle time under this policy.
    refused_at: Option<f64>,
    /// Time of the last reading.
    now: f64,
    /// Time since which idle times are counted in the same way.
    tracked_since: Option<f64>,
    /// Time since which keys are evicted by the same policy.
    policy_since: Option<f64>,
    /// The last use of the memory that a reading included.
    memory: Option<MemoryUse>,
    /// Time since which the memory limit is the same.
    limit_since: Option<f64>,
}

impl IdleTimes {
    /// Sets the number of running sweeps.
    pub const fn set_sweeps(&mut self, sweeps: usize) {
        self.sweeps = sweeps;
    }

    /// Records a reading of INFO. Discards the samples if the policy has changed between one that
    /// tracks idle times and one that does not.
    pub fn observe(&mut self, now: f64, reading: IdleReading) {
        self.reading = reading;
        self.now = now;
        if let Some(policy) = reading.policy {
            let earlier = self.policy.replace(policy);
            if earlier != Some(policy) {
                self.refused_at = None;
            }
            if let Some(earlier) = earlier.filter(|earlier| *earlier != policy) {
                self.change_policy(earlier, policy);
            }
        }
        if let Some(memory) = reading.memory {
            let earlier = self.memory.replace(memory);
            if earlier.is_some_and(|earlier| earlier.limit != memory.limit) {
                self.limit_since = Some(now);
                self.counts.clear();
            }
        }
        self.counts.record(now, &reading);
        while let Some(first) = self.samples.front()
            && now - first.at > AGE_MAX
        {
            self.drop_first();
        }
    }

    fn change_policy(&mut self, earlier: Policy, policy: Policy) {
        self.policy_since = Some(self.now);
        self.counts.clear();
        // The untracked time of the last use of a key is meaningless.
        if earlier.tracks_use() != policy.tracks_use() {
            self.restart();
        }
    }

    /// Discards the samples, because idle times of keys that are not used from now on are wrong.
    pub fn restart(&mut self) {
        self.tracked_since = Some(self.now);
        self.clear();
    }

    /// Records that the server refused an idle time. Each further attempt would be an error of the
    /// server, so the next one follows another policy, or after a while.
    pub const fn record_refused(&mut self) {
        self.refused_at = Some(self.now);
    }

    /// Returns whether idle times can be queried now: the server is a primary, whose clients use the
    /// keys, and tracks when they do.
    #[must_use]
    pub fn can_be_queried(&self) -> bool {
        let tracks_use = self.policy.is_some_and(Policy::tracks_use);
        let is_recent = |at: f64| self.now - at < REFUSED_FOR;
        let is_refused = self.refused_at.is_some_and(is_recent);
        tracks_use && self.reading.is_primary && !is_refused
    }

    /// Returns whether only keys with a TTL are evicted by their last use.
    #[must_use]
    pub fn needs_ttls(&self) -> bool {
        self.policy == Some(Policy::LruOfExpiring)
    }

    /// Returns whether a place has few samples.
    #[must_use]
    pub fn needs(&self, place: NamespacePlace) -> bool {
        self.of_each
            .get(&place)
            .is_none_or(|of_it| *of_it < WANTED_OF_EACH)
    }

    /// Returns whether there are few samples altogether.
    #[must_use]
    pub fn are_few(&self) -> bool {
        self.samples.len() < WANTED_AT_FIRST
    }

    /// Adds the idle time of a key.
    pub fn record(&mut self, now: f64, sample: IdleSample) {
        while self.samples.len() >= SAMPLES.of_each(self.sweeps) {
            self.drop_first();
        }
        let of_it = self.of_each.entry(sample.place).or_default();
        *of_it = of_it.saturating_add(1);
        self.samples.push_back(Taken { at: now, sample }.into());
    }

    fn drop_first(&mut self) {
        let Some(first) = self.samples.pop_front() else {
            return;
        };
        let place = first.place;
        let left = self.of_each.get(&place).map_or(0, |of_it| of_it - 1);
        if left > 0 {
            self.of_each.insert(place, left);
        } else {
            self.of_each.remove(&place);
        }
    }

    /// Discards everything, because the data were replaced.
    pub fn forget(&mut self) {
        self.clear();
        self.counts.clear();
        self.tracked_since = None;
        self.policy_since = None;
        self.limit_since = None;
        self.refused_at = None;
    }

    fn clear(&mut self) {
        self.samples.clear();
        self.of_each.clear();
    }

    /// Returns whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Returns the longest idle time that is known: keys that were last used before it have a shorter
    /// or meaningless one. Servers that loaded their data from a file restore idle times.
    fn known_for(&self) -> f64 {
        let since = |time: Option<f64>| time.map_or(f64::INFINITY, |time| self.now - time);
        let uptime = self.reading.uptime.filter(|_| !self.reading.may_be_loaded);
        uptime
            .unwrap_or(f64::INFINITY)
            .min(since(self.tracked_since))
    }

    /// Returns the samples, each with its idle time limited to what is known.
    fn known(&self) -> impl Iterator<Item = Taken> {
        let known_for = self.known_for();
        self.samples.iter().map(move |taken| {
            let mut taken = Taken::from(*taken);
            // The limit is later now than when the key was queried.
            let limit = known_for - (self.now - taken.at) + GRACE;
            if taken.sample.idle > limit {
                taken.sample.idle = limit.max(0.0);
            }
            taken
        })
    }

    /// Returns the idle keys and their memory by place.
    #[must_use]
    pub fn places(&self) -> BTreeMap<NamespacePlace, IdleMemory> {
        let longest = self.longest();
        let mut places: BTreeMap<NamespacePlace, IdleMemory> = BTreeMap::new();
        for taken in self.known() {
            let idle = places.entry(taken.sample.place).or_default();
            idle.add(&taken.sample);
        }
        for idle in places.values_mut() {
            idle.limit(longest);
        }
        places
    }

    /// Returns the longest idle time for which the idle memory is known.
    #[must_use]
    pub fn longest(&self) -> f64 {
        let seen = self
            .samples
            .iter()
            .map(|taken| Taken::from(*taken).sample.idle);
        let seen = seen.fold(0.0, f64::max);
        let uptime = self.reading.uptime.unwrap_or(0.0);
        self.known_for().min(uptime.max(seen))
    }

    /// Returns the LRU horizon, if keys are evicted by their last use and enough is known. `keys`
    /// has the number of keys of each place.
    #[must_use]
    pub fn horizon(&self, keys: &BTreeMap<NamespacePlace, f64>) -> Option<LruHorizon> {
        let policy = self.policy?;
        if !policy.is_lru() || !self.reading.is_primary {
            return None;
        }
        let period = self.period()?;
        if period.evicted < EVICTED_MIN {
            return None;
        }
        let is_evictable =
            |sample: &IdleSample| policy == Policy::LruOfAll || sample.has_ttl == Some(true);
        let mut aged = self.aged(period.start, keys, is_evictable);
        if aged.len() < SAMPLES_MIN {
            return None;
        }
        let horizon = horizon::estimate(&mut aged, period.evicted / period.seconds)?;
        self.is_settled(horizon.seconds, self.policy_since)
            .then_some(horizon)
    }

    /// Returns the estimated hit ratio with half of the memory, if all keys are evicted by their last
    /// use and enough is known. `keys` has the number of keys of each place.
    #[must_use]
    pub fn hit_ratios(&self, keys: &BTreeMap<NamespacePlace, f64>) -> Option<HitRatios> {
        if self.policy != Some(Policy::LruOfAll) || !self.reading.is_primary {
            return None;
        }
        let share = self.memory?.share_of_half()?;
        let period = self.period()?;
        let flow = period.flow(self.reading.uses?)?;
        if (flow.hits + flow.misses) * period.seconds < LOOKUPS_MIN {
            return None;
        }
        let is_measured = |sample: &IdleSample| sample.bytes.is_some();
        let mut aged = self.aged(period.start, keys, is_measured);
        if aged.len() < SAMPLES_MIN {
            return None;
        }
        let ratios = half::estimate(&mut aged, share, &flow)?;
        let is_settled = |since| self.is_settled(ratios.seconds, since);
        (is_settled(self.policy_since) && is_settled(self.limit_since)).then_some(ratios)
    }

    /// Returns the samples since a time that are wanted, with the number of keys that each of them
    /// represents.
    fn aged(
        &self,
        since: f64,
        keys: &BTreeMap<NamespacePlace, f64>,
        is_wanted: impl Fn(&IdleSample) -> bool,
    ) -> Vec<Aged> {
        let recent: Vec<Taken> = self.known().filter(|taken| taken.at >= since).collect();
        let mut of_each: BTreeMap<NamespacePlace, f64> = BTreeMap::new();
        for taken in &recent {
            *of_each.entry(taken.sample.place).or_default() += 1.0;
        }
        // Keys of places without samples are like the others.
        let all: f64 = keys.values().sum();
        let covered = of_each.keys().filter_map(|place| keys.get(place));
        let scale = all / covered.sum::<f64>().max(1.0);
        let wanted = recent.iter().filter(|taken| is_wanted(&taken.sample));
        let aged = wanted.filter_map(|taken| {
            let place = taken.sample.place;
            Some(Aged {
                idle: taken.sample.idle,
                weight: scale * keys.get(&place)? / of_each.get(&place)?,
                bytes: float(taken.sample.bytes.unwrap_or(0)),
            })
        });
        aged.collect()
    }

    /// Returns the period that estimates are based on, which ends now.
    fn period(&self) -> Option<Period> {
        let start = |period: f64| self.now - period;
        let is_enough = |period: &f64| {
            let recent = self.samples.iter().rev();
            let recent = recent.take_while(|taken| taken.at >= start(*period));
            recent.count() >= SAMPLES_ENOUGH
        };
        let period = PERIODS.into_iter().find(is_enough).unwrap_or(AGE_MAX);
        self.counts.since(start(period), self.now, &self.reading)
    }

    /// Returns whether keys are evicted that were last used since a time, and since the data are the
    /// same.
    fn is_settled(&self, horizon: f64, since: Option<f64>) -> bool {
        let settled = since.map_or(f64::INFINITY, |time| self.now - time);
        horizon * HORIZONS_KNOWN <= self.known_for().min(settled)
    }

    /// Drops the samples of places that have no series any more.
    pub fn retain(&mut self, is_shown: impl Fn(NamespaceId) -> bool) {
        self.samples.retain(|taken| is_shown(taken.place.1));
        self.of_each
            .retain(|(_, namespace), _| is_shown(*namespace));
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn count(&self) -> f64 {
        length(self.samples.len())
    }
}

/// Converts whole seconds of a reply; `None` if they are negative.
#[must_use]
pub fn seconds(reply: i64) -> Option<f64> {
    u64::try_from(reply).ok().map(float)
}
