//! Keys exported by name, counted by pattern or grouped, and streams: turns what a sweep found into
//! samples.
//!
//! Pure. `sweep` queries single keys.

pub mod check;
pub mod count;
pub mod families;
pub mod group;
pub mod query;
pub mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::estimate::Database;
use super::largest::Largest;
use super::tally::Details;
use super::window::Window;
use crate::config::{KeyName, Keys, ShownValues};
use crate::label::label_text;
use crate::metric::Snapshot;
use crate::number::to_float as float;
use check::Check;
use count::Count;
use group::Groups;
use query::{Inspected, KeyValue};
use stream::find::Find;
use stream::{StreamLimits, StreamReplies};

/// Keys to query, by database.
pub type KeyNames = BTreeMap<u32, BTreeSet<KeyName>>;

/// The queries to send about single keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Keys whose size, memory and value are exported.
    pub keys: KeyNames,
    /// The part of a value that is exported.
    pub shown_values: ShownValues,
    /// Keys that are exported if they are streams.
    pub streams: KeyNames,
    /// The part of a stream that is exported.
    pub stream_limits: StreamLimits,
}

/// Results of a sweep for keys that are exported by name, counted or grouped.
#[derive(Debug)]
pub struct Ledger {
    counts: Vec<Count>,
    groups: Option<Groups>,
    check: Check,
    singles: Vec<KeyName>,
    largest: Largest,
    shown_values: ShownValues,
    /// Keys by database; `None` before the first reading.
    sizes: Option<BTreeMap<u32, u64>>,
    inspected: Vec<Inspected>,
    find: Find,
    single_streams: Vec<KeyName>,
    stream_limits: StreamLimits,
    streams: Vec<StreamReplies>,
    denied: usize,
    pass_duration: Option<Duration>,
}

impl Ledger {
    /// Returns an empty ledger.
    #[must_use]
    pub fn new(keys: &Keys, largest_keys: u32) -> Self {
        let has_groups = !keys.groups.is_empty();
        let streams = &keys.streams;
        Self {
            counts: keys.count.iter().map(Count::new).collect(),
            groups: has_groups.then(|| Groups::new(&keys.groups, keys.max_groups as usize)),
            check: Check::new(&keys.check, keys.max_checked as usize),
            singles: keys.check_single.clone(),
            largest: Largest::new(largest_keys as usize),
            shown_values: keys.values,
            sizes: None,
            inspected: Vec::new(),
            find: Find::new(&streams.patterns, streams.max as usize),
            single_streams: streams.singles.clone(),
            stream_limits: StreamLimits {
                groups: streams.max_groups as usize,
                consumers: streams.consumers.then_some(streams.max_consumers as usize),
            },
            streams: Vec::new(),
            denied: 0,
            pass_duration: None,
        }
    }

    /// Returns the windows in which the keys of a database are counted.
    fn windows(&mut self, database: u32) -> impl Iterator<Item = &mut Window> {
        let groups = self.groups.as_mut();
        let groups = groups.map(|groups| groups.windows.window(database, 1));
        let counts = self.counts.iter_mut();
        counts
            .filter_map(move |count| count.window(database))
            .chain(groups)
    }

    /// Begins a pass over all databases.
    pub fn start_pass(&mut self) {
        self.check.start_pass();
        self.find.start_pass();
        self.largest.start_pass();
    }

    /// Begins a pass over a database that is divided into `segments` segments.
    pub fn start_database(&mut self, database: u32, segments: u32) {
        for window in self.windows(database) {
            if window.segments() != segments as usize {
                window.divide(segments);
            }
        }
    }

    /// Opens a segment.
    pub fn open(&mut self, database: u32, segment: u32, now: f64) {
        for window in self.windows(database) {
            window.open(segment, now);
        }
    }

    /// Closes the open segment of a database.
    pub fn close(&mut self, database: u32, now: f64) {
        for window in self.windows(database) {
            window.close(now);
        }
    }

