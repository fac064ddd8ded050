//! Tracks the minimum recent round trip, an estimate of the network latency. Pure.

use std::time::Duration;

/// How long the minimum round trip is remembered: at least this long, and at most twice as long. A
/// longer route is accepted after that. Even a busy server replies quickly once in this time.
const REMEMBERED: Duration = Duration::from_secs(2 * 60);

/// Round trips of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// Minimum of the previous period.
    before: Option<Duration>,
    /// Minimum of the current period.
    now: Option<Duration>,
    age: Duration,
}

impl RoundTrips {
    /// Records a round trip. Returns how far it exceeded the minimum.
    pub fn excess(&mut self, round_trip: Duration) -> Duration {
        self.now = Some(self.now.map_or(round_trip, |least| least.min(round_trip)));
        round_trip.saturating_sub(self.least().unwrap_or(round_trip))
    }

    /// Returns the minimum round trip; `None` before the first one.
    #[must_use]
    pub fn least(&self) -> Option<Duration> {
        self.before.into_iter().chain(self.now).min()
    }

    /// Advances the time.
    pub fn pass(&mut self, time: Duration) {
        self.age = self.age.saturating_add(time);
        if self.age >= REMEMBERED {
            self.before = self.now.take();
            self.age = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Duration = Duration::from_millis(1);
    const FAR: Duration = Duration::from_millis(20);
    const EXCESS: Duration = Duration::from_millis(19);

    #[test]
    fn excess_is_relative_to_the_minimum_round_trip() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.least(), None);
        assert_eq!(trips.excess(FAR), Duration::ZERO);
        assert_eq!(trips.excess(NEAR), Duration::ZERO);
        assert_eq!(trips.excess(FAR), EXCESS);
        assert_eq!(trips.least(), Some(NEAR));
    }

    #[test]
    fn minimum_round_trip_is_forgotten_eventually() {
        let mut trips = RoundTrips::default();
        trips.excess(NEAR);
        trips.pass(REMEMBERED);
        assert_eq!(trips.excess(FAR), EXCESS);
        trips.pass(REMEMBERED);
        assert_eq!(trips.excess(FAR), Duration::ZERO);
    }
}
