//! Scales counts of a sample to all keys, so that rounded numbers add up. Pure.

use super::super::tally::{Expiries, KnownMemory, SIZE_EDGES, TTL_EDGES, Tally};
use super::float;
use crate::metric::{Edge, Histogram};
use crate::number::wide;

/// Distributes the keys of a database in proportion to the keys seen of each namespace, so that the
/// numbers add up. Uses the largest remainder method.
pub(super) fn apportion(population: u64, seen: &[u64]) -> Vec<u64> {
    let sum: u128 = seen.iter().copied().map(u128::from).sum();
    if sum == 0 {
        return vec![0; seen.len()];
    }
    let product = |seen: &u64| u128::from(population) * u128::from(*seen);
    let mut keys: Vec<u64> = seen.iter().map(|seen| whole(product(seen) / sum)).collect();
    let given = keys
        .iter()
        .fold(0_u64, |given, keys| given.saturating_add(*keys));
    let mut rests: Vec<(u128, usize)> = seen
        .iter()
        .enumerate()
        .map(|(place, seen)| (product(seen) % sum, place))
        .collect();
    rests.sort_by_key(|(rest, place)| (std::cmp::Reverse(*rest), *place));
    let left = usize::try_from(population.saturating_sub(given)).unwrap_or(usize::MAX);
    for (_, place) in rests.into_iter().take(left) {
        if let Some(keys) = keys.get_mut(place) {
            *keys = keys.saturating_add(1);
        }
    }
    keys
}

/// Scales `part` of `count` keys to all `keys`, rounded to the nearest whole number.
pub(super) fn scale(part: u64, count: u64, keys: u64, none: bool) -> Option<u64> {
    if none {
        return Some(0);
    }
    let (part, count) = (u128::from(part), u128::from(count));
    let product = u128::from(keys) * part + count / 2;
    product.checked_div(count).map(whole)
}

pub(super) fn types(tally: &Tally, keys: u64) -> Option<[u64; 7]> {
    if tally.typed() == 0 {
        return None;
    }
    apportion(keys, &tally.types.map(u64::from)).try_into().ok()
}

pub(super) fn ttl_histogram(expiry: &Expiries, keys: u64) -> Option<Histogram> {
    let without = scale(expiry.without_ttl, expiry.count, keys, false)?;
    let sum = wide(expiry.sum) / float(expiry.count) * float(keys);
    let count = keys.saturating_sub(without);
    Some(histogram(
        &TTL_EDGES,
        &expiry.buckets,
        (expiry.count, keys),
        count,
        sum,
    ))
}

pub(super) fn size_histogram(sizes: &KnownMemory, keys: u64, sum: f64) -> Option<Histogram> {
    if sizes.count == 0 {
        return None;
    }
    Some(histogram(
        &SIZE_EDGES,
        &sizes.buckets,
        (sizes.count, keys),
        keys,
        sum,
    ))
}

/// Scales the cumulative counts instead of each bucket, so that rounding errors do not add up.
fn histogram(
    edges: &'static [Edge],
    buckets: &[u32],
    (seen, keys): (u64, u64),
    count: u64,
    sum: f64,
) -> Histogram {
    let mut below = 0_u64;
    let counts = buckets
        .iter()
        .map(|bucket| {
            below = below.saturating_add((*bucket).into());
            scale(below, seen, keys, false).unwrap_or(0).min(count)
        })
        .collect();
    Histogram {
        edges,
        counts,
        count,
        sum,
        only_full: count == 0,
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
