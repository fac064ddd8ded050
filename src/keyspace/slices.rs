//! Divides the keys counted by a visit of a segment by time. Pure.
//!
//! A long visit of a changing database counts keys at different times. It is divided when the
//! database changes much, or unevenly, so that each slice has a clear time.

use std::collections::BTreeMap;

use super::NamespaceId;
use super::course::Course;
use super::window::Tallies;
use crate::number::to_float;

/// Maximum share of changed keys between two slices that are joined in any case.
const SMALL: f64 = 1.0 / 64.0;

/// Maximum share of changed keys between two slices that are joined if the changes are even.
const LARGE: f64 = 1.0 / 8.0;

/// Maximum number of slices of all segments together, and its limits for each segment.
const SLICES_MAX: usize = 64;
const OF_SEGMENT_MIN: usize = 4;
const OF_SEGMENT_MAX: usize = 16;

/// Keys by namespace, with the time in which they were counted.
#[derive(Clone, Debug)]
pub struct SliceCounts {
    /// Time when counting began, in seconds.
    pub started: f64,
    /// Time when counting ended, in seconds.
    pub ended: f64,
    /// Number of keys by namespace.
    pub keys: BTreeMap<NamespaceId, u64>,
}

impl SliceCounts {
    /// Returns the middle of the time, in seconds.
    #[must_use]
    pub const fn time(&self) -> f64 {
        f64::midpoint(self.started, self.ended)
    }

    /// Returns the number of keys of all namespaces.
    #[must_use]
    pub fn all(&self) -> f64 {
        let keys = self.keys.values();
        to_float(keys.fold(0, |sum: u64, keys| sum.saturating_add(*keys)))
    }

    /// Combines the slices of a visit into one.
    #[must_use]
    pub fn pooled(slices: Vec<Self>) -> Self {
        let nothing = Self {
            started: 0.0,
            ended: 0.0,
            keys: BTreeMap::new(),
        };
        let pooled = slices.into_iter().reduce(|mut earlier, later| {
            earlier.append(&later);
            earlier
        });
        pooled.unwrap_or(nothing)
    }

    /// Adds the slice that follows directly.
    fn append(&mut self, later: &Self) {
        self.ended = later.ended;
        for (namespace, keys) in &later.keys {
            let sum = self.keys.entry(*namespace).or_default();
            *sum = sum.saturating_add(*keys);
        }
    }
}

/// The slices of a visit, oldest first. The keys counted since the last one are the remainder.
#[derive(Clone, Debug)]
pub struct Slices {
    cut: Vec<SliceCounts>,
    /// Start of the remainder.
    since: f64,
}

impl Slices {
    /// Returns the slices of a visit that begins now.
    #[must_use]
    pub const fn new(now: f64) -> Self {
        Self {
            cut: Vec::new(),
            since: now,
        }
    }

    /// Ends a slice if any key was counted since the last one.
    pub fn cut(&mut self, tallies: &Tallies, now: f64) {
        let rest = self.rest(tallies, now);
        self.since = now;
        if !rest.keys.is_empty() {
            self.cut.push(rest);
        }
    }

    /// Joins adjacent slices if the database changed little or evenly during them. `segments` is
    /// the number of segments.
    pub fn join(&mut self, course: &Course, segments: usize) {
        let keys = course.last().map_or(1.0, |now| now.keys.max(1.0));
        let changes = |from: f64, to: f64| course.changed(from, to);
        let mut joined: Vec<SliceCounts> = Vec::with_capacity(self.cut.len());
        for slice in self.cut.drain(..) {
            match joined.last_mut() {
                Some(last) if belong_together(last, &slice, keys, &changes) => last.append(&slice),
                _ => joined.push(slice),
            }
        }
        let most = (SLICES_MAX / segments.max(1)).clamp(OF_SEGMENT_MIN, OF_SEGMENT_MAX);
        while joined.len() > most {
            join_nearest(&mut joined, &changes);
        }
        self.cut = joined;
    }

