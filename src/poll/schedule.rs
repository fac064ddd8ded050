//! When to poll so that each scrape shows a new poll. Pure: times come in, a time goes out.
//!
//! A scraper comes at a fixed interval. Its pace is known once three scrapes are equally far apart,
//! whatever other scrapers do in between; from then on a poll is due shortly before each of its
//! scrapes. No scrape waits for a poll.

use std::time::{Duration, Instant};

use crate::publish::Scrape;

/// The least time between the starts of two polls, however fast the scrapes come.
pub const SHORTEST: Duration = Duration::from_millis(500);

/// A scraper that missed this many scrapes is not expected any more.
const MISSES: u32 = 3;

/// Requests closer to each other than this are a loop, not a scraper.
const LOOP: Duration = Duration::from_millis(100);

/// How far a scrape may be from the pace of its scraper.
fn tolerance(interval: Duration) -> Duration {
    (interval / 10).min(Duration::from_millis(50) + interval / 100)
}

/// What is known when the next poll is planned.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The time of planning.
    pub now: Instant,
    /// The start of the last poll.
    pub polled: Instant,
    /// The start of the next poll if nobody scraped.
    pub regular: Instant,
    /// The configured interval of polls.
    pub interval: Duration,
    /// How long before a scrape a poll starts: twice the time until a page shows it.
    pub lead: Duration,
    /// How much earlier this target is polled than others, so that many are not polled at once.
    pub offset: Duration,
}

/// A scrape that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    at: Instant,
    interval: Duration,
}

/// Returns the interval of the scraper that made a scrape, and the index of its scrape before.
fn pace(scrapes: &[Scrape], at: usize) -> Option<(Duration, usize)> {
    let (scrape, earlier) = (scrapes.get(at)?, scrapes.get(..at)?);
    let candidates = earlier.iter().enumerate().rev();
    let mut found = candidates.filter_map(|(index, before)| {
        let interval = scrape.at.saturating_duration_since(before.at);
        let wanted = before.at.checked_sub(interval)?;
        let tolerance = tolerance(interval);
        let place = earlier.partition_point(|other| other.at + tolerance < wanted);
        let first = earlier.get(..index)?.get(place)?;
        (first.at <= wanted + tolerance).then_some((interval, index))
    });
    found.next()
}

/// Returns the next scrape of each scraper, soonest first.
fn expected(scrapes: &[Scrape], now: Instant) -> Vec<Expected> {
    let mut expected: Vec<Expected> = Vec::new();
    for (index, scrape) in scrapes.iter().enumerate().rev() {
        let Some((interval, _)) = pace(scrapes, index) else {
            continue;
        };
        if interval < SHORTEST {
            continue;
        }
        let mut steps = (1..=MISSES + 1).map(|step| scrape.at + interval * step);
        let tolerance = tolerance(interval);
        let Some(at) = steps.find(|at| *at + tolerance > now) else {
            continue;
        };
        let same = |other: &&mut Expected| distance(other.at, at) <= tolerance;
        match expected.iter_mut().find(same) {
            Some(known) => known.at = known.at.min(at),
            None => expected.push(Expected { at, interval }),
        }
    }
    expected.sort_unstable_by_key(|expected| expected.at);
    expected
}

fn distance(one: Instant, other: Instant) -> Duration {
    let later = one.max(other);
    later.saturating_duration_since(one.min(other))
}

/// Returns when to start the next poll. It is never more than a quarter of the interval later than
/// the regular time, and never sooner than [`SHORTEST`] after the last start.
pub fn next(scrapes: &[Scrape], times: Times) -> Instant {
    let earliest = times.polled + SHORTEST;
    let regular = if is_irregular(scrapes, times) {
        earliest.min(times.regular)
    } else {
        times.regular
    };
    for Expected { at, interval } in expected(scrapes, times.now) {
        let ahead = (times.lead + times.offset.min(interval / 2)).min(interval * 3 / 4);
        let Some(ideal) = at.checked_sub(ahead) else {
            continue;
        };
        let is_served = times.polled + tolerance(interval) >= ideal;
        let start = ideal.max(earliest).max(times.now);
        if is_served || start + times.lead / 2 > at {
            continue;
        }
        if start <= regular + times.interval / 4 {
            return start;
        }
        break;
    }
    regular
}

