//! Identifies the scrapers of a target and their intervals. Maps scrapes to scrapers. Pure.
//!
//! A scraper has a fixed interval. It is known after three equally spaced scrapes of one client.
//! Other scrapes in between do not matter, unless they are so dense that any spacing would fit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::publish::Scrape;

/// Number of missed scrapes after which a scraper is no longer expected.
const MISSES: u32 = 3;

/// Maximum gap between requests of a loop, which is not a scraper.
const LOOP: Duration = Duration::from_millis(100);

/// Maximum number of known scrapers.
const KNOWN_MAX: usize = 16;

/// Maximum number of scrapes kept: of one client, and in total.
const KEPT_OF_ONE: usize = 64;
const KEPT_MAX: usize = 128;

/// Maximum probability that an interval fits by chance.
const CHANCE_MAX: f64 = 0.25;

/// Number of additional scrapes that confirm an interval among other scrapes.
const CONFIRMATIONS: u32 = 2;

/// Number of consecutive scrapes after which a scraper cannot be a chance match.
const ESTABLISHED: u32 = 6;

/// Minimum number of scrapes for judging repeats ...
const JUDGED_SCRAPES: u32 = 10;

/// ... and minimum time. Repeats are reported if they exceed a quarter.
const JUDGED_TIME: Duration = Duration::from_secs(60);

/// Returns the maximum deviation of a scrape from its scraper's pace.
pub(super) fn tolerance(interval: Duration) -> Duration {
    (interval / 10).min(Duration::from_millis(50) + interval / 100)
}

/// The scrapers of one target, and unassigned scrapes.
#[derive(Debug, Default)]
pub(super) struct Scrapers {
    known: Vec<Scraper>,
    kept: VecDeque<KeptScrape>,
    found: u64,
}

#[derive(Clone, Copy, Debug)]
struct KeptScrape {
    scrape: Scrape,
    /// The scraper that it belongs to, if any.
    owner: Option<u64>,
}

/// A client that scrapes at a fixed interval.
#[derive(Clone, Debug)]
pub(super) struct Scraper {
    id: u64,
    pub(super) interval: Duration,
    pub(super) last: Scrape,
    /// Number of scrapes still needed to confirm it.
    doubts: u32,
    /// Number of consecutive scrapes.
    in_a_row: u32,
    repeats: Repeats,
}

/// A scrape of a known scraper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noted {
    /// Whether it showed the same poll as the previous scrape.
    pub(super) is_repeat: bool,
    /// The interval of a scraper that repeatedly sees the same poll. Set once.
    pub(super) report: Option<Duration>,
}

impl Scrapers {
    /// Records a scrape.
    pub(super) fn record(&mut self, scrape: Scrape) -> Option<Noted> {
        self.known.retain(|scraper| !scraper.is_gone(scrape.at));
        let fits = self.known.iter_mut().filter_map(|scraper| {
            let (steps, deviation) = scraper.fit(&scrape)?;
            Some((deviation, steps, scraper))
        });
        let best = fits.min_by(|(one, ..), (other, ..)| one.total_cmp(other));
        if let Some((_, steps, scraper)) = best {
            let noted = scraper.follow(scrape, steps);
            let (id, is_established) = (scraper.id, scraper.in_a_row >= ESTABLISHED);
            if is_established {
                self.kept.retain(|kept| kept.owner != Some(id));
                self.kept.shrink_to_fit();
            } else {
                self.keep(scrape, Some(id));
            }
            return Some(noted);
        }
        let Some((scraper, before)) = self.discover(&scrape) else {
            self.keep(scrape, None);
            return None;
        };
        self.keep(scrape, Some(scraper.id));
        self.know(scraper);
        Some(Noted {
            is_repeat: before.poll == scrape.poll,
            report: None,
        })
    }

    fn know(&mut self, scraper: Scraper) {
        self.found += 1;
        if self.known.len() == KNOWN_MAX {
            let known = self.known.iter().enumerate();
            let oldest = known.min_by_key(|(_, scraper)| scraper.last.at);
            let at = oldest.map_or(0, |(at, _)| at);
            self.known.swap_remove(at);
        }
        // Nearly all targets have one.
        self.known.reserve_exact(1);
        self.known.push(scraper);
    }

    /// Returns the scrapers that are expected to come again.
    pub(super) fn expected(&self, now: Instant) -> impl Iterator<Item = &Scraper> {
        let known = self.known.iter();
        known.filter(move |scraper| scraper.doubts == 0 && !scraper.is_gone(now))
    }

    /// Returns the last four scrapes of the most recent client, unless the last one was expected.
    pub(super) fn irregular(&self) -> Option<[Scrape; 4]> {
        let last = self.kept.back()?;
        let is_expected = |known: &Scraper| {
            known.last.at > last.scrape.at || (last.owner == Some(known.id) && known.in_a_row > 0)
        };
        if self.known.iter().any(is_expected) {
            return None;
        }
        let mut own = self.of(last.scrape.client).rev().map(|kept| kept.scrape);
        let mut before = || own.next();
        let (fourth, third, second, first) = (before()?, before()?, before()?, before()?);
        Some([first, second, third, fourth])
    }

