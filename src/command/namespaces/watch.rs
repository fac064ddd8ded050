//! Repeated passes: the time between them, and what a terminal shows around the table. Pure.

use std::time::Duration;

use super::human;
use crate::config::Sweep;

/// Moves to the start of the screen and clears it.
pub const CLEAR: &str = "\x1b[H\x1b[J";

/// Lookups of each pass after the first, if no number is given: with a pass per minute, five minutes
/// have as many as a single pass.
pub const LOOKUPS: u64 = 200;

/// The rest after a pass is at least the duration of the pass divided by this number.
const REST_DIVISOR: u32 = 2;

/// Returns the time from the end of a pass that took `pass` to the start of the next one.
#[must_use]
pub fn rest(pass: Duration, sweep: &Sweep) -> Duration {
    let rest = sweep.min_pass_interval.saturating_sub(pass);
    rest.max(pass / REST_DIVISOR).max(Duration::from_secs(1))
}

/// Returns the line below the table.
#[must_use]
pub fn footer(rest: Duration) -> String {
    let milliseconds = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
    let rest = human::duration(milliseconds);
    format!("\nNext pass in {rest}. Ctrl-C ends.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_keep_their_interval_and_rest_at_least_a_second() {
        let of = |pass, interval| {
            let sweep = Sweep {
                min_pass_interval: Duration::from_secs(interval),
                ..Sweep::default()
            };
            rest(Duration::from_secs(pass), &sweep).as_secs()
        };
        assert_eq!(
            [of(10, 60), of(60, 60), of(600, 60), of(1, 1)],
            [50, 30, 300, 1]
        );
        let shown = footer(Duration::from_secs(50));
        assert_eq!(shown, "\nNext pass in 50s. Ctrl-C ends.\n");
    }
}
