//! Bounds the keys without a TTL by the number of keys with one, which INFO reports without
//! lookups. Pure.
//!
//! The bounds are exact if all keys have a TTL or none do.

use super::{Estimate, NamespaceEstimate, around, float};

/// Iterations to fit the estimates to their sum.
const ROUNDS: usize = 8;

/// The minimum and maximum number of keys without a TTL in a namespace.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: f64,
    most: f64,
}

impl Bounds {
    /// Returns the bounds that apply to any namespace of a database, narrowed to the part of the
    /// sample's interval within them.
    fn new(estimate: &NamespaceEstimate, without: f64, expires: f64) -> Self {
        let least = (estimate.keys.lower - expires).max(0.0);
        let most = estimate.keys.upper.min(without).max(least);
        let Some(sampled) = estimate.without_ttl else {
            return Self { least, most };
        };
        Self {
            least: sampled.lower.clamp(least, most),
            most: sampled.upper.clamp(least, most),
        }
    }
}

/// Bounds the keys without a TTL in each namespace by how many of the `keys` of the database have
/// one. Scales the estimates so that they add up.
pub fn bound_by_expires(estimates: &mut [NamespaceEstimate], keys: u64, expires: Option<u64>) {
    let Some(expires) = expires else { return };
    let (without, expires) = (float(keys.saturating_sub(expires)), float(expires));
    let bounds: Vec<Bounds> = estimates
        .iter()
        .map(|estimate| Bounds::new(estimate, without, expires))
        .collect();
    let least: f64 = bounds.iter().map(|bounds| bounds.least).sum();
    let most: f64 = bounds.iter().map(|bounds| bounds.most).sum();
    let bounds: Vec<Bounds> = bounds
        .into_iter()
        .map(|own| {
            // Keys that do not fit into all other namespaces together belong to this one.
            let floor = (without - (most - own.most)).clamp(own.least, own.most);
            let ceiling = (without - (least - own.least)).clamp(floor, own.most);
            Bounds {
                least: floor,
                most: ceiling,
            }
        })
        .collect();
    let mut values: Vec<Option<f64>> = estimates
        .iter()
        .zip(&bounds)
        .map(|(estimate, bounds)| {
            let is_known = bounds.most - bounds.least < 1.0 || expires < 1.0;
            let value = match estimate.without_ttl {
                Some(sampled) => sampled.value,
                None if is_known => estimate.keys.value,
                None => return None,
            };
            Some(value.clamp(bounds.least, bounds.most))
        })
        .collect();
    fit(&mut values, &bounds, without);
    for ((estimate, value), bounds) in estimates.iter_mut().zip(values).zip(bounds) {
        estimate.without_ttl = value.map(|value| {
            let value = value.round().clamp(bounds.least, bounds.most);
            around(value, bounds.least, bounds.most, bounds.most)
        });
        bound_max(&mut estimate.max_broken, expires);
    }
}

/// Scales the values within their bounds until they add up. A value of zero stays zero: a namespace
/// without such keys in its sample is not blamed for missing ones.
fn fit(values: &mut [Option<f64>], bounds: &[Bounds], sum: f64) {
    if values.iter().any(Option::is_none) {
        return;
    }
    for _ in 0..ROUNDS {
        let all: f64 = values.iter().flatten().sum();
        let is_free = |value: f64, bounds: &Bounds| {
            value > 0.0
                && if all < sum {
                    value < bounds.most
                } else {
                    value > bounds.least
                }
        };
        let pairs = values.iter().flatten().zip(bounds);
        let free = pairs.filter(|(value, bounds)| is_free(**value, bounds));
        let free: f64 = free.map(|(value, _)| value).sum();
        if free <= 0.0 || (all - sum).abs() < 0.5 {
            return;
        }
        let factor = ((free + sum - all) / free).max(0.0);
        for (value, bounds) in values.iter_mut().flatten().zip(bounds) {
            if is_free(*value, bounds) {
                *value = (*value * factor).clamp(bounds.least, bounds.most);
            }
        }
    }
}

/// Bounds keys with too long a TTL by the keys that have one.
fn bound_max(max_broken: &mut Option<Estimate>, expires: f64) {
    if expires < 1.0 {
        *max_broken = Some(Estimate::default());
    } else if let Some(broken) = max_broken {
        let upper = broken.upper.min(expires);
        *broken = around(
            broken.value.min(upper),
            broken.lower.min(upper),
            upper,
            upper,
        );
    }
}

