//! Keeps the keys counted from events since the exporter started. Pure.

use std::collections::BTreeMap;

use super::{CountSource, Coverage, EventStatus};
use crate::keyspace::NamespaceId;
use crate::keyspace::panel::NamespacePlace;

/// The counts of each place, and the state of the stream. The counts only increase.
#[derive(Debug, Default)]
pub struct EventTotals {
    places: BTreeMap<NamespacePlace, [u64; 2]>,
    /// The coverage of each kind of event.
    pub coverage: [Coverage; 2],
    /// The ID of the server that sends them.
    pub run_id: Option<String>,
    /// The state of the stream.
    pub status: EventStatus,
}

impl EventTotals {
    /// Adds events of a place.
    pub fn add(&mut self, place: NamespacePlace, counts: [u64; 2]) {
        let totals = self.places.entry(place).or_default();
        for (total, count) in totals.iter_mut().zip(counts) {
            *total = total.saturating_add(count);
        }
    }

    /// Returns the places with events.
    pub fn places(&self) -> impl Iterator<Item = NamespacePlace> {
        self.places.keys().copied()
    }

    /// Returns the events of a place.
    #[must_use]
    pub fn of(&self, place: NamespacePlace) -> [u64; 2] {
        self.places.get(&place).copied().unwrap_or_default()
    }

    /// Returns whether each kind of event is counted from events now.
    #[must_use]
    pub fn are_counted(&self) -> [bool; 2] {
        self.status
            .tracks
            .map(|track| track.source != CountSource::Panel)
    }

    /// Drops the counts of namespaces that have no series any more.
    pub fn retain(&mut self, is_shown: impl Fn(NamespaceId) -> bool) {
        self.places.retain(|(_, name), _| is_shown(*name));
    }
}
