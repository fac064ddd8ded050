//! Tracks how a database has changed over time, from the server's own counters. Pure.
//!
//! It bounds the changes since a part of the keyspace was visited.

use super::slices::unlikely_by_chance;
use crate::number::to_float as float;

/// Maximum number of points; older ones are thinned out first.
const POINTS_MAX: usize = 512;

/// Minimum time between two points used for rates, in seconds.
const SHORTEST: f64 = 1e-3;

/// The state of a database at one moment. The counts increase from an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Time of the observation, in seconds.
    pub time: f64,
    /// Number of keys.
    pub keys: f64,
    /// Keys added or removed, at most: writes, evictions and expiries.
    pub events: f64,
    /// Keys that replaced others, at most. Each is two events.
    pub pairs: f64,
}

impl Point {
    /// Returns the number of keys by which the size changed, up or down.
    #[must_use]
    pub fn net(&self) -> f64 {
        self.events - 2.0 * self.pairs
    }

    /// Returns the number of keys that a single namespace can have gained or lost.
    #[must_use]
    pub fn reach(&self) -> f64 {
        self.events - self.pairs
    }

    /// Returns whether nothing changed between two points.
    fn has_state_of(&self, other: &Self) -> bool {
        let counts = |point: &Self| [point.keys, point.events, point.pairs].map(f64::to_bits);
        counts(self) == counts(other)
    }
}

/// The observed points of a database, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Course(Vec<Point>);

impl Course {
    /// Records the current number of keys, and the number of events since the last point.
    pub fn observe(&mut self, time: f64, keys: u64, events: f64) {
        let keys = float(keys);
        let last = self.0.last().copied().unwrap_or(Point {
            time,
            keys,
            ..Point::default()
        });
        let net = (keys - last.keys).abs();
        // The size proves at least this many events, even if the counters miss some.
        let events = events.max(net);
        let point = Point {
            time: time.max(last.time),
            keys,
            events: last.events + events,
            pairs: last.pairs + (events - net) / 2.0,
        };
        // Two points are enough for a time without changes, however long it is.
        match self.0.as_mut_slice() {
            [.., before, last] if before.has_state_of(last) && last.has_state_of(&point) => {
                last.time = point.time;
            }
            _ => self.0.push(point),
        }
        if self.0.len() > POINTS_MAX {
            self.thin();
        }
    }

    /// Removes every second point of the older half.
    fn thin(&mut self) {
        let mut place = 0;
        self.0.retain(|_| {
            place += 1;
            place > POINTS_MAX / 2 || place % 2 == 1
        });
    }

    /// Returns how many keys a single namespace can have gained or lost between two times.
    #[must_use]
    pub fn changed(&self, from: f64, to: f64) -> f64 {
        let reach = |time| self.at(time).map_or(0.0, |point| point.reach());
        (reach(to) - reach(from)).max(0.0)
    }

    /// Returns the most sudden change between two times, as a share of the keys.
    ///
    /// A change is sudden if its rate differs from that before and after. It is then unknown which
    /// part of it came before the keys of that time were counted.
    #[must_use]
    pub fn suddenness(&self, from: f64, to: f64) -> f64 {
        let first = self.0.partition_point(|point| point.time <= from);
        let after = self.0.partition_point(|point| point.time < to);
        let sudden = (first.max(1)..=after).map(|place| self.suddenness_before(place));
        sudden.fold(0.0, f64::max)
    }

    /// Returns the suddenness of the changes between a point and the previous one.
    fn suddenness_before(&self, place: usize) -> f64 {
        let span = |place: usize| {
            let newer = self.0.get(place)?;
            let older = self.0.get(place.checked_sub(1)?)?;
            let seconds = (newer.time - older.time).max(SHORTEST);
            Some((
                newer.reach() - older.reach(),
                seconds,
                older.keys.max(newer.keys),
            ))
        };
        let Some((changed, seconds, keys)) = span(place) else {
            return 0.0;
        };
        let around = [place.checked_sub(1).and_then(span), span(place + 1)];
        let rates = around
            .iter()
            .flatten()
            .map(|(changed, seconds, _)| changed / seconds);
        let usual = rates.reduce(f64::min).unwrap_or(0.0) * seconds;
        unlikely_by_chance(changed - usual) / keys.max(1.0)
    }

    /// Returns the last point.
    #[must_use]
    pub fn last(&self) -> Option<Point> {
        self.0.last().copied()
    }

    /// Returns the last point observed at or before `time`, which includes no later event.
    #[must_use]
    pub fn before(&self, time: f64) -> Option<Point> {
        let after = self.0.partition_point(|point| point.time <= time);
        self.0.get(after.saturating_sub(1)).copied()
    }

