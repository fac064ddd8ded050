//! Estimates the hit ratio that twice the memory would give. Pure.
//!
//! With more memory, keys would stay longer after they are evicted now. Those that are written again
//! in that time would have been hits. Redis forgets evicted keys, so a sample of all names is
//! followed: see [`crate::keyspace::ghosts`].

use std::collections::BTreeMap;

use super::half::{HitRatio, KeyFlow, MemoryUse};
use super::horizon::{Aged, DEVIATIONS, resample};
use super::{AGE_MAX, EVICTED_MIN, IdleTimes, LOOKUPS_MIN, PERIODS, Policy, SAMPLES_MIN};
use crate::keyspace::ghosts::{Ghost, Ghosts, KeyTurnover, share_returned};
use crate::keyspace::panel::NamespacePlace;
use crate::number::to_float as float;

/// Minimum number of ghosts.
const GHOSTS_MIN: usize = 100;

/// Maximum difference of the hit ratio of INFO and the one that follows from the keys that were
/// written. If it is larger, misses are not followed by writes, or keys are written without a miss.
const DIFFERENCE_MAX: f64 = 0.05;

/// Shares of the removed keys that the ghosts must account for.
const EXPLAINED: std::ops::RangeInclusive<f64> = 0.7..=1.4;

/// Error that every estimate has: Redis chooses among a few random keys, so it keeps some keys that
/// it should evict.
const ERROR_MIN: f64 = 0.02;

/// Largest error that is published.
const ERROR_MAX: f64 = 0.1;

/// Share of the keys, those not used for longest, whose size is that of evicted keys.
const OLDEST: f64 = 1.0 / 3.0;

/// Memory of a key in the hash table that MEMORY USAGE leaves out, in bytes: a table is half full to
/// full, and has 8 bytes for each place.
const TABLE_BYTES: f64 = 12.0;

/// The estimated hit ratio with twice the memory, and the measured one of the same period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoubleRatio {
    /// With twice the memory.
    pub double: HitRatio,
    /// As it is.
    pub whole: f64,
}

impl IdleTimes {
    /// Returns how long keys stay on average, in seconds, if all keys are evicted by their last use.
    #[must_use]
    pub fn residence(&self) -> Option<f64> {
        if self.policy != Some(Policy::LruOfAll) || !self.reading.is_primary {
            return None;
        }
        let start = self.now - PERIODS[0];
        let period = self.counts.since(start, self.now, &self.reading)?;
        let keys = self.reading.uses?.keys;
        (period.evicted >= EVICTED_MIN).then(|| keys * period.seconds / period.evicted)
    }

    /// Returns the estimated hit ratio with twice the memory, if enough is known. `keys` has the
    /// number of keys of each place, and `needs_ttls` is whether some of them have a TTL.
    #[must_use]
    pub fn double_hit_ratio(
        &self,
        ghosts: &Ghosts,
        keys: &BTreeMap<NamespacePlace, f64>,
        needs_ttls: bool,
    ) -> Option<DoubleRatio> {
        let residence = self.residence()?;
        let is_settled = |since| self.is_settled(residence, since);
        if !is_settled(self.policy_since) || !is_settled(self.limit_since) {
            return None;
        }
        let seconds = Ghosts::followed_for(residence).clamp(PERIODS[0], AGE_MAX);
        let start = self.now - seconds;
        let period = self.counts.since(start, self.now, &self.reading)?;
        let uses = self.reading.uses?;
        let flow = period.flow(uses)?;
        if (flow.hits + flow.misses) * period.seconds < LOOKUPS_MIN {
            return None;
        }
        let is_measured = |sample: &super::IdleSample| sample.bytes.is_some();
        let mut aged = self.aged(start, keys, is_measured);
        if aged.len() < SAMPLES_MIN {
            return None;
        }
        let size = size_of_oldest(&mut aged)? + TABLE_BYTES;
        let room = self.memory?.room_of_double() / size;
        let turnover = ghosts.turnover(period.start);
        let ghosts = ghosts.all(needs_ttls);
        estimate(&ghosts, turnover, &flow, uses.keys, room)
    }
}

impl MemoryUse {
    /// Returns the bytes that are free with twice the limit.
    fn room_of_double(self) -> f64 {
        (2.0 * float(self.limit) - float(self.used)).max(0.0)
    }
}

/// Returns the mean size of the keys that were not used for longest, in bytes. Sorts the samples.
fn size_of_oldest(aged: &mut [Aged]) -> Option<f64> {
    aged.sort_by(|one, other| other.idle.total_cmp(&one.idle));
    let all: f64 = aged.iter().map(|sample| sample.weight).sum();
    let (mut keys, mut bytes) = (0.0, 0.0);
    for sample in aged.iter() {
        if keys >= OLDEST * all {
            break;
        }
        keys += sample.weight;
        bytes += sample.weight * sample.bytes;
    }
    (keys > 0.0).then(|| bytes / keys)
}

