//! Adds up what a server evicts and expires per second, over all namespaces. Pure.

use super::RemovalReading;

/// Minimum time for a rate, in seconds.
const SECONDS_MIN: f64 = 1.0;

/// The keys that a server has evicted and expired since the first reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RemovalRates {
    last: Option<(f64, RemovalReading)>,
    seconds: f64,
    evicted: Option<f64>,
    expired: Option<f64>,
}

impl RemovalRates {
    /// Records a reading of the counters at a time in seconds.
    pub fn observe(&mut self, now: f64, reading: RemovalReading) {
        let Some((before, earlier)) = self.last.replace((now, reading)) else {
            (self.evicted, self.expired) = (Some(0.0), Some(0.0));
            return;
        };
        let removed = earlier.until(reading);
        let add = |sum: Option<f64>, more: Option<f64>| Some(sum? + more?);
        self.seconds += now - before;
        self.evicted = add(self.evicted, removed.evicted);
        self.expired = add(self.expired, removed.expired);
    }

    /// Returns the evicted keys per second; `None` if the server does not count them or the time is
    /// too short.
    #[must_use]
    pub fn evicted_per_second(&self) -> Option<f64> {
        self.per_second(self.evicted)
    }

    /// Returns whether the server has evicted keys, or may have in the short time since the first reading.
    #[must_use]
    pub fn may_evict(&self) -> bool {
        let is_short = self.seconds < SECONDS_MIN;
        self.evicted.is_some_and(|keys| is_short || keys > 0.0)
    }

    /// Returns the expired keys per second; `None` if the server does not count them or the time is
    /// too short.
    #[must_use]
    pub fn expired_per_second(&self) -> Option<f64> {
        self.per_second(self.expired)
    }

    /// Returns the rates of a server that evicts this many keys per second.
    #[cfg(test)]
    pub(crate) const fn of_evictions(per_second: f64) -> Self {
        Self {
            last: None,
            seconds: SECONDS_MIN,
            evicted: Some(per_second * SECONDS_MIN),
            expired: Some(0.0),
        }
    }

    fn per_second(&self, keys: Option<f64>) -> Option<f64> {
        let is_known = self.seconds >= SECONDS_MIN;
        keys.filter(|_| is_known).map(|keys| keys / self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Info;

    fn rates(readings: &[(f64, &str)]) -> (Option<f64>, Option<f64>) {
        let mut rates = RemovalRates::default();
        for (now, text) in readings {
            rates.observe(*now, RemovalReading::read(&Info::parse((*text).to_owned())));
        }
        (rates.evicted_per_second(), rates.expired_per_second())
    }

    #[test]
    fn rates_are_those_since_the_first_reading() {
        let first = (10.0, "role:master\nevicted_keys:1000\nexpired_keys:5\n");
        let second = (11.0, "role:master\nevicted_keys:1100\nexpired_keys:5\n");
        // CONFIG RESETSTAT.
        let third = (14.0, "role:master\nevicted_keys:60\nexpired_keys:8\n");
        assert_eq!(rates(&[first, second]), (Some(100.0), Some(0.0)));
        assert_eq!(rates(&[first, second, third]), (Some(40.0), Some(2.0)));
    }

    #[test]
    fn server_may_evict_unless_it_counted_nothing_for_a_second() {
        let of = |role: &str, seconds: f64, evicted: u32| {
            let mut rates = RemovalRates::default();
            for (now, keys) in [(0.0, 7), (seconds, evicted)] {
                let text = format!("role:{role}\nevicted_keys:{keys}\nexpired_keys:1\n");
                rates.observe(now, RemovalReading::read(&Info::parse(text)));
            }
            rates.may_evict()
        };
        assert!(of("master", 0.5, 7) && of("master", 2.0, 8));
        assert!(!of("master", 2.0, 7) && !of("slave", 0.5, 7) && !of("slave", 2.0, 8));
    }

    #[test]
    fn rate_is_unknown_on_replicas_and_within_a_second() {
        let reading = |now, role| (now, role);
        let replica = "role:slave\nevicted_keys:1\nexpired_keys:1\n";
        let both = [reading(0.0, replica), reading(9.0, replica)];
        assert_eq!(rates(&both), (None, None));
        let primary = "role:master\nevicted_keys:1\nexpired_keys:1\n";
        let both = [reading(0.0, primary), reading(0.9, primary)];
        assert_eq!(rates(&both), (None, None));
        assert_eq!(rates(&[reading(0.0, primary)]), (None, None));
    }
}
