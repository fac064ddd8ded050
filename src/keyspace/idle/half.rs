//! Estimates the hit ratio that half of the memory would give. Pure.
//!
//! With half of the memory, Redis would evict keys once they were not used for a shorter time: the
//! idle time that separates the younger half of the memory from the older one. The density of the
//! sampled idle times around it is the number of keys that reach it per second. Of those, some are
//! evicted, expire or are deleted later. The others are used again, and would be missing then.

use super::horizon::{Aged, DEVIATIONS, resample};
use crate::number::to_float as float;

/// Half the width of the window in which keys that reach an idle time are counted, as a share of it.
const WINDOW: f64 = 0.25;

/// Share of the evictions that the samples must account for. If fewer keys reach the idle time than
/// are evicted, the samples or the counters are of another time.
const EXPLAINED_MIN: f64 = 0.7;

/// Two shares of the keys, by their idle time. The keys between them are nearly as old as keys get.
const OLD: [f64; 2] = [0.8, 0.95];

/// Maximum share of the lookups by which more keys may grow that old than are evicted or used again.
/// Beyond it, keys are removed in other ways than INFO counts, or the samples are of another time.
const UNEXPLAINED_MAX: f64 = 0.05;

/// Largest error that is published.
const ERROR_MAX: f64 = 0.1;

/// Lookups and changes of keys per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KeyFlow {
    /// Lookups of keys that exist.
    pub(super) hits: f64,
    /// Lookups of keys that do not exist.
    pub(super) misses: f64,
    /// Evicted keys.
    pub(super) evicted: f64,
    /// Keys that expired. How long they were not used is unknown.
    pub(super) expired: f64,
    /// Growth of the number of keys.
    pub(super) growth: f64,
}

/// A hit ratio, with half the width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HitRatio {
    /// Hits per lookup.
    pub ratio: f64,
    /// Half the width of its interval.
    pub error: f64,
}

/// The estimated hit ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HitRatios {
    /// With half of the memory.
    pub half: HitRatio,
    /// As it is, in the same period.
    pub whole: HitRatio,
    /// The idle time after which keys would be evicted with half of the memory, in seconds.
    pub seconds: f64,
}

/// Estimates the hit ratios. `share` is the share of the memory of the keys that would fit. Sorts the
/// samples.
pub(super) fn estimate(aged: &mut [Aged], share: f64, flow: &KeyFlow) -> Option<HitRatios> {
    let lookups = flow.hits + flow.misses;
    // Counters that were reset unnoticed.
    let is_reset = flow.hits < 0.0 || flow.misses < 0.0;
    if is_reset || lookups <= 0.0 || share <= 0.0 {
        return None;
    }
    let whole = HitRatio {
        ratio: flow.hits / lookups,
        error: 0.0,
    };
    // The keys that were added are used again, or never: both are possible.
    let unknown = flow.expired + flow.growth.max(0.0);
    if share >= 1.0 {
        // The keys that were added will not fit for long.
        if flow.growth.max(0.0) / lookups > ERROR_MAX {
            return None;
        }
        return Some(HitRatios {
            half: whole,
            whole,
            seconds: 0.0,
        });
    }
    aged.sort_by(|one, other| one.idle.total_cmp(&other.idle));
    let (seconds, reaching) = reaching(aged, share, 0.0, || 1.0)?;
    if reaching < EXPLAINED_MIN * flow.evicted {
        return None;
    }
    let lost = |reaching: f64| {
        let later = flow.evicted + unknown / 2.0;
        (reaching - later).clamp(0.0, flow.hits)
    };
    let ratio = |lost: f64| (flow.hits - lost) / lookups;
    let estimate = ratio(lost(reaching));
    if has_unexplained(aged, ratio, lost, share, whole.ratio - estimate) {
        return None;
    }
    let deviation = resample(estimate, |times| {
        let again = self::reaching(aged, share, 0.0, times);
        again.map_or(estimate, |(_, reaching)| ratio(lost(reaching)))
    });
    // Idle times are whole seconds, which matters if the time is short.
    let beside = [-1.0, 1.0].map(|shift| {
        let other = self::reaching(aged, share, shift, || 1.0);
        other.map_or(estimate, |(_, reaching)| ratio(lost(reaching)))
    });
    let [before, after] = beside;
    let error = DEVIATIONS * deviation + (before - after).abs() / 2.0 + unknown / 2.0 / lookups;
    let half = HitRatio {
        ratio: estimate,
        error,
    };
    (error <= ERROR_MAX).then_some(HitRatios {
        half,
        whole,
        seconds,
    })
}

