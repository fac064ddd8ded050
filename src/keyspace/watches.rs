//! Counts what happens to the keys of each namespace from short watches of the server's messages.
//! Pure.
//!
//! Names of keys are assigned to namespaces and dropped.

pub mod families;
mod scaled;
mod totals;

use std::collections::BTreeMap;

use super::events::Break;
use super::key_group::KeyGrouper;
use super::matcher::Grouping;
use crate::config::{EventUse, Namespace, Sweep};
use crate::info::Info;
use crate::reply::Reply;
use scaled::{Scale, ScaledCounts};
pub use scaled::{WatchReading, WatchedPlace};
pub use totals::WatchTotals;

/// A stream of messages that is watched for a part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchedStream {
    /// Lookups that found no key.
    Misses,
    /// Changes of keys.
    Changes,
}

impl WatchedStream {
    /// Every stream, in the order of values for each.
    pub const ALL: [Self; 2] = [Self::Misses, Self::Changes];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Misses => "misses",
            Self::Changes => "changes",
        }
    }

    const fn scale(self) -> Scale {
        match self {
            Self::Misses => Scale::Shares,
            Self::Changes => Scale::Proportional,
        }
    }

    /// Returns the streams that these settings enable.
    #[must_use]
    pub fn enabled(sweep: &Sweep) -> Vec<Self> {
        let is_on = |stream: &Self| match stream {
            Self::Misses => sweep.misses != EventUse::Off,
            Self::Changes => sweep.changes,
        };
        Self::ALL.into_iter().filter(is_on).collect()
    }

    /// Returns the reading of a stream at this time, from the sections `server`, `stats` and
    /// `persistence`. `own` is the part of the counter that the exporter has caused.
    #[must_use]
    pub fn reading(self, info: &Info, at: f64, own: f64) -> WatchReading {
        let counter = match self {
            Self::Misses => info.number("keyspace_misses"),
            Self::Changes => changes(info),
        };
        let epoch = match self {
            Self::Misses => None,
            Self::Changes => info.number("rdb_last_save_time"),
        };
        WatchReading {
            at,
            run_id: info.get("run_id").map(str::to_owned),
            epoch,
            counter,
            own,
        }
    }
}

/// The state of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchState {
    /// There is no connection.
    #[default]
    Disconnected,
    /// The stream is watched from time to time.
    Watching,
    /// `notify-keyspace-events` does not include the messages.
    Off,
    /// The user lacks a permission.
    Denied,
    /// The server does not support RESP3, or does not know the messages.
    Unsupported,
}

impl WatchState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Disconnected,
        Self::Watching,
        Self::Off,
        Self::Denied,
        Self::Unsupported,
    ];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Watching => "watching",
            Self::Off => "off",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Counts of a stream that the census has not taken yet, and its state.
#[derive(Debug, Default)]
pub struct NewWatched {
    /// The counts since the last time.
    pub counts: BTreeMap<WatchedPlace, f64>,
    /// The state of the stream.
    pub state: WatchState,
    /// Time for which it was watched, in seconds.
    pub seconds: f64,
    /// How many times its connection broke off, in the order of [`Break::ALL`].
    pub breaks: [u64; Break::ALL.len()],
}

/// A stream with its messages.
#[derive(Debug)]
struct Watched {
    stream: WatchedStream,
    counts: ScaledCounts,
    state: WatchState,
    breaks: [u64; Break::ALL.len()],
}

/// The streams of one server.
#[derive(Debug)]
pub struct Watches {
    grouper: KeyGrouper,
    watched: Vec<Watched>,
    /// The databases with keys. Messages about changes do not name the database.
    databases: Vec<u32>,
}

impl Watches {
    /// Returns the state without messages. `grouping` applies if no namespaces are declared.
    #[must_use]
    pub fn new(streams: &[WatchedStream], namespaces: &[Namespace], grouping: Grouping) -> Self {
        let grouper = KeyGrouper::new(namespaces, grouping);
        let places_max = grouper.groups_max();
        let watched = streams.iter().map(|stream| Watched {
            stream: *stream,
            counts: ScaledCounts::new(stream.scale(), places_max),
            state: WatchState::default(),
            breaks: [0; Break::ALL.len()],
        });
        Self {
            watched: watched.collect(),
            databases: Vec::new(),
            grouper,
        }
    }

    /// Records a message that the server has sent over the connection of a stream.
    pub fn record(&mut self, stream: WatchedStream, message: &Reply) {
        if !names_its_keys(message)
            && let Some(counts) = self.counts(stream)
        {
            counts.void();
        }
        match stream {
            WatchedStream::Misses => self.record_miss(message),
            WatchedStream::Changes => self.record_changes(message),
        }
    }

