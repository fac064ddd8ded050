//! Decides whether a flush can have happened between two readings of INFO. Pure.
//!
//! The calls of FLUSHALL, FLUSHDB and SWAPDB are in INFO commandstats, which costs a server more
//! than all other sections together. The other sections often prove that there was no such call.

use std::collections::BTreeMap;

use super::{Changes, Replaced, Sizes};
use crate::number::to_float as float;

/// Sizes and counters of changes in a reading of INFO without commandstats.
#[derive(Clone, Copy, Debug)]
pub struct CountedChanges<'a> {
    /// The number of keys of each database.
    pub keys: &'a BTreeMap<u32, u64>,
    /// The counters of changes.
    pub changes: &'a Changes,
}

/// The knowledge about the counters of a server that proofs depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proofs {
    /// Whether the counter of writes was seen above 0. Some servers always report 0.
    counts_writes: bool,
}

impl Proofs {
    /// Returns whether keys may have been flushed or swapped between two readings.
    ///
    /// FLUSHALL and FLUSHDB count every removed key as a write, and SWAPDB counts as one write. In
    /// a cluster, CLUSTER FLUSHSLOT may remove a single key, so any change can be a flush.
    pub fn may_be_flushed(
        &mut self,
        before: CountedChanges<'_>,
        after: CountedChanges<'_>,
        is_cluster: bool,
    ) -> bool {
        self.counts_writes |= before.changes.has_counted_writes();
        self.counts_writes |= after.changes.has_counted_writes();
        if before.changes.has_only_ours(after.changes) {
            return false;
        }
        let changes = before.changes.surely_since(after.changes);
        let Some(changes) = changes.filter(|_| self.counts_writes) else {
            return true;
        };
        let sizes = Sizes {
            before: before.keys,
            after: after.keys,
            changes: Some(changes),
        };
        let is_suspect = |database: u32| {
            let (then, now) = sizes.of(database);
            (now - then).abs() > changes
                || Replaced::Emptied.may_concern(database, &sizes)
                || Replaced::Swapped.may_concern(database, &sizes)
        };
        let mut listed = before.keys.keys().chain(after.keys.keys());
        (is_cluster && changes > 0.0) || listed.any(|database| is_suspect(*database))
    }
}

impl Changes {
    /// Returns whether the server has counted a write.
    fn has_counted_writes(&self) -> bool {
        self.writes.since_saved().is_some_and(|writes| writes > 0.0)
    }

    /// Returns whether the exporter sent every command that was processed until a later reading.
    fn has_only_ours(&self, later: &Self) -> bool {
        let ours = float(later.ours.saturating_sub(self.ours));
        let processed = self.commands.zip(later.commands);
        // Both count the INFO of one of the readings, so a counter that works has increased.
        processed.is_some_and(|(before, after)| ours > 0.0 && (after - before - ours).abs() < 0.5)
    }

