//! Counts evicted and expired keys by namespace from the key events of the server. Pure.
//!
//! The events and the replies to INFO arrive in order over one connection. So the events between
//! two replies are exactly those that `evicted_keys` and `expired_keys` count, and the difference
//! is what was missed. Names of keys are matched and dropped.

mod coverage;
mod duty;
pub mod families;
mod reading;
mod status;
mod totals;
mod track;

use std::collections::BTreeMap;

use super::NamespaceId;
pub use super::key_group::KeyGroup;
use super::key_group::KeyGrouper;
use super::matcher::Grouping;
use crate::config::Namespace;
use crate::number::to_float as float;
use crate::reply::Reply;
pub use coverage::{Coverage, Uncovered};
pub use duty::Duty;
pub use reading::EventReading;
pub use status::{Break, CountSource, EventStatus, MissReason, StreamState};
pub use totals::EventTotals;
use track::EventTrack;

/// An event that removes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// The key was evicted to free memory.
    Evicted,
    /// The TTL of the key had ended.
    Expired,
}

impl KeyEvent {
    /// Both events, in the order of values for each.
    pub const ALL: [Self; 2] = [Self::Evicted, Self::Expired];

    /// Returns the name of the event, which is also the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
        }
    }

    /// Returns the event with this name, and its position.
    fn named(name: &[u8]) -> Option<usize> {
        let mut all = Self::ALL.iter();
        all.position(|event| event.as_str().as_bytes() == name)
    }

    /// Returns the channel of its events in a database.
    #[must_use]
    pub fn channel(self, database: u32) -> String {
        format!("__keyevent@{database}__:{}", self.as_str())
    }
}

/// Events by place, in the order of [`KeyEvent::ALL`].
pub type CountsByGroup = BTreeMap<(u32, KeyGroup), [u64; 2]>;

/// Counts that the census has not taken yet, and the state of the stream.
#[derive(Debug, Default)]
pub struct NewCounts {
    /// Events since the last time.
    pub counts: CountsByGroup,
    /// The coverage of each kind of event.
    pub coverage: [Coverage; 2],
    /// The ID of the server that sends them.
    pub run_id: Option<String>,
    /// The state of the stream.
    pub status: EventStatus,
}

/// The events of one server.
#[derive(Debug)]
pub struct KeyEvents {
    grouper: KeyGrouper,
    /// Maximum number of places between two readings.
    places_max: usize,
    /// Events since the last reading.
    window: CountsByGroup,
    /// Events until the last reading.
    counts: CountsByGroup,
    tracks: [EventTrack; 2],
    run_id: Option<String>,
    status: EventStatus,
}

impl KeyEvents {
    /// Returns the state without events. `grouping` applies if no namespaces are declared.
    #[must_use]
    pub fn new(namespaces: &[Namespace], grouping: Grouping) -> Self {
        let grouper = KeyGrouper::new(namespaces, grouping);
        Self {
            places_max: grouper.groups_max(),
            grouper,
            window: BTreeMap::new(),
            counts: BTreeMap::new(),
            tracks: Default::default(),
            run_id: None,
            status: EventStatus::default(),
        }
    }

    /// Records a message of the server. Returns whether it was an event.
    pub fn record(&mut self, message: &Reply) -> bool {
        let [kind, channel, key] = message.items() else {
            return false;
        };
        let (Some(b"message"), Some(channel), Some(key)) =
            (kind.bytes(), channel.bytes(), key.bytes())
        else {
            return false;
        };
        let Some((database, event)) = parse(channel) else {
            return false;
        };
        let place = (database, self.grouper.group(database, key));
        let is_new = !self.window.contains_key(&place);
        let place = if is_new && self.window.len() >= self.places_max {
            (database, KeyGroup::Namespace(NamespaceId::OTHER))
        } else {
            place
        };
        let counts = self.window.entry(place).or_default();
        if let (Some(count), Some(track)) = (counts.get_mut(event), self.tracks.get_mut(event)) {
            *count += 1;
            track.record();
        }
        true
    }

    /// Records that a reply has arrived, before events that arrive with it.
    pub fn record_reply(&mut self) {
        self.tracks.iter_mut().for_each(EventTrack::record_reply);
    }

    /// Returns the number of events since the last reading, in the order of [`KeyEvent::ALL`].
    #[must_use]
    pub fn since_reading(&self) -> [f64; 2] {
        self.tracks.each_ref().map(EventTrack::since_reading)
    }

