//! Keeps the counters of the server, for rates over a period. Pure.

use std::collections::VecDeque;

use super::AGE_MAX;
use super::half::KeyFlow;
use super::reading::{IdleReading, Uses};

/// Minimum time between two kept counts, in seconds.
const COUNTED_EVERY: f64 = 10.0;

/// Age from which kept counts are further apart, in seconds, and by how much. Thousands of targets
/// have the counts of an hour each, and a period of many minutes may begin a bit later.
const OLD: f64 = 330.0;
const OLD_EVERY: f64 = 60.0;

/// Decrease of the lookups that means a reset, as a share and at least. The lookups of the exporter
/// are subtracted, so the rest may decrease by a few.
const FALLEN: f64 = 0.1;
const FALLEN_MIN: f64 = 100.0;

/// The counts of the last hour.
#[derive(Debug, Default)]
pub(super) struct CountHistory {
    all: VecDeque<Counts>,
}

/// The counters of the server at a time.
#[derive(Clone, Copy, Debug)]
struct Counts {
    at: f64,
    evicted: f64,
    uses: Option<Uses>,
}

/// A period that ends now.
pub(super) struct Period {
    /// Its begin.
    pub(super) start: f64,
    /// Its length in seconds.
    pub(super) seconds: f64,
    /// Keys evicted in it.
    pub(super) evicted: f64,
    uses: Option<Uses>,
}

impl CountHistory {
    /// Records a reading. Discards the earlier ones if a counter was reset.
    pub(super) fn record(&mut self, now: f64, reading: &IdleReading) {
        let Some(evicted) = reading.evicted else {
            self.clear();
            return;
        };
        let counts = Counts {
            at: now,
            evicted,
            uses: reading.uses,
        };
        if self.all.back().is_some_and(|last| counts.is_reset(last)) {
            self.clear();
        }
        let is_old = |first: &Counts| now - first.at > AGE_MAX;
        while self.all.len() > 1 && self.all.front().is_some_and(is_old) {
            self.all.pop_front();
        }
        let last = self.all.back();
        if last.is_none_or(|last| now - last.at >= COUNTED_EVERY) {
            self.all.push_back(counts);
            self.thin(now);
        }
    }

    /// Removes the newest old counts if they are close to those before. The last counts stay.
    fn thin(&mut self, now: f64) {
        let old = self.all.partition_point(|counts| now - counts.at > OLD);
        let Some(newest) = old.checked_sub(1) else {
            return;
        };
        let at = |place: usize| self.all.get(place).map(|counts| counts.at);
        let before = newest.checked_sub(1).and_then(at);
        let apart = at(newest)
            .zip(before)
            .map(|(newest, before)| newest - before);
        if apart.is_some_and(|apart| apart < OLD_EVERY) {
            self.all.remove(newest);
        }
    }

    /// Discards everything.
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Returns the period from the first kept counts after a time until the reading of now.
    pub(super) fn since(&self, start: f64, now: f64, reading: &IdleReading) -> Option<Period> {
        let first = self.all.iter().find(|counts| counts.at >= start)?;
        let seconds = now - first.at;
        let evicted = reading.evicted? - first.evicted;
        (seconds > 0.0).then_some(Period {
            start: first.at,
            seconds,
            evicted,
            uses: first.uses,
        })
    }
}

impl Counts {
    /// Returns whether a counter was reset since earlier counts.
    fn is_reset(&self, earlier: &Self) -> bool {
        let uses = self.uses.zip(earlier.uses);
        let is_less = uses.is_some_and(|(now, before)| {
            let has_fallen =
                |before: f64, now: f64| before - now > (FALLEN * before).max(FALLEN_MIN);
            now.expired < before.expired
                || has_fallen(before.hits, now.hits)
                || has_fallen(before.misses, now.misses)
        });
        self.evicted < earlier.evicted || is_less
    }
}

impl Period {
    /// Returns what happened per second until a reading of now.
    pub(super) fn flow(&self, now: Uses) -> Option<KeyFlow> {
        let before = self.uses?;
        let per_second = |now: f64, before: f64| (now - before) / self.seconds;
        Some(KeyFlow {
            hits: per_second(now.hits, before.hits),
            misses: per_second(now.misses, before.misses),
            evicted: self.evicted / self.seconds,
            expired: per_second(now.expired, before.expired),
            growth: per_second(now.keys, before.keys),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(evicted: f64, hits: f64) -> IdleReading {
        IdleReading {
            evicted: Some(evicted),
            uses: Some(Uses {
                hits,
                misses: hits / 2.0,
                expired: 0.0,
                keys: 10.0,
            }),
            ..IdleReading::default()
        }
    }

    #[test]
    fn rates_are_those_since_the_start_of_the_period() {
        let mut counts = CountHistory::default();
        for second in 0..=100 {
            let at = f64::from(second);
            counts.record(at, &reading(2.0 * at, 30.0 * at));
        }
        let now = reading(200.0, 3_000.0);
        let period = counts.since(55.0, 100.0, &now).unwrap();
        let period_of = [period.start, period.seconds].map(|seconds| seconds.to_string());
        assert_eq!(period_of, ["60", "40"]);
        let flow = period.flow(now.uses.unwrap()).unwrap();
        let rates = [flow.hits, flow.misses, flow.evicted, flow.growth];
        assert_eq!(rates.map(|rate| rate.to_string()), ["30", "15", "2", "0"]);
    }

    #[test]
    fn an_hour_of_counts_is_small() {
        let mut counts = CountHistory::default();
        for step in 0..=2_000 {
            let at = 5.0 * f64::from(step);
            counts.record(at, &reading(2.0 * at, 30.0 * at));
        }
        assert!(counts.all.len() < 128, "{}", counts.all.len());
        let now = reading(20_000.0, 300_000.0);
        for (seconds, shortest) in [(300.0, 290.0), (900.0, 840.0), (3_600.0, 3_540.0)] {
            let period = counts.since(10_000.0 - seconds, 10_000.0, &now).unwrap();
            assert!((shortest..=seconds).contains(&period.seconds), "{seconds}");
            assert!((period.evicted / period.seconds - 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn only_a_reset_discards_counts() {
        let mut counts = CountHistory::default();
        counts.record(0.0, &reading(10.0, 5_000.0));
        // Lookups that the exporter caused and did not subtract before.
        counts.record(20.0, &reading(10.0, 4_990.0));
        assert_eq!(counts.all.len(), 2);
        // CONFIG RESETSTAT while nothing was evicted.
        counts.record(40.0, &reading(10.0, 3.0));
        assert_eq!(counts.all.len(), 1);
        counts.record(60.0, &reading(9.0, 30.0));
        assert_eq!(counts.all.len(), 1);
        counts.record(80.0, &IdleReading::default());
        assert!(counts.all.is_empty());
    }
}