    /// Returns the maximum number of keys created or deleted until a later reading, if no save can
    /// have reset the counter in between.
    fn surely_since(&self, later: &Self) -> Option<f64> {
        self.writes.until(later.writes)?;
        // Times of saves are in whole seconds, so a second save in one second does not show.
        let (time, saved_at) = self.time.zip(self.writes.saved_at())?;
        (saved_at < time.floor()).then(|| self.since(later))?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::info::Info;

    /// The counters of a server that counts like Redis.
    #[derive(Clone, Debug, Default)]
    struct Server {
        keys: BTreeMap<u32, u64>,
        /// Identifies the keys of each database.
        tables: [u32; 3],
        writes: u64,
        saved_at: u64,
        expired: u64,
        commands: u64,
        ours: u64,
        microseconds: u64,
    }

    impl Server {
        fn reading(&mut self) -> (BTreeMap<u32, u64>, Changes) {
            let text = format!(
                "server_time_usec:{}\nrdb_changes_since_last_save:{}\nrdb_last_save_time:{}\n\
                 expired_keys:{}\ntotal_commands_processed:{}\n",
                self.microseconds, self.writes, self.saved_at, self.expired, self.commands
            );
            self.commands += 1;
            self.ours += 1;
            let keys = self.keys.clone().into_iter();
            let keys = keys.filter(|(_, keys)| *keys > 0).collect();
            (keys, Changes::read(&Info::parse(text)).with_ours(self.ours))
        }

        fn size(&mut self, database: u32) -> &mut u64 {
            self.keys.entry(database).or_default()
        }

        fn save(&mut self) {
            self.writes = 0;
            self.saved_at = self.microseconds / 1_000_000;
        }

        fn replace(&mut self, database: u32) {
            let newest = self.tables.iter().max().unwrap() + 1;
            self.tables[database as usize] = newest;
        }

        fn apply(&mut self, operation: &Operation) {
            self.commands += 1;
            self.microseconds += 1_000;
            match *operation {
                Operation::Set(database, keys) => {
                    *self.size(database) += keys;
                    self.writes += keys;
                }
                Operation::Delete(database, keys) => {
                    let gone = keys.min(*self.size(database));
                    *self.size(database) -= gone;
                    self.writes += gone;
                }
                Operation::Expire(database, keys) => {
                    let gone = keys.min(*self.size(database));
                    *self.size(database) -= gone;
                    self.expired += gone;
                }
                Operation::FlushDb(database) => {
                    let gone = std::mem::take(self.size(database));
                    self.writes += gone;
                    self.replace(database);
                }
                Operation::FlushAll { saves } => {
                    let flushed = std::mem::take(&mut self.keys);
                    self.writes += flushed.values().sum::<u64>();
                    if saves {
                        self.save();
                    }
                    self.writes += 1;
                    (0..3).for_each(|database| self.replace(database));
                }
                Operation::SwapDb(one, other) => {
                    let keys = [one, other].map(|database| *self.size(database));
                    *self.size(one) = keys[1];
                    *self.size(other) = keys[0];
                    self.writes += 1;
                    self.tables.swap(one as usize, other as usize);
                }
                Operation::Save => self.save(),
                Operation::Pass(milliseconds) => self.microseconds += 1_000 * milliseconds,
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Set(u32, u64),
        Delete(u32, u64),
        Expire(u32, u64),
        FlushDb(u32),
        FlushAll { saves: bool },
        SwapDb(u32, u32),
        Save,
        Pass(u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let few_or_many = || prop_oneof![1..5_u64, 1..3_000_u64];
        prop_oneof![
            6 => (0..3_u32, few_or_many()).prop_map(|(at, keys)| Operation::Set(at, keys)),
            3 => (0..3_u32, few_or_many()).prop_map(|(at, keys)| Operation::Delete(at, keys)),
            2 => (0..3_u32, few_or_many()).prop_map(|(at, keys)| Operation::Expire(at, keys)),
            2 => (0..3_u32).prop_map(Operation::FlushDb),
            1 => any::<bool>().prop_map(|saves| Operation::FlushAll { saves }),
            2 => (0..3_u32, 0..3_u32).prop_map(|(one, other)| Operation::SwapDb(one, other)),
            1 => Just(Operation::Save),
            2 => (0..2_000_u64).prop_map(Operation::Pass),
        ]
    }

    fn counted((keys, changes): &(BTreeMap<u32, u64>, Changes)) -> CountedChanges<'_> {
        CountedChanges { keys, changes }
    }

    /// Returns for each step whether a flush was possible.
    fn verdicts(server: &mut Server, steps: &[Vec<Operation>]) -> Vec<(bool, bool)> {
        let mut proofs = Proofs::default();
        let mut before = server.reading();
        let mut verdict = |operations: &Vec<Operation>| {
            let tables = server.tables;
            for operation in operations {
                server.apply(operation);
            }
            let after = server.reading();
            // Keys that came and went between two readings are not part of any estimate.
            let is_listed = |at: u32| before.0.contains_key(&at) || after.0.contains_key(&at);
            let mut pairs = (0..).zip(tables.iter().zip(server.tables));
            let replaced = pairs.any(|(at, (then, now))| *then != now && is_listed(at));
            let may = proofs.may_be_flushed(counted(&before), counted(&after), false);
            before = after;
            (replaced, may)
        };
        steps.iter().map(&mut verdict).collect()
    }

    fn server(keys: u64) -> Server {
        Server {
            keys: BTreeMap::from([(0, keys)]),
            tables: [1, 2, 3],
            microseconds: 1_700_000_000_300_000,
            ..Server::default()
        }
    }

    proptest! {
        #[test]
        fn every_flush_is_suspected(
            keys in 0..5_000_u64,
            steps in prop::collection::vec(prop::collection::vec(operation(), 0..5), 1..12),
        ) {
            for (replaced, may) in verdicts(&mut server(keys), &steps) {
                prop_assert!(may || !replaced);
            }
        }
    }

    #[test]
    fn ordinary_writes_are_no_flush() {
        let write = || {
            vec![
                Operation::Set(0, 10),
                Operation::Delete(0, 10),
                Operation::Pass(900),
            ]
        };
        let steps: Vec<_> = (0..5).map(|_| write()).collect();
        let found = verdicts(&mut server(100_000), &steps);
        assert_eq!(found, [(false, false); 5]);
    }

    #[test]
    fn nothing_is_proved_by_a_constant_counter() {
        let mut server = server(100_000);
        let mut proofs = Proofs::default();
        let before = server.reading();
        server.commands += 5;
        let after = server.reading();
        let mut may = |cluster| proofs.may_be_flushed(counted(&before), counted(&after), cluster);
        assert!(may(false) && may(true));
    }

    #[test]
    fn reads_of_others_are_no_flush_after_an_earlier_write() {
        let mut server = server(100_000);
        server.apply(&Operation::Set(0, 1));
        server.apply(&Operation::Pass(1_000));
        let mut proofs = Proofs::default();
        let before = server.reading();
        server.commands += 5;
        let after = server.reading();
        assert!(!proofs.may_be_flushed(counted(&before), counted(&after), true));
    }

    #[test]
    fn commands_of_the_exporter_alone_are_no_flush() {
        let mut server = server(3);
        let mut proofs = Proofs::default();
        let before = server.reading();
        let after = server.reading();
        assert!(!proofs.may_be_flushed(counted(&before), counted(&after), true));
        let silent = (before.0.clone(), Changes::default());
        assert!(proofs.may_be_flushed(counted(&silent), counted(&silent), true));
    }

    #[test]
    fn any_write_to_a_cluster_may_be_a_flush() {
        let mut server = server(100_000);
        let mut proofs = Proofs::default();
        for is_cluster in [false, true] {
            let before = server.reading();
            server.apply(&Operation::Delete(0, 1));
            let after = server.reading();
            let may = proofs.may_be_flushed(counted(&before), counted(&after), is_cluster);
            assert_eq!(may, is_cluster);
        }
    }
}