    /// Returns the minimum and maximum number of keys that the database can have had since `time`.
    /// Between two points, all removals may have come before all additions, or the reverse.
    #[must_use]
    pub fn extremes(&self, time: f64) -> Option<(f64, f64)> {
        let first = self.0.partition_point(|point| point.time <= time);
        let points = self.0.get(first.saturating_sub(1)..)?;
        let last = points.last()?;
        let between = points.iter().zip(points.iter().skip(1));
        let bounds = between.map(|(before, after)| {
            let middle = f64::midpoint(before.keys, after.keys);
            let events = (after.events - before.events) / 2.0;
            (middle - events, middle + events)
        });
        let widest = |(fewest, most): (f64, f64), (fewer, more): (f64, f64)| {
            (fewest.min(fewer), most.max(more))
        };
        Some(bounds.fold((last.keys, last.keys), widest))
    }

    /// Returns the state of the database at some time, interpolated between two points.
    #[must_use]
    pub fn at(&self, time: f64) -> Option<Point> {
        let before = self.before(time)?;
        let after = self.0.partition_point(|point| point.time <= time);
        let Some(after) = self.0.get(after) else {
            return Some(before);
        };
        let span = after.time - before.time;
        let part = if span > 0.0 {
            ((time - before.time) / span).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let mix = |from: f64, to: f64| from + part * (to - from);
        Some(Point {
            time,
            keys: mix(before.keys, after.keys),
            events: mix(before.events, after.events),
            pairs: mix(before.pairs, after.pairs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_reveals_events_missing_from_counters() {
        let mut course = Course::default();
        course.observe(0.0, 100, 0.0);
        course.observe(1.0, 130, 10.0);
        course.observe(2.0, 130, 10.0);
        let last = course.last().unwrap();
        assert_eq!((last.events, last.pairs), (40.0, 5.0));
    }

    #[test]
    fn changes_are_even_between_two_points() {
        let mut course = Course::default();
        assert_eq!(course.at(1.0), None);
        course.observe(10.0, 100, 0.0);
        course.observe(20.0, 200, 100.0);
        let keys = [5.0, 15.0, 25.0].map(|time| course.at(time).map(|point| point.keys));
        assert_eq!(keys, [Some(100.0), Some(150.0), Some(200.0)]);
        let events = course.before(15.0).map(|point| point.events);
        assert_eq!(events, Some(0.0));
    }

    #[test]
    fn extremes_include_states_between_points() {
        let mut course = Course::default();
        assert_eq!(course.extremes(0.0), None);
        course.observe(0.0, 500, 0.0);
        course.observe(10.0, 100, 0.0);
        assert_eq!(course.extremes(10.0), Some((100.0, 100.0)));
        course.observe(20.0, 120, 60.0);
        course.observe(30.0, 100, 20.0);
        assert_eq!(course.extremes(10.0), Some((80.0, 140.0)));
        assert_eq!(course.extremes(20.0), Some((100.0, 120.0)));
        assert_eq!(course.extremes(0.0), Some((80.0, 500.0)));
    }

    #[test]
    fn changes_are_sudden_unless_they_continue() {
        let mut course = Course::default();
        for (second, keys) in (0_u32..).zip([1_000, 1_000, 51_000, 51_000, 61_000, 71_000, 81_000])
        {
            course.observe(f64::from(second), keys, 0.0);
        }
        let sudden = |from, to| course.suddenness(from, to) > 0.01;
        assert!(!sudden(0.0, 1.0) && sudden(1.0, 2.0) && !sudden(2.0, 3.0));
        assert!(sudden(0.5, 1.5) && sudden(3.0, 4.0) && !sudden(4.0, 6.0));
        assert!(!sudden(2.5, 2.5) && sudden(1.5, 1.5));
    }

    #[test]
    fn time_without_changes_takes_two_points() {
        let mut course = Course::default();
        for second in 0..1_000_u32 {
            course.observe(f64::from(second), 50, 0.0);
        }
        course.observe(1_000.0, 90, 0.0);
        assert_eq!(course.0.len(), 3);
        let keys = [0.0, 500.0, 999.0, 999.5].map(|time| course.at(time).map(|point| point.keys));
        assert_eq!(keys, [Some(50.0), Some(50.0), Some(50.0), Some(70.0)]);
        assert_eq!(course.changed(0.0, 999.0).to_string(), "0");
        assert!(course.suddenness(999.0, 1_000.0) > 0.1);
    }

    #[test]
    fn number_of_points_is_bounded_and_the_newest_stay() {
        let mut course = Course::default();
        for second in 0..10_000_u32 {
            course.observe(f64::from(second), u64::from(second), 0.0);
        }
        assert!(course.0.len() <= POINTS_MAX);
        assert_eq!(course.at(9_990.0).map(|point| point.keys), Some(9_990.0));
        let old = course.at(1_000.0).unwrap();
        assert!((old.keys - 1_000.0).abs() < 1e-6, "{old:?}");
    }
}