/// Estimates the hit ratio. `ghosts` are sorted by age, `keys` is the number of keys, and `room` the
/// number of further keys that would fit.
pub(super) fn estimate(
    ghosts: &[Ghost],
    turnover: KeyTurnover,
    flow: &KeyFlow,
    keys: f64,
    room: f64,
) -> Option<DoubleRatio> {
    let lookups = flow.hits + flow.misses;
    let is_reset = flow.hits < 0.0 || flow.misses < 0.0;
    let is_empty = turnover.key_seconds <= 0.0 || flow.evicted <= 0.0 || room <= 0.0;
    if is_reset || is_empty || lookups <= 0.0 || ghosts.len() < GHOSTS_MIN {
        return None;
    }
    let whole = flow.hits / lookups;
    let per_second = |keys_of: f64| keys_of / turnover.key_seconds * keys;
    let own = 1.0 - per_second(turnover.written) / lookups;
    let explained = per_second(turnover.removed) / (flow.evicted + flow.expired);
    if (own - whole).abs() > DIFFERENCE_MAX || !EXPLAINED.contains(&explained) {
        return None;
    }
    let seconds = room / flow.evicted;
    let gained = |share: f64| share * flow.evicted / lookups;
    let (share, _) = share_returned(ghosts, seconds, || 1.0)?;
    let ratio = whole + gained(share);
    let deviation = resample(ratio, |times| {
        let again = share_returned(ghosts, seconds, times);
        again.map_or(ratio, |(share, _)| whole + gained(share))
    });
    // A key that stays is not written again, so its TTL ends earlier. That takes away some of the
    // further hits: at most about the share of keys whose TTL ends before they are evicted.
    let ending = flow.expired / (flow.evicted + flow.expired);
    let error = DEVIATIONS * deviation + ERROR_MIN + gained(share) * ending;
    let double = HitRatio { ratio, error };
    (error <= ERROR_MAX).then_some(DoubleRatio { double, whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::ghosts::GhostEnd;

    const FLOW: KeyFlow = KeyFlow {
        hits: 700.0,
        misses: 300.0,
        evicted: 300.0,
        expired: 0.0,
        growth: 0.0,
    };

    const TURNOVER: KeyTurnover = KeyTurnover {
        key_seconds: 10_000.0,
        written: 300.0,
        removed: 300.0,
    };

    /// Returns ghosts of which half return after a second, and the others are followed for long.
    fn ghosts(count: usize) -> Vec<Ghost> {
        let ghost = |age, end| Ghost {
            died: 0.0,
            age,
            end,
            weight: 1.0,
            is_known: true,
        };
        let returned = (0..count / 2).map(|_| ghost(1.0, GhostEnd::Returned));
        let others = (0..count / 2).map(|_| ghost(100.0, GhostEnd::Followed));
        returned.chain(others).collect()
    }

    fn estimated(ghosts: &[Ghost], turnover: KeyTurnover, flow: KeyFlow) -> Option<DoubleRatio> {
        estimate(ghosts, turnover, &flow, 10_000.0, 10_000.0)
    }

    #[test]
    fn keys_that_return_while_there_is_room_are_hits() {
        let found = estimated(&ghosts(1_000), TURNOVER, FLOW).unwrap();
        assert!((found.double.ratio - 0.85).abs() < 1e-9, "{found:?}");
        assert!((found.whole - 0.7).abs() < 1e-9);
        assert!((0.02..0.05).contains(&found.double.error), "{found:?}");
    }

    #[test]
    fn keys_that_expire_widen_the_error() {
        let flow = KeyFlow {
            evicted: 200.0,
            expired: 100.0,
            ..FLOW
        };
        let found = estimated(&ghosts(1_000), TURNOVER, flow).unwrap();
        let without = DEVIATIONS * 0.01 + ERROR_MIN;
        // A third of the gain of ten percentage points.
        let least = 0.1 / 3.0 + ERROR_MIN;
        assert!((found.double.ratio - 0.8).abs() < 1e-9, "{found:?}");
        let error = found.double.error;
        assert!((least..least + without).contains(&error), "{found:?}");
    }

    #[test]
    fn estimate_is_absent_if_keys_are_written_without_misses() {
        for written in [200.0, 400.0] {
            let turnover = KeyTurnover {
                written,
                ..TURNOVER
            };
            assert_eq!(estimated(&ghosts(1_000), turnover, FLOW), None);
        }
    }

    #[test]
    fn estimate_is_absent_if_keys_are_removed_otherwise() {
        for removed in [150.0, 500.0] {
            let turnover = KeyTurnover {
                removed,
                ..TURNOVER
            };
            assert_eq!(estimated(&ghosts(1_000), turnover, FLOW), None);
        }
    }

    #[test]
    fn few_ghosts_and_reset_counters_give_no_estimate() {
        assert_eq!(estimated(&ghosts(50), TURNOVER, FLOW), None);
        let reset = KeyFlow {
            misses: -1.0,
            ..FLOW
        };
        assert_eq!(estimated(&ghosts(1_000), TURNOVER, reset), None);
        let idle = KeyFlow {
            evicted: 0.0,
            ..FLOW
        };
        assert_eq!(estimated(&ghosts(1_000), TURNOVER, idle), None);
    }

    #[test]
    fn evicted_keys_may_be_larger_than_others() {
        let aged = |idle, bytes| Aged {
            idle,
            weight: 1.0,
            bytes,
        };
        let mut samples: Vec<Aged> = (0..30).map(|at| aged(f64::from(at), 100.0)).collect();
        samples.extend((30..45).map(|at| aged(f64::from(at), 400.0)));
        let size = size_of_oldest(&mut samples).unwrap();
        assert!((size - 400.0).abs() < 1e-9, "{size}");
        assert_eq!(size_of_oldest(&mut []), None);
    }
}
