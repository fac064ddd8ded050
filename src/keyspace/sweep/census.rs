//! Collects what a sweep has found so far, and turns it with the sweep's own state into a snapshot.
//! Pure.
//!
//! It outlives connections: keys seen before a failure still count after it.

mod draws;
mod events;
mod findings;
mod followed;
mod idle;
mod results;
mod server;
mod watched;

use std::collections::BTreeMap;
use std::time::Duration;

use super::key_reader::KeyDetails;
use super::vitals::Memory;
use crate::config::{EventUse, Keys, Namespace, NamespacePolicy, Sweep, TtlPolicy};
use crate::keyspace::NamespaceId;
use crate::keyspace::cost::{Costs, CpuAccount, QueriesSent, Spent};
use crate::keyspace::events::EventTotals;
use crate::keyspace::expiring::KnownExpiries;
use crate::keyspace::families::Progress;
use crate::keyspace::ghosts::Ghosts;
use crate::keyspace::history::{Changes, DataIdentity};
use crate::keyspace::idle::IdleTimes;
use crate::keyspace::keys::Ledger;
use crate::keyspace::matcher::{Grouping, Matcher};
use crate::keyspace::panel::{Panel, RemovalRates};
use crate::keyspace::segment::Segment;
use crate::keyspace::visible::Visible;
use crate::keyspace::wall_clock::WallClock;
use crate::keyspace::watches::{WatchTotals, WatchedStream};
use crate::keyspace::window::{Window, Windows};
use crate::number::to_float;
pub use findings::Finding;
pub use followed::DrawnKeys;

/// A database is swept again at once if its keys differ from those seen by more than this share.
const MOVED_AT_MOST: f64 = 0.2;

/// Number of recent draws of random keys that count together.
const DRAWS: u32 = 4;

/// The known properties of the server's cursors.
#[derive(Clone, Copy, Debug, Default)]
struct Cursors {
    /// Whether part of a sweep is a uniform sample. This outlives connections to the same server,
    /// so that the estimates do.
    is_uniform: bool,
    /// Whether that was proved over this connection.
    is_proved: bool,
    /// Whether the server accepts cursors that it did not return.
    accepts_ours: bool,
}

/// The findings of a sweep so far.
#[derive(Debug)]
pub struct Census {
    matcher: Matcher,
    /// Declared policies of the namespaces.
    policies: BTreeMap<NamespaceId, NamespacePolicy>,
    max_groups: usize,
    visible: Visible,
    windows: Windows,
    /// Random keys of database 0 of a cluster node. Each draw counts as a partially visited
    /// segment, because it is an equally good sample.
    draws: Window,
    /// Number of draws so far.
    drawn: u32,
    /// The database being swept, and its number of segments.
    swept: u32,
    segments: u32,
    /// Time when the current pass over all databases began.
    pass_started: f64,
    /// The databases to sweep, or `None` for all.
    wanted: Option<Vec<u32>>,
    /// Last reported number of keys, by database.
    keys: BTreeMap<u32, u64>,
    /// Last reported number of keys with a TTL, by database.
    expires: BTreeMap<u32, u64>,
    /// Last reported memory.
    memory: Memory,
    /// The identity of the server's data, and the time when it was read.
    identity: Option<(DataIdentity, f64)>,
    /// How many times the data being swept were replaced.
    generation: u64,
    /// The last reading of the server's counters of changes.
    changes: Changes,
    costs: Costs,
    cpu: CpuAccount,
    spent: Option<Spent>,
    /// Commands sent since the costs were last corrected.
    sent: QueriesSent,
    cursors: Cursors,
    doubts: u32,
    /// Number of cursors refused in a row.
    cursor_refusals: u32,
    progress: Progress,
    /// Whether the sweep runs on the target itself and not on another server, such as its replica.
    sweeps_the_target: bool,
    /// The single keys and streams that `keys` configures.
    ledger: Ledger,
    /// Keys that are followed; `None` if the configuration disables it.
    panel: Option<Panel>,
    /// The keys that the server has evicted and expired since the census began.
    rates: RemovalRates,
    /// Whether keys count under their namespace even if it is not visible, for a one-time list.
    lists_all: bool,
    /// The TTLs read last.
    expiring: KnownExpiries,
    clock: WallClock,
    server_clock: WallClock,
    /// Idle times of keys; `None` if the configuration disables them.
    idle: Option<IdleTimes>,
    /// Evicted keys that may be written again.
    ghosts: Ghosts,
    /// Keys counted from key events; `None` by default, if the configuration does not enable them.
    /// Boxed, so that it then takes no memory.
    events: Option<Box<EventTotals>>,
    /// Counts from watches; `None` if the configuration disables them.
    watches: Option<WatchTotals>,
}

