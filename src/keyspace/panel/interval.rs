//! Chooses how long keys of a namespace are followed. Pure.
//!
//! Keys that are born and vanish within one interval are missed, so only a small share of the keys
//! may vanish within it. If the interval is too short, hardly any do, and the estimate is noisy.

use super::run::SinceDraw;

/// Intended share of keys that vanish until they are checked.
const SHARE_WANTED: f64 = 0.1;

/// The ages at which keys are checked, in seconds. They are few, so that all keys of a run are
/// checked with few SCANs.
pub(super) const AGES: [SinceDraw; 5] = [1.0, 3.0, 8.0, 20.0, 60.0];

/// Assumed observations before the first check. The first keys are checked after three seconds.
const SECONDS_ASSUMED: f64 = 20.0;
const GONE_ASSUMED: f64 = 0.5;

/// Number of checks after which earlier ones count half.
const CHECKS_MAX: f64 = 500.0;

/// How fast the keys of a namespace vanish.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interval {
    checks: f64,
    gone: f64,
    /// Sum of the seconds for which the keys were followed.
    seconds: f64,
}

impl Interval {
    /// Records a check after this many seconds.
    pub(super) fn record(&mut self, seconds: f64, is_gone: bool) {
        if self.checks >= CHECKS_MAX {
            self.checks /= 2.0;
            self.gone /= 2.0;
            self.seconds /= 2.0;
        }
        self.checks += 1.0;
        self.gone += f64::from(u8::from(is_gone));
        self.seconds += seconds;
    }

    /// Returns the share of the keys that vanishes in a second.
    pub(super) fn gone_per_second(self) -> f64 {
        self.gone / self.seconds.max(1.0)
    }

    /// Returns the age at which the next keys are checked, in seconds.
    pub(super) fn age(self) -> SinceDraw {
        let life = (self.seconds + SECONDS_ASSUMED) / (self.gone + GONE_ASSUMED);
        let wanted = SHARE_WANTED * life;
        let fitting = AGES.into_iter().rev().find(|age| f64::from(*age) <= wanted);
        fitting.unwrap_or(AGES[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(checks: u32, seconds: f64, gone_every: u32) -> Interval {
        let mut interval = Interval::default();
        for check in 1..=checks {
            interval.record(seconds, check % gone_every == 0);
        }
        interval
    }

    fn age(interval: Interval) -> String {
        interval.age().to_string()
    }

    #[test]
    fn first_keys_are_checked_soon() {
        assert_eq!(age(Interval::default()), "3");
    }

    #[test]
    fn keys_of_a_stable_namespace_are_checked_after_a_minute() {
        assert_eq!(age(after(200, 4.0, u32::MAX)), "60");
    }

    #[test]
    fn at_most_a_tenth_of_the_keys_vanishes_until_the_check() {
        // A quarter of the keys vanishes in 40 seconds.
        assert_eq!(age(after(400, 40.0, 4)), "8");
    }

    #[test]
    fn age_adapts_to_a_change() {
        let mut interval = after(2_000, 60.0, u32::MAX);
        for _ in 0..1_000 {
            interval.record(interval.age().into(), true);
        }
        assert_eq!(age(interval), "1");
    }
}