    fn record_miss(&mut self, message: &Reply) {
        let Some((database, key)) = missed_key(message) else {
            return;
        };
        let place = (Some(database), self.grouper.group(database, key));
        if let Some(counts) = self.counts(WatchedStream::Misses) {
            counts.record(place);
        }
    }

    fn record_changes(&mut self, message: &Reply) {
        for key in changed_keys(message) {
            let (database, group) = match self.databases[..] {
                [] => (Some(0), self.grouper.group(0, key)),
                [only] => (Some(only), self.grouper.group(only, key)),
                _ => (None, self.grouper.group_in(&self.databases, key)),
            };
            if let Some(counts) = self.counts(WatchedStream::Changes) {
                counts.record((database, group));
            }
        }
    }

    /// Records the databases that have keys.
    pub fn set_databases(&mut self, databases: Vec<u32>) {
        self.databases = databases;
    }

    fn watched(&mut self, stream: WatchedStream) -> Option<&mut Watched> {
        let mut all = self.watched.iter_mut();
        all.find(|watched| watched.stream == stream)
    }

    fn counts(&mut self, stream: WatchedStream) -> Option<&mut ScaledCounts> {
        self.watched(stream).map(|watched| &mut watched.counts)
    }

    /// Records the counter of a stream between two watches.
    pub fn advance(&mut self, stream: WatchedStream, reading: &WatchReading) {
        if let Some(counts) = self.counts(stream) {
            counts.advance(reading);
        }
    }

    /// Begins a watch of a stream.
    pub fn begin(&mut self, stream: WatchedStream, reading: WatchReading) {
        if let Some(counts) = self.counts(stream) {
            counts.begin(reading);
        }
    }

    /// Ends a watch of a stream, and records its state. `is_sent` is whether the configuration of the
    /// server includes the messages; otherwise, it counts more and sends none if they are off or
    /// denied. Its counts are not distributed then.
    pub fn end(&mut self, stream: WatchedStream, reading: &WatchReading, is_sent: bool) {
        let Some(watched) = self.watched(stream) else {
            return;
        };
        if !watched.counts.end(reading) {
            return;
        }
        watched.state = WatchState::Watching;
        if watched.counts.is_silent() && !is_sent {
            watched.counts.forget();
            watched.state = match stream {
                WatchedStream::Misses => WatchState::Off,
                WatchedStream::Changes => WatchState::Denied,
            };
        }
    }

    /// Records that the server sends no messages of a stream. Its counts until it does are not
    /// distributed.
    pub fn turn_off(&mut self, stream: WatchedStream) {
        if let Some(watched) = self.watched(stream) {
            watched.state = WatchState::Off;
            watched.counts.forget();
        }
    }

    /// Returns the number of messages of the watch that is in progress.
    pub fn messages(&mut self, stream: WatchedStream) -> f64 {
        self.counts(stream).map_or(0.0, |counts| counts.messages())
    }

    /// Records the end of the connection of a stream, its state after that, and what counts as the
    /// cause. The watch that is in progress is incomplete.
    pub fn disconnect(&mut self, stream: WatchedStream, state: WatchState, cause: Option<Break>) {
        let Some(watched) = self.watched(stream) else {
            return;
        };
        watched.counts.cancel();
        watched.state = state;
        if let Some(count) = cause.and_then(|cause| watched.breaks.get_mut(cause as usize)) {
            *count += 1;
        }
    }

    /// Returns the counts of each stream since the last call.
    pub fn take(&mut self) -> Vec<(WatchedStream, NewWatched)> {
        let new = self.watched.iter_mut().map(|watched| {
            let new = NewWatched {
                counts: watched.counts.take(),
                state: watched.state,
                seconds: watched.counts.seconds(),
                breaks: watched.breaks,
            };
            (watched.stream, new)
        });
        new.collect()
    }
}

/// Returns the channel of lookups in a database that found no key.
#[must_use]
pub fn miss_channel(database: u32) -> String {
    format!("__keyevent@{database}__:{MISS}")
}

/// The name of the event.
const MISS: &str = "keymiss";

