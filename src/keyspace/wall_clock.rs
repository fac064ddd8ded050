//! Detects that a wall clock was set, by a clock that no one sets. Pure.

/// Change of a wall clock between two readings, in seconds, from which on it was set.
const STEP: f64 = 1.0;

/// A wall clock whose readings are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock(Option<Offset>);

/// A time of a wall clock, which was read between two times of the other clock.
#[derive(Clone, Copy, Debug)]
pub struct TimeReading {
    /// The time.
    pub time: f64,
    /// The times before and after it was read.
    pub between: [f64; 2],
}

/// The limits of the difference between the two clocks.
#[derive(Clone, Copy, Debug)]
struct Offset {
    least: f64,
    most: f64,
}

impl WallClock {
    /// Records a reading. Returns whether the clock was certainly set since the last one, however long
    /// the readings took.
    pub fn was_set(&mut self, reading: TimeReading) -> bool {
        let [before, after] = reading.between;
        let now = Offset {
            least: reading.time - after,
            most: reading.time - before,
        };
        let last = self.0.replace(now);
        last.is_some_and(|last| now.least - last.most > STEP || last.least - now.most > STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn was_set(clock: &mut WallClock, time: f64, between: [f64; 2]) -> bool {
        clock.was_set(TimeReading { time, between })
    }

    #[test]
    fn only_a_clock_that_is_set_has_a_step() {
        for (step, is_set) in [(0.4, false), (-0.4, false), (300.0, true), (-300.0, true)] {
            let mut clock = WallClock::default();
            assert!(!was_set(&mut clock, 1_000.0, [50.0, 50.1]));
            // Time passes, and the clock is set.
            let now = 1_001.0 + step;
            assert_eq!(was_set(&mut clock, now, [51.0, 51.1]), is_set, "{step}");
            assert!(!was_set(&mut clock, now + 1.0, [52.0, 52.1]));
        }
    }

    #[test]
    fn slow_reading_is_no_step() {
        let mut clock = WallClock::default();
        assert!(!was_set(&mut clock, 1_000.0, [50.0, 50.1]));
        assert!(!was_set(&mut clock, 1_001.0, [51.0, 59.0]));
        assert!(!was_set(&mut clock, 1_060.0, [101.0, 111.0]));
        assert!(!was_set(&mut clock, 1_062.0, [112.0, 112.1]));
        assert!(was_set(&mut clock, 1_070.0, [112.2, 118.5]));
    }
}
