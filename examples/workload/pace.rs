//! Evenly spaced turns, for a steady rate.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::stop::Stop;

/// Maximum delay that a worker catches up with. Beyond it, missed turns are dropped, so that a
/// server that comes back after a pause does not get a burst.
const CATCH_UP: Duration = Duration::from_millis(250);

/// The schedule of one worker.
#[derive(Debug)]
pub struct Pace {
    next: Instant,
    period: Duration,
}

impl Pace {
    /// Creates the schedule of worker `index` of `workers`.
    ///
    /// Together they take `rate` turns per second, and their turns interleave.
    pub fn new(rate: f64, index: u32, workers: u32) -> Self {
        let spacing = Duration::from_secs_f64(1.0 / rate);
        Self {
            next: Instant::now() + spacing * index,
            period: spacing * workers,
        }
    }

    /// Waits for the next turn. Returns `false` if the program is stopped first.
    pub async fn turn(&mut self, stop: &Stop) -> bool {
        if stop.is_set() {
            return false;
        }
        tokio::select! {
            () = sleep_until(self.next) => {}
            () = stop.wait() => return false,
        }
        self.next = following(self.next, self.period, Instant::now());
        true
    }
}

fn following(turn: Instant, period: Duration, now: Instant) -> Instant {
    let next = turn + period;
    if now > next + CATCH_UP {
        now + period
    } else {
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    #[test]
    fn a_small_delay_keeps_the_schedule() {
        let turn = Instant::now();
        assert_eq!(following(turn, PERIOD, turn + PERIOD * 3), turn + PERIOD);
    }

    #[test]
    fn turns_missed_in_a_long_pause_are_dropped() {
        let turn = Instant::now();
        let now = turn + Duration::from_secs(60);
        assert_eq!(following(turn, PERIOD, now), now + PERIOD);
    }

    #[test]
    fn workers_share_the_rate() {
        assert_eq!(Pace::new(100.0, 0, 8).period, Duration::from_millis(80));
    }
}
