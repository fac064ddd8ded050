//! Decides when to poll, so that each scrape shows a new poll, and when to check the server in
//! between. Maps times to times. Pure.
//!
//! Once the pace of a scraper is known, polls start shortly before its scrapes, within the limits
//! of the interval. No scrape waits for a poll.

use std::time::{Duration, Instant};

use super::scrapers::{Scraper, Scrapers, tolerance};
use crate::config::PollTimes;
use crate::publish::Scrape;

/// Minimum time between the starts of two polls, regardless of the scrape rate.
const SHORTEST: Duration = Duration::from_millis(500);

/// Describes how often a target is polled.
#[must_use]
pub fn describe(times: PollTimes) -> String {
    let PollTimes {
        interval,
        follow_scrapes,
        ..
    } = times;
    if times.follows_faster_scrapes() {
        return format!(
            "every {interval:?}, or before each scrape if scrapes are more frequent, but at most every \
             {SHORTEST:?} (poll.interval fixes the interval)"
        );
    }
    let phase = if follow_scrapes {
        "timed shortly before scrapes"
    } else {
        "regardless of scrapes"
    };
    format!("every {interval:?}, {phase}")
}

/// Input for planning the next poll.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleInput {
    /// Current time.
    pub now: Instant,
    /// Start of the last poll.
    pub polled: Instant,
    /// Earliest start of the next poll.
    pub earliest: Instant,
    /// Start of the next poll without scrapes.
    pub regular: Instant,
    /// Configured poll interval.
    pub interval: Duration,
    /// Whether polls must not be more frequent than the interval.
    pub keeps_interval: bool,
    /// Time between a poll and its scrape: twice the time until a page shows the poll.
    pub lead: Duration,
    /// How much earlier this target is polled than others, to spread polls of many targets.
    pub offset: Duration,
}

/// Limits the poll rate of a target.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    times: PollTimes,
    /// Due time of the next poll if all polls had kept to the interval.
    due: Instant,
}

impl RateLimit {
    /// Returns the limit of a target without polls.
    pub const fn new(times: PollTimes, now: Instant) -> Self {
        Self { times, due: now }
    }

    /// Records a poll. Returns the earliest start of the next one.
    ///
    /// Polls follow faster scrapes, but keep to an explicitly configured interval. A poll may then
    /// be slightly early, to stay shortly before a scrape, but the mean rate does not exceed the
    /// interval.
    pub fn polled(&mut self, started: Instant) -> Instant {
        let PollTimes { interval, .. } = self.times;
        if self.times.follows_faster_scrapes() {
            return started + SHORTEST;
        }
        let early = tolerance(interval);
        // Retries after failures are sooner, and are not compensated.
        self.due = self.due.clamp(started, started + early) + interval;
        self.due.checked_sub(early).unwrap_or(started)
    }
}

/// A check between two polls that the server still replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time to send the check.
    pub at: Instant,
    /// Time after which a server without a reply is down.
    pub deadline: Instant,
}

/// Returns the check that is due unless a poll comes first.
///
/// A stopped server is down within one interval after the start of the last successful poll or
/// check, even if scrapes delay the next poll. Returns `None` if the timeout is so long that a check
/// would add little.
pub fn check(replied: Instant, times: PollTimes) -> Option<Heartbeat> {
    let PollTimes {
        interval, timeout, ..
    } = times;
    let wait = interval.checked_sub(timeout)?;
    (wait >= interval / 4).then(|| Heartbeat {
        at: replied + wait,
        deadline: replied + interval,
    })
}

/// Returns when to start the next poll: at most a quarter of the interval after the regular time.
pub(super) fn next(scrapers: &Scrapers, times: ScheduleInput) -> Instant {
    let expected = scrapers.expected(times.now);
    let starts = expected.filter_map(|scraper| start(scraper, times));
    let at_once = is_irregular(scrapers, times).then(|| times.earliest.min(times.regular));
    starts.chain(at_once).min().unwrap_or(times.regular)
}

