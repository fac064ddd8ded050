//! How often a target is polled and how long a poll may take. Not the poller.

use std::time::Duration;

use super::section::{Context, Placed, Reading, Section};
use super::unit;

/// The keys of a `poll` section.
pub(crate) const KEYS: &[&str] = &["interval", "timeout"];

/// How often a target is polled and how long one poll may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollTimes {
    /// From the start of one poll to the start of the next.
    pub interval: Duration,
    /// The longest time for all of one poll. Never longer than the interval.
    pub timeout: Duration,
}

impl Default for PollTimes {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The two times as they are written somewhere.
pub(crate) struct Written {
    pub(crate) interval: Reading<Duration>,
    pub(crate) timeout: Reading<Duration>,
}

/// Reads the `poll` section below a map.
pub(crate) fn read(parent: &Section<'_>, context: &mut Context<'_>) -> Written {
    let Some(section) = parent.section("poll", KEYS, context) else {
        return Written {
            interval: Ok(None),
            timeout: Ok(None),
        };
    };
    Written {
        interval: section.value("interval", unit::poll_interval, context),
        timeout: section.value("timeout", unit::duration, context),
    }
}

/// Fills in what is not written. A timeout that is not written is at most half the interval: that
/// leaves room for the question between two polls.
pub(crate) fn complete(
    written: Written,
    defaults: PollTimes,
    context: &mut Context<'_>,
) -> PollTimes {
    let (Ok(interval), Ok(timeout)) = (written.interval, written.timeout) else {
        return defaults;
    };
    let interval = interval.map_or(defaults.interval, |placed| placed.value);
    let timeout = match timeout {
        None => defaults.timeout.min(interval / 2),
        Some(Placed { value, .. }) if value <= interval => value,
        Some(Placed { value, place }) => {
            context.report(
                &place,
                format!("{value:?} is longer than the poll interval, {interval:?}"),
                "make the timeout at most the interval",
            );
            interval
        }
    };
    PollTimes { interval, timeout }
}
