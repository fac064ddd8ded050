//! Keeps what was counted in watches since the exporter started. Pure.

use std::collections::BTreeMap;

use super::{WatchState, WatchedStream};
use crate::keyspace::NamespaceId;
use crate::keyspace::events::Break;

/// The database of a key, if it is known, and its namespace.
pub type ShownPlace = (Option<u32>, NamespaceId);

/// The counts of one stream. They only increase.
#[derive(Debug, Default)]
pub struct StreamTotals {
    /// The counts of each place.
    pub places: BTreeMap<ShownPlace, f64>,
    /// The state of the stream.
    pub state: WatchState,
    /// Time for which it was watched, in seconds.
    pub seconds: f64,
    /// How many times its connection broke off, in the order of [`Break::ALL`].
    pub breaks: [u64; Break::ALL.len()],
}

/// The counts of all streams.
#[derive(Debug)]
pub struct WatchTotals {
    /// The configured streams.
    pub streams: Vec<(WatchedStream, StreamTotals)>,
}

impl WatchTotals {
    /// Returns the state without counts.
    #[must_use]
    pub fn new(streams: &[WatchedStream]) -> Self {
        let streams = streams.iter();
        Self {
            streams: streams
                .map(|stream| (*stream, StreamTotals::default()))
                .collect(),
        }
    }

    /// Returns the counts of a stream.
    pub fn of(&mut self, stream: WatchedStream) -> Option<&mut StreamTotals> {
        let mut streams = self.streams.iter_mut();
        let found = streams.find(|(one, _)| *one == stream);
        found.map(|(_, totals)| totals)
    }

    /// Drops the counts of namespaces that have no series any more.
    pub fn retain(&mut self, is_shown: impl Fn(NamespaceId) -> bool) {
        for (_, totals) in &mut self.streams {
            totals.places.retain(|(_, name), _| is_shown(*name));
        }
    }
}
