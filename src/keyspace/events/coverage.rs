//! The coverage of a counter of the server by events, and the part of it that is left to the panel.
//! Pure.

/// The part of a counter of INFO that events cover.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// Whether events are received now. Keys after the last reading are theirs.
    pub is_live: bool,
    /// The counter at the last reading.
    pub through: Option<f64>,
    /// Keys counted from events so far.
    pub covered: f64,
    /// Time of the last reading or of the end of the stream, in seconds.
    pub at: f64,
    /// Whether the events are those of another server than the one whose counter is followed.
    pub is_other: bool,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            is_live: false,
            through: None,
            covered: 0.0,
            at: f64::NEG_INFINITY,
            is_other: false,
        }
    }
}

/// Follows the counter over another connection, and returns what events do not cover.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncovered {
    /// Value of the counter up to which it was handled.
    position: Option<f64>,
    /// Keys counted from events at that time.
    covered: f64,
    /// Events beyond the counter, which is read at another time.
    excess: f64,
}

impl Uncovered {
    /// Returns the increase of the counter that events do not cover, up to a value that was
    /// requested at this time. `None` if the value is unknown.
    pub fn advance(
        &mut self,
        requested: f64,
        value: Option<f64>,
        coverage: &Coverage,
    ) -> Option<f64> {
        let Some(value) = value else {
            self.forget();
            self.covered = coverage.covered;
            return None;
        };
        if coverage.is_other {
            self.covered = coverage.covered;
            self.excess = 0.0;
        }
        if !coverage.is_other && coverage.at >= requested {
            // The value is older than what the events cover.
            return Some(0.0);
        }
        let live = coverage.through;
        let live = live.filter(|_| coverage.is_live && !coverage.is_other);
        let next = live.unwrap_or(value);
        let covered = coverage.covered - self.covered;
        self.covered = coverage.covered;
        let Some(before) = self.position.replace(next) else {
            return Some(0.0);
        };
        if next < before {
            // CONFIG RESETSTAT resets the counter, so its whole value is new. How much of it the
            // events cover is unknown.
            self.excess = 0.0;
            return Some(if coverage.covered > 0.0 { 0.0 } else { next });
        }
        let left = next - before - covered - self.excess;
        self.excess = (-left).clamp(0.0, covered.max(0.0));
        Some(left.max(0.0))
    }

    /// Records that the counter was reset, although it may be as large as before.
    pub fn restart(&mut self) {
        self.position = self.position.map(|_| 0.0);
        self.excess = 0.0;
    }

    /// Forgets the counter, for example because it is that of another server.
    pub const fn forget(&mut self) {
        self.position = None;
        self.excess = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_events_everything_is_uncovered() {
        let mut uncovered = Uncovered::default();
        let mut advance = |at, value| uncovered.advance(at, value, &Coverage::default());
        assert_eq!(advance(1.0, Some(10.0)), Some(0.0));
        assert_eq!(advance(2.0, Some(14.0)), Some(4.0));
        assert_eq!(advance(3.0, Some(3.0)), Some(3.0));
        assert_eq!(advance(4.0, None), None);
        assert_eq!(advance(5.0, Some(100.0)), Some(0.0));
    }

    #[test]
    fn value_older_than_the_events_is_skipped() {
        let mut uncovered = Uncovered::default();
        let mut coverage = Coverage::default();
        uncovered.advance(1.0, Some(10.0), &coverage);
        coverage = Coverage {
            is_live: false,
            through: Some(50.0),
            covered: 40.0,
            at: 2.5,
            is_other: false,
        };
        assert_eq!(uncovered.advance(2.0, Some(30.0), &coverage), Some(0.0));
        assert_eq!(uncovered.advance(3.0, Some(52.0), &coverage), Some(2.0));
    }

    #[test]
    fn counter_of_another_server_is_not_compared_with_events() {
        let mut uncovered = Uncovered::default();
        let mut coverage = Coverage::default();
        uncovered.advance(1.0, Some(1_000.0), &coverage);
        // The stream has reached the next server before the sweep.
        coverage = Coverage {
            is_live: true,
            through: Some(500_000.0),
            covered: 40.0,
            at: 2.5,
            is_other: true,
        };
        assert_eq!(uncovered.advance(2.0, Some(1_007.0), &coverage), Some(7.0));
        // Now the sweep has reached it too, and forgot the counter.
        uncovered.forget();
        coverage.is_other = false;
        assert_eq!(
            uncovered.advance(3.0, Some(500_010.0), &coverage),
            Some(0.0)
        );
    }

    #[test]
    fn reset_of_another_counter_is_one_of_this_counter() {
        let mut uncovered = Uncovered::default();
        let none = Coverage::default();
        uncovered.advance(1.0, Some(10.0), &none);
        uncovered.restart();
        assert_eq!(uncovered.advance(2.0, Some(12.0), &none), Some(12.0));
    }

    proptest! {
        // However the stream comes and goes, each key counts once.
        #[test]
        fn events_and_the_rest_add_up(
            steps in proptest::collection::vec((0_u32..50, any::<bool>(), any::<bool>(), 0_u32..10), 1..40),
        ) {
            let mut uncovered = Uncovered::default();
            let mut coverage = Coverage::default();
            let (mut counter, mut rest, mut at) = (0.0, 0.0, 0.0);
            uncovered.advance(0.5, Some(counter), &coverage);
            for (grown, is_live, is_read, lost) in steps {
                at += 1.0;
                let begun = counter;
                counter += f64::from(grown);
                if coverage.is_live || is_live {
                    let through = if coverage.is_live { coverage.through.unwrap() } else { begun };
                    coverage.covered += (counter - through - f64::from(lost)).max(0.0);
                    coverage.through = Some(counter);
                    coverage.at = at;
                }
                coverage.is_live = is_live;
                if is_read {
                    rest += uncovered.advance(at + 0.5, Some(counter), &coverage).unwrap();
                }
            }
            coverage.is_live = false;
            rest += uncovered.advance(at + 0.7, Some(counter), &coverage).unwrap();
            prop_assert!((rest + coverage.covered - counter).abs() < 1e-6);
        }
    }
}
