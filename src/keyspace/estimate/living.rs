//! Estimates the keys of all namespaces of a database that changes during a sweep. Pure.

use super::drift::{ChangesSince, Frame, Prediction, Track, Visit, predict};
use super::turnover::{Counted, Turnover};
use super::{
    Estimate, LivingKeys, NamespaceId, SampleSize, Tally, UNSEEN_TIMES, Z, apportion, around,
    float, rounded, wilson_of,
};
use crate::keyspace::course::Point;
use crate::keyspace::slices::SliceCounts;
use crate::keyspace::window::{Visits, Window};
use crate::number::length;

/// Fractions of a key that are distinguished when keys are distributed.
const PARTS_OF_A_KEY: f64 = 256.0;

/// Standard errors by which the sum of all predictions may miss the number of keys before they are
/// considered unreliable.
const MISSED_AT_MOST: f64 = 2.0;

/// Minimum share used for the effective sample size, in standard deviations of the share.
const LEAST_SHARE: f64 = 0.25;

/// Counts have no clear time if more than this share of the keys came or went suddenly while
/// counting. The limit for a whole visit is higher: if a slice is left out, its segment has others.
const SUDDEN_OF_SLICE: f64 = 1.0 / 16.0;
const SUDDEN_OF_VISIT: f64 = 1.0 / 8.0;

/// Returns the keys of each namespace. Returns nothing if the database has not changed since the
/// sweep began, because the counts are then current.
pub(super) fn keys(
    window: &Window,
    sample: SampleSize,
    is_uniform: bool,
    tallies: &[(NamespaceId, &Tally)],
) -> Vec<LivingKeys> {
    let Some(now) = window.course().last() else {
        return Vec::new();
    };
    if sample.population == 0 || sample.seen == 0 || window.is_still() {
        return Vec::new();
    }
    let now = Point {
        keys: float(sample.population),
        ..now
    };
    let counts = counts(window, &now, is_uniform);
    let shown: Vec<NamespaceId> = tallies.iter().map(|(namespace, _)| *namespace).collect();
    let each = tallies.iter().map(|(namespace, tally)| {
        let frame = Frame {
            keys: now.keys,
            segments: segments(window),
            share: (float(tally.keys) + 0.5) / (float(sample.seen) + 1.0),
        };
        let of = |counted: &SliceCounts| of(counted, *namespace, &shown);
        let tracks: Vec<Track> = counts.iter().map(|count| count.track(&of)).collect();
        (predict(&tracks, frame), tally.keys == 0, frame.share)
    });
    let mut each: Vec<(Prediction, bool, f64)> = each.collect();
    let newest = counts.iter().map(|count| count.last.counted.time());
    let newest = newest
        .reduce(f64::max)
        .and_then(|time| window.course().at(time));
    let grown = newest.map_or(0.0, |then| (now.keys - then.keys).max(0.0));
    agree(&mut each, now.keys, grown);
    let turnover = Turnover::since_begun(window, &now);
    if let Some(turnover) = turnover {
        let counted = tallies.iter().zip(&mut each);
        let seen = counted.filter(|(_, (_, is_unseen, _))| !is_unseen);
        let seen = seen.map(|((_, tally), (prediction, _, _))| Counted {
            keys: float(tally.keys),
            expiring: float(tally.keys) * expiring_share(tally),
            prediction,
        });
        turnover.bound(seen.collect(), now.keys);
    }
    let mut keys = intervals(&each, sample, grown);
    if let Some(turnover) = turnover {
        for (known, (_, tally)) in keys.iter_mut().zip(tallies) {
            known.keys = turnover.clip(known.keys, float(tally.keys));
        }
    }
    keys
}

/// Returns the share of the keys that have a TTL, as far as it is known.
fn expiring_share(tally: &Tally) -> f64 {
    let expiry = &tally.expiry;
    1.0 - float(expiry.without_ttl) / float(expiry.count).max(1.0)
}

fn segments(window: &Window) -> f64 {
    length(window.segments())
}

