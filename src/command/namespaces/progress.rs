//! Shows the progress of a pass in one line on standard error, if that is a terminal.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::number::{to_count, to_float};
use crate::quantity;

/// Minimum time between two updates of the line.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Time over which the speed is measured. It is long enough for the pauses of a slow pass.
const SPEED_WINDOW: Duration = Duration::from_secs(15);

/// The same at the start: this share of the time since then, and at least this long. The first keys
/// are visited fast, and must not count for long.
const START_SHARE: u32 = 3;
const START_WINDOW: Duration = Duration::from_secs(1);

/// Minimum time between two readings of the speed.
const READ_EVERY: Duration = Duration::from_millis(250);

/// Width of the bar, in cells.
const BAR: u64 = 20;

/// Returns to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// The progress line.
#[derive(Debug)]
pub struct ProgressLine {
    is_shown: bool,
    started: Instant,
    drawn: Option<Instant>,
    speed: RecentSpeed,
}

/// The speed of the last seconds. A pass visits its first keys faster than the others.
#[derive(Clone, Debug, Default)]
struct RecentSpeed {
    /// Times since the start, each with the number of keys seen until then.
    readings: VecDeque<(Duration, u64)>,
}

impl RecentSpeed {
    /// Records the number of keys seen, and returns the speed in keys per second. It is unknown at the
    /// first reading, before which the pass waits.
    fn record(&mut self, elapsed: Duration, seen: u64) -> Option<f64> {
        let last = self.readings.back().map(|(at, _)| *at);
        let window = (elapsed / START_SHARE).clamp(START_WINDOW, SPEED_WINDOW);
        let oldest = elapsed.saturating_sub(window);
        // One reading at or before the start of the window remains.
        while self.readings.get(1).is_some_and(|(at, _)| *at <= oldest) {
            self.readings.pop_front();
        }
        let first = self.readings.front().copied();
        if last.is_none_or(|last| elapsed >= last + READ_EVERY) {
            self.readings.push_back((elapsed, seen));
        }
        let (since, before) = first?;
        let seconds = elapsed.saturating_sub(since).as_secs_f64();
        Some(to_float(seen.saturating_sub(before)) / seconds.max(0.001))
    }
}

impl ProgressLine {
    /// Returns a line that is shown only if standard error is a terminal.
    #[must_use]
    pub fn on_terminal() -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            started: Instant::now(),
            drawn: None,
            speed: RecentSpeed::default(),
        }
    }

    /// Shows the number of keys seen, out of `keys`, if an update is due.
    pub fn show(&mut self, seen: u64, keys: u64) {
        if !self.is_shown {
            return;
        }
        let now = Instant::now();
        if self.drawn.is_some_and(|drawn| now < drawn + REDRAW_EVERY) {
            return;
        }
        self.drawn = Some(now);
        let speed = self.speed.record(now - self.started, seen);
        write(&format!("{CLEAR}{}", line(seen, keys, speed)));
    }

    /// Clears the line.
    pub fn clear(&mut self) {
        if self.drawn.take().is_some() {
            write(CLEAR);
        }
    }
}

/// Ignores errors: the pass continues without a progress line.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Returns the line: bar, percentage, and the speed and the remaining time if they are known. A pass can
/// see more keys than there were.
#[must_use]
fn line(seen: u64, keys: u64, speed: Option<f64>) -> String {
    let share = if keys == 0 {
        1.0
    } else {
        (to_float(seen) / to_float(keys)).min(1.0)
    };
    let full = to_count(share * to_float(BAR));
    let bar: String = (0..BAR)
        .map(|at| if at < full { '#' } else { '.' })
        .collect();
    let part = format!("[{bar}] {:>3}%", to_count(share * 100.0));
    let Some(speed) = speed else {
        return part;
    };
    let left = to_float(keys.saturating_sub(seen)) / speed.max(0.001);
    format!(
        "{part}  {} keys/s  {} left",
        quantity::count(speed),
        quantity::long_duration(to_count(left.ceil() * 1_000.0))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_shows_progress_speed_and_remaining_time() {
        assert_eq!(
            line(50_000, 200_000, Some(10_000.0)),
            "[#####...............]  25%  10,000 keys/s  15s left"
        );
    }

    /// The pass waits before its first keys.
    #[test]
    fn first_keys_give_no_speed() {
        let mut speed = RecentSpeed::default();
        let first = speed.record(Duration::from_secs(1), 99);
        assert_eq!(first, None);
        assert_eq!(line(99, 5_293, first), "[....................]   1%");
        let next = speed.record(Duration::from_millis(1_100), 2_099);
        assert!(next.is_some_and(|speed| speed > 19_000.0), "{next:?}");
    }

    #[test]
    fn extra_keys_count_as_100_percent() {
        let shown = line(300, 200, Some(300.0));
        assert!(shown.contains("####] 100%"), "{shown}");
        assert!(shown.ends_with(" 0ms left"), "{shown}");
        assert!(line(0, 0, Some(0.0)).contains("100%"));
    }

    #[test]
    fn fast_start_is_soon_forgotten() {
        let mut speed = RecentSpeed::default();
        for tenth in 1..=60 {
            // 10,000 keys in half a second, then 1,000 keys per second.
            let seen = if tenth <= 5 {
                tenth * 2_000
            } else {
                10_000 + (tenth - 5) * 100
            };
            let shown = speed.record(Duration::from_millis(tenth * 100), seen);
            if tenth >= 20 {
                let shown = shown.unwrap();
                assert!((shown - 1_000.0).abs() < 1.0, "{tenth}: {shown}");
            }
        }
    }

    #[test]
    fn speed_follows_a_change_of_the_pace() {
        let mut speed = RecentSpeed::default();
        // 10,000 keys in the first second, then 100 keys per second.
        let mut shown = 0.0;
        for tenth in 0..=10 {
            let found = speed.record(Duration::from_millis(tenth * 100), tenth * 1_000);
            shown = found.unwrap_or(0.0);
        }
        assert!((shown - 10_000.0).abs() < 1.0, "{shown}");
        for tenth in 11..=400 {
            let seen = 10_000 + (tenth - 10) * 10;
            shown = speed
                .record(Duration::from_millis(tenth * 100), seen)
                .unwrap();
        }
        assert!((shown - 100.0).abs() < 1.0, "{shown}");
        assert!(speed.readings.len() < 64);
        assert!(line(13_900, 23_900, Some(shown)).ends_with(" 1m 40s left"));
    }
}