    fn of(&self, client: u64) -> impl DoubleEndedIterator<Item = &KeptScrape> {
        let kept = self.kept.iter();
        kept.filter(move |kept| kept.scrape.client == client)
    }

    fn keep(&mut self, scrape: Scrape, owner: Option<u64>) {
        let is_same = |kept: &KeptScrape| kept.scrape.client == scrape.client;
        if self.of(scrape.client).count() >= KEPT_OF_ONE
            && let Some(oldest) = self.kept.iter().position(is_same)
        {
            self.kept.remove(oldest);
        }
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(KeptScrape { scrape, owner });
    }

    /// Finds the scraper with the shortest interval that fits, and its previous scrape. Assigns
    /// both previous scrapes to it.
    fn discover(&mut self, scrape: &Scrape) -> Option<(Scraper, Scrape)> {
        let earlier: Vec<KeptScrape> = self.of(scrape.client).copied().collect();
        let free = earlier.iter().enumerate();
        let free = free.filter(|(_, kept)| kept.owner.is_none()).rev();
        let mut found = free.filter_map(|(index, before)| {
            let before = before.scrape;
            let interval = scrape.at.saturating_duration_since(before.at);
            if interval < LOOP {
                return None;
            }
            let wanted = before.at.checked_sub(interval)?;
            let tolerance = tolerance(interval);
            let place = earlier.partition_point(|kept| kept.scrape.at + tolerance < wanted);
            let fits = |kept: &&KeptScrape| kept.scrape.at <= wanted + tolerance;
            let mut first = earlier.get(place..index)?.iter().take_while(fits);
            let first = first.find(|kept| kept.owner.is_none())?.scrape;
            let strays = u32::try_from(earlier.len() - place - 2).unwrap_or(u32::MAX);
            let chance = f64::from(strays) * tolerance.div_duration_f64(interval);
            (chance < CHANCE_MAX).then_some((interval, strays, first, before))
        });
        let (interval, strays, first, before) = found.next()?;
        let id = self.found;
        let members = self.kept.iter_mut();
        for member in members.filter(|kept| [first, before].contains(&kept.scrape)) {
            member.owner = Some(id);
        }
        let scraper = Scraper {
            id,
            interval,
            last: *scrape,
            doubts: if strays == 0 { 0 } else { CONFIRMATIONS },
            in_a_row: 0,
            repeats: Repeats::default(),
        };
        Some((scraper, before))
    }
}

impl Scraper {
    /// Returns how many intervals after the last scrape this one comes, and its deviation as a
    /// share of the tolerance. Returns `None` if it deviates too much.
    fn fit(&self, scrape: &Scrape) -> Option<(u32, f64)> {
        let gap = scrape.at.saturating_duration_since(self.last.at);
        let steps = (1..=MISSES + 1).min_by_key(|steps| gap.abs_diff(self.interval * *steps))?;
        let deviation = gap.abs_diff(self.interval * steps);
        let share = deviation.div_duration_f64(tolerance(self.interval));
        let is_own = self.last.client == scrape.client && share <= 1.0;
        is_own.then_some((steps, share))
    }

    fn follow(&mut self, scrape: Scrape, steps: u32) -> Noted {
        let gap = scrape.at.saturating_duration_since(self.last.at);
        self.interval = (3 * self.interval + gap / steps) / 4;
        if steps == 1 {
            self.doubts = self.doubts.saturating_sub(1);
            self.in_a_row += 1;
        } else {
            self.in_a_row = 0;
        }
        let is_repeat = self.last.poll == scrape.poll;
        self.last = scrape;
        let report = self.repeats.note(scrape.at, is_repeat);
        Noted {
            is_repeat,
            report: report.then_some(self.interval),
        }
    }

    fn is_gone(&self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.last.at);
        waited > self.interval * (MISSES + 1) + tolerance(self.interval)
    }
}

/// Counts the scrapes of one scraper that showed the same poll as the previous one.
#[derive(Clone, Debug, Default)]
struct Repeats {
    since: Option<Instant>,
    scrapes: u32,
    same: u32,
    is_reported: bool,
}