/// Returns the idle time up to which keys fill a share of the memory, and the number of keys that
/// reach it per second. The idle time is shifted by some seconds. The samples are sorted, and each
/// counts `times`.
fn reaching(
    aged: &[Aged],
    share: f64,
    shift: f64,
    mut times: impl FnMut() -> f64,
) -> Option<(f64, f64)> {
    let counted = aged.iter().map(|sample| (sample, sample.weight * times()));
    let counted: Vec<(&Aged, f64)> = counted.collect();
    let bytes = |(sample, weight): &(&Aged, f64)| weight * sample.bytes;
    let mut left = share * counted.iter().map(bytes).sum::<f64>();
    let at = counted.iter().find(|sample| {
        left -= bytes(sample);
        left <= 0.0
    });
    let idle = (at?.0.idle + shift).max(0.0);
    let width = (WINDOW * idle).round().max(1.0);
    let (first, last) = ((idle - width).max(0.0), idle + width);
    let near = counted.iter();
    let near = near.filter(|(sample, _)| sample.idle >= first && sample.idle <= last);
    let keys: f64 = near.map(|(_, weight)| weight).sum();
    // Idle times are whole seconds.
    Some((idle, keys / (last - first + 1.0)))
}

/// Returns whether more keys grow old than are evicted or used again. `difference` is that of the present
/// hit ratio and the estimated one for a share of the memory.
///
/// The hit ratio grows more slowly with each further part of the memory, so the keys that would be
/// missing with nearly all of it are less than their part of those that would be missing with the share.
fn has_unexplained(
    aged: &[Aged],
    ratio: impl Fn(f64) -> f64,
    lost: impl Fn(f64) -> f64,
    share: f64,
    difference: f64,
) -> bool {
    let found = ratio(lost(growing_old(aged, || 1.0)));
    let error = resample(found, |times| ratio(lost(growing_old(aged, times))));
    let [from, to] = OLD;
    let part = ((1.0 - f64::midpoint(from, to)) / (1.0 - share)).min(1.0);
    let whole = ratio(0.0);
    whole - found > UNEXPLAINED_MAX + part * difference.max(0.0) + DEVIATIONS * error
}

/// Returns the number of keys per second that become nearly as old as keys get. The samples are
/// sorted, and each counts `times`.
fn growing_old(aged: &[Aged], mut times: impl FnMut() -> f64) -> f64 {
    let counted = aged
        .iter()
        .map(|sample| (sample.idle, sample.weight * times()));
    let counted: Vec<(f64, f64)> = counted.collect();
    let all: f64 = counted.iter().map(|(_, weight)| weight).sum();
    let idle_of = |share: f64| {
        let mut left = share * all;
        let at = counted.iter().find(|(_, weight)| {
            left -= weight;
            left <= 0.0
        });
        at.map_or(0.0, |(idle, _)| *idle)
    };
    let [from, to] = OLD.map(idle_of);
    // Idle times are whole seconds.
    (OLD[1] - OLD[0]) * all / (to - from).max(1.0)
}

/// The use of the memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryUse {
    /// The memory limit.
    pub limit: u64,
    /// All memory.
    pub used: u64,
    /// Memory that does not depend on the keys.
    pub fixed: u64,
}