/// Returns the minimum number of keys that lack a TTL required by their namespace: those that do
/// not fit into the other namespaces. Returns `None` if no namespace requires a TTL.
#[must_use]
pub fn fewest_violations(
    estimates: &[NamespaceEstimate],
    keys: u64,
    expires: u64,
    requires_ttl: impl Fn(&NamespaceEstimate) -> bool,
) -> Option<f64> {
    let (required, others): (Vec<_>, Vec<_>) = estimates
        .iter()
        .partition(|estimate| requires_ttl(estimate));
    let elsewhere = others.iter().map(|estimate| {
        let known = estimate.without_ttl.map(|without| without.upper);
        known.unwrap_or(estimate.keys.upper)
    });
    let least = float(keys.saturating_sub(expires)) - elsewhere.sum::<f64>();
    (!required.is_empty()).then(|| least.floor().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::NamespaceId;
    use proptest::prelude::*;

    fn exactly(value: f64) -> Estimate {
        around(value, value, value, value)
    }

    /// Returns a namespace with this many keys, and a sampled estimate of those without a TTL.
    fn namespace(keys: f64, without_ttl: Option<Estimate>) -> NamespaceEstimate {
        NamespaceEstimate {
            namespace: NamespaceId(1),
            keys: exactly(keys),
            memory: None,
            without_ttl,
            ttl: None,
            longest_ttl: None,
            key_bytes: None,
            types: None,
            max_broken: None,
            largest_key_bytes: None,
            folded: 0,
            may_hide_memory: false,
        }
    }

    fn bounded(mut estimates: Vec<NamespaceEstimate>, expires: u64) -> Vec<Option<Estimate>> {
        let keys: f64 = estimates.iter().map(|estimate| estimate.keys.value).sum();
        bound_by_expires(&mut estimates, super::super::rounded(keys), Some(expires));
        estimates
            .into_iter()
            .map(|found| found.without_ttl)
            .collect()
    }

    #[test]
    fn all_or_no_keys_with_ttl_need_no_lookups() {
        let unqueried = || vec![namespace(900.0, None), namespace(100.0, None)];
        let all = bounded(unqueried(), 1_000);
        assert_eq!(all, [Some(exactly(0.0)), Some(exactly(0.0))]);
        let none = bounded(unqueried(), 0);
        assert_eq!(none, [Some(exactly(900.0)), Some(exactly(100.0))]);
        assert_eq!(bounded(unqueried(), 500), [None, None]);
        let mut estimates = unqueried();
        bound_by_expires(&mut estimates, 1_000, Some(0));
        assert_eq!(estimates[0].max_broken, Some(exactly(0.0)));
        let mut unreported = unqueried();
        bound_by_expires(&mut unreported, 1_000, None);
        assert_eq!(unreported, unqueried());
    }

    #[test]
    fn keys_too_many_for_other_namespaces_need_no_lookup() {
        // 100 of 100,000 keys have no TTL, and the other namespace is far too small for them.
        let found = bounded(
            vec![namespace(99_990.0, None), namespace(10.0, None)],
            99_900,
        );
        assert_eq!(found, [None, None]);
        let sampled = around(0.0, 0.0, 1_000.0, 99_990.0);
        let found = bounded(
            vec![namespace(99_990.0, Some(sampled)), namespace(10.0, None)],
            99_900,
        );
        let without = found[0].unwrap();
        assert_eq!(without, around(90.0, 90.0, 100.0, 100.0));
    }

    #[test]
    fn estimates_are_scaled_to_their_sum() {
        let found = around(333.0, 50.0, 1_900.0, 100_000.0);
        let nothing = around(0.0, 0.0, 1_200.0, 100_000.0);
        let all = around(100.0, 97.0, 100.0, 100.0);
        let bounded = bounded(
            vec![
                namespace(100_000.0, Some(found)),
                namespace(100_000.0, Some(nothing)),
                namespace(100.0, Some(all)),
            ],
            199_000,
        );
        let values: Vec<f64> = bounded.iter().map(|found| found.unwrap().value).collect();
        assert_eq!(values, [1_000.0, 0.0, 100.0]);
        // All but the minimum of the other two.
        assert_eq!(bounded[1], Some(around(0.0, 0.0, 953.0, 953.0)));
    }

    #[test]
    fn fewest_violations_exceed_the_other_namespaces() {
        let estimates = [namespace(100_000.0, None), namespace(100.0, None)];
        let is_large = |estimate: &NamespaceEstimate| estimate.keys.value > 1_000.0;
        let fewest = |expires| fewest_violations(&estimates, 100_100, expires, is_large);
        assert_eq!(fewest(99_000), Some(1_000.0));
        assert_eq!(fewest(100_050), Some(0.0));
        assert_eq!(fewest_violations(&estimates, 100_100, 0, |_| false), None);
    }

    proptest! {
        #[test]
        fn bounds_never_exclude_the_truth(
            truth in prop::collection::vec((0_u32..1_000, 0_u32..1_000, any::<bool>()), 1..6),
        ) {
            let estimates: Vec<_> = truth.iter().map(|(with, without, is_sampled)| {
                let (keys, without) = (f64::from(with + without), f64::from(*without));
                let value = (without * 1.3).min(keys);
                let sampled = around(value, without * 0.5, without * 1.5, keys);
                namespace(keys, is_sampled.then_some(sampled))
            }).collect();
            let expires = truth.iter().map(|(with, ..)| u64::from(*with)).sum();
            for (found, (_, without, _)) in bounded(estimates, expires).iter().zip(&truth) {
                if let Some(found) = found {
                    let without = f64::from(*without);
                    prop_assert!(found.lower <= without && without <= found.upper, "{:?}", found);
                    prop_assert!(found.lower <= found.value && found.value <= found.upper);
                }
            }
        }
    }
}
