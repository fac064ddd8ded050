//! Delays before retries. They double, with jitter so that many tasks do not retry at once.

use std::time::Duration;

/// Delay after the first failure, before jitter. It is also the delay before a panicked task is
/// restarted.
pub const FIRST: Duration = Duration::from_secs(1);

/// Returns the delay after this many failures in a row: 1 s, 2 s, 4 s and so on, at most `longest`,
/// with jitter.
#[must_use]
pub fn delay(failures_in_a_row: u32, longest: Duration) -> Duration {
    let doublings = failures_in_a_row.saturating_sub(1);
    let delay = FIRST.saturating_mul(2_u32.saturating_pow(doublings));
    jittered(delay.min(longest))
}

/// Returns a random share of a delay, at least half of it.
#[must_use]
pub fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let longest = Duration::from_secs(15);
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (u32::MAX, 15)] {
            let most = Duration::from_secs(seconds);
            for _ in 0..100 {
                let delay = delay(failures, longest);
                assert!(delay >= most / 2 && delay <= most, "{failures}: {delay:?}");
            }
        }
    }

    #[test]
    fn delays_differ() {
        let delays: Vec<_> = (0..20).map(|_| delay(1, FIRST)).collect();
        assert!(delays.iter().any(|delay| Some(delay) != delays.first()));
    }
}
