//! Limits the cost of events by listening for a part of the time. Pure.

/// Cost of an expiry, compared with an eviction. Expiries come in bursts, which take the server less
/// time.
const COSTS: [f64; 2] = [1.0, 0.2];

/// Evictions per second that are received without a limit. Each takes 5 to 7 microseconds of the
/// server.
const PER_SECOND: f64 = 1_000.0;

/// Evictions beyond this rate that are received before the first pause, so that short bursts are
/// exact.
const BURST: f64 = 60_000.0;

/// Minimum and maximum pause, in seconds.
const PAUSE_MIN: f64 = 2.0;
const PAUSE_MAX: f64 = 30.0;

/// The budget of events.
#[derive(Clone, Copy, Debug)]
pub struct Duty {
    credit: f64,
    at: Option<f64>,
}

impl Default for Duty {
    fn default() -> Self {
        Self {
            credit: BURST,
            at: None,
        }
    }
}

impl Duty {
    /// Records the events since the last call. Returns how long to pause now, in seconds, or `None`
    /// to go on.
    pub fn spend(&mut self, now: f64, events: [f64; 2]) -> Option<f64> {
        let since = self.at.replace(now).map_or(0.0, |at| (now - at).max(0.0));
        let cost: f64 = events
            .iter()
            .zip(COSTS)
            .map(|(count, cost)| count * cost)
            .sum();
        self.credit = (self.credit + since * PER_SECOND - cost).clamp(-BURST, BURST);
        if self.credit >= 0.0 {
            return None;
        }
        Some((-self.credit / PER_SECOND).clamp(PAUSE_MIN, PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the events received per second at a rate, after a minute and until the tenth, and the
    /// number of pauses.
    fn received(rate: f64) -> (f64, u32) {
        let mut duty = Duty::default();
        let (mut now, mut received, mut pauses) = (0.0, 0.0, 0);
        duty.spend(now, [0.0, 0.0]);
        while now < 600.0 {
            now += 1.0;
            received += if now > 100.0 { rate } else { 0.0 };
            if let Some(pause) = duty.spend(now, [rate, 0.0]) {
                now += pause;
                pauses += 1;
            }
        }
        (received / 500.0, pauses)
    }

    #[test]
    fn ordinary_rates_have_no_pause() {
        assert_eq!(received(900.0), (900.0, 0));
    }

    #[test]
    fn high_rates_are_limited() {
        for rate in [2_000.0, 10_000.0, 25_000.0] {
            let (received, pauses) = received(rate);
            assert!(pauses > 5, "{rate}: {pauses}");
            assert!(received < 1.2 * PER_SECOND, "{rate}: {received}");
        }
    }

    #[test]
    fn burst_is_received_and_expiries_cost_less() {
        let mut duty = Duty::default();
        assert_eq!(duty.spend(0.0, [50_000.0, 0.0]), None);
        assert!(duty.spend(1.0, [50_000.0, 0.0]).is_some());
        let mut duty = Duty::default();
        assert_eq!(duty.spend(0.0, [0.0, 250_000.0]), None);
    }
}