/// Returns when to poll for the next reachable scrape of a scraper. Returns `None` if a poll is due
/// earlier for another reason.
fn start(scraper: &Scraper, times: ScheduleInput) -> Option<Instant> {
    let interval = scraper.interval;
    if interval < SHORTEST {
        return None;
    }
    // A longer poll is in time for a later scrape.
    let longest = interval * 3 / 4;
    let lead = times.lead.min(longest);
    let ahead = (lead + times.offset.min(interval / 2)).min(longest);
    let least = lead / 2;
    let (now, tolerance) = (times.now, tolerance(interval));
    let earliest = times.earliest.max(now);
    // After the scrape that the last poll was for, and after any scrape that no poll can be ready
    // for.
    let after = (times.polled + tolerance + ahead).max(earliest + least);
    let after = after.max(now.checked_sub(tolerance).unwrap_or(now));
    let wait = after.saturating_duration_since(scraper.last.at);
    let steps = wait.as_nanos() / interval.as_nanos().max(1) + 1;
    let at = scraper.last.at + interval.checked_mul(u32::try_from(steps).ok()?)?;
    let start = at.checked_sub(ahead)?.max(earliest);
    let latest = times.regular + times.interval / 4;
    if !times.keeps_interval {
        return (start <= latest).then_some(start);
    }
    // The number of polls stays the same; each is slightly later until they come shortly before
    // scrapes.
    let between = start.saturating_duration_since(earliest).as_nanos();
    let polls = u32::try_from(between / times.interval.as_nanos().max(1)).ok()?;
    let start = start.checked_sub(times.interval.checked_mul(polls)?)?;
    Some(start.min(latest))
}