/// Returns whether somebody scrapes without a pace, but more often than the target is polled, and
/// has seen the last poll: the next scrape shows a new one only if that poll comes at once.
fn is_irregular(scrapes: &[Scrape], times: Times) -> bool {
    let [.., first, second, third, last] = scrapes else {
        return false;
    };
    if pace(scrapes, scrapes.len() - 1).is_some() {
        return false;
    }
    let gaps = [(first, second), (second, third), (third, last)];
    let is_slow = |(one, other): &(&Scrape, &Scrape)| {
        let gap = other.at.saturating_duration_since(one.at);
        gap >= SHORTEST && gap <= times.interval
    };
    last.at > times.polled && gaps.iter().all(is_slow)
}

/// Returns, for each scrape since a time, when it came and whether it showed the same poll as the
/// scrape before of the same scraper. Scrapes without a pace are left out.
pub fn repeats(
    scrapes: &[Scrape],
    since: Option<Instant>,
) -> impl Iterator<Item = (Instant, bool)> + '_ {
    let new = move |scrape: &Scrape| since.is_none_or(|since| scrape.at > since);
    let indexed = scrapes.iter().enumerate();
    indexed
        .filter(move |(_, scrape)| new(scrape))
        .filter_map(|(index, scrape)| {
            let (interval, before) = pace(scrapes, index)?;
            let before = scrapes.get(before)?;
            (interval >= LOOP).then_some((scrape.at, before.poll == scrape.poll))
        })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;

    /// Scrapers by phase, interval and jitter, in milliseconds.
    struct World {
        scrapers: Vec<(u64, u64, u64)>,
        interval: u64,
        /// From the start of a poll until a page shows it.
        takes: u64,
        offset: u64,
    }

    /// What came of a simulated time.
    struct Run {
        polls: Vec<Instant>,
        /// Scrapes by scraper: whether each showed a new poll, and the age of the poll.
        shown: Vec<Vec<(bool, Duration)>>,
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn simulate(world: &World, seconds: u64) -> Run {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let start = *START + Duration::from_hours(1);
        let mut random = fastrand::Rng::with_seed(1);
        let mut arrivals: Vec<(Instant, usize)> = Vec::new();
        for (scraper, (phase, interval, jitter)) in world.scrapers.iter().enumerate() {
            let count = (seconds * 1000).saturating_sub(*phase) / interval;
            arrivals.extend((0..count).map(|number| {
                let late = random.u64(0..=*jitter);
                (start + ms(phase + number * interval + late), scraper)
            }));
        }
        arrivals.sort_unstable();
        let mut log: Vec<Scrape> = Vec::new();
        let mut run = Run {
            polls: vec![start],
            shown: world.scrapers.iter().map(|_| Vec::new()).collect(),
        };
        let mut seen: Vec<Option<Instant>> = vec![None; world.scrapers.len()];
        let epoch = SystemTime::UNIX_EPOCH;
        let mut due = start + ms(world.interval);
        for (at, scraper) in arrivals {
            let plan = |now: Instant, polled: Instant, log: &[Scrape]| {
                next(
                    log,
                    Times {
                        now,
                        polled,
                        regular: polled + ms(world.interval),
                        interval: ms(world.interval),
                        lead: ms(2 * world.takes + 50),
                        offset: ms(world.offset),
                    },
                )
            };
            while due < at {
                run.polls.push(due);
                due = plan(due + ms(world.takes), due, &log);
            }
            let ready = |poll: &&Instant| **poll + ms(world.takes) <= at;
            let Some(poll) = run.polls.iter().rev().find(ready).copied() else {
                continue;
            };
            let is_new = seen[scraper] != Some(poll);
            seen[scraper] = Some(poll);
            run.shown[scraper].push((is_new, at - poll));
            if log.len() == 64 {
                log.remove(0);
            }
            let poll = epoch + (poll - start);
            log.push(Scrape { at, poll });
            due = plan(at, *run.polls.last().unwrap(), &log);
        }
        run
    }

    fn all_new(run: &Run, from: usize) -> bool {
        let late = run.shown.iter().flat_map(|shown| shown.iter().skip(from));
        late.clone().count() > 0 && late.clone().all(|(is_new, _)| *is_new)
    }

    #[test]
    fn each_scrape_shows_a_new_poll_once_the_pace_is_known() {
        for scrapers in [
            vec![(300, 1_000, 5)],
            vec![(300, 2_000, 5)],
            vec![(4_000, 5_000, 20)],
            vec![(4_000, 15_000, 20)],
            vec![(4_000, 60_000, 50)],
            // A pair of the same interval, whatever its phases.
            vec![(4_000, 15_000, 20), (11_000, 15_000, 20)],
            vec![(4_000, 15_000, 5), (4_300, 15_000, 5)],
            vec![(4_000, 10_000, 5), (4_700, 30_000, 5)],
        ] {
            let world = World {
                scrapers: scrapers.clone(),
                interval: 15_000,
                takes: 20,
                offset: 0,
            };
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
    fn polls_come_at_the_pace_of_the_scrapes_and_not_more_often() {
        for (interval, polls) in [(1_000, 880..=910), (15_000, 58..=66), (60_000, 52..=62)] {
            let world = World {
                scrapers: vec![(300, interval, 5)],
                interval: 15_000,
                takes: 20,
                offset: 0,
            };
            let run = simulate(&world, 900);
            assert!(polls.contains(&run.polls.len()), "{}", run.polls.len());
        }
    }

    #[test]
    fn scrapes_without_a_pace_show_a_new_poll_each() {
        let world = World {
            scrapers: vec![(300, 5_000, 3_000)],
            interval: 15_000,
            takes: 20,
            offset: 0,
        };
        let run = simulate(&world, 900);
        let shown = run.shown[0].iter().skip(5);
        let (new, all) = (shown.clone().filter(|(new, _)| *new).count(), shown.count());
        assert!(new * 100 >= all * 90, "{new} of {all}");
    }

    #[test]
    fn a_loop_of_requests_changes_nothing() {
        let world = World {
            scrapers: vec![(0, 20, 3)],
            interval: 15_000,
            takes: 20,
            offset: 0,
        };
        assert!(simulate(&world, 60).polls.len() <= 5);
    }

    #[test]
    fn many_targets_are_polled_at_different_times() {
        let world = |offset| World {
            scrapers: vec![(4_000, 15_000, 0)],
            interval: 15_000,
            takes: 20,
            offset,
        };
        let (one, other) = (simulate(&world(0), 300), simulate(&world(2_500), 300));
        let apart = distance(*one.polls.last().unwrap(), *other.polls.last().unwrap());
        assert_eq!(apart, ms(2_500));
        assert!(all_new(&other, 4));
    }

    #[test]
    fn the_same_poll_twice_is_a_repeat_for_its_scraper_alone() {
        let start = Instant::now();
        let poll = |number| SystemTime::UNIX_EPOCH + Duration::from_secs(number);
        // Two scrapers, of which each sees every poll once: the second what the first one saw.
        let scrapes: Vec<_> = (0..10)
            .flat_map(|number| {
                [0, 3_000].map(|phase| Scrape {
                    at: start + ms(number * 15_000 + phase),
                    poll: poll(number),
                })
            })
            .collect();
        assert_eq!(repeats(&scrapes, None).filter(|(_, same)| *same).count(), 0);
        let stuck: Vec<_> = scrapes
            .iter()
            .map(|scrape| Scrape {
                poll: poll(0),
                ..*scrape
            })
            .collect();
        let found: Vec<_> = repeats(&stuck, Some(stuck[9].at)).collect();
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|(_, same)| *same));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn polls_are_neither_too_close_nor_too_far_apart(
            scrapers in proptest::collection::vec((0_u64..20_000, 150_u64..40_000, 0_u64..50), 0..4),
            interval in 500_u64..30_000,
            takes in 1_u64..400,
            offset in 0_u64..5_000,
        ) {
            let world = World { scrapers, interval, takes, offset };
            let run = simulate(&world, 120);
            for pair in run.polls.windows(2) {
                let gap = pair[1] - pair[0];
                prop_assert!(gap >= SHORTEST.min(ms(interval)), "{gap:?}");
                prop_assert!(gap <= ms(interval + interval / 4 + takes + 1), "{gap:?}");
            }
        }
    }
}
