//! Finds the names of streams that match patterns during the sweep. Their number is bounded. Pure.
//!
//! The sweep reads the type of most keys. Other keys are queried for their type first, and those
//! that are not streams make room for others.

use std::collections::BTreeSet;

use crate::config::{KeyName, KeyPattern};
use crate::keyspace::keys::check::Check;
use crate::keyspace::tally::DataType;

/// Maximum number of remembered keys that are not streams. Beyond it, some are queried again.
const OTHERS_MAX: usize = 10_000;

/// Patterns and the streams that match them.
#[derive(Debug)]
pub struct Find {
    check: Check,
    /// Matching keys that are not streams and whose type the sweep did not read.
    others: BTreeSet<KeyName>,
}

impl Find {
    /// Returns an empty list that keeps at most `max` streams.
    #[must_use]
    pub fn new(patterns: &[KeyPattern], max: usize) -> Self {
        Self {
            check: Check::new(patterns, max),
            others: BTreeSet::new(),
        }
    }

    /// Records a key if it matches and is, or may be, a stream.
    pub fn see(&mut self, database: u32, key: &[u8], data_type: Option<DataType>) {
        let may_be = data_type.is_none_or(|data_type| data_type == DataType::Stream);
        if !may_be || !self.check.matches(database, key) {
            return;
        }
        let is_other = || {
            let key = key.to_vec();
            self.others.contains(&KeyName { database, key })
        };
        if data_type.is_none() && !self.others.is_empty() && is_other() {
            return;
        }
        self.check.see(database, key);
    }

    /// Records that a key is not a stream.
    pub fn record_other(&mut self, name: &KeyName) {
        if !self.check.forget(name) {
            return;
        }
        if self.others.len() >= OTHERS_MAX {
            self.others.clear();
        }
        self.others.insert(name.clone());
    }

    /// Begins a pass.
    pub fn start_pass(&mut self) {
        self.check.start_pass();
    }

    /// Ends a pass.
    pub fn end_pass(&mut self) {
        self.check.end_pass();
    }

    /// Returns the streams of the last pass and of the current one.
    pub fn keys(&self) -> impl Iterator<Item = &KeyName> {
        self.check.keys()
    }

    /// Returns the number of streams beyond the limit.
    #[must_use]
    pub fn without_place(&self) -> u64 {
        self.check.without_place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn find(max: usize) -> Find {
        let pattern = KeyPattern {
            database: 0,
            pattern: Pattern::glob("a*"),
        };
        Find::new(&[pattern], max)
    }

    fn names(find: &Find) -> Vec<&[u8]> {
        find.keys().map(|name| name.key.as_slice()).collect()
    }

    fn name(key: &[u8]) -> KeyName {
        KeyName {
            database: 0,
            key: key.to_vec(),
        }
    }

    #[test]
    fn other_types_use_no_room() {
        let mut find = find(1);
        find.see(0, b"a1", Some(DataType::String));
        find.see(0, b"a2", Some(DataType::Stream));
        find.see(0, b"b1", Some(DataType::Stream));
        assert_eq!((names(&find), find.without_place()), (vec![&b"a2"[..]], 0));
    }

    #[test]
    fn keys_of_other_types_make_room() {
        let mut find = find(1);
        for pass in 0..2 {
            find.start_pass();
            find.see(0, b"a1", None);
            find.see(0, b"a2", None);
            assert_eq!(names(&find), [[&b"a1"[..], b"a2"][pass]]);
            find.record_other(&name(b"a1"));
            find.end_pass();
        }
        assert_eq!(names(&find), [b"a2"]);
    }

    #[test]
    fn key_recreated_as_a_stream_is_found() {
        let mut find = find(1);
        find.see(0, b"a1", None);
        find.record_other(&name(b"a1"));
        find.see(0, b"a1", None);
        assert!(names(&find).is_empty());
        find.see(0, b"a1", Some(DataType::Stream));
        assert_eq!(names(&find), [b"a1"]);
    }

    #[test]
    fn remembered_keys_are_bounded() {
        let mut find = find(1);
        for number in 0..=OTHERS_MAX {
            let key = format!("a{number}");
            find.see(0, key.as_bytes(), None);
            find.record_other(&name(key.as_bytes()));
        }
        assert_eq!(find.others.len(), 1);
    }
}