    /// Closes the open segment of a database before its end.
    pub fn close_part(&mut self, database: u32, now: f64) {
        for window in self.windows(database) {
            window.close_part(now);
        }
    }

    /// Records a key and its details.
    pub fn see(&mut self, database: u32, key: &[u8], details: Details) {
        let memory = details.memory;
        for count in &mut self.counts {
            count.see(database, key);
        }
        if let Some(groups) = &mut self.groups {
            groups.see(database, key, memory);
        }
        self.check.see(database, key);
        self.find.see(database, key, details.data_type);
        if let Some(bytes) = memory {
            self.largest.see(database, key, bytes);
        }
    }

    /// Records the number of keys in each database, and the maximum number of keys created or
    /// deleted since the last call.
    pub fn observe(&mut self, now: f64, sizes: &BTreeMap<u32, u64>, events: f64) {
        for count in &mut self.counts {
            count.observe(now, sizes, events);
        }
        if let Some(groups) = &mut self.groups {
            groups.windows.observe(now, sizes, events);
        }
        self.sizes = Some(sizes.clone());
    }

    /// Discards the counts of databases whose keys were replaced. Keys exported by name remain: the
    /// exporter queries them again before it exports them.
    pub fn forget(&mut self, is_forgotten: &dyn Fn(u32) -> bool) {
        for count in &mut self.counts {
            if is_forgotten(count.pattern().database) {
                count.forget();
            }
        }
        if let Some(groups) = &mut self.groups {
            groups.windows.forget(is_forgotten);
        }
        self.largest.forget(is_forgotten);
    }

    /// Ends a pass over all databases.
    pub fn end_pass(&mut self, duration: Duration) {
        self.check.end_pass();
        self.find.end_pass();
        self.largest.end_pass();
        if let Some(groups) = &mut self.groups {
            groups.end_pass();
        }
        self.pass_duration = Some(duration);
    }

    /// Returns the queries to send about single keys.
    #[must_use]
    pub fn inquiry(&self) -> Inquiry {
        Inquiry {
            keys: self.listed(self.check.keys().chain(&self.singles)),
            shown_values: self.shown_values,
            streams: self.listed(self.find.keys().chain(&self.single_streams)),
            stream_limits: self.stream_limits,
        }
    }

