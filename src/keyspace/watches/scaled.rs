//! Scales the messages of short watches up to a counter of the server. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::keyspace::NamespaceId;
use crate::keyspace::key_group::KeyGroup;
use crate::number::to_float as float;

/// Number of messages on which the distribution is based, if the last watches have that many.
const ENOUGH: f64 = 500.0;

/// Number of watches that count for the distribution at most.
const WATCHES_MAX: usize = 10;

/// Maximum rate of changes between two watches, in multiples of the rate during the watches. More are
/// bursts, such as FLUSHDB, and not those of the namespaces that were watched.
const BURST_MAX: f64 = 10.0;

/// Number of watches without messages after which the server is considered not to send them.
const SILENT_MAX: usize = 2;

/// The database of a key, if it is known, and its group.
pub type WatchedPlace = (Option<u32>, KeyGroup);

/// A reading of the counter, in order with the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchReading {
    /// Time of the reply, in seconds.
    pub at: f64,
    /// Identifies the process of the server.
    pub run_id: Option<String>,
    /// Changes whenever the server resets the counter on its own, for example at each save.
    pub epoch: Option<f64>,
    /// The counter, if it is known.
    pub counter: Option<f64>,
    /// The part of the counter that the exporter has caused itself.
    pub own: f64,
}

/// A finished watch.
#[derive(Clone, Debug, Default)]
struct Watch {
    messages: BTreeMap<WatchedPlace, u64>,
    total: f64,
    seconds: f64,
    /// Increase of the counter during the watch.
    counted: f64,
    /// Whether a message did not name the keys.
    is_void: bool,
}

/// How the counter relates to the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Each count is a message, so the places have shares of the counter.
    Shares,
    /// The number of messages is proportional to the counter, which other events reset.
    Proportional,
}

/// The messages of one stream.
#[derive(Debug)]
pub struct ScaledCounts {
    scale: Scale,
    places_max: usize,
    /// The watch that is in progress, with the reading at its start.
    open: Option<(Watch, WatchReading)>,
    /// Newest first.
    watches: VecDeque<Watch>,
    last: Option<WatchReading>,
    /// Increase of the counter that was not distributed yet.
    pending: f64,
    /// The increase of the counter between two watches that a further one has to judge, and its time
    /// in seconds.
    unjudged: (f64, f64),
    counts: BTreeMap<WatchedPlace, f64>,
    seconds: f64,
}

impl ScaledCounts {
    /// Returns the state without messages, for at most this many places at a time.
    pub const fn new(scale: Scale, places_max: usize) -> Self {
        Self {
            scale,
            places_max,
            open: None,
            watches: VecDeque::new(),
            last: None,
            pending: 0.0,
            unjudged: (0.0, 0.0),
            counts: BTreeMap::new(),
            seconds: 0.0,
        }
    }

    /// Begins a watch.
    pub fn begin(&mut self, reading: WatchReading) {
        self.advance(&reading);
        self.open = Some((Watch::default(), reading));
    }

    /// Records a message. Messages outside of a watch are ignored.
    pub fn record(&mut self, place: WatchedPlace) {
        let Some((watch, _)) = &mut self.open else {
            return;
        };
        let place = bounded(place, &watch.messages, self.places_max);
        *watch.messages.entry(place).or_default() += 1;
        watch.total += 1.0;
    }

    /// Returns the number of messages of the watch that is in progress.
    pub fn messages(&self) -> f64 {
        self.open.as_ref().map_or(0.0, |(watch, _)| watch.total)
    }

    /// Ends a watch, and distributes the increase of the counter. Returns whether there was a watch.
    pub fn end(&mut self, reading: &WatchReading) -> bool {
        let Some((mut watch, begun)) = self.open.take() else {
            return false;
        };
        if watch.is_void {
            self.last = reading.counter.is_some().then(|| reading.clone());
            return true;
        }
        let grown = growth(&begun, reading);
        watch.seconds = (reading.at - begun.at).max(0.0);
        self.seconds += watch.seconds;
        // Without a counter that continued during the watch, its messages are incomplete.
        if let Some(counted) = grown.filter(|_| begun.run_id == reading.run_id) {
            watch.counted = counted;
            self.watches.push_front(watch);
            self.watches.truncate(WATCHES_MAX);
            self.drop_old_messages();
            // Its messages are known, so a burst may count.
            self.pending += counted + self.judged();
            self.last = Some(reading.clone());
        } else {
            self.advance(reading);
        }
        self.distribute();
        true
    }