/// Returns the database and the name of a key that a lookup did not find, if the message is that.
fn missed_key(message: &Reply) -> Option<(u32, &[u8])> {
    let [kind, channel, key] = message.items() else {
        return None;
    };
    if kind.bytes() != Some(b"message") {
        return None;
    }
    let rest = channel.bytes()?.strip_prefix(b"__keyevent@")?;
    let rest = std::str::from_utf8(rest).ok()?;
    let (database, event) = rest.split_once("__:")?;
    (event == MISS).then_some(())?;
    Some((database.parse().ok()?, key.bytes()?))
}

/// Returns the number of changes of keys since the last save, the removed keys included.
fn changes(info: &Info) -> Option<f64> {
    let written = info.number("rdb_changes_since_last_save")?;
    let removed = ["expired_keys", "evicted_keys"].map(|name| info.number(name).unwrap_or(0.0));
    Some(written + removed.iter().sum::<f64>())
}

/// Returns whether a message contains the names of its keys. That of FLUSHALL and FLUSHDB does not,
/// and one that is too large is replaced by an error.
fn names_its_keys(message: &Reply) -> bool {
    let is_flush = matches!(
        message.items(),
        [kind, Reply::Nil] if kind.bytes() == Some(b"invalidate")
    );
    !is_flush && message.refusal().is_none()
}

/// Returns the names of the keys that have changed, if the message is that.
fn changed_keys(message: &Reply) -> impl Iterator<Item = &[u8]> {
    let keys = match message.items() {
        [kind, keys] if kind.bytes() == Some(b"invalidate") => keys.items(),
        _ => &[],
    };
    keys.iter().filter_map(Reply::bytes)
}