impl Census {
    /// Returns an empty census.
    #[must_use]
    pub fn new(namespaces: &[Namespace], sweep: &Sweep, keys: &Keys) -> Self {
        let max_groups = sweep.max_groups as usize;
        let grouping = Grouping {
            delimiter: sweep.delimiter.clone().into_bytes(),
            namespaces_max: max_groups,
        };
        let matcher = Matcher::new(namespaces, grouping);
        let streams = WatchedStream::enabled(sweep);
        let declared = matcher
            .namespaces()
            .filter(|namespace| *namespace != NamespaceId::OTHER);
        let policies = declared
            .zip(namespaces)
            .map(|(id, namespace)| (id, namespace.policy()))
            .collect();
        Self {
            matcher,
            policies,
            max_groups,
            visible: Visible::new(max_groups),
            windows: Windows::default(),
            draws: Window::new(DRAWS),
            drawn: 0,
            swept: 0,
            segments: 1,
            pass_started: 0.0,
            wanted: sweep.databases.clone(),
            keys: BTreeMap::new(),
            expires: BTreeMap::new(),
            memory: Memory::default(),
            identity: None,
            generation: 0,
            changes: Changes::default(),
            costs: Costs::default(),
            cpu: CpuAccount::default(),
            spent: None,
            sent: QueriesSent::default(),
            cursors: Cursors::default(),
            doubts: 0,
            cursor_refusals: 0,
            progress: Progress {
                min_pass_interval: sweep.min_pass_interval.as_secs_f64(),
                declared: !namespaces.is_empty() || keys.is_declared() || sweep.largest_keys > 0,
                slowdown: 1.0,
                ..Progress::default()
            },
            sweeps_the_target: true,
            ledger: Ledger::new(keys, sweep.largest_keys),
            panel: sweep.panel.then(Panel::default),
            rates: RemovalRates::default(),
            lists_all: false,
            expiring: KnownExpiries::default(),
            clock: WallClock::default(),
            server_clock: WallClock::default(),
            idle: sweep.idle.then(IdleTimes::default),
            ghosts: Ghosts::default(),
            events: (sweep.events != EventUse::Off).then(Box::default),
            watches: (!streams.is_empty()).then(|| WatchTotals::new(&streams)),
        }
    }

    /// Returns the number of key names seen since the census began.
    #[must_use]
    pub const fn keys_visited(&self) -> u64 {
        self.progress.keys_visited
    }

    /// Returns the findings about the single keys, streams and key counts that are configured.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Begins a pass over all databases.
    pub fn start_pass(&mut self, now: f64) {
        self.pass_started = now;
        // The rest before the pass made up for everything between two passes.
        self.cpu.take_unpaid();
        self.ledger.start_pass();
    }

    /// Returns the number of segments of a database whose tallies are in use.
    #[must_use]
    pub fn segments_in_use(&self, database: u32) -> Option<usize> {
        let window = self.windows.get(database)?;
        (!window.is_empty()).then(|| window.segments())
    }

    /// Begins a pass over a database with this many segments.
    pub fn start_database(&mut self, database: u32, segments: usize) {
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        self.swept = database;
        self.segments = segments;
        self.divide(database, segments);
    }

    /// Begins a visit of one segment of a database that is not the one being swept.
    pub fn start_preview(&mut self, database: u32, segment: Segment, now: f64) {
        let segments = segment.of_table();
        self.windows.window(database, segments);
        self.divide(database, segments);
        self.open(database, segment, now);
    }

    fn divide(&mut self, database: u32, segments: u32) {
        let window = self.windows.window(database, segments);
        if window.segments() != segments as usize {
            window.divide(segments);
        }
        self.ledger.start_database(database, segments);
    }

    /// Returns the segments of a database that its pass visits. Leaves out those visited since the
    /// pass over all databases began, and moves those visited in part to the end: their keys count
    /// until then.
    #[must_use]
    pub fn remaining(&self, database: u32, segments: Vec<Segment>) -> Vec<Segment> {
        let visited = |segment: &Segment| {
            let window = self.windows.get(database)?;
            window.visited(segment.number())
        };
        let is_finished = |(started, complete)| complete && started >= self.pass_started;
        let mut segments = segments;
        segments.retain(|segment| !visited(segment).is_some_and(is_finished));
        segments.sort_by_key(|segment| visited(segment).is_some_and(|(_, complete)| !complete));
        segments
    }