    /// Returns whether the visit has more than one slice besides the remainder.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.cut.len() > 1
    }

    /// Returns the slices including the remainder, which ends now; at least one.
    #[must_use]
    pub fn until(&self, tallies: &Tallies, now: f64) -> Vec<SliceCounts> {
        let mut slices = self.cut.clone();
        let rest = self.rest(tallies, now);
        if !rest.keys.is_empty() || slices.is_empty() {
            slices.push(rest);
        }
        slices
    }

    fn rest(&self, tallies: &Tallies, now: f64) -> SliceCounts {
        let keys = tallies.iter().map(|(namespace, tally)| {
            let of = |slice: &SliceCounts| slice.keys.get(namespace).copied().unwrap_or(0);
            let cut = self.cut.iter().map(of);
            let cut = cut.fold(0, |sum: u64, keys| sum.saturating_add(keys));
            (*namespace, tally.keys.saturating_sub(cut))
        });
        SliceCounts {
            started: self.since,
            ended: now,
            keys: keys.filter(|(_, keys)| *keys > 0).collect(),
        }
    }
}

/// Returns whether two adjacent slices can be joined without loss.
fn belong_together(
    earlier: &SliceCounts,
    later: &SliceCounts,
    keys: f64,
    changes: &impl Fn(f64, f64) -> f64,
) -> bool {
    let all = unlikely_by_chance(changes(earlier.started, later.ended));
    if all <= SMALL * keys {
        return true;
    }
    let [first, second] = [earlier, later].map(|slice| changes(slice.started, slice.ended));
    let (one, other) = (earlier.all(), later.all());
    // Deviation from changes in proportion to the counted keys.
    let uneven = (first * other - second * one).abs() / (one + other).max(1.0);
    all <= LARGE * keys && unlikely_by_chance(uneven) <= SMALL * keys
}

/// Joins the two adjacent slices during which the database changed least.
fn join_nearest(slices: &mut Vec<SliceCounts>, changes: &impl Fn(f64, f64) -> f64) {
    let pairs = slices.iter().zip(slices.iter().skip(1)).enumerate();
    let pairs = pairs.map(|(place, (one, other))| (place, changes(one.started, other.ended)));
    let nearest = pairs.min_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((place, _)) = nearest else { return };
    let later = slices.remove(place + 1);
    if let Some(earlier) = slices.get_mut(place) {
        earlier.append(&later);
    }
}

/// Returns the excess of a number of changes over the usual random variation of single keys.
#[must_use]
pub fn unlikely_by_chance(changes: f64) -> f64 {
    (changes - 3.0 * changes.max(0.0).sqrt()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts 10 keys in each second while the database has these numbers of keys.
    fn slices(sizes: &[u64]) -> Vec<(f64, f64, f64)> {
        let mut course = Course::default();
        let mut tallies = Tallies::new();
        let mut slices = Slices::new(0.0);
        for (second, keys) in (0_u32..).zip(sizes) {
            let now = f64::from(second);
            course.observe(now, *keys, 0.0);
            slices.cut(&tallies, now);
            slices.join(&course, 64);
            tallies.entry(NamespaceId::OTHER).or_default().keys += 10;
        }
        let last = f64::from(u32::try_from(sizes.len()).unwrap());
        let all = slices.until(&tallies, last).into_iter();
        all.map(|slice| (slice.started, slice.ended, slice.all()))
            .collect()
    }

    #[test]
    fn visit_of_an_unchanged_database_is_one_slice_and_a_rest() {
        assert_eq!(slices(&[500; 4]), [(0.0, 3.0, 30.0), (3.0, 4.0, 10.0)]);
    }

    #[test]
    fn sudden_changes_get_their_own_slice() {
        let found = slices(&[500, 500, 50_000, 50_000, 50_000]);
        let expected = [
            (0.0, 1.0, 10.0),
            (1.0, 2.0, 10.0),
            (2.0, 4.0, 20.0),
            (4.0, 5.0, 10.0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn number_of_slices_is_bounded_without_losing_keys() {
        let sizes: Vec<u64> = (1..100).map(|second| 500 * second * second).collect();
        let found = slices(&sizes);
        assert!(found.len() <= OF_SEGMENT_MIN + 1, "{found:?}");
        let all: f64 = found.iter().map(|(_, _, keys)| keys).sum();
        assert!((all - 990.0).abs() < 1e-9, "{found:?}");
    }
}