impl MemoryUse {
    /// Returns the share of the memory of the keys that fits into half of the limit.
    pub(super) fn share_of_half(self) -> Option<f64> {
        let [limit, used, fixed] = [self.limit, self.used, self.fixed].map(float);
        (limit > 0.0 && used > fixed).then(|| (limit / 2.0 - fixed) / (used - fixed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns samples of keys that reach each second of idle time: of 1,000 keys per second, half
    /// are used again within 30 s, evenly, and the others are evicted after 60 s.
    fn sampled(random: &mut fastrand::Rng, samples: usize) -> Vec<Aged> {
        let density = |idle: u32| 500.0 + 500.0 * (30.0 - f64::from(idle.min(30))) / 30.0;
        let all: f64 = (0..60).map(density).sum();
        let mut draw = || {
            let mut left = random.f64() * all;
            let drawn = (0..60).find(|idle| {
                left -= density(*idle);
                left <= 0.0
            });
            Aged {
                idle: drawn.unwrap_or(59).into(),
                weight: all / crate::number::length(samples),
                bytes: 100.0,
            }
        };
        (0..samples).map(|_| draw()).collect()
    }

    const FLOW: KeyFlow = KeyFlow {
        hits: 2_000.0,
        misses: 1_000.0,
        evicted: 500.0,
        expired: 0.0,
        growth: 0.0,
    };

    #[test]
    fn keys_that_are_used_after_the_shorter_time_would_be_missing() {
        let mut random = fastrand::Rng::with_seed(7);
        // The keys of the last ten seconds are 9,167 of 37,500, about a quarter of the memory.
        // 833 keys per second reach that time, and 333 of them are used again.
        let truth = (2_000.0 - 333.0) / 3_000.0;
        let (mut covered, mut close) = (0, 0);
        for _ in 0..200 {
            let mut aged = sampled(&mut random, 1_000);
            let Some(found) = estimate(&mut aged, 9_167.0 / 37_500.0, &FLOW) else {
                continue;
            };
            covered += u32::from((found.half.ratio - truth).abs() <= found.half.error);
            close += u32::from((found.half.ratio - truth).abs() <= 0.06);
            assert!((found.seconds - 9.5).abs() < 3.0, "{found:?}");
            assert!((found.whole.ratio - 2.0 / 3.0).abs() < 1e-9);
        }
        assert!(covered >= 180 && close >= 180, "{covered} {close}");
    }

    #[test]
    fn keys_that_are_not_used_again_would_not_be_missing() {
        let mut aged = sampled(&mut fastrand::Rng::with_seed(8), 4_000);
        // Half of the memory holds more than those of the last 30 s.
        let found = estimate(&mut aged, 0.7, &FLOW).unwrap();
        assert!((found.half.ratio - 2.0 / 3.0).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn expired_keys_make_the_estimate_less_certain() {
        let mut aged = sampled(&mut fastrand::Rng::with_seed(9), 4_000);
        let some = KeyFlow {
            expired: 120.0,
            evicted: 380.0,
            ..FLOW
        };
        let found = estimate(&mut aged, 0.7, &some).unwrap();
        assert!(found.half.error >= 0.02, "{found:?}");
        let many = KeyFlow {
            expired: 500.0,
            evicted: 0.0,
            hits: 500.0,
            ..FLOW
        };
        assert_eq!(estimate(&mut aged, 0.7, &many), None);
    }

    #[test]
    fn nothing_is_known_if_the_samples_contradict_the_evictions() {
        let mut aged = sampled(&mut fastrand::Rng::with_seed(10), 1_000);
        let more = KeyFlow {
            evicted: 900.0,
            ..FLOW
        };
        assert_eq!(estimate(&mut aged, 0.7, &more), None);
        assert_eq!(estimate(&mut [], 0.7, &FLOW), None);
        for (hits, misses) in [(-50.0, 1_000.0), (1_000.0, -50.0)] {
            let reset = KeyFlow {
                hits,
                misses,
                ..FLOW
            };
            assert_eq!(estimate(&mut aged, 0.7, &reset), None);
        }
    }

    /// Deleted keys are neither used again nor evicted.
    #[test]
    fn nothing_is_known_if_keys_vanish_that_are_not_counted() {
        let mut aged = sampled(&mut fastrand::Rng::with_seed(11), 4_000);
        let counted = |evicted| KeyFlow { evicted, ..FLOW };
        assert!(estimate(&mut aged, 0.7, &counted(450.0)).is_some());
        assert_eq!(estimate(&mut aged, 0.7, &counted(50.0)), None);
    }

    /// Of 10,000 keys that are read at random, 6,000 fit. Each of them is used again or evicted.
    #[test]
    fn keys_that_are_used_evenly_are_explained() {
        let mut random = fastrand::Rng::with_seed(12);
        // A key is read every 100 seconds on average, and evicted after about 92.
        let mut draw = || {
            let idle = -100.0 * (1.0 - random.f64() * 0.6).ln();
            Aged {
                idle: idle.floor(),
                weight: 1.5,
                bytes: 100.0,
            }
        };
        let mut aged: Vec<Aged> = (0..4_000).map(|_| draw()).collect();
        let even = KeyFlow {
            hits: 60.0,
            misses: 40.0,
            evicted: 40.0,
            ..FLOW
        };
        let found = estimate(&mut aged, 0.5, &even).unwrap();
        assert!((found.half.ratio - 0.3).abs() < 0.06, "{found:?}");
    }

    #[test]
    fn half_of_an_empty_memory_changes_nothing() {
        let memory = |limit, used| MemoryUse {
            limit,
            used,
            fixed: 10,
        };
        let share = memory(100, 40).share_of_half().unwrap();
        let found = estimate(&mut [], share, &FLOW).unwrap();
        assert_eq!(found.half, found.whole);
        let growing = KeyFlow {
            growth: 500.0,
            ..FLOW
        };
        assert_eq!(estimate(&mut [], share, &growing), None);
        let full = memory(100, 100).share_of_half().unwrap();
        assert!((full - 40.0 / 90.0).abs() < 1e-9);
        assert_eq!(memory(0, 100).share_of_half(), None);
        assert_eq!(memory(100, 10).share_of_half(), None);
    }
}