#[cfg(test)]
mod tests {
    use super::super::NamespaceId;
    use super::super::key_group::KeyGroup;
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().into())
    }

    fn message(channel: &str, key: &str) -> Reply {
        Reply::List(vec![bytes("message"), bytes(channel), bytes(key)])
    }

    fn reading(at: f64, misses: u32) -> WatchReading {
        let text = format!("run_id:a\r\nkeyspace_misses:{misses}\r\n");
        WatchedStream::Misses.reading(&Info::parse(text), at, 0.0)
    }

    #[test]
    fn misses_of_each_database_are_counted() {
        let mut watches = Watches::new(&[WatchedStream::Misses], &[], Grouping::default());
        watches.advance(WatchedStream::Misses, &reading(0.0, 0));
        watches.begin(WatchedStream::Misses, reading(58.0, 90));
        for (channel, key) in [
            (miss_channel(0), "session:1"),
            (miss_channel(0), "session:2"),
            (miss_channel(12), "session:3"),
            (miss_channel(0), "none"),
            ("__keyevent@0__:expired".to_owned(), "session:4"),
            ("__keyevent@x__:keymiss".to_owned(), "session:5"),
            ("other".to_owned(), "session:6"),
        ] {
            watches.record(WatchedStream::Misses, &message(&channel, key));
        }
        watches.record(WatchedStream::Misses, &Reply::Nil);
        assert_eq!(watches.messages(WatchedStream::Misses).to_string(), "4");
        watches.end(WatchedStream::Misses, &reading(60.0, 100), true);
        let mut new = watches.take();
        let (_, new) = new.pop().unwrap();
        let counts: Vec<_> = new.counts.into_iter().collect();
        let stem = || KeyGroup::Stem((*b"session:").into());
        let other = KeyGroup::Namespace(NamespaceId::OTHER);
        let expected = [
            ((Some(0), other), 25.0),
            ((Some(0), stem()), 50.0),
            ((Some(12), stem()), 25.0),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn changes_without_a_database_are_counted() {
        let reading = |at: f64, written: u32| {
            let text =
                format!("run_id:a\r\nrdb_changes_since_last_save:{written}\r\nexpired_keys:7\r\n");
            WatchedStream::Changes.reading(&Info::parse(text), at, 0.0)
        };
        let keys = |keys: &[&str]| {
            let keys = keys.iter().map(|key| bytes(key)).collect();
            Reply::List(vec![bytes("invalidate"), Reply::List(keys)])
        };
        for (databases, label) in [(vec![], Some(0)), (vec![3], Some(3)), (vec![0, 3], None)] {
            let mut watches = Watches::new(&WatchedStream::ALL, &[], Grouping::default());
            watches.set_databases(databases);
            watches.advance(WatchedStream::Changes, &reading(0.0, 0));
            watches.begin(WatchedStream::Changes, reading(29.0, 290));
            watches.record(WatchedStream::Changes, &keys(&["session:1", "session:2"]));
            watches.record(WatchedStream::Changes, &keys(&["cache:1"]));
            watches.end(WatchedStream::Changes, &reading(30.0, 300), false);
            let mut new = watches.take();
            let (stream, new) = new.pop().unwrap();
            assert_eq!(stream, WatchedStream::Changes);
            let stem = |text: &str| KeyGroup::Stem(text.as_bytes().into());
            let counts: Vec<_> = new.counts.into_iter().collect();
            let expected = [
                ((label, stem("cache:")), 30.0),
                ((label, stem("session:")), 60.0),
            ];
            assert_eq!(counts, expected);
        }
    }

    #[test]
    fn message_without_names_voids_the_watch() {
        let reading = |at: f64, written: u32| {
            let text = format!("run_id:a\r\nrdb_changes_since_last_save:{written}\r\n");
            WatchedStream::Changes.reading(&Info::parse(text), at, 0.0)
        };
        let keys = Reply::List(vec![bytes("invalidate"), Reply::List(vec![bytes("a:1")])]);
        let flushed = Reply::List(vec![bytes("invalidate"), Reply::Nil]);
        let too_large = Reply::Error(crate::reply::Refusal {
            code: "TOOLARGE".to_owned(),
            message: String::new(),
        });
        for unnamed in [flushed, too_large] {
            let mut watches = Watches::new(&[WatchedStream::Changes], &[], Grouping::default());
            watches.begin(WatchedStream::Changes, reading(0.0, 0));
            watches.record(WatchedStream::Changes, &keys);
            watches.record(WatchedStream::Changes, &unnamed);
            watches.end(WatchedStream::Changes, &reading(1.0, 1_000), false);
            let new = watches.take();
            assert_eq!(new[0].1.counts.len(), 0);
            assert_eq!(new[0].1.state, WatchState::Watching);
        }
    }

    #[test]
    fn silence_gives_a_state_and_no_jump() {
        for (stream, state) in [
            (WatchedStream::Misses, WatchState::Off),
            (WatchedStream::Changes, WatchState::Denied),
        ] {
            let reading = |at: f64, count: u32| {
                let text = format!(
                    "run_id:a\r\nkeyspace_misses:{count}\r\nrdb_changes_since_last_save:{count}\r\n"
                );
                stream.reading(&Info::parse(text), at, 0.0)
            };
            let mut watches = Watches::new(&[stream], &[], Grouping::default());
            for minute in 0..60 {
                let at = f64::from(minute) * 60.0;
                watches.begin(stream, reading(at, minute * 600));
                watches.end(stream, &reading(at + 1.0, minute * 600 + 10), false);
            }
            assert_eq!(watches.take()[0].1.state, state);
            watches.begin(stream, reading(3_600.0, 36_000));
            let missed = message(&miss_channel(0), "session:1");
            let key = Reply::List(vec![bytes("session:1")]);
            let changed = Reply::List(vec![bytes("invalidate"), key]);
            // Messages of the other stream do not count.
            watches.record(stream, &missed);
            watches.record(stream, &changed);
            watches.end(stream, &reading(3_601.0, 36_010), false);
            let new = watches.take();
            let sum: f64 = new[0].1.counts.values().sum();
            assert!(sum > 0.0 && sum < 700.0, "{stream:?} {sum}");
            assert_eq!(new[0].1.state, WatchState::Watching);
        }
    }

    #[test]
    fn states_and_breaks_are_kept() {
        let [misses, changes] = WatchedStream::ALL;
        let mut watches = Watches::new(&WatchedStream::ALL, &[], Grouping::default());
        for stream in WatchedStream::ALL {
            watches.begin(stream, reading(0.0, 0));
            watches.end(stream, &reading(2.0, 0), true);
        }
        for stream in WatchedStream::ALL {
            watches.begin(stream, reading(60.0, 0));
        }
        watches.disconnect(misses, WatchState::Disconnected, Some(Break::Behind));
        for stream in WatchedStream::ALL {
            watches.end(stream, &reading(69.0, 9), true);
        }
        let new = watches.take();
        let states: Vec<_> = new
            .iter()
            .map(|(stream, new)| (*stream, new.state))
            .collect();
        let expected = [
            (misses, WatchState::Disconnected),
            (changes, WatchState::Watching),
        ];
        assert_eq!(states, expected);
        let seconds: Vec<_> = new.iter().map(|(_, new)| new.seconds.to_string()).collect();
        assert_eq!(seconds, ["2", "11"]);
        let breaks: Vec<_> = new.iter().map(|(_, new)| new.breaks).collect();
        assert_eq!(breaks, [[1, 0, 0], [0, 0, 0]]);
    }
}
