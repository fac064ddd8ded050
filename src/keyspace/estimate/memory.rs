//! Estimates the memory of a namespace from the sizes of some of its keys. Pure.
//!
//! Sizes are heavy-tailed, so outliers are handled separately.

use super::{Estimate, LivingKeys, UNSEEN_TIMES, Z, around, float};
use crate::keyspace::tally::KnownMemory;
use crate::number::wide;

/// A size is an outlier if it is more than this many times the mean of the others.
const OUTLIER_TIMES_MEAN: f64 = 100.0;

/// Maximum number of outliers in a sample. More of them form the tail of a distribution, which the
/// sample then represents well enough.
const OUTLIERS_MAX: usize = 3;

/// Minimum number of other keys to compare an outlier with.
const OUTLIER_SAMPLE_MIN: f64 = 10.0;

/// The number of sizes, their sum, and the sum of their squares.
#[derive(Clone, Copy, Debug)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    /// Returns the moments without the `taken` sizes. Subtracts integers, because one giant would
    /// otherwise consume the precision of all others.
    fn without(sizes: &KnownMemory, taken: &[u64]) -> Self {
        let squares = taken.iter().fold(0_u128, |squares, bytes| {
            squares.saturating_add(u128::from(*bytes).saturating_mul(u128::from(*bytes)))
        });
        Self {
            count: float(sizes.count.saturating_sub(taken.len() as u64)),
            sum: wide(sizes.sum.saturating_sub(sum(taken))),
            squares: wide(sizes.squares.saturating_sub(squares)),
        }
    }

    fn mean(self) -> f64 {
        if self.count > 0.0 {
            self.sum / self.count
        } else {
            0.0
        }
    }

    /// Returns the sampling error of the sum of `all` keys, estimated as `all` times the mean.
    /// `survival` is the share of the seen keys that still exist.
    fn error(self, all: f64, survival: f64) -> f64 {
        let unseen_share = (1.0 - survival * self.count / all).clamp(0.0, 1.0);
        if self.count < 1.0 || all < 1.0 || unseen_share <= 0.0 {
            return 0.0;
        }
        if self.count < 2.0 {
            // One key does not show how much the others differ.
            return all * self.mean() * unseen_share.sqrt();
        }
        let spread = (self.squares / self.count - self.mean() * self.mean()).max(0.0);
        let variance = spread / (self.count - 1.0);
        student(self.count - 1.0) * all * (variance * unseen_share).sqrt()
    }
}

/// Returns the 97.5 % quantile of Student's t-distribution (Cornish-Fisher expansion). With few
/// keys, their variance is itself uncertain.
fn student(freedom: f64) -> f64 {
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    Z + first / freedom + second / (freedom * freedom)
}

/// Estimates memory as the sum of the known big keys plus the mean of the rest times its number.
///
/// A giant key would otherwise be scaled up to hundreds. The error still includes a giant found by
/// chance, because there may be more like it.
pub(super) fn estimate(sizes: &KnownMemory, now: LivingKeys, known: &[u64]) -> Option<Estimate> {
    let keys = now.keys;
    if now.none {
        return Some(Estimate::default());
    }
    if sizes.count == 0 || keys.value < 1.0 {
        return None;
    }
    let known = known
        .get(..known.len().min(index(keys.value)))
        .unwrap_or_default();
    let (seen_of_known, others) = split(sizes.largest(), known);
    let outliers = outliers(sizes, seen_of_known, others);
    let taken: Vec<u64> = seen_of_known.iter().chain(outliers).copied().collect();
    let apart: Vec<u64> = known.iter().chain(outliers).copied().collect();
    let rest = Moments::without(sizes, &taken);
    let value = wide(sum(&apart)) + (keys.value - length(&apart)).max(0.0) * rest.mean();
    let others_left = (keys.value - length(known)).max(0.0);
    let by_chance = Moments::without(sizes, seen_of_known).error(others_left, now.survival);
    let by_keys = rest.mean() * keys.error;
    let error = by_chance.hypot(by_keys) + giants(sizes, others, keys.value, now.survival);
    Some(around(
        value.round(),
        value - error,
        value + error,
        f64::MAX,
    ))
}

/// Returns the memory that keys larger than any seen may add. By the rule of three their number is
/// bounded; each counts as the largest one seen. The variance of a sample does not cover them.
fn giants(sizes: &KnownMemory, others: &[u64], keys: f64, survival: f64) -> f64 {
    let largest = others.first().copied().map_or(0.0, float);
    let seen = float(sizes.count);
    UNSEEN_TIMES * largest * (keys / seen - survival).max(0.0)
}

/// Splits the largest sizes of a sample into those of the known big keys and the others.
fn split<'a>(largest: &'a [u64], known: &[u64]) -> (&'a [u64], &'a [u64]) {
    let place = match known.last() {
        Some(least) => largest.partition_point(|bytes| bytes >= least),
        None => 0,
    };
    largest.split_at_checked(place).unwrap_or_default()
}

/// Returns the few sizes of a sample that are out of proportion to the rest.
fn outliers<'a>(sizes: &KnownMemory, seen_of_known: &[u64], others: &'a [u64]) -> &'a [u64] {
    let candidates = others.iter().take(OUTLIERS_MAX);
    let taken: Vec<u64> = seen_of_known.iter().chain(candidates).copied().collect();
    let rest = Moments::without(sizes, &taken);
    if rest.count < OUTLIER_SAMPLE_MIN {
        return &[];
    }
    let beyond = others.partition_point(|bytes| float(*bytes) > OUTLIER_TIMES_MEAN * rest.mean());
    if beyond > OUTLIERS_MAX {
        return &[];
    }
    others.get(..beyond).unwrap_or_default()
}

fn sum(sizes: &[u64]) -> u128 {
    sizes.iter().copied().map(u128::from).sum()
}

fn length(sizes: &[u64]) -> f64 {
    float(sizes.len() as u64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of keys; the cast stops at the ends of the type"
)]
fn index(number: f64) -> usize {
    number as usize
}
