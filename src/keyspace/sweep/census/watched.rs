//! The counts of the census from watches. Pure.

use std::collections::BTreeSet;

use crate::keyspace::NamespaceId;
use crate::keyspace::key_group::KeyGroup;
use crate::keyspace::watches::{NewWatched, WatchedStream, families};
use crate::metric::Snapshot;

use super::Census;

impl Census {
    /// Records what watches have counted since the last time.
    pub fn record_watched(&mut self, new: Vec<(WatchedStream, NewWatched)>) {
        for (stream, new) in new {
            for ((database, group), count) in new.counts {
                let namespace = match group {
                    KeyGroup::Namespace(namespace) => namespace,
                    // Clients look up names of keys that do not exist.
                    KeyGroup::Stem(stem) => self.matcher.known(database.unwrap_or(0), &stem),
                };
                let place = (database, self.shown_as(namespace));
                let totals = self.watches.as_mut();
                if let Some(totals) = totals.and_then(|watches| watches.of(stream)) {
                    *totals.places.entry(place).or_default() += count;
                }
            }
            let totals = self.watches.as_mut();
            if let Some(totals) = totals.and_then(|watches| watches.of(stream)) {
                totals.state = new.state;
                totals.seconds = new.seconds;
                totals.breaks = new.breaks;
            }
        }
    }

    /// Adds what watches have counted of each place.
    pub(super) fn push_watched(&self, shown: &[NamespaceId], snapshot: &mut Snapshot) {
        let Some(watches) = &self.watches else { return };
        let databases = self.keys.keys();
        let places = databases
            .flat_map(|database| shown.iter().map(|namespace| (Some(*database), *namespace)));
        let places: BTreeSet<_> = places.collect();
        let name = |namespace| self.matcher.name(namespace);
        families::push(watches, &places, name, snapshot);
    }
}
