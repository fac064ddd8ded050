//! The TTLs that the panel knows. Pure.

use super::run::Expiring;
use super::split::Split;
use super::{NamespacePlace, Panel};
use crate::keyspace::tally::Expiry;

/// Share of keys with a TTL up to which a database counts as one without any, if it was one before.
const FEW_TTLS: f64 = 0.05;

/// Share of the vanished keys from which their TTLs are lacking.
const LACKING: f64 = 0.05;

impl Panel {
    /// Records a known TTL of a living key. The key need not be in the panel.
    pub fn learn(&mut self, place: NamespacePlace, expiry: Expiry) {
        let expiring = Expiring::of(self.interval(place).age().into());
        let split = self.splits.entry(place).or_default();
        split.learn(expiry, &expiring.range(), expiring.per_second());
    }

    /// Records that a living key has no TTL, because INFO reports that none in its database has one.
    pub fn learn_unlimited(&mut self, place: NamespacePlace) {
        self.unlimited.insert(place.0);
        self.learn(place, Expiry::Never);
    }

    /// Records the share of the keys in a database that have a TTL, from INFO. Once some have one,
    /// the earlier finding that none has one is forgotten. Queries may not correct it: the server
    /// may reject them.
    pub fn record_ttls(&mut self, database: u32, share: f64) {
        if share > FEW_TTLS && self.unlimited.remove(&database) {
            self.splits.retain(|place, _| place.0 != database);
        }
    }

    /// Returns how many TTLs of a place are known, up to the number from which all places are equal.
    #[must_use]
    pub fn known_ttls(&self, place: NamespacePlace) -> u32 {
        self.splits.get(&place).map_or(0, Split::known)
    }

    /// Returns whether a considerable part of the keys that vanished of late is in places of which
    /// too few TTLs are known to distinguish evicted keys from expired ones.
    #[must_use]
    pub fn lacks_ttls(&self) -> bool {
        let is_known = |place: NamespacePlace| self.splits.get(&place).is_some_and(Split::is_known);
        let block = self.block.as_ref();
        // With a single cause, all vanished keys have it.
        let block = block.filter(|block| block.has_both_causes());
        block.is_some_and(|block| block.share_of(|place| !is_known(place)) > LACKING)
    }
}
