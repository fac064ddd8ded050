//! The rows of the metrics of watches. Turns their counts into samples.

use std::collections::BTreeSet;

use super::totals::ShownPlace;
use super::{WatchState, WatchTotals, WatchedStream};
use crate::keyspace::NamespaceId;
use crate::keyspace::events::Break;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::to_float as float;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static MISSES: Family<2> = Family::counter("redis_key_namespace_misses_total", &["db", "key_namespace"], source("INFO", "keyspace_misses"), Unit::One, "Estimated lookups of keys of the namespace that found no key: its share of those that were watched for seconds, scaled up to the misses in INFO.");
    pub(super) static CHANGES: Family<2> = Family::counter("redis_key_namespace_changes_total", &["db", "key_namespace"], source("CLIENT TRACKING", ""), Unit::One, "Estimated changes of keys of the namespace, scaled up from the seconds that were watched; several changes of a key within one turn of the server count once. The label db is absent if several databases have keys.");
    pub(super) static SECONDS: Family<1> = Family::counter("redis_exporter_watched_seconds_total", &["stream"], source("SUBSCRIBE", ""), Unit::Seconds, "Time for which a stream of messages about keys was watched, in seconds.");
    pub(super) static STATE: Family<2> = Family::gauge("redis_exporter_watch_state", &["stream", "state"], source("SUBSCRIBE", ""), Unit::One, "Whether this is the state of a stream that is watched from time to time (1): watching, off (notify-keyspace-events), denied, unsupported or disconnected.");
    pub(super) static BREAKS: Family<2> = Family::counter("redis_exporter_watch_breaks_total", &["stream", "reason"], source("SUBSCRIBE", ""), Unit::One, "How many times the connection of a watched stream broke off: the exporter was behind, the connection was closed, or for another reason.");
}

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::MISSES.descriptor(),
        rows::CHANGES.descriptor(),
        rows::SECONDS.descriptor(),
        rows::STATE.descriptor(),
        rows::BREAKS.descriptor(),
    ]
}

const fn counts_of(stream: WatchedStream) -> &'static Family<2> {
    match stream {
        WatchedStream::Misses => &rows::MISSES,
        WatchedStream::Changes => &rows::CHANGES,
    }
}

/// Adds the samples of all streams. `places` are those with series, and `name` returns the name of a
/// namespace.
pub fn push<'a>(
    totals: &WatchTotals,
    places: &BTreeSet<ShownPlace>,
    name: impl Fn(NamespaceId) -> &'a str,
    snapshot: &mut Snapshot,
) {
    for (stream, totals) in &totals.streams {
        let label = stream.as_str();
        for state in WatchState::ALL {
            let is_it = u64::from(state == totals.state);
            snapshot.push(&rows::STATE, [label, state.as_str()], float(is_it));
        }
        for (cause, breaks) in Break::ALL.into_iter().zip(totals.breaks) {
            snapshot.push(&rows::BREAKS, [label, cause.as_str()], float(breaks));
        }
        snapshot.push(&rows::SECONDS, [label], totals.seconds);
        if totals.seconds <= 0.0 {
            continue;
        }
        // Changes of several databases have no label for them.
        let databases: BTreeSet<_> = places.iter().map(|place| place.0).collect();
        let are_labeled = *stream == WatchedStream::Misses || databases.len() < 2;
        let is_watching = totals.state == WatchState::Watching && are_labeled;
        let counted: BTreeSet<ShownPlace> = totals.places.keys().copied().collect();
        let without = places.iter().filter(|_| is_watching);
        for place in counted
            .iter()
            .chain(without.filter(|place| !counted.contains(place)))
        {
            let database = place
                .0
                .map_or_else(String::new, |database| format!("db{database}"));
            let count = totals.places.get(place).copied().unwrap_or(0.0);
            let labels = [&*database, name(place.1)];
            snapshot.push(counts_of(*stream), labels, count.round());
        }
    }
}