    /// Drops the messages of watches that later ones have replaced.
    fn drop_old_messages(&mut self) {
        let mut newer = 0.0;
        for watch in &mut self.watches {
            if newer >= ENOUGH {
                watch.messages = BTreeMap::new();
            }
            newer += watch.total;
        }
    }

    /// Records a message that does not name its keys. Nothing of the watch that is in progress counts,
    /// because the counter includes those keys.
    pub fn void(&mut self) {
        if let Some((watch, _)) = &mut self.open {
            watch.is_void = true;
        }
    }

    /// Drops the watch that is in progress, because its messages are incomplete.
    pub fn cancel(&mut self) {
        self.open = None;
    }

    /// Adds the increase of the counter since the last reading to what is to be distributed.
    pub fn advance(&mut self, reading: &WatchReading) {
        if reading.counter.is_none() {
            return;
        }
        let Some(last) = self.last.replace(reading.clone()) else {
            return;
        };
        if last.run_id != reading.run_id {
            // The messages of one server do not show whose the counter of another one is.
            self.watches.clear();
            self.pending = 0.0;
            self.unjudged = (0.0, 0.0);
            return;
        }
        let grown = growth(&last, reading);
        let seconds = (reading.at - last.at).max(0.0);
        self.pending += match (grown, self.scale) {
            (Some(grown), Scale::Shares) => grown,
            (Some(grown), Scale::Proportional) => {
                // The next watch shows whether it is a burst, or a load that has begun.
                self.unjudged.0 += grown;
                self.unjudged.1 += seconds;
                0.0
            }
            // CONFIG RESETSTAT: the whole value is new.
            (None, Scale::Shares) => reading.counter.unwrap_or(0.0),
            // A save resets it often.
            (None, Scale::Proportional) => self.rate() * seconds,
        };
    }

    /// Returns the counter's increase during the watches, and their time in seconds.
    fn watched(&self) -> (f64, f64) {
        let sum = |of: fn(&Watch) -> f64| self.watches.iter().map(of).sum::<f64>();
        (sum(|watch| watch.counted), sum(|watch| watch.seconds))
    }

    /// Returns the counter's increase per second during the watches.
    fn rate(&self) -> f64 {
        let (counted, seconds) = self.watched();
        if seconds > 0.0 {
            counted / seconds
        } else {
            0.0
        }
    }

    /// Takes the increase of the counter between two watches, without a burst: it may be several
    /// times as fast as during the watches, or the last of them.
    fn judged(&mut self) -> f64 {
        let (grown, seconds) = std::mem::take(&mut self.unjudged);
        let last = self.watches.front();
        let last = last.map_or((0.0, 0.0), |watch| (watch.counted, watch.seconds));
        let rates = [last, self.watched()].map(|(counted, seconds)| {
            // Watches of a server with few changes may contain none.
            if seconds > 0.0 {
                counted.max(1.0) / seconds
            } else {
                0.0
            }
        });
        let rate = rates.into_iter().fold(0.0, f64::max);
        grown.min(BURST_MAX * rate * seconds)
    }

    fn distribute(&mut self) {
        let mut messages: BTreeMap<&WatchedPlace, f64> = BTreeMap::new();
        let (mut total, mut counted) = (0.0, 0.0);
        for watch in &self.watches {
            for (place, count) in &watch.messages {
                *messages.entry(place).or_default() += float(*count);
            }
            total += watch.total;
            counted += watch.counted;
            if total >= ENOUGH {
                break;
            }
        }
        let whole = match self.scale {
            Scale::Shares => total,
            Scale::Proportional => counted,
        };
        if whole <= 0.0 || total <= 0.0 {
            return;
        }
        let each = std::mem::take(&mut self.pending) / whole;
        for (place, count) in messages {
            let place = bounded(place.clone(), &self.counts, self.places_max);
            *self.counts.entry(place).or_default() += count * each;
        }
    }

