//! How often a target is polled and how long a poll may take. Not the poller.

use std::time::Duration;

use super::section::{Context, Placed, Reading, Section};
use super::unit;

/// The keys of a `poll` section.
pub(crate) const KEYS: &[&str] = &["interval", "timeout", "follow_scrapes"];

/// How often a target is polled and how long one poll may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollTimes {
    /// From the start of one poll to the start of the next.
    pub interval: Duration,
    /// The longest time for all of one poll. Never longer than the interval.
    pub timeout: Duration,
    /// Whether a poll comes shortly before each scrape that is expected.
    pub follow_scrapes: bool,
    /// Whether somebody set the interval: then it is kept to.
    pub is_set: bool,
}

impl PollTimes {
    /// Whether polls come more often than the interval if scrapes do.
    #[must_use]
    pub const fn follows_faster_scrapes(&self) -> bool {
        self.follow_scrapes && !self.is_set
    }
}

impl Default for PollTimes {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(5),
            follow_scrapes: true,
            is_set: false,
        }
    }
}

/// What is written somewhere.
pub(crate) struct Written {
    pub(crate) interval: Reading<Duration>,
    pub(crate) timeout: Reading<Duration>,
    pub(crate) follow_scrapes: Reading<bool>,
}

/// Reads the `poll` section below a map.
pub(crate) fn read(parent: &Section<'_>, context: &mut Context<'_>) -> Written {
    let Some(section) = parent.section("poll", KEYS, context) else {
        return Written {
            interval: Ok(None),
            timeout: Ok(None),
            follow_scrapes: Ok(None),
        };
    };
    Written {
        interval: section.value("interval", unit::poll_interval, context),
        timeout: section.value("timeout", unit::duration, context),
        follow_scrapes: section.value("follow_scrapes", unit::switch, context),
    }
}

/// Fills in what is not written. A timeout that is not written is at most half the interval: that
/// leaves room for the question between two polls.
pub(crate) fn complete(
    written: Written,
    defaults: PollTimes,
    context: &mut Context<'_>,
) -> PollTimes {
    let (Ok(interval), Ok(timeout), Ok(follow)) =
        (written.interval, written.timeout, written.follow_scrapes)
    else {
        return defaults;
    };
    let follow_scrapes = follow.map_or(defaults.follow_scrapes, |placed| placed.value);
    let is_set = defaults.is_set || interval.is_some();
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
    PollTimes {
        interval,
        timeout,
        follow_scrapes,
        is_set,
    }
}