impl Repeats {
    /// Records a scrape. Returns true if a report is due: once, until repeats are rare again.
    fn note(&mut self, at: Instant, is_repeat: bool) -> bool {
        let since = *self.since.get_or_insert(at);
        self.scrapes += 1;
        self.same += u32::from(is_repeat);
        let is_long = at.saturating_duration_since(since) >= JUDGED_TIME;
        if self.scrapes < JUDGED_SCRAPES || !is_long {
            return false;
        }
        let is_often = self.same * 4 > self.scrapes;
        let is_due = is_often && !self.is_reported;
        *self = Self {
            is_reported: is_often,
            ..Self::default()
        };
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Records scrapes by time, client, and poll number, and returns the results.
    fn recorded(
        start: Instant,
        mut arrivals: Vec<(u64, u64, u64)>,
    ) -> (Scrapers, Vec<(u64, Noted)>) {
        arrivals.sort_unstable();
        let mut scrapers = Scrapers::default();
        let mut noted = Vec::new();
        for (at, client, poll) in arrivals {
            let scrape = Scrape {
                at: start + ms(at),
                poll: SystemTime::UNIX_EPOCH + Duration::from_secs(poll),
                client,
            };
            noted.extend(scrapers.record(scrape).map(|noted| (at, noted)));
        }
        (scrapers, noted)
    }

    fn intervals(scrapers: &Scrapers, now: Instant) -> Vec<Duration> {
        let mut intervals: Vec<_> = scrapers
            .expected(now)
            .map(|scraper| scraper.interval)
            .collect();
        intervals.sort_unstable();
        intervals
    }

    #[test]
    fn each_scraper_is_warned_of_its_own_repeats() {
        let start = Instant::now();
        // One scraper sees a new poll each time. The other one, of the same client, sees one every
        // second time.
        let new = (0..40).map(|number| (number * 5_000, 1, number));
        let stuck = (0..40).map(|number| (2_000 + number * 5_000, 1, number / 2));
        let (_, noted) = recorded(start, new.chain(stuck).collect());
        let repeats = noted.iter().filter(|(_, noted)| noted.is_repeat);
        assert!(repeats.clone().count() >= 17);
        assert!(repeats.clone().all(|(at, _)| at % 5_000 == 2_000));
        let reports = noted.iter().filter_map(|(_, noted)| noted.report);
        assert_eq!(reports.collect::<Vec<_>>(), [ms(5_000)]);
    }

    #[test]
    fn repeats_are_reported_once_until_they_are_rare() {
        let start = Instant::now();
        let mut repeats = Repeats::default();
        let mut reports = Vec::new();
        for second in 0..400 {
            let is_repeat = !(150..280).contains(&second) && second % 15 != 0;
            if repeats.note(start + Duration::from_secs(second), is_repeat) {
                reports.push(second);
            }
        }
        assert_eq!(reports, [60, 304]);
    }

    #[test]
    fn fast_client_does_not_hide_a_slow_scraper() {
        let mut random = fastrand::Rng::with_seed(7);
        for (client, jitter) in [(1, 5), (1, 15), (2, 200)] {
            let fast = (0..300).map(|number| (number * 400 + random.u64(0..=jitter), client, 0));
            let slow = (0..8).map(|number| (140 + number * 15_000, 1, number));
            let start = Instant::now();
            let (scrapers, _) = recorded(start, fast.chain(slow).collect());
            let intervals = intervals(&scrapers, start + ms(110_000));
            let is_slow = |interval: &Duration| interval.abs_diff(ms(15_000)) < ms(50);
            assert!(intervals.iter().any(is_slow), "{intervals:?}");
            let made_up = intervals.iter().filter(|interval| **interval > ms(500));
            assert!(made_up.count() == 1 || jitter == 200, "{intervals:?}");
        }
    }

    #[test]
    fn dense_loop_has_no_pace() {
        let mut random = fastrand::Rng::with_seed(7);
        for gaps in [10..=11, 10..=30, 20..=120, 50..=300] {
            let mut at = 0;
            let all = (0..2_000).map(|_| {
                at += random.u64(gaps.clone());
                (at, 1, 0)
            });
            let all: Vec<_> = all.collect();
            let start = Instant::now();
            for end in [50, 300, 1_000, 2_000] {
                let some = all.iter().take(end).copied().collect();
                let (scrapers, _) = recorded(start, some);
                let now = start + ms(all[end - 1].0);
                let intervals = intervals(&scrapers, now);
                let is_slow = |interval: &Duration| *interval >= ms(500);
                assert!(!intervals.iter().any(is_slow), "{gaps:?}: {intervals:?}");
            }
        }
    }

    #[test]
    fn slow_scraper_is_known_despite_another_dense_loop() {
        let dense = (0..3_000).map(|number| (number * 15, 1, 0));
        let slow = (0..3).map(|number| (7 + number * 15_000, 2, number));
        let start = Instant::now();
        let (scrapers, _) = recorded(start, dense.chain(slow).collect());
        assert_eq!(intervals(&scrapers, start + ms(45_000)), [ms(15_000)]);
    }

    #[test]
    fn state_kept_of_a_flood_is_bounded() {
        let mut random = fastrand::Rng::with_seed(7);
        let flood = (0..5_000).map(|number| (number * 20, random.u64(..), 0));
        let (scrapers, _) = recorded(Instant::now(), flood.collect());
        assert!(scrapers.kept.len() <= KEPT_MAX && scrapers.known.len() <= KNOWN_MAX);
    }
}