/// Returns the keys of a namespace in a segment. Keys of namespaces that are not shown count as
/// [`NamespaceId::OTHER`].
fn of(counted: &SliceCounts, namespace: NamespaceId, shown: &[NamespaceId]) -> f64 {
    let own = counted.keys.get(&namespace).copied().unwrap_or(0);
    if namespace != NamespaceId::OTHER {
        return float(own);
    }
    let others = counted.keys.iter();
    let folded = others.filter(|(namespace, _)| shown.binary_search(namespace).is_err());
    folded.fold(float(own), |sum, (_, keys)| sum + float(*keys))
}

/// The counts of a slice, and the state of the database at its time.
struct Slice {
    counted: SliceCounts,
    part: f64,
    at: ChangesSince,
}

impl Slice {
    fn visit(&self, of: &dyn Fn(&SliceCounts) -> f64) -> Visit {
        Visit {
            keys: of(&self.counted),
            part: self.part,
            at: self.at,
        }
    }
}

/// The counts of a segment or a part of it, for all namespaces.
struct SegmentCount {
    room: f64,
    last: Slice,
    before: Option<Slice>,
}

impl SegmentCount {
    fn track(&self, of: &dyn Fn(&SliceCounts) -> f64) -> Track {
        Track {
            room: self.room,
            last: self.last.visit(of),
            before: self.before.as_ref().map(|before| before.visit(of)),
        }
    }
}

/// Returns the counts of all segments. Leaves out slices without a clear time, as if that part of
/// the keys had not been visited.
fn counts(window: &Window, now: &Point, is_uniform: bool) -> Vec<SegmentCount> {
    let visits = window.visits(now.time);
    let counts = visits.flat_map(|visits| {
        if is_uniform {
            counts_of(window, now, visits)
        } else {
            // A slice is not a sample of the segment.
            let last = SliceCounts::pooled(visits.last);
            vec![count(window, now, last, visits.complete, visits.before)]
        }
    });
    counts.collect()
}

fn counts_of(window: &Window, now: &Point, visits: Visits) -> Vec<SegmentCount> {
    let are_several = visits.last.len() > 1;
    let most = if are_several {
        SUDDEN_OF_SLICE
    } else {
        SUDDEN_OF_VISIT
    };
    let is_clear =
        |counted: &SliceCounts| window.course().suddenness(counted.started, counted.ended) <= most;
    let slices = visits.last.into_iter().filter(is_clear);
    if !are_several {
        let before = visits.before.filter(is_clear);
        let single = slices.map(|last| count(window, now, last, visits.complete, before.clone()));
        return single.collect();
    }
    let slices = slices.map(|slice| count(window, now, slice, false, None));
    let mut slices: Vec<SegmentCount> = slices.collect();
    let visited: f64 = slices.iter().map(|slice| slice.last.part).sum();
    for slice in &mut slices {
        slice.last.part /= visited.max(1.0);
        slice.room = slice.last.part;
    }
    slices
}

fn count(
    window: &Window,
    now: &Point,
    last: SliceCounts,
    complete: bool,
    before: Option<SliceCounts>,
) -> SegmentCount {
    SegmentCount {
        room: 1.0,
        last: slice(window, now, last, complete),
        before: before.map(|before| slice(window, now, before, true)),
    }
}

fn slice(window: &Window, now: &Point, counted: SliceCounts, complete: bool) -> Slice {
    let then = window.course().at(counted.time()).unwrap_or(*now);
    let expected = then.keys / segments(window);
    let part = if complete {
        1.0
    } else {
        (counted.all() / expected.max(1.0)).clamp(0.0, 1.0)
    };
    let at = ChangesSince {
        more: (then.keys - now.keys) / now.keys,
        pairs: (then.pairs - now.pairs) / now.keys,
        events: (now.events - then.events).max(0.0),
        net: (now.net() - then.net()).max(0.0),
        age: (now.time - then.time).max(0.0),
    };
    Slice { counted, part, at }
}

