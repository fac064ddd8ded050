//! The keys of the census that are counted from key events. Pure.

use std::collections::BTreeSet;

use crate::keyspace::NamespaceId;
use crate::keyspace::events::{Coverage, EventTotals, KeyGroup, NewCounts, families};
use crate::keyspace::panel::{NamespacePlace, Panel, families as panel};
use crate::metric::Snapshot;
use crate::number::to_float as float;

use super::Census;

impl Census {
    /// Records what the stream of key events has counted since the last time.
    pub fn record_events(&mut self, new: NewCounts) {
        for ((database, group), counts) in new.counts {
            let namespace = match group {
                KeyGroup::Namespace(namespace) => namespace,
                KeyGroup::Stem(stem) => self.matcher.classify(database, &stem),
            };
            let place = (database, self.shown_as(namespace));
            if let Some(events) = &mut self.events {
                events.add(place, counts);
            }
        }
        if let Some(events) = &mut self.events {
            events.coverage = new.coverage;
            events.run_id = new.run_id;
            events.status = new.status;
        }
    }

    /// Returns what events cover of the counters of the server that is swept.
    pub(super) fn coverage(&self) -> [Coverage; 2] {
        let events = self.events.as_ref().filter(|_| self.sweeps_the_target);
        events.map(|events| events.coverage).unwrap_or_default()
    }

    /// Adds the evicted and expired keys of each place, from events and from the panel together.
    pub(super) fn push_removed(&self, shown: &[NamespaceId], snapshot: &mut Snapshot) {
        let is_drawing = self.sweeps_in_random_order();
        // Counts of another server may include those of the events.
        let panel = self.panel.as_ref();
        let panel = panel.filter(|_| self.sweeps_the_target || self.events.is_none());
        let begun = panel.filter(|panel| is_drawing && panel.has_begun());
        let counted = self.events.as_deref().map(EventTotals::are_counted);
        let counted = counted.unwrap_or_default();
        let mut places: BTreeSet<NamespacePlace> = BTreeSet::new();
        places.extend(begun.into_iter().flat_map(Panel::places));
        places.extend(
            self.events
                .as_deref()
                .into_iter()
                .flat_map(EventTotals::places),
        );
        if counted.contains(&true) {
            for database in self.keys.keys() {
                places.extend(shown.iter().map(|namespace| (*database, *namespace)));
            }
        }
        for place in places {
            let attributed = panel.map(|panel| panel.attributed(place));
            let are_known = begun.map(|panel| panel.attributes(place));
            let events = self.events.as_ref().map(|events| events.of(place));
            let sums = attributed.unwrap_or_default().into_iter();
            let sums = sums.zip(events.unwrap_or_default());
            let is_known = counted.into_iter().zip(are_known.unwrap_or_default());
            let mut removed = [None; 2];
            for (removed, ((attributed, events), (is_counted, is_attributed))) in
                removed.iter_mut().zip(sums.zip(is_known))
            {
                if is_counted || is_attributed {
                    *removed = Some(attributed + float(events));
                }
            }
            let labels = [&format!("db{}", place.0), self.matcher.name(place.1)];
            panel::push_removed(removed, labels, snapshot);
        }
        if let Some(events) = &self.events {
            families::push(&events.status, snapshot);
        }
    }
}
