//! The evicted keys of namespaces in the last minutes, for rates. Pure.

use super::ring::{NamespaceRing, digest, known_namespaces, largest_namespaces};
use crate::metric::Snapshot;

/// Time between two points, in seconds.
const STEP: f64 = 75.0;

/// Number of points of five minutes.
const POINTS: usize = 5;

/// Age after which the newest point no longer describes the present, in seconds.
const AGE_MAX: f64 = 4.0 * STEP;

const EVICTED: &str = "redis_key_namespace_evicted_keys_total";

/// The evicted keys of the namespaces that lost most since the exporter started, every 75 seconds.
#[derive(Clone, Debug, Default)]
pub struct RecentLosses(NamespaceRing<POINTS>);

impl RecentLosses {
    /// Records results of the sweep, at most every 75 seconds. `at` is in seconds since the epoch.
    pub fn record(&mut self, at: f64, snapshot: &Snapshot) {
        // A count stops while it is unknown, so a rate over that time would be too low.
        self.0.keep(&known_namespaces(snapshot, EVICTED));
        if self.0.is_due(at, STEP) {
            self.0.push(at, largest_namespaces(snapshot, EVICTED));
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the evicted keys of a namespace per second in about five minutes; `None` if unknown.
    #[must_use]
    pub fn rate(&self, database: &str, name: &str, now: f64) -> Option<f64> {
        let wanted = digest(database, name);
        let newest = self.0.points().next_back()?;
        let last = newest
            .number(wanted)
            .filter(|_| now - newest.at <= AGE_MAX)?;
        let mut earlier = self.0.points().filter(|point| point.at < newest.at);
        let (at, first) = earlier.find_map(|point| Some((point.at, point.number(wanted)?)))?;
        // A counter that was reset is unknown.
        (last >= first).then(|| (last - first) / (newest.at - at))
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

    static ROW: Family<2> = Family::counter(
        EVICTED,
        &["db", "key_namespace"],
        source("", ""),
        Unit::One,
        "",
    );

    /// Records the counts of `n0`, `n1` and so on.
    fn record(losses: &mut RecentLosses, at: f64, counts: &[f64]) {
        let mut snapshot = Snapshot::default();
        for (at, keys) in counts.iter().enumerate() {
            snapshot.push(&ROW, ["db0", &format!("n{at}")], *keys);
        }
        losses.record(at, &snapshot.finish());
    }

    #[test]
    fn rate_is_that_of_the_last_minutes() {
        let mut losses = RecentLosses::default();
        record(&mut losses, 0.0, &[1_000.0, 0.0]);
        assert_eq!(losses.rate("db0", "n0", 0.0), None);
        for second in 1..=600 {
            let second = f64::from(second);
            // Nothing is evicted before the last five minutes.
            record(
                &mut losses,
                second,
                &[1_000.0 + 2.0 * (second - 300.0).max(0.0), 0.0],
            );
        }
        assert_eq!(losses.0.points().count(), POINTS);
        assert_eq!(losses.rate("db0", "n0", 600.0), Some(2.0));
        assert_eq!(losses.rate("db0", "n1", 600.0), Some(0.0));
        assert_eq!(losses.rate("db1", "n0", 600.0), None);
        assert_eq!(losses.rate("db0", "n0", 901.0), None);
    }

    #[test]
    fn counter_that_was_reset_has_no_rate() {
        let mut losses = RecentLosses::default();
        record(&mut losses, 0.0, &[50.0]);
        record(&mut losses, 75.0, &[10.0]);
        assert_eq!(losses.rate("db0", "n0", 75.0), None);
        // The clock was set back.
        record(&mut losses, 30.0, &[20.0]);
        record(&mut losses, 130.0, &[120.0]);
        assert_eq!(losses.rate("db0", "n0", 130.0), Some(1.0));
    }

    #[test]
    fn rate_does_not_span_a_time_in_which_the_count_was_unknown() {
        let mut losses = RecentLosses::default();
        record(&mut losses, 0.0, &[0.0, 0.0]);
        record(&mut losses, 75.0, &[750.0, 75.0]);
        assert_eq!(losses.rate("db0", "n0", 75.0), Some(10.0));
        // Between two points.
        record(&mut losses, 90.0, &[750.0]);
        assert_eq!(losses.rate("db0", "n0", 90.0), Some(10.0));
        assert_eq!(losses.rate("db0", "n1", 90.0), None);
        record(&mut losses, 100.0, &[]);
        assert_eq!(losses.rate("db0", "n0", 100.0), None);
        record(&mut losses, 300.0, &[760.0, 75.0]);
        assert_eq!(losses.rate("db0", "n0", 300.0), None);
        record(&mut losses, 375.0, &[910.0, 75.0]);
        assert_eq!(losses.rate("db0", "n0", 375.0), Some(2.0));
    }

    #[test]
    fn namespaces_that_lost_most_are_remembered() {
        let mut losses = RecentLosses::default();
        let counts: Vec<f64> = (0..2_000).map(f64::from).collect();
        record(&mut losses, 0.0, &counts);
        record(&mut losses, 80.0, &counts);
        assert_eq!(losses.rate("db0", "n1999", 80.0), Some(0.0));
        assert_eq!(losses.rate("db0", "n0", 80.0), None);
        assert!(bytes_max() < 4 << 10, "{}", bytes_max());
    }
}
