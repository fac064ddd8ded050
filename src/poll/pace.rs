//! What the poller of one target remembers of its scrapers. When to poll is decided in `schedule`.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::schedule::{self, Times};
use crate::config::Target;
use crate::publish::Scrape;
use crate::telemetry::Telemetry;

/// Polls whose duration is remembered.
const REMEMBERED: usize = 8;

/// Added to the time that a poll and its page take, for a machine that is busy.
const MARGIN: Duration = Duration::from_millis(50);

/// A poll that is served twice is reported after this many times in a row...
const REPEATS_MIN: u32 = 10;

/// ... and this long.
const REPEATS_TIME: Duration = Duration::from_mins(1);

/// The pace of polls and scrapes.
#[derive(Debug)]
pub(super) struct Pace {
    follows: bool,
    interval: Duration,
    offset: Duration,
    polled: std::time::Instant,
    durations: VecDeque<Duration>,
    counted: Option<std::time::Instant>,
    repeats: Repeats,
}

/// Scrapes in a row that showed the same poll as the one before.
#[derive(Debug, Default)]
struct Repeats {
    count: u32,
    first: Option<std::time::Instant>,
    is_reported: bool,
}

impl Pace {
    /// A pace of which nothing is known. First polls of many targets come one after the other, and
    /// so do those that follow scrapes: half as far apart.
    pub(super) fn new(target: &Target, first: Duration) -> Self {
        Self {
            follows: target.poll.follow_scrapes,
            interval: target.poll.interval,
            offset: first / 2,
            polled: Instant::now().into_std(),
            durations: VecDeque::new(),
            counted: None,
            repeats: Repeats::default(),
        }
    }

    /// Records a poll.
    pub(super) fn polled(&mut self, started: Instant, ended: Instant) {
        self.polled = started.into_std();
        if self.durations.len() == REMEMBERED {
            self.durations.pop_front();
        }
        self.durations.push_back(ended - started);
    }

    /// Returns when to start the next poll.
    pub(super) fn next(&self, scrapes: &[Scrape], regular: Instant, page_lag: Duration) -> Instant {
        if !self.follows {
            return regular;
        }
        let longest = self.durations.iter().max().copied().unwrap_or_default();
        let times = Times {
            now: Instant::now().into_std(),
            polled: self.polled,
            regular: regular.into_std(),
            interval: self.interval,
            lead: 2 * (longest + page_lag) + MARGIN,
            offset: self.offset,
        };
        schedule::next(scrapes, times).into()
    }

    /// Counts the scrapes that showed the same poll as the scrape before of the same scraper, and
    /// reports it if that goes on.
    pub(super) fn count_repeats(
        &mut self,
        scrapes: &[Scrape],
        target: &Target,
        telemetry: &Telemetry,
    ) {
        for (at, is_repeat) in schedule::repeats(scrapes, self.counted) {
            if is_repeat {
                telemetry.repeated(&target.name);
            }
            if self.repeats.note(at, is_repeat) {
                warn!(
                    name = target.name,
                    poll_interval = ?self.interval,
                    "scrapes show the same poll again and again: rates over two scrapes are wrong; \
                     scrape less often, or lower poll.interval"
                );
            }
        }
        self.counted = scrapes.last().map(|scrape| scrape.at);
    }
}

impl Repeats {
    /// Records a scrape. Returns true if it is time for a report, once until a scrape shows a new
    /// poll.
    fn note(&mut self, at: std::time::Instant, is_repeat: bool) -> bool {
        if !is_repeat {
            *self = Self::default();
            return false;
        }
        self.count += 1;
        let first = *self.first.get_or_insert(at);
        let is_due = self.count >= REPEATS_MIN && at.duration_since(first) >= REPEATS_TIME;
        is_due && !std::mem::replace(&mut self.is_reported, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_reported_once_and_after_a_while() {
        let start = std::time::Instant::now();
        let mut repeats = Repeats::default();
        let mut reports = 0;
        for second in 0..300 {
            let at = start + Duration::from_secs(second);
            reports += u32::from(repeats.note(at, second != 150));
            assert_eq!(
                reports,
                u32::from(second >= 60) + u32::from(second >= 211),
                "{second}"
            );
        }
    }
}
