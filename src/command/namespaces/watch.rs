//! Repeated passes: the time between them, and what a terminal shows around the table. Pure.

use std::time::Duration;

use super::report::PassEnd;
use crate::config::Sweep;
use crate::failure::Reason;
use crate::quantity;

/// Moves to the start of the screen and clears it.
pub const CLEAR: &str = "\x1b[H\x1b[J";

/// Lookups of each pass after the first, if no number is given: with a pass per minute, five minutes
/// have as many as a single pass.
pub const LOOKUPS: u64 = 200;

/// The rest after a pass is at least the duration of the pass divided by this number.
const REST_DIVISOR: u32 = 2;

/// Maximum rest after a pass that has visited no key. Such a pass costs the server nearly nothing.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Returns the time from the end of a pass that took `pass` to the start of the next one.
#[must_use]
pub fn rest(pass: Duration, sweep: &Sweep, has_keys: bool) -> Duration {
    let rest = sweep.min_pass_interval.saturating_sub(pass);
    let rest = rest.max(pass / REST_DIVISOR);
    let rest = if has_keys { rest } else { rest.min(RETRY_MAX) };
    rest.max(Duration::from_secs(1))
}

/// Returns whether another pass follows. If the first pass fails for a reason that does not go away
/// by itself, such as a wrong password, none follows.
#[must_use]
pub fn goes_on(end: &PassEnd, is_shown: bool) -> bool {
    match end {
        PassEnd::Complete => true,
        PassEnd::Interrupted => false,
        PassEnd::Failed(failure) => is_shown || may_pass(failure.reason),
    }
}

/// Returns whether a failure may be over soon without a change of the configuration.
const fn may_pass(reason: Reason) -> bool {
    match reason {
        Reason::Dns
        | Reason::Refused
        | Reason::Timeout
        | Reason::Loading
        | Reason::MaxClients
        | Reason::Closed
        | Reason::Other => true,
        Reason::Tls | Reason::Auth | Reason::Denied | Reason::Protocol | Reason::NotMember => false,
    }
}

/// Returns the line below the table.
#[must_use]
pub fn footer(rest: Duration) -> String {
    format!("\nNext pass in {}. Ctrl-C ends.\n", in_words(rest))
}

/// Returns the lines about a failed pass. `has_table` is whether they are below the table of an
/// earlier pass.
#[must_use]
pub fn failure_text(error: &str, rest: Duration, has_table: bool) -> String {
    let table = if has_table {
        "The table is from the last complete pass. "
    } else {
        ""
    };
    let rest = in_words(rest);
    format!("{error}\n{table}Next attempt in {rest}. Ctrl-C ends.")
}

fn in_words(rest: Duration) -> String {
    quantity::long_duration(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn passes_keep_their_interval_and_rest_at_least_a_second() {
        let of = |pass, interval| {
            let sweep = Sweep {
                min_pass_interval: Duration::from_secs(interval),
                ..Sweep::default()
            };
            let of = |has_keys| rest(Duration::from_secs(pass), &sweep, has_keys).as_secs();
            (of(true), of(false))
        };
        assert_eq!(
            [of(10, 60), of(60, 60), of(600, 60), of(1, 1), of(1, 4)],
            [(50, 5), (30, 5), (300, 5), (1, 1), (3, 3)]
        );
        let shown = footer(Duration::from_secs(50));
        assert_eq!(shown, "\nNext pass in 50s. Ctrl-C ends.\n");
    }
    #[test]
    fn failures_end_only_a_first_pass_and_only_if_they_stay() {
        let of = |reason, is_shown| goes_on(&PassEnd::Failed(Failure::new(reason, "")), is_shown);
        for reason in Reason::ALL {
            assert!(of(reason, true), "{reason:?}");
        }
        assert!(of(Reason::Refused, false) && of(Reason::Loading, false));
        assert!(!of(Reason::Auth, false) && !of(Reason::Denied, false));
        assert!(goes_on(&PassEnd::Complete, false) && !goes_on(&PassEnd::Interrupted, true));
    }

    #[test]
    fn failure_names_the_next_attempt_and_the_age_of_the_table() {
        let rest = Duration::from_secs(5);
        assert_eq!(
            failure_text("a failed", rest, true),
            "a failed\nThe table is from the last complete pass. Next attempt in 5s. Ctrl-C ends."
        );
        assert_eq!(
            failure_text("a failed", rest, false),
            "a failed\nNext attempt in 5s. Ctrl-C ends."
        );
    }
}
