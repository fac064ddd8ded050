//! The evicted and expired keys that the panel attributes, beside those from key events. Pure.

use super::{NamespacePlace, Panel};
use crate::keyspace::events::Coverage;

impl Panel {
    /// Records the coverage by key events, before a reading of INFO that was requested at this time. Only
    /// the rest of its counts is attributed.
    pub const fn cover(&mut self, requested: f64, coverage: [Coverage; 2]) {
        self.coverage = (coverage, requested);
    }

    /// Returns the evicted and expired keys since the last call that events do not cover.
    /// `is_reset` is whether one of the counters was reset since then.
    pub(super) fn uncovered(
        &mut self,
        counters: [Option<f64>; 2],
        is_reset: bool,
    ) -> [Option<f64>; 2] {
        let (coverage, requested) = &self.coverage;
        let mut left = [None; 2];
        let each = self.uncovered.iter_mut().zip(counters).zip(coverage);
        for (left, ((uncovered, value), coverage)) in left.iter_mut().zip(each) {
            // With events, it is unknown how much of the whole value they cover.
            if is_reset && coverage.covered <= 0.0 {
                uncovered.restart();
            }
            *left = uncovered.advance(*requested, value, coverage);
        }
        left
    }

    /// Returns whether there are samples of the panel.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.alive + self.gone > 0 || !self.runs.is_empty()
    }

    /// Returns the places with keys.
    pub fn places(&self) -> impl Iterator<Item = NamespacePlace> {
        self.totals.keys().copied()
    }

    /// Returns the evicted and expired keys that were attributed to a place so far.
    #[must_use]
    pub fn attributed(&self, place: NamespacePlace) -> [f64; 2] {
        let totals = self.totals.get(&place);
        totals.map_or([0.0; 2], |totals| totals.attributed())
    }

    /// Returns whether the evictions and expiries of a place are attributed now.
    #[must_use]
    pub fn attributes(&self, place: NamespacePlace) -> [bool; 2] {
        let totals = self.totals.get(&place);
        let are_known = totals.map_or([true; 2], |totals| totals.are_known());
        let [evicted, expired] = are_known;
        [evicted && self.knows_evicted, expired && self.knows_expired]
    }
}