    /// Returns keys by database. Leaves out databases that the server does not list: they have no
    /// keys, and a SELECT of a missing database fails.
    fn listed<'n>(&self, names: impl Iterator<Item = &'n KeyName>) -> KeyNames {
        let mut listed = KeyNames::new();
        let is_listed = |name: &&KeyName| {
            let sizes = self.sizes.as_ref();
            sizes.is_some_and(|sizes| sizes.contains_key(&name.database))
        };
        for name in names.filter(is_listed) {
            listed
                .entry(name.database)
                .or_default()
                .insert(name.clone());
        }
        listed
    }

    /// Records the replies about single keys and the number of rejected keys.
    pub fn record_inspected(&mut self, inspected: Vec<Inspected>, denied: usize) {
        self.inspected = inspected;
        self.denied = denied;
    }

    /// Records the replies about streams, and the keys that are not streams.
    pub fn record_streams(&mut self, streams: Vec<StreamReplies>, others: &[KeyName]) {
        self.streams = streams;
        for other in others {
            self.find.record_other(other);
        }
    }

    /// Discards the replies about single keys and streams, so that stale values are not exported as
    /// fresh ones.
    pub fn record_break(&mut self) {
        self.inspected.clear();
        self.streams.clear();
    }

    /// Adds all samples. If the server rejects MEMORY USAGE, the memory of groups is unknown:
    /// earlier replies are not a representative sample.
    pub fn push(&self, sweep_is_uniform: bool, memory_is_refused: bool, snapshot: &mut Snapshot) {
        for key in &self.inspected {
            push_key(key, snapshot);
        }
        for stream in &self.streams {
            stream.push(snapshot);
        }
        // The first of two samples of a key wins, and that one is newer.
        for key in self.largest.iter() {
            let database = format!("db{}", key.database);
            let labels = [database.as_str(), &label_text(&key.key)];
            snapshot.push(&families::MEMORY, labels, float(key.bytes));
        }
        if let Some(sizes) = &self.sizes {
            self.push_counts(sizes, sweep_is_uniform, snapshot);
        }
        let without_group = self.push_groups(sweep_is_uniform, memory_is_refused, snapshot);
        let streams = || self.streams.iter();
        for (reason, dropped) in [
            ("max_checked", self.check.without_place()),
            ("max_groups", without_group),
            ("max_streams", self.find.without_place()),
            (
                "max_stream_groups",
                streams().map(|stream| stream.groups_dropped).sum(),
            ),
            (
                "max_stream_consumers",
                streams().map(|stream| stream.consumers_dropped).sum(),
            ),
            ("denied", self.denied as u64),
        ] {
            snapshot.push(&families::DROPPED, [reason], float(dropped));
        }
    }

    fn push_counts(
        &self,
        sizes: &BTreeMap<u32, u64>,
        sweep_is_uniform: bool,
        snapshot: &mut Snapshot,
    ) {
        for count in &self.counts {
            let Some(keys) = count.estimate(sizes, sweep_is_uniform) else {
                continue;
            };
            let database = format!("db{}", count.pattern().database);
            let pattern = label_text(
                count
                    .pattern()
                    .pattern
                    .as_glob()
                    .unwrap_or_default()
                    .as_bytes(),
            );
            let labels = [database.as_str(), &pattern];
            snapshot.push(&families::COUNT, labels, keys.value);
            snapshot.push(&families::COUNT_ERROR, labels, keys.error);
        }
    }

    /// Adds the groups. Returns the number of keys without a group of their own.
    fn push_groups(
        &self,
        sweep_is_uniform: bool,
        memory_is_refused: bool,
        snapshot: &mut Snapshot,
    ) -> u64 {
        let Some(groups) = &self.groups else { return 0 };
        let mut without_place = 0;
        for (database, keys) in self.sizes.iter().flatten() {
            let about = Database {
                keys: *keys,
                sweep_is_uniform,
            };
            let Some(found) = groups.estimate(*database, about) else {
                continue;
            };
            without_place += found.without_place;
            let database = format!("db{database}");
            for group in found.shown {
                let labels = [database.as_str(), &group.name];
                snapshot.push(&families::GROUP_KEYS, labels, group.keys.value);
                snapshot.push(&families::GROUP_KEYS_ERROR, labels, group.keys.error);
                if let Some(memory) = group.memory.filter(|_| !memory_is_refused) {
                    snapshot.push(&families::GROUP_MEMORY, labels, memory.value);
                }
            }
            let distinct = float(found.distinct as u64);
            snapshot.push(&families::GROUPS, [&database], distinct);
        }
        if let Some(duration) = self.pass_duration {
            let milliseconds = duration.as_secs_f64() * 1e3;
            snapshot.push(&families::GROUPS_DURATION, [], milliseconds);
        }
        without_place
    }
}

fn push_key(key: &Inspected, snapshot: &mut Snapshot) {
    let database = format!("db{}", key.name.database);
    let name = label_text(&key.name.key);
    let labels = [database.as_str(), &name];
    snapshot.push(&families::MEMORY, labels, key.memory.map(float));
    snapshot.push(&families::SIZE, labels, key.size.map(float));
    match &key.value {
        Some(KeyValue::Number(number)) => snapshot.push(&families::VALUE, labels, *number),
        Some(KeyValue::Text(text)) => {
            let labels = [database.as_str(), &name, text];
            snapshot.push(&families::VALUE_AS_STRING, labels, 1.0);
        }
        None => {}
    }
}
