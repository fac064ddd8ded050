//! How often a target is polled and how long a poll may take. Not the poller.

use std::time::Duration;

use super::draft::{Draft, Each};
use super::reader::{Context, Written};

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
        Draft::new().each.poll
    }
}

impl PollTimes {
    /// Nothing is set yet, not even a default.
    pub(crate) const BLANK: Self = Self {
        interval: Duration::ZERO,
        timeout: Duration::ZERO,
        follow_scrapes: false,
        is_set: false,
    };
}

/// Sets the timeout. One that is not written is at most half the interval: that leaves room for the
/// question between two polls.
pub(crate) fn complete(each: &mut Each, written: &Written, context: &mut Context<'_>) {
    let (timeout, interval) = (each.timeout.take(), each.poll.interval);
    each.poll.is_set |= written.has("poll.interval");
    if written.is_wrong("poll") {
        return;
    }
    each.poll.timeout = match (timeout, written.place_of("poll.timeout")) {
        (Some(timeout), Some(place)) if timeout > interval => {
            let what = format!("{timeout:?} is longer than the poll interval, {interval:?}");
            context.report(place, what, "make the timeout at most the interval");
            interval
        }
        (Some(timeout), _) => timeout,
        (None, _) => each.poll.timeout.min(interval / 2),
    };
}
