//! The idle part of a namespace, from its sampled keys. Pure.

use super::IdleSample;
use crate::metric::{Edge, Histogram};
use crate::number::{length, to_float as float};

/// Upper edges of the histogram of idle times, in seconds. Only a minute, ten minutes, an hour and a
/// day are written unless all series are enabled.
pub static IDLE_EDGES: [Edge; 9] = [
    Edge::only_full(1, "1", "1"),
    Edge::only_full(10, "10", "10"),
    Edge::new(60, "60", "60"),
    Edge::only_full(300, "300", "300"),
    Edge::new(600, "600", "600"),
    Edge::new(3_600, "3600", "3600"),
    Edge::only_full(21_600, "21600", "21600"),
    Edge::new(86_400, "86400", "86400"),
    Edge::only_full(604_800, "604800", "604800"),
];

/// Minimum idle times for which the memory is published, with the value of the `idle` label.
pub(super) const LEAST: [(f64, &str); 4] = [
    (60.0, "60"),
    (600.0, "600"),
    (3_600.0, "3600"),
    (86_400.0, "86400"),
];

/// Minimum number of samples, unless the namespace has fewer keys.
const SAMPLES_MIN: usize = 20;

/// The idle part of the memory of a namespace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdleShare {
    /// Minimum time since a key was last used, in seconds.
    pub least: f64,
    /// Share of the memory, from 0 to 1.
    pub share: f64,
}

/// Sampled keys of one namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdleMemory {
    idle: Vec<f64>,
    /// Bytes of the keys whose memory is known, and those of them with at least each idle time.
    bytes: f64,
    idle_bytes: [f64; LEAST.len()],
    measured: usize,
    /// Longest idle time that is known.
    longest: f64,
}

impl IdleMemory {
    pub(super) fn add(&mut self, sample: &IdleSample) {
        self.idle.push(sample.idle);
        let Some(bytes) = sample.bytes.map(float) else {
            return;
        };
        self.measured += 1;
        self.bytes += bytes;
        for ((least, _), sum) in LEAST.iter().zip(&mut self.idle_bytes) {
            if sample.idle >= *least {
                *sum += bytes;
            }
        }
    }

    pub(super) const fn limit(&mut self, longest: f64) {
        self.longest = longest;
    }

    /// Returns the shares of the memory that are idle for at least each time; `None` if unknown.
    #[must_use]
    pub fn shares(&self, keys: f64) -> [Option<f64>; LEAST.len()] {
        let is_known = is_enough(self.measured, keys) && self.bytes > 0.0;
        let mut shares = [None; LEAST.len()];
        let known = LEAST.iter().zip(self.idle_bytes);
        for (share, ((least, _), idle)) in shares.iter_mut().zip(known) {
            if is_known && *least <= self.longest {
                *share = Some(idle / self.bytes);
            }
        }
        shares
    }

    /// Returns the shares that are known, by time.
    #[must_use]
    pub fn known_shares(&self, keys: f64) -> Vec<IdleShare> {
        let shares = LEAST.iter().zip(self.shares(keys));
        let known = shares.filter_map(|((least, _), share)| {
            let least = *least;
            share.map(|share| IdleShare { least, share })
        });
        known.collect()
    }

    /// Returns the idle times of all keys of the namespace; `None` if unknown.
    #[must_use]
    pub fn histogram(&self, keys: f64) -> Option<Histogram> {
        if !is_enough(self.idle.len(), keys) {
            return None;
        }
        let each = keys / length(self.idle.len());
        let at_most = |edge: &Edge| {
            let idle = self.idle.iter().filter(|idle| **idle <= float(edge.at));
            whole(length(idle.count()) * each)
        };
        Some(Histogram {
            edges: &IDLE_EDGES,
            counts: IDLE_EDGES.iter().map(at_most).collect(),
            count: whole(keys),
            sum: self.idle.iter().sum::<f64>() * each,
            only_full: false,
        })
    }
}

fn is_enough(samples: usize, keys: f64) -> bool {
    samples > 0 && (samples >= SAMPLES_MIN || length(samples) >= keys)
}

/// Rounds a number of keys.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
fn whole(keys: f64) -> u64 {
    keys.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::NamespaceId;

    fn memory(idle: impl IntoIterator<Item = u32>) -> IdleMemory {
        let mut memory = IdleMemory::default();
        for idle in idle {
            memory.add(&IdleSample {
                place: (0, NamespaceId(1)),
                idle: idle.into(),
                bytes: Some(if idle >= 600 { 300 } else { 100 }),
                has_ttl: None,
            });
        }
        memory.limit(f64::INFINITY);
        memory
    }

    #[test]
    fn idle_memory_is_weighted_by_bytes() {
        let memory = memory((0..100).map(|key| if key < 25 { 700 } else { 5 }));
        let shares = memory.shares(1e6).map(Option::unwrap);
        assert!((shares[0] - 0.5).abs() < 1e-9 && (shares[1] - 0.5).abs() < 1e-9);
        assert!(shares[2].abs() < 1e-9 && shares[3].abs() < 1e-9);
    }

    #[test]
    fn histogram_counts_all_keys() {
        let histogram =
            memory((0..100).map(|key| if key < 25 { 700 } else { 5 })).histogram(4_000.0);
        let histogram = histogram.unwrap();
        assert_eq!(histogram.count, 4_000);
        assert_eq!(
            histogram.counts.to_vec(),
            [0, 3_000, 3_000, 3_000, 3_000, 4_000, 4_000, 4_000, 4_000]
        );
        assert!((histogram.sum - (1_000.0 * 700.0 + 3_000.0 * 5.0)).abs() < 1e-6);
    }

    #[test]
    fn few_samples_are_enough_for_few_keys_only() {
        let few = memory([700; 5]);
        assert_eq!(few.shares(1_000.0), [None; 4]);
        assert_eq!(few.histogram(1_000.0), None);
        assert_eq!(few.shares(5.0)[0], Some(1.0));
        assert!(few.histogram(5.0).is_some());
    }

    #[test]
    fn longer_idle_times_than_known_are_absent() {
        let mut memory = memory([700; 50]);
        memory.limit(3_000.0);
        assert_eq!(memory.shares(1e6), [Some(1.0), Some(1.0), None, None]);
        let known = memory.known_shares(1e6);
        let known: Vec<(f64, f64)> = known.iter().map(|idle| (idle.least, idle.share)).collect();
        assert_eq!(known, [(60.0, 1.0), (600.0, 1.0)]);
    }
}