    /// Returns whether the current pass has visited a whole database.
    #[must_use]
    pub fn is_finished(&self, database: u32) -> bool {
        let window = self
            .windows
            .get(database)
            .filter(|window| window.is_whole());
        let first = window.and_then(Window::first_visit);
        first.is_some_and(|first| first >= self.pass_started)
    }

    /// Begins a segment.
    pub fn open(&mut self, database: u32, segment: Segment, now: f64) {
        self.window(database).open(segment.number(), now);
        self.ledger.open(database, segment.number(), now);
    }

    /// Ends the open segment of a database.
    pub fn close(&mut self, database: u32, now: f64) {
        self.window(database).close(now);
        self.ledger.close(database, now);
    }

    /// Ends the open segment of a database before its end.
    pub fn close_part(&mut self, database: u32, now: f64) {
        self.window(database).close_part(now);
        self.ledger.close_part(database, now);
    }

    /// Returns the window of the database being swept. If it was forgotten during a pass, for
    /// example after FLUSHALL, it starts again with the segments of the pass.
    fn window(&mut self, database: u32) -> &mut Window {
        self.windows.window(database, self.segments)
    }

    /// Returns whether the findings about a database are still current: it was not empty and has
    /// not grown or shrunk much since. If not, the sweep need not rest.
    #[must_use]
    pub fn still_fits(&self, database: u32, keys: u64) -> bool {
        self.windows.get(database).is_some_and(|window| {
            let moved = to_float(keys.abs_diff(window.seen()));
            window.age(0.0).is_some() && moved <= to_float(keys) * MOVED_AT_MOST
        })
    }

    /// Records a key with its details. Returns its namespace, with the policy for its TTL.
    pub fn see(
        &mut self,
        database: u32,
        key: &[u8],
        found: &KeyDetails,
    ) -> (NamespaceId, TtlPolicy) {
        let folded_before = self.matcher.folded_keys();
        let namespace = self.matcher.classify(database, key);
        let is_folded = self.matcher.folded_keys() > folded_before;
        let policy = self.policy(namespace).ttl;
        self.record_lookups(u64::from(found.hits), u64::from(found.misses));
        self.learn_expiry(database, namespace, found);
        self.progress.keys_vanished += u64::from(found.is_gone);
        self.ledger.see(database, key, found.details);
        let window = self.window(database);
        window.keep(namespace, found.details, policy);
        let Some(tally) = window.tally(namespace) else {
            return (namespace, policy);
        };
        if found.is_gone {
            tally.see_vanished();
        } else {
            tally.see(found.details, policy);
        }
        if is_folded {
            tally.fold();
        }
        (namespace, policy)
    }

    /// Records the lookups of a key between two passes. Only passes count the key itself.
    pub fn learn(&mut self, database: u32, key: &[u8], found: &KeyDetails) {
        let namespace = self.matcher.classify(database, key);
        let policy = self.policy(namespace).ttl;
        self.record_lookups(u64::from(found.hits), u64::from(found.misses));
        self.learn_expiry(database, namespace, found);
        self.window(database).keep(namespace, found.details, policy);
    }

    /// Returns whether the namespace of a key has a TTL policy.
    pub fn has_ttl_policy(&mut self, database: u32, key: &[u8]) -> bool {
        if self.policies.is_empty() {
            return false;
        }
        let namespace = self.matcher.classify(database, key);
        let policy = self.policies.get(&namespace);
        policy.is_some_and(|policy| policy.ttl.required || policy.ttl.max.is_some())
    }

    /// Returns whether a pass over a database is complete.
    #[must_use]
    pub fn is_whole(&self, database: u32) -> bool {
        self.windows.get(database).is_some_and(Window::is_whole)
    }

    /// Returns the number of complete passes.
    #[must_use]
    pub const fn passes(&self) -> u64 {
        self.progress.passes
    }

    /// Records the end of a pass over all databases.
    pub fn end_pass(&mut self, duration: Duration, now: f64) {
        self.progress.passes += 1;
        self.ledger.end_pass(duration);
        self.progress.pass_duration = Some(duration.as_secs_f64());
        self.progress.pass_timestamp = Some(now);
        let weights = self.weights();
        self.choose_visible(&weights, now, Visible::end_pass);
        let visible = &self.visible;
        // A visible namespace keeps its name even while it is empty.
        let weight = |namespace| {
            let keys = weights.get(&namespace).copied().unwrap_or(0.0);
            if visible.has(namespace) {
                f64::MAX
            } else {
                keys
            }
        };
        self.matcher.forget_small(&weight);
    }
}

#[cfg(test)]
mod tests;
