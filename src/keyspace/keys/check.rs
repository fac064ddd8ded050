//! Finds the names of keys that match patterns during the sweep. Their number is bounded. Pure.

use std::collections::BTreeSet;

use crate::config::{KeyName, KeyPattern};

/// Maximum length of a kept key, in bytes. A label would show an eighth of a longer one.
const LONGEST_KEY: usize = 4096;

/// Patterns and the keys that match them.
#[derive(Debug)]
pub struct Check {
    patterns: Vec<KeyPattern>,
    max: usize,
    current: MatchedKeys,
    last: MatchedKeys,
}

#[derive(Debug, Default)]
struct MatchedKeys {
    keys: BTreeSet<KeyName>,
    without_place: u64,
}

impl Check {
    /// Returns an empty list that keeps at most `max` keys.
    #[must_use]
    pub fn new(patterns: &[KeyPattern], max: usize) -> Self {
        Self {
            patterns: patterns.to_vec(),
            max,
            current: MatchedKeys::default(),
            last: MatchedKeys::default(),
        }
    }

    /// Returns whether a key matches a pattern of its database.
    #[must_use]
    pub fn matches(&self, database: u32, key: &[u8]) -> bool {
        let mut patterns = self.patterns.iter();
        patterns.any(|only| only.database == database && only.pattern.matches(key))
    }

    /// Records a key if it matches. Beyond the limit, the first by name are kept: they are the same
    /// in every pass, in any order of SCAN.
    pub fn see(&mut self, database: u32, key: &[u8]) {
        if !self.matches(database, key) {
            return;
        }
        if key.len() > LONGEST_KEY {
            self.current.without_place += 1;
            return;
        }
        let name = KeyName {
            database,
            key: key.to_vec(),
        };
        let found = &mut self.current;
        if found.keys.insert(name) && found.keys.len() > self.max {
            found.keys.pop_last();
            found.without_place += 1;
        }
    }

    /// Removes a key. Returns whether it was kept.
    pub fn forget(&mut self, name: &KeyName) -> bool {
        let found = [&mut self.last, &mut self.current];
        let kept = found.map(|found| found.keys.remove(name));
        kept.contains(&true)
    }

    /// Begins a pass, and discards the keys of an unfinished one.
    pub fn start_pass(&mut self) {
        self.current = MatchedKeys::default();
    }

    /// Ends a pass, and discards keys that it did not find.
    pub fn end_pass(&mut self) {
        self.last = std::mem::take(&mut self.current);
    }

    /// Returns the keys of the last pass and of the current one.
    pub fn keys(&self) -> impl Iterator<Item = &KeyName> {
        self.last.keys.union(&self.current.keys).take(self.max)
    }

    /// Returns the number of matching keys beyond the limit, in the last pass or the current one,
    /// whichever is greater.
    #[must_use]
    pub fn without_place(&self) -> u64 {
        self.last.without_place.max(self.current.without_place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn check(glob: &str, max: usize) -> Check {
        let pattern = KeyPattern {
            database: 0,
            pattern: Pattern::glob(glob),
        };
        Check::new(&[pattern], max)
    }

    fn names(check: &Check) -> Vec<&[u8]> {
        check.keys().map(|name| name.key.as_slice()).collect()
    }

    #[test]
    fn keys_appear_at_once_and_stay_until_a_pass_misses_them() {
        let mut check = check("a*", 9);
        check.start_pass();
        check.see(0, b"a1");
        check.see(0, b"b1");
        check.see(1, b"a9");
        assert_eq!(names(&check), [b"a1"]);
        check.end_pass();
        check.start_pass();
        check.see(0, b"a2");
        assert_eq!(names(&check), [b"a1", b"a2"]);
        check.end_pass();
        assert_eq!(names(&check), [b"a2"]);
    }

    #[test]
    fn first_keys_by_name_are_kept_in_any_scan_order() {
        for order in [["a1", "a2", "a3"], ["a3", "a2", "a1"], ["a2", "a3", "a1"]] {
            let mut check = check("a*", 2);
            for key in order {
                check.see(0, key.as_bytes());
                check.see(0, order[0].as_bytes());
            }
            assert_eq!(names(&check), [b"a1", b"a2"], "{order:?}");
            assert!(check.without_place() >= 1);
            check.end_pass();
            assert_eq!(names(&check), [b"a1", b"a2"], "{order:?}");
        }
    }

    #[test]
    fn huge_name_is_counted_but_not_kept() {
        let mut check = check("*", 2);
        check.see(0, &[b'a'; 5000]);
        assert_eq!((check.keys().count(), check.without_place()), (0, 1));
    }
}
