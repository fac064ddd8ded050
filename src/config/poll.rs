//! Interval and timeout of polls.

use std::time::Duration;

use super::context::Context;
use super::draft::{Draft, Each};
use super::written_keys::WrittenKeys;

/// Interval and timeout of the polls of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollTimes {
    /// Time between the starts of two polls.
    pub interval: Duration,
    /// Timeout of a poll, including the connection. It never exceeds the interval.
    pub timeout: Duration,
    /// Whether to also poll shortly before each expected scrape.
    pub follow_scrapes: bool,
    /// Whether the interval was set explicitly, and is therefore fixed.
    pub is_set: bool,
}

impl PollTimes {
    /// Returns whether polls become more frequent than the interval if scrapes are.
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
    /// The value before rows set defaults and settings.
    pub(crate) const BLANK: Self = Self {
        interval: Duration::ZERO,
        timeout: Duration::ZERO,
        follow_scrapes: false,
        is_set: false,
    };
}

/// Sets the timeout.
///
/// The default is at most half the interval, which leaves time for the PING between two polls.
pub(crate) fn complete(each: &mut Each, written: &WrittenKeys, context: &mut Context<'_>) {
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
