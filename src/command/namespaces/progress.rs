//! Shows the progress of a pass in one line on standard error, if that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::human;
use crate::number::{to_count, to_float};

/// Minimum time between two updates of the line.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

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
}

impl ProgressLine {
    /// Returns a line that is shown only if standard error is a terminal.
    #[must_use]
    pub fn on_terminal() -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            started: Instant::now(),
            drawn: None,
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
        write(&format!("{CLEAR}{}", line(seen, keys, now - self.started)));
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

/// Returns the line: bar, percentage, speed, remaining time. A pass can see more keys than there
/// were.
#[must_use]
fn line(seen: u64, keys: u64, elapsed: Duration) -> String {
    let share = if keys == 0 {
        1.0
    } else {
        (to_float(seen) / to_float(keys)).min(1.0)
    };
    let full = to_count(share * to_float(BAR));
    let bar: String = (0..BAR)
        .map(|at| if at < full { '#' } else { '.' })
        .collect();
    let speed = to_float(seen) / elapsed.as_secs_f64().max(0.001);
    let left = to_float(keys.saturating_sub(seen)) / speed.max(0.001);
    format!(
        "[{bar}] {:>3}%  {} keys/s  {} left",
        to_count(share * 100.0),
        human::estimated_count(speed),
        human::duration(to_count(left.ceil() * 1_000.0))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_shows_progress_speed_and_remaining_time() {
        assert_eq!(
            line(50_000, 200_000, Duration::from_secs(5)),
            "[#####...............]  25%  10,000 keys/s  15s left"
        );
    }

    #[test]
    fn extra_keys_count_as_100_percent() {
        let shown = line(300, 200, Duration::from_secs(1));
        assert!(shown.contains("####] 100%"), "{shown}");
        assert!(shown.ends_with(" 0ms left"), "{shown}");
        assert!(line(0, 0, Duration::ZERO).contains("100%"));
    }
}
