//! Estimates how many keys match a pattern, from the sweep. Pure.
//!
//! Patterns may overlap, so each has its own window with two namespaces: matching keys and the
//! rest.

use std::collections::BTreeMap;

use crate::config::{KeyPattern, TtlPolicy};
use crate::keyspace::NamespaceId;
use crate::keyspace::estimate::{Database, Estimate, estimate};
use crate::keyspace::tally::Details;
use crate::keyspace::window::Window;

/// The keys that match.
const MATCHING: NamespaceId = NamespaceId(1);

/// A pattern and the counts in its database.
#[derive(Debug)]
pub struct Count {
    pattern: KeyPattern,
    window: Window,
}

impl Count {
    /// Returns a count of zero keys.
    #[must_use]
    pub fn new(pattern: &KeyPattern) -> Self {
        Self {
            pattern: pattern.clone(),
            window: Window::new(1),
        }
    }

    /// Returns the pattern.
    #[must_use]
    pub const fn pattern(&self) -> &KeyPattern {
        &self.pattern
    }

    /// Returns the window, if the pattern applies to this database.
    pub fn window(&mut self, database: u32) -> Option<&mut Window> {
        (database == self.pattern.database).then_some(&mut self.window)
    }

    /// Counts a key of a database.
    pub fn see(&mut self, database: u32, key: &[u8]) {
        if database != self.pattern.database {
            return;
        }
        let class = if self.pattern.pattern.matches(key) {
            MATCHING
        } else {
            NamespaceId::OTHER
        };
        if let Some(tally) = self.window.tally(class) {
            tally.see(Details::default(), TtlPolicy::default());
        }
    }

    /// Records the number of keys in each database, and the maximum number of keys created or
    /// deleted since the last call.
    pub fn observe(&mut self, now: f64, sizes: &BTreeMap<u32, u64>, events: f64) {
        let keys = sizes.get(&self.pattern.database).copied().unwrap_or(0);
        self.window.observe(now, keys, events);
    }

    /// Discards the counts.
    pub fn forget(&mut self) {
        self.window = Window::new(1);
    }

    /// Returns the estimated number of matching keys: 0 in a database that is not listed, `None` if
    /// nothing was scanned.
    #[must_use]
    pub fn estimate(&self, sizes: &BTreeMap<u32, u64>, sweep_is_uniform: bool) -> Option<Estimate> {
        let about = Database {
            keys: sizes.get(&self.pattern.database).copied().unwrap_or(0),
            sweep_is_uniform,
        };
        estimate(&self.window, about, &[NamespaceId::OTHER, MATCHING])
            .into_iter()
            .find(|estimate| estimate.namespace == MATCHING)
            .map(|estimate| estimate.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn count(glob: &str) -> Count {
        Count::new(&KeyPattern {
            database: 2,
            pattern: Pattern::glob(glob),
        })
    }

    fn scan(count: &mut Count, keys: &[&str]) {
        count.window(2).unwrap().open(0, 0.0);
        for key in keys {
            count.see(2, key.as_bytes());
            count.see(0, key.as_bytes());
        }
        count.window(2).unwrap().close(0.0);
    }

    #[test]
    fn complete_pass_counts_the_database_exactly() {
        let mut count = count("a:*");
        let sizes = BTreeMap::from([(0, 3), (2, 3)]);
        assert_eq!(count.estimate(&sizes, true), None);
        scan(&mut count, &["a:1", "a:2", "b:1"]);
        let keys = count.estimate(&sizes, true).unwrap();
        assert_eq!((keys.value, keys.error), (2.0, 0.0));
    }

    #[test]
    fn unlisted_database_has_no_keys() {
        let mut count = count("*");
        scan(&mut count, &["a"]);
        let sizes = BTreeMap::from([(0, 5)]);
        count.observe(0.0, &sizes, 0.0);
        let keys = count.estimate(&sizes, true).unwrap();
        assert_eq!((keys.value, keys.error), (0.0, 0.0));
    }

    #[test]
    fn partial_pass_is_scaled_and_has_an_error() {
        let mut count = count("a*");
        count.window(2).unwrap().divide(2);
        scan(&mut count, &["a1", "a2", "b1", "b2"]);
        let keys = count.estimate(&BTreeMap::from([(2, 8)]), true).unwrap();
        assert!((keys.value - 4.0).abs() < 1e-9 && keys.error > 0.0);
        assert_eq!(count.estimate(&BTreeMap::from([(2, 8)]), false), None);
    }
}
