//! Keeps the largest keys by memory that a pass has seen, by name. Their number is bounded. Pure.

use std::collections::BTreeSet;

/// Maximum length of a kept key, in bytes. A label shows no more of it.
const LONGEST_KEY: usize = 512;

/// A key with its memory. Keys are ordered by memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LargeKey {
    /// Memory in bytes.
    pub bytes: u64,
    /// Database of the key.
    pub database: u32,
    /// Name of the key, truncated to 512 bytes.
    pub key: Vec<u8>,
}

/// The largest keys of the current pass and of the previous one.
#[derive(Clone, Debug)]
pub struct Largest {
    max: usize,
    current: BTreeSet<LargeKey>,
    last: Option<BTreeSet<LargeKey>>,
}

impl Largest {
    /// Returns an empty list for up to `max` keys.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            current: BTreeSet::new(),
            last: None,
        }
    }

    /// Records a key with known memory. A key that SCAN returns twice counts once, with its newer size
    /// unless its name is cut.
    pub fn see(&mut self, database: u32, key: &[u8], bytes: u64) {
        let is_full = self.current.len() >= self.max;
        if is_full
            && self
                .current
                .first()
                .is_none_or(|least| bytes <= least.bytes)
        {
            return;
        }
        let key = key.get(..LONGEST_KEY).unwrap_or(key);
        let is_it = |seen: &LargeKey| seen.database == database && seen.key == key;
        // Keys whose names have the same start share a series: that of the largest. A shorter name
        // is that of the same key, which may have become smaller.
        let is_shared = key.len() == LONGEST_KEY;
        if is_shared
            && self
                .current
                .iter()
                .any(|seen| is_it(seen) && seen.bytes > bytes)
        {
            return;
        }
        self.current.retain(|seen| !is_it(seen));
        self.current.insert(LargeKey {
            bytes,
            database,
            key: key.to_vec(),
        });
        if self.current.len() > self.max {
            self.current.pop_first();
        }
    }

    /// Begins a pass, and discards the keys of an unfinished one.
    pub fn start_pass(&mut self) {
        self.current.clear();
    }

    /// Discards the keys of databases whose keys were replaced.
    pub fn forget(&mut self, is_forgotten: &dyn Fn(u32) -> bool) {
        self.current.retain(|key| !is_forgotten(key.database));
        if let Some(last) = &mut self.last {
            last.retain(|key| !is_forgotten(key.database));
        }
    }

    /// Ends a pass: its list replaces the previous one.
    pub fn end_pass(&mut self) {
        self.last = Some(std::mem::take(&mut self.current));
    }

    /// Returns the keys of the last complete pass, largest first. Until a pass is complete, it
    /// returns those of the current one.
    pub fn iter(&self) -> impl Iterator<Item = &LargeKey> {
        self.last.as_ref().unwrap_or(&self.current).iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(largest: &Largest) -> Vec<(u64, String)> {
        let name = |key: &LargeKey| (key.bytes, String::from_utf8(key.key.clone()).unwrap());
        largest.iter().map(name).collect()
    }

    #[test]
    fn list_stays_until_the_next_pass_is_complete() {
        let mut largest = Largest::new(2);
        largest.start_pass();
        for (key, bytes) in [("a", 5), ("b", 9), ("c", 7)] {
            largest.see(0, key.as_bytes(), bytes);
        }
        let first = [(9, "b".to_owned()), (7, "c".to_owned())];
        assert_eq!(names(&largest), first);
        largest.end_pass();
        largest.start_pass();
        largest.see(0, b"c", 8);
        assert_eq!(names(&largest), first);
        largest.end_pass();
        assert_eq!(names(&largest), [(8, "c".to_owned())]);
    }

    #[test]
    fn duplicate_key_is_listed_once_with_its_newer_size() {
        let mut largest = Largest::new(3);
        largest.see(0, b"a", 5);
        largest.see(1, b"a", 6);
        largest.see(0, b"a", 7);
        let found: Vec<_> = largest
            .iter()
            .map(|key| (key.database, key.bytes))
            .collect();
        assert_eq!(found, [(0, 7), (1, 6)]);
    }

    #[test]
    fn largest_of_the_keys_with_the_same_start_is_listed() {
        let mut largest = Largest::new(3);
        let name = "x".repeat(LONGEST_KEY);
        for (end, bytes) in [("1", 5), ("2", 9), ("3", 7)] {
            largest.see(0, format!("{name}{end}").as_bytes(), bytes);
        }
        assert_eq!(names(&largest), [(9, name)]);
    }

    #[test]
    fn unfinished_pass_is_discarded() {
        let mut largest = Largest::new(3);
        largest.see(0, b"gone", 5);
        largest.start_pass();
        largest.end_pass();
        assert_eq!(largest.iter().count(), 0);
    }

    #[test]
    fn limit_of_zero_keeps_nothing() {
        let mut largest = Largest::new(0);
        largest.see(0, b"a", 5);
        assert_eq!(largest.iter().count(), 0);
    }

    proptest! {
        #[test]
        fn result_equals_sorting(
            sizes in proptest::collection::vec(0_u64..50, 0..60),
            max in 1_usize..10,
        ) {
            let mut largest = Largest::new(max);
            for (number, bytes) in sizes.iter().enumerate() {
                largest.see(0, number.to_string().as_bytes(), *bytes);
            }
            let mut sorted = sizes;
            sorted.sort_unstable_by(|left, right| right.cmp(left));
            sorted.truncate(max);
            let found: Vec<u64> = largest.iter().map(|key| key.bytes).collect();
            prop_assert_eq!(found, sorted);
        }
    }
}