    /// Returns whether the counter increased in the last two watches, but there were no messages. One
    /// watch is enough for changes if there have been no messages before.
    pub fn is_silent(&self) -> bool {
        let is_silent = |watch: &Watch| watch.total <= 0.0 && watch.counted > 0.0;
        let has_messages = self.watches.iter().any(|watch| watch.total > 0.0);
        let needed = match self.scale {
            Scale::Proportional if !has_messages => 1,
            Scale::Proportional | Scale::Shares => SILENT_MAX,
        };
        self.watches.len() >= needed && self.watches.iter().take(needed).all(is_silent)
    }

    /// Forgets the counter, because it includes what will not be watched.
    pub fn forget(&mut self) {
        self.open = None;
        self.last = None;
        self.pending = 0.0;
        self.unjudged = (0.0, 0.0);
    }

    /// Returns the counts since the last call.
    pub fn take(&mut self) -> BTreeMap<WatchedPlace, f64> {
        std::mem::take(&mut self.counts)
    }

    /// Returns the time of all watches, in seconds.
    pub const fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// Returns how much the counter has increased without the exporter's own part, or `None` if it was
/// reset or is unknown.
fn growth(before: &WatchReading, after: &WatchReading) -> Option<f64> {
    let grown = after.counter? - before.counter?;
    if before.epoch != after.epoch {
        return None;
    }
    let own = (after.own - before.own).max(0.0);
    (grown >= 0.0).then(|| (grown - own).max(0.0))
}

/// Returns the place, or that of other keys if there is no room for it.
fn bounded<T>(place: WatchedPlace, known: &BTreeMap<WatchedPlace, T>, max: usize) -> WatchedPlace {
    if known.len() < max || known.contains_key(&place) {
        place
    } else {
        (place.0, KeyGroup::Namespace(NamespaceId::OTHER))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(stem: &str) -> WatchedPlace {
        (Some(0), KeyGroup::Stem(stem.as_bytes().into()))
    }

    fn at(at: f64, counter: f64) -> WatchReading {
        WatchReading {
            at,
            run_id: Some("a".to_owned()),
            epoch: None,
            counter: Some(counter),
            own: 0.0,
        }
    }

    fn record(counts: &mut ScaledCounts, stem: &str, messages: u32) {
        for _ in 0..messages {
            counts.record(place(stem));
        }
    }

    #[test]
    fn shares_of_a_watch_divide_the_counter() {
        let mut counts = ScaledCounts::new(Scale::Shares, 10);
        counts.advance(&at(0.0, 1_000.0));
        counts.begin(at(58.0, 1_290.0));
        record(&mut counts, "session", 9);
        record(&mut counts, "cache", 1);
        counts.end(&at(60.0, 1_300.0));
        let found = counts.take();
        assert_eq!(found.get(&place("session")), Some(&270.0));
        assert_eq!(found.get(&place("cache")), Some(&30.0));
        assert_eq!(counts.take().len(), 0);
        assert_eq!(counts.seconds().to_string(), "2");
    }

    #[test]
    fn own_part_of_the_counter_is_left_out() {
        let mut counts = ScaledCounts::new(Scale::Shares, 10);
        counts.advance(&at(0.0, 0.0));
        let own = |reading: WatchReading| WatchReading {
            own: 30.0,
            ..reading
        };
        counts.begin(own(at(58.0, 40.0)));
        record(&mut counts, "session", 2);
        counts.end(&own(at(60.0, 42.0)));
        assert_eq!(counts.take().get(&place("session")), Some(&12.0));
    }

    #[test]
    fn increase_without_a_message_waits_for_one() {
        let mut counts = ScaledCounts::new(Scale::Shares, 10);
        counts.advance(&at(0.0, 0.0));
        counts.begin(at(58.0, 7.0));
        counts.end(&at(60.0, 7.0));
        assert_eq!(counts.take().len(), 0);
        counts.begin(at(118.0, 9.0));
        record(&mut counts, "session", 1);
        counts.end(&at(120.0, 10.0));
        assert_eq!(counts.take().get(&place("session")), Some(&10.0));
        // Earlier watches count until there are newer messages.
        counts.begin(at(178.0, 25.0));
        counts.end(&at(180.0, 25.0));
        assert_eq!(counts.take().get(&place("session")), Some(&15.0));
    }

    #[test]
    fn coalesced_messages_stay_fewer_than_the_counter() {
        let mut counts = ScaledCounts::new(Scale::Proportional, 10);
        counts.advance(&at(0.0, 0.0));
        counts.begin(at(29.0, 58.0));
        record(&mut counts, "ratelimit", 1);
        counts.end(&at(30.0, 60.0));
        assert_eq!(counts.take().get(&place("ratelimit")), Some(&30.0));
    }

    /// Returns the counts after a watch of ten changes per second.
    fn watched_ten_per_second() -> ScaledCounts {
        let mut counts = ScaledCounts::new(Scale::Proportional, 10);
        counts.begin(at(0.0, 0.0));
        record(&mut counts, "session", 10);
        counts.end(&at(1.0, 10.0));
        counts.take();
        counts
    }

    #[test]
    fn burst_between_watches_is_limited() {
        for (before, expected) in [(300.0, 300.0), (90_000.0, 3_000.0)] {
            let mut counts = watched_ten_per_second();
            counts.begin(at(31.0, before));
            record(&mut counts, "session", 10);
            counts.end(&at(32.0, before + 10.0));
            let found = counts.take().get(&place("session")).copied();
            // The first ten changes have counted before, the last ten are new.
            let outside = if before < 3_000.0 {
                before - 10.0
            } else {
                expected
            };
            assert_eq!(found, Some(outside + 10.0));
        }
        // A burst during a watch names its keys.
        let mut counts = watched_ten_per_second();
        counts.begin(at(1.0, 10.0));
        record(&mut counts, "cache", 400);
        counts.end(&at(1.1, 50_010.0));
        let sum: f64 = counts.take().values().sum();
        assert_eq!(sum.round().to_string(), "410");
    }

    #[test]
    fn watch_with_an_unnamed_key_counts_nothing() {
        let mut counts = watched_ten_per_second();
        counts.begin(at(31.0, 310.0));
        record(&mut counts, "cache", 10);
        counts.void();
        assert!(counts.end(&at(32.0, 90_000.0)));
        assert_eq!(
            (counts.take().len(), counts.seconds().to_string()),
            (0, "1".to_owned())
        );
        counts.begin(at(62.0, 90_300.0));
        record(&mut counts, "session", 10);
        counts.end(&at(63.0, 90_310.0));
        // 300 before the void watch, 310 after it.
        assert_eq!(counts.take().get(&place("session")), Some(&610.0));
    }

    #[test]
    fn messages_that_are_not_needed_are_dropped() {
        let mut counts = ScaledCounts::new(Scale::Proportional, 10);
        for watch in 0..10_u32 {
            counts.begin(at(f64::from(watch), 0.0));
            record(&mut counts, "session", 250);
            counts.end(&at(f64::from(watch) + 0.5, 0.0));
        }
        let kept = counts.watches.iter().map(|watch| watch.messages.len());
        assert_eq!(kept.sum::<usize>(), 2);
    }

    #[test]
    fn changes_without_messages_are_silent() {
        let mut counts = ScaledCounts::new(Scale::Proportional, 10);
        counts.begin(at(0.0, 0.0));
        counts.end(&at(1.0, 0.0));
        assert!(!counts.is_silent(), "nothing has changed");
        counts.begin(at(30.0, 0.0));
        counts.end(&at(31.0, 5.0));
        assert!(counts.is_silent());
        let mut counts = watched_ten_per_second();
        for (second, is_silent) in [(30.0, false), (60.0, true)] {
            counts.begin(at(second, second));
            counts.end(&at(second + 1.0, second + 1.0));
            assert_eq!(counts.is_silent(), is_silent);
        }
    }

    #[test]
    fn time_replaces_a_counter_that_a_save_reset() {
        let mut counts = ScaledCounts::new(Scale::Proportional, 10);
        counts.advance(&at(0.0, 0.0));
        counts.begin(at(9.0, 90.0));
        record(&mut counts, "session", 10);
        counts.end(&at(10.0, 100.0));
        assert_eq!(counts.take().get(&place("session")), Some(&100.0));
        // The counter is larger than before, although it was reset.
        let saved = |reading: WatchReading| WatchReading {
            epoch: Some(20.0),
            ..reading
        };
        counts.begin(saved(at(39.0, 190.0)));
        record(&mut counts, "session", 10);
        counts.end(&saved(at(40.0, 200.0)));
        assert_eq!(counts.take().get(&place("session")), Some(&300.0));
    }

    #[test]
    fn reset_statistics_are_new_and_another_server_is_not() {
        let mut counts = ScaledCounts::new(Scale::Shares, 10);
        counts.advance(&at(0.0, 500.0));
        counts.begin(at(58.0, 30.0));
        record(&mut counts, "session", 1);
        counts.end(&at(60.0, 31.0));
        assert_eq!(counts.take().get(&place("session")), Some(&31.0));
        let other = |reading: WatchReading| WatchReading {
            run_id: Some("b".to_owned()),
            ..reading
        };
        counts.begin(other(at(118.0, 90_000.0)));
        record(&mut counts, "session", 1);
        counts.end(&other(at(120.0, 90_001.0)));
        assert_eq!(counts.take().get(&place("session")), Some(&1.0));
    }

    #[test]
    fn messages_of_another_server_give_no_shares() {
        for scale in [Scale::Shares, Scale::Proportional] {
            let mut counts = ScaledCounts::new(scale, 10);
            counts.advance(&at(0.0, 0.0));
            counts.begin(at(58.0, 580.0));
            record(&mut counts, "session", 20);
            counts.end(&at(60.0, 600.0));
            counts.take();
            // Not distributed yet.
            counts.advance(&at(90.0, 900.0));
            let other = |reading: WatchReading| WatchReading {
                run_id: Some("b".to_owned()),
                ..reading
            };
            counts.begin(other(at(91.0, 5_000.0)));
            record(&mut counts, "cache", 10);
            counts.end(&other(at(93.0, 5_010.0)));
            let found: Vec<_> = counts.take().into_iter().collect();
            assert_eq!(found, [(place("cache"), 10.0)], "{scale:?}");
        }
    }

    #[test]
    fn canceled_watch_counts_with_the_next_one() {
        let mut counts = ScaledCounts::new(Scale::Shares, 10);
        counts.advance(&at(0.0, 0.0));
        counts.begin(at(58.0, 10.0));
        record(&mut counts, "cache", 5);
        counts.cancel();
        record(&mut counts, "cache", 5);
        counts.begin(at(118.0, 20.0));
        record(&mut counts, "session", 1);
        counts.end(&at(120.0, 21.0));
        let found = counts.take();
        assert_eq!(found.get(&place("session")), Some(&21.0));
        assert_eq!(found.len(), 1);
    }

    proptest! {
        // Whatever happens, the sum is the counter's increase, and memory is bounded.
        #[test]
        fn shares_add_up_to_the_counter(
            steps in proptest::collection::vec((0_u32..200, 1_u32..60, 0_u8..40), 1..30),
        ) {
            let mut counts = ScaledCounts::new(Scale::Shares, 8);
            let (mut now, mut counter, mut sum) = (0.0, 100.0, 0.0);
            counts.advance(&at(now, counter));
            for (outside, inside, stems) in steps {
                now += 58.0;
                counter += f64::from(outside);
                counts.begin(at(now, counter));
                for message in 0..inside {
                    counts.record(place(&format!("{}", message % u32::from(stems.max(1)))));
                }
                now += 2.0;
                counter += f64::from(inside);
                counts.end(&at(now, counter));
                prop_assert!(counts.counts.len() <= 9 && counts.watches.len() <= WATCHES_MAX);
                prop_assert!(counts.watches.iter().all(|watch| watch.messages.len() <= 9));
                sum += counts.take().values().sum::<f64>();
            }
            prop_assert!((sum - (counter - 100.0)).abs() < 1e-6, "{} {}", sum, counter);
        }
    }
}