    /// Records a reading of INFO that arrived at this time, in order with the events.
    pub fn observe(&mut self, now: f64, reading: &EventReading) {
        let run_id = reading.run_id.as_ref();
        if run_id.is_some() && self.run_id.as_ref() != run_id {
            self.run_id = run_id.cloned();
            for track in &mut self.tracks {
                track.forget();
            }
        }
        for (event, (track, value)) in self.tracks.iter_mut().zip(reading.counters).enumerate() {
            let scaled = track.observe(now, value);
            if scaled > 0 {
                distribute(&mut self.window, event, scaled);
            }
        }
        self.merge();
    }

    /// Records whether the server sends each event, if that is known.
    pub fn record_flags(&mut self, sends: [bool; 2]) {
        for (track, sends) in self.tracks.iter_mut().zip(sends) {
            track.record_flag(sends);
        }
    }

    /// Returns whether the server counted keys for which it sent no events, so that its flags may
    /// have changed.
    #[must_use]
    pub fn are_missing(&self) -> bool {
        self.tracks.iter().any(EventTrack::is_silent)
    }

    /// Returns whether the server certainly sends neither event.
    #[must_use]
    pub fn are_off(&self) -> bool {
        self.tracks.iter().all(EventTrack::is_off)
    }

    /// Records that the stream is subscribed from now on. The first reading follows.
    pub fn attach(&mut self) {
        for track in &mut self.tracks {
            track.attach();
        }
    }

    /// Records a pause: events from now until [`KeyEvents::attach`] are not received on purpose.
    pub fn pause(&mut self) {
        for track in &mut self.tracks {
            track.pause();
        }
    }

    /// Records that the stream has ended. Events so far count.
    pub fn detach(&mut self, now: f64) {
        for track in &mut self.tracks {
            track.detach(now);
        }
        self.merge();
    }

    /// Returns the state of the stream.
    #[must_use]
    pub const fn state(&self) -> StreamState {
        self.status.state
    }

    /// Records the state of the stream.
    pub const fn set_state(&mut self, state: StreamState) {
        self.status.state = state;
    }

    /// Records why the stream broke off.
    pub fn record_break(&mut self, cause: Break) {
        self.status.record_break(cause);
    }

    /// Records how long INFO took over the connection, in seconds.
    pub const fn record_lag(&mut self, seconds: f64) {
        self.status.lag = Some(seconds);
    }

    /// Returns the counts since the last call.
    pub fn take(&mut self) -> NewCounts {
        NewCounts {
            counts: std::mem::take(&mut self.counts),
            coverage: self.tracks.each_ref().map(EventTrack::coverage),
            run_id: self.run_id.clone(),
            status: EventStatus {
                tracks: self.tracks.each_ref().map(EventTrack::status),
                ..self.status.clone()
            },
        }
    }

    fn merge(&mut self) {
        for (place, counts) in std::mem::take(&mut self.window) {
            let has_room = self.counts.len() < self.places_max || self.counts.contains_key(&place);
            let other = (place.0, KeyGroup::Namespace(NamespaceId::OTHER));
            let merged = self.counts.entry(if has_room { place } else { other });
            for (sum, count) in merged.or_default().iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
}

/// Returns the database and the position of the event of a channel.
fn parse(channel: &[u8]) -> Option<(u32, usize)> {
    let rest = channel.strip_prefix(b"__keyevent@")?;
    let end = rest.iter().position(|byte| *byte == b'_')?;
    let (database, name) = rest.split_at(end);
    let event = KeyEvent::named(name.strip_prefix(b"__:")?)?;
    let database = std::str::from_utf8(database).ok()?.parse().ok()?;
    Some((database, event))
}

/// Adds keys to the places in proportion to their events. The sum is exact.
fn distribute(window: &mut CountsByGroup, event: usize, keys: u64) {
    let of = |counts: &[u64; 2]| counts.get(event).copied().unwrap_or(0);
    let all: u64 = window.values().map(of).sum();
    let (mut seen, mut given) = (0, 0);
    for counts in window.values_mut() {
        seen += of(counts);
        // Rounding the running sum keeps each part within one key of its share.
        let up_to = (float(keys) * float(seen) / float(all.max(1))).round();
        let up_to = crate::number::to_count(up_to).min(keys);
        if let Some(count) = counts.get_mut(event) {
            *count += up_to.saturating_sub(given);
        }
        given = up_to.max(given);
    }
}

#[cfg(test)]
mod tests;
