//! State about the scrapers of one target. `schedule` decides when to poll.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::schedule::{self, RateLimit, ScheduleInput};
use super::scrapers::Scrapers;
use crate::config::PollTimes;
use crate::logfmt;
use crate::publish::Scrape;
use crate::telemetry::{Counter, Telemetry};

const REPEATED: Counter<1> = Counter::named("redis_exporter_repeated_scrapes_total");

/// Number of polls whose duration is kept.
const REMEMBERED: usize = 8;

/// Added to the duration of a poll and its page, for busy machines.
const MARGIN: Duration = Duration::from_millis(50);

/// The pace of polls and scrapes.
#[derive(Debug)]
pub(super) struct PollPace {
    times: PollTimes,
    offset: Duration,
    polled: std::time::Instant,
    earliest: std::time::Instant,
    limit: RateLimit,
    durations: VecDeque<Duration>,
    scrapers: Scrapers,
}

impl PollPace {
    /// Returns a pace without any history. The first polls of many targets are staggered. Their
    /// polls before scrapes are too, at half that distance.
    pub(super) fn new(times: PollTimes, first: Duration) -> Self {
        let now = Instant::now().into_std();
        Self {
            times,
            offset: first / 2,
            polled: now,
            earliest: now,
            limit: RateLimit::new(times, now),
            durations: VecDeque::new(),
            scrapers: Scrapers::default(),
        }
    }

    /// Records a poll.
    pub(super) fn polled(&mut self, started: Instant, ended: Instant) {
        self.polled = started.into_std();
        // A slow server rests as long as it was busy.
        let rested = (ended + (ended - started)).into_std();
        self.earliest = self.limit.polled(self.polled).max(rested);
        if self.durations.len() == REMEMBERED {
            self.durations.pop_front();
        }
        self.durations.push_back(ended - started);
    }

    /// Returns when to start the next poll.
    pub(super) fn next(&self, regular: Instant, page_lag: Duration) -> Instant {
        if !self.times.follow_scrapes {
            return regular;
        }
        let longest = self.durations.iter().max().copied().unwrap_or_default();
        let times = ScheduleInput {
            now: Instant::now().into_std(),
            polled: self.polled,
            earliest: self.earliest,
            regular: regular.into_std(),
            interval: self.times.interval,
            keeps_interval: !self.times.follows_faster_scrapes(),
            lead: 2 * (longest + page_lag) + MARGIN,
            offset: self.offset,
        };
        schedule::next(&self.scrapers, times).into()
    }

    /// Records scrapes, oldest first. Counts scrapes that showed the same poll as the previous
    /// scrape of the same scraper, and logs it if that persists.
    pub(super) fn scraped(&mut self, scrapes: Vec<Scrape>, name: &str, telemetry: &Telemetry) {
        for scrape in scrapes {
            let Some(noted) = self.scrapers.record(scrape) else {
                continue;
            };
            if noted.is_repeat {
                telemetry.count(REPEATED, [name]);
            }
            if let Some(interval) = noted.report {
                let scrapes_every = logfmt::seconds(interval);
                let polls_every = logfmt::seconds(self.times.interval);
                warn!(
                    name,
                    scrapes_every,
                    polls_every,
                    "scrapes repeatedly show the same poll, so rates over two scrapes are wrong; \
                     scrape less often, or lower or remove poll.interval"
                );
            }
        }
    }
}
