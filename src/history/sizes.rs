//! The memory of the largest namespaces in the last hour, every five minutes. Pure.

use super::ring::{NamespaceRing, digest, largest_namespaces};
use crate::metric::Snapshot;

/// Time between two points, in seconds.
const STEP: f64 = 300.0;

/// Number of points of an hour.
const POINTS: usize = 13;

const MEMORY: &str = "redis_key_namespace_memory_bytes";
const PASS: &str = "redis_exporter_sweep_last_pass_timestamp_seconds";

/// The growth of a namespace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Increase of its memory; negative if it shrank.
    pub bytes: f64,
    /// Time in which it grew.
    pub seconds: f64,
}

/// The memory of the largest namespaces in the last hour.
#[derive(Clone, Debug, Default)]
pub struct HourlySizes(NamespaceRing<POINTS>);

impl HourlySizes {
    /// Records results of the sweep, at most every five minutes. `at` is in seconds since the epoch.
    ///
    /// Before the first pass is complete, estimates are too rough to be compared.
    pub fn record(&mut self, at: f64, snapshot: &Snapshot) {
        if snapshot.number(PASS).is_none() || !self.0.is_due(at, STEP) {
            return;
        }
        let sizes = largest_namespaces(snapshot, MEMORY);
        if !sizes.is_empty() {
            self.0.push(at, sizes);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the growth of a namespace in at most about an hour. `bytes` is its memory now.
    #[must_use]
    pub fn growth(&self, database: &str, name: &str, bytes: f64, now: f64) -> Option<Growth> {
        let wanted = digest(database, name);
        let hour = STEP * 13.0;
        let mut points = self.0.points().filter(|point| point.at >= now - hour);
        let (at, before) = points.find_map(|point| Some((point.at, point.number(wanted)?)))?;
        let seconds = now - at;
        (seconds >= STEP).then_some(Growth {
            bytes: bytes - before,
            seconds,
        })
    }
}

/// Returns the largest size of the points, with what an allocation needs.
#[cfg(test)]
pub(super) const fn bytes_max() -> usize {
    NamespaceRing::<POINTS>::bytes_max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Family, Unit, source};

    static ROW: Family<2> = Family::gauge(
        MEMORY,
        &["db", "key_namespace"],
        source("", ""),
        Unit::Bytes,
        "",
    );

    static PASS_ROW: Family<0> = Family::gauge(PASS, &[], source("", ""), Unit::Seconds, "");

    fn snapshot(namespaces: u32, bytes: f64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.push(&PASS_ROW, [], 1.0);
        for at in 0..namespaces {
            let bytes = bytes * f64::from(namespaces - at);
            snapshot.push(&ROW, ["db0", &format!("n{at}")], bytes);
        }
        snapshot.finish()
    }

    #[test]
    fn growth_is_that_of_the_last_hour() {
        let mut sizes = HourlySizes::default();
        for minute in 0..180 {
            let minute = f64::from(minute);
            sizes.record(60.0 * minute, &snapshot(1, 100.0 + minute));
        }
        assert_eq!(sizes.0.points().count(), POINTS);
        let growth = sizes.growth("db0", "n0", 280.0, 180.0 * 60.0).unwrap();
        assert_eq!((growth.bytes, growth.seconds), (65.0, 3_900.0));
        assert_eq!(sizes.growth("db1", "n0", 280.0, 180.0 * 60.0), None);
        assert_eq!(sizes.growth("db0", "n0", 280.0, 9e9), None);
    }

    #[test]
    fn estimates_before_the_first_pass_are_not_compared() {
        let mut sizes = HourlySizes::default();
        let mut early = Snapshot::default();
        early.push(&ROW, ["db0", "n0"], 1.0);
        sizes.record(0.0, &early.finish());
        assert_eq!(sizes.growth("db0", "n0", 100.0, 600.0), None);
    }

    #[test]
    fn only_the_largest_namespaces_are_remembered() {
        let mut sizes = HourlySizes::default();
        sizes.record(0.0, &snapshot(2_000, 1.0));
        assert!(sizes.growth("db0", "n0", 2_000.0, 400.0).is_some());
        // The last one of the largest, and the first one of the others.
        assert!(sizes.growth("db0", "n31", 2_000.0, 400.0).is_some());
        assert_eq!(sizes.growth("db0", "n32", 1.0, 400.0), None);
        assert!(bytes_max() < 8 << 10, "{}", bytes_max());
    }
}