/// Makes the predictions add up to the number of keys. Distributes the difference in proportion to
/// the uncertainty of each prediction.
///
/// An unseen namespace may have a part too. Otherwise a single namespace would be certain to have
/// all keys. `grown` is the growth since the newest part of the sweep, all of which may belong to a
/// new namespace.
fn agree(each: &mut [(Prediction, bool, f64)], keys: f64, grown: f64) {
    let unseen = each.iter().filter(|(_, is_unseen, _)| *is_unseen);
    let unseen = unseen.map(|(prediction, _, share)| most_unseen(prediction, *share, keys) / Z);
    let unseen = unseen.fold(0.0, f64::max).hypot(grown);
    for (prediction, is_unseen, _) in &mut *each {
        if *is_unseen {
            prediction.keys = 0.0;
        }
    }
    let total = |prediction: &Prediction| prediction.variance + prediction.batches;
    let seen = |each: &[(Prediction, bool, f64)]| {
        let seen = each.iter().filter(|(_, is_unseen, _)| !is_unseen);
        seen.fold((0.0, 0.0), |(keys, variance), (prediction, _, _)| {
            (keys + prediction.keys, variance + total(prediction))
        })
    };
    let (sum, variance) = seen(each);
    let variance = variance + unseen * unseen;
    let missing = keys - sum;
    if variance <= 0.0 {
        return;
    }
    let times = missing * missing / (variance * MISSED_AT_MOST * MISSED_AT_MOST);
    let times = times.max(1.0);
    for (prediction, is_unseen, _) in each {
        let part = if *is_unseen {
            0.0
        } else {
            total(prediction) / variance
        };
        prediction.keys = (prediction.keys + part * missing).max(0.0);
        prediction.variance *= times * (1.0 - part);
        prediction.batches *= times * (1.0 - part);
    }
}

/// Returns the sample size that a prediction's variance corresponds to, for a share of the keys.
fn effective(prediction: &Prediction, share: f64, population: f64) -> f64 {
    let share = share.clamp(0.5 / population.max(1.0), 1.0 - 0.5 / population.max(1.0));
    let effective = share * (1.0 - share) * population * population / prediction.variance;
    effective.clamp(f64::MIN_POSITIVE, f64::MAX)
}

/// Returns the maximum number of keys of a namespace with no seen key.
fn most_unseen(prediction: &Prediction, share: f64, population: f64) -> f64 {
    let most = population * UNSEEN_TIMES / effective(prediction, share, population);
    most.min(population)
}

fn intervals(each: &[(Prediction, bool, f64)], sample: SampleSize, grown: f64) -> Vec<LivingKeys> {
    let population = float(sample.population);
    let parts: Vec<u64> = each
        .iter()
        .map(|(prediction, _, _)| rounded(prediction.keys * PARTS_OF_A_KEY))
        .collect();
    let keys = apportion(sample.population, &parts);
    let each = each.iter().zip(keys);
    each.map(|((prediction, is_unseen, share), keys)| {
        let value = float(keys);
        let share = if *is_unseen {
            *share
        } else {
            value / population
        };
        let (lower, upper) = if *is_unseen {
            (0.0, most_unseen(prediction, share, population) + grown)
        } else {
            // With a share far below its own deviation, the sample would be worth less than one
            // key.
            let least = LEAST_SHARE * prediction.variance.sqrt() / population;
            let effective = effective(prediction, share.max(least), population);
            wilson_of(value / population, effective, population)
        };
        // Sampling gives a rare namespace an asymmetric interval; a batch does not.
        let batches = Z * prediction.batches.sqrt();
        let lower = value - (value - lower).hypot(batches);
        let upper = value + (upper - value).hypot(batches);
        LivingKeys {
            keys: sound(around(value, lower, upper, population)),
            survival: prediction.survival,
            none: false,
        }
    })
    .collect()
}

/// Rounds the error up to whole keys, because half a key has the same uncertainty as one.
pub(super) fn sound(estimate: Estimate) -> Estimate {
    Estimate {
        error: estimate.error.ceil(),
        ..estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vanished_namespace_is_bounded_by_its_deviation() {
        let prediction = |keys| Prediction {
            keys,
            variance: 150.0 * 150.0,
            batches: 0.0,
            survival: 1.0,
        };
        let each = [
            (prediction(0.0), false, 0.3),
            (prediction(40_000.0), false, 0.7),
        ];
        let sample = SampleSize {
            seen: 1_000,
            population: 40_000,
            whole: false,
        };
        let gone = intervals(&each, sample, 0.0)[0].keys;
        assert!(
            gone.value < 1.0 && (300.0..3_000.0).contains(&gone.upper),
            "{gone:?}"
        );
    }
}