/// Returns whether a client scrapes irregularly, more often than polls, and has seen the last poll.
/// Its next scrape shows a new poll only if that poll starts at once.
fn is_irregular(scrapers: &Scrapers, times: ScheduleInput) -> bool {
    let Some(four) = scrapers.irregular() else {
        return false;
    };
    let [.., last] = four;
    let gaps = four.iter().zip(four.iter().skip(1));
    let is_slow = |(one, other): (&Scrape, &Scrape)| {
        let gap = other.at.saturating_duration_since(one.at);
        gap >= SHORTEST && gap <= times.interval
    };
    last.at > times.polled && gaps.into_iter().all(is_slow)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;

    /// Scrapers by phase, interval, and jitter, in milliseconds.
    #[derive(Clone)]
    struct World {
        scrapers: Vec<(u64, u64, u64)>,
        interval: u64,
        timeout: u64,
        /// Whether the interval is explicitly configured.
        is_set: bool,
        /// Time from the start of a poll until a page shows it, in milliseconds.
        takes: u64,
        offset: u64,
    }

    /// Results of a simulation.
    struct Run {
        polls: Vec<Instant>,
        /// Scrapes by scraper: whether each showed a new poll, and the age of that poll.
        shown: Vec<Vec<(bool, Duration)>>,
        /// Maximum time from the start of a successful poll or check until a failure of the next
        /// one would be known.
        blind: Duration,
    }

    impl World {
        /// Returns a target without an explicitly configured interval.
        fn of(scrapers: Vec<(u64, u64, u64)>) -> Self {
            Self {
                scrapers,
                interval: 15_000,
                timeout: 5_000,
                is_set: false,
                takes: 20,
                offset: 0,
            }
        }

        fn set_to(self, interval: u64) -> Self {
            Self {
                interval,
                timeout: interval / 2,
                is_set: true,
                ..self
            }
        }

        fn times(&self) -> PollTimes {
            PollTimes {
                interval: ms(self.interval),
                timeout: ms(self.timeout),
                follow_scrapes: true,
                is_set: self.is_set,
            }
        }
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Returns the times of all scrapes, each with its scraper.
    fn arrivals(world: &World, start: Instant, seconds: u64) -> Vec<(Instant, usize)> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut arrivals = Vec::new();
        for (scraper, (phase, interval, jitter)) in world.scrapers.iter().enumerate() {
            let count = (seconds * 1000).saturating_sub(*phase) / interval;
            arrivals.extend((0..count).map(|number| {
                let late = random.u64(0..=*jitter);
                (start + ms(phase + number * interval + late), scraper)
            }));
        }
        arrivals.sort_unstable();
        arrivals
    }

    fn simulate(world: &World, seconds: u64) -> Run {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let start = *START + Duration::from_secs(60 * 60);
        let (interval, timeout) = (ms(world.interval), ms(world.timeout));
        let mut scrapers = Scrapers::default();
        let mut run = Run {
            polls: vec![start],
            shown: world.scrapers.iter().map(|_| Vec::new()).collect(),
            blind: Duration::ZERO,
        };
        let mut seen: Vec<Option<Instant>> = vec![None; world.scrapers.len()];
        let mut limit = RateLimit::new(world.times(), start);
        let (mut earliest, mut replied) = (limit.polled(start), start);
        let mut arrivals = arrivals(world, start, seconds).into_iter().peekable();
        let mut now = start + ms(world.takes);
        while let Some((at, scraper)) = arrivals.peek().copied() {
            let polled = *run.polls.last().unwrap();
            let times = ScheduleInput {
                now,
                polled,
                earliest,
                regular: polled + interval,
                interval,
                keeps_interval: world.is_set,
                lead: ms(2 * world.takes + 50),
                offset: ms(world.offset),
            };
            let due = next(&scrapers, times).max(now);
            let check = check(replied, world.times()).filter(|check| check.at >= now);
            if let Some(check) = check.filter(|check| check.at < due.min(at)) {
                run.blind = run.blind.max(check.deadline - replied);
                (replied, now) = (check.at, check.at);
            } else if due < at {
                run.blind = run.blind.max(due + timeout - replied);
                run.polls.push(due);
                (replied, now) = (due, due + ms(world.takes));
                earliest = limit.polled(due);
            } else {
                arrivals.next();
                now = now.max(at);
                let ready = |poll: &&Instant| **poll + ms(world.takes) <= at;
                let Some(poll) = run.polls.iter().rev().find(ready).copied() else {
                    continue;
                };
                let is_new = seen[scraper].replace(poll) != Some(poll);
                run.shown[scraper].push((is_new, at - poll));
                let poll = SystemTime::UNIX_EPOCH + (poll - start);
                scrapers.record(Scrape {
                    at,
                    poll,
                    client: 0,
                });
            }
        }
        run
    }

    fn all_new(run: &Run, from: usize) -> bool {
        let late = run.shown.iter().flat_map(|shown| shown.iter().skip(from));
        late.clone().count() > 0 && late.clone().all(|(is_new, _)| *is_new)
    }

    #[test]
    fn scrapes_show_new_polls_once_the_pace_is_known() {
        for scrapers in [
            vec![(300, 1_000, 5)],
            vec![(300, 2_000, 5)],
            vec![(4_000, 5_000, 20)],
            vec![(4_000, 15_000, 20)],
            vec![(4_000, 60_000, 50)],
            // Two scrapers with the same interval and different phases.
            vec![(4_000, 15_000, 20), (11_000, 15_000, 20)],
            vec![(4_000, 15_000, 5), (4_300, 15_000, 5)],
            vec![(4_000, 10_000, 5), (4_700, 30_000, 5)],
        ] {
            let world = World::of(scrapers.clone());
            let run = simulate(&world, 900);
            assert!(all_new(&run, 4), "{scrapers:?}");
            for (shown, scraper) in run.shown.iter().zip(&scrapers) {
                let fresh = shown.iter().skip(8).filter(|(_, age)| *age < ms(800));
                let share = fresh.count() * 100 / (shown.len() - 8);
                assert!(share >= 90, "{scraper:?}: {share} % are fresh");
            }
        }
    }

    #[test]
    fn polls_follow_the_scrapes_and_are_not_more_frequent() {
        for (interval, polls) in [(1_000, 880..=910), (15_000, 58..=66), (60_000, 52..=62)] {
            let world = World::of(vec![(300, interval, 5)]);
            let run = simulate(&world, 900);
            assert!(polls.contains(&run.polls.len()), "{}", run.polls.len());
        }
    }

    #[test]
    fn irregular_scrapes_show_a_new_poll_each() {
        let world = World::of(vec![(300, 5_000, 3_000)]);
        let run = simulate(&world, 900);
        let shown = run.shown[0].iter().skip(5);
        let (new, all) = (shown.clone().filter(|(new, _)| *new).count(), shown.count());
        assert!(new * 100 >= all * 90, "{new} of {all}");
    }

    #[test]
    fn request_loop_changes_nothing() {
        let world = World::of(vec![(0, 20, 3)]);
        assert!(simulate(&world, 60).polls.len() <= 5);
    }

    #[test]
    fn configured_interval_is_a_lower_bound() {
        for scrapers in [
            vec![(300, 1_000, 5)],
            vec![(300, 2_000, 20)],
            vec![(300, 1_900, 20)],
            vec![(300, 700, 20), (100, 15_000, 20)],
            vec![(300, 5_000, 3_000)],
            vec![(0, 20, 3)],
        ] {
            for interval in [500, 2_000, 15_000] {
                let world = World::of(scrapers.clone()).set_to(interval);
                let run = simulate(&world, 900);
                let most = 900_000 / interval + 2;
                let polls = run.polls.len() as u64;
                assert!(polls <= most, "{scrapers:?}, {interval}: {polls}");
                assert!(polls * 10 >= most * 7, "{scrapers:?}, {interval}: {polls}");
                let gaps = run.polls.windows(2).map(|pair| pair[1] - pair[0]);
                let shortest = gaps.min().unwrap();
                assert!(shortest + tolerance(ms(interval)) >= ms(interval));
            }
        }
    }

    #[test]
    fn polls_slower_than_the_scrapes_still_follow_them() {
        let world = World {
            takes: 900,
            ..World::of(vec![(300, 1_000, 5)])
        };
        let polls = simulate(&world, 900).polls.len();
        assert!((400..=910).contains(&polls), "{polls}");
    }

    #[test]
    fn retries_delay_no_later_poll() {
        let times = World::of(Vec::new()).set_to(15_000).times();
        let start = Instant::now();
        let mut limit = RateLimit::new(times, start);
        for number in 0..100 {
            let retry = start + ms(number * 1_000);
            assert!(limit.polled(retry) <= retry + times.interval);
        }
    }

    #[test]
    fn polls_at_a_configured_interval_precede_scrapes() {
        for (interval, scraper) in [
            (2_000, (300, 2_000, 5)),
            (15_000, (4_000, 15_000, 40)),
            (15_000, (300, 5_000, 20)),
        ] {
            let world = World::of(vec![scraper]).set_to(interval);
            let run = simulate(&world, 900);
            let shown = run.shown[0].iter().skip(20);
            let fresh = shown.clone().filter(|(new, age)| *new && *age < ms(300));
            let wanted = shown.count() as u64 * scraper.1 / interval;
            let fresh = fresh.count() as u64;
            assert!(fresh * 10 >= wanted * 9, "{scraper:?}: {fresh} of {wanted}");
        }
    }

    #[test]
    fn check_is_one_timeout_before_the_interval_ends() {
        let (start, mut times) = (Instant::now(), World::of(Vec::new()).times());
        let expected = Heartbeat {
            at: start + ms(10_000),
            deadline: start + ms(15_000),
        };
        assert_eq!(check(start, times), Some(expected));
        times.timeout = ms(14_000);
        assert_eq!(check(start, times), None);
    }

    #[test]
    fn polls_of_many_targets_are_spread() {
        let world = |offset| World {
            offset,
            ..World::of(vec![(4_000, 15_000, 0)])
        };
        let (one, other) = (simulate(&world(0), 300), simulate(&world(2_500), 300));
        let (one, last) = (one.polls.last().unwrap(), other.polls.last().unwrap());
        let apart = one.saturating_duration_since(*last) + last.saturating_duration_since(*one);
        assert_eq!(apart, ms(2_500));
        assert!(all_new(&other, 4));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn polls_are_neither_too_close_nor_too_far_apart(
            scrapers in proptest::collection::vec((0_u64..20_000, 150_u64..40_000, 0_u64..50), 0..4),
            interval in 500_u64..30_000,
            takes in 1_u64..100,
            offset in 0_u64..5_000,
            timeout in 1_u64..=70,
            is_set: bool,
        ) {
            let timeout = interval * timeout / 100;
            let world = World { scrapers, interval, timeout, is_set, takes, offset };
            let run = simulate(&world, 120);
            // A stopped server is known to be down within one interval, regardless of the scrapers.
            prop_assert!(run.blind <= ms(interval), "{:?}", run.blind);
            for pair in run.polls.windows(2) {
                let gap = pair[1] - pair[0];
                let early = if is_set { tolerance(ms(interval)) } else { Duration::ZERO };
                let least = if is_set { ms(interval) } else { SHORTEST.min(ms(interval)) };
                prop_assert!(gap + early >= least, "{gap:?}");
                prop_assert!(gap <= ms(interval + interval / 4 + takes + 1), "{gap:?}");
            }
        }
    }
}
