//! Collects what a sweep has found so far, and turns it with the sweep's own state into a snapshot.
//! Pure.
//!
//! It outlives connections: keys seen before a failure still count after it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::inspect::Inspection;
use super::key_reader::Found;
use super::vitals::Vitals;
use crate::config::{Keys, Namespace, Sweep, TtlPolicy};
use crate::failure::Reason;
use crate::keyspace::NamespaceId;
use crate::keyspace::cost::{Costs, QueriesSent, Spent, SweepQuery};
use crate::keyspace::estimate::{
    Database, NamespaceEstimate, bound_by_expires, estimate, explained_share, fewest_violations,
    unexplained, widen, widen_aggregates,
};
use crate::keyspace::families::{self, DatabaseProgress, Declared, Progress};
use crate::keyspace::history::{Changes, Identity, Replaced, Sizes};
use crate::keyspace::keys::Ledger;
use crate::keyspace::matcher::{Grouping, Matcher, largest};
use crate::keyspace::pace::Pace;
use crate::keyspace::segment::Segment;
use crate::keyspace::visible::{Known, Visible};
use crate::keyspace::window::{Window, Windows};
use crate::metric::Snapshot;
use crate::number::to_float;

/// Bounds for trusting a pass in random order. It must have seen at least this share of the minimum
/// number of keys during the pass, and at most this multiple of the maximum.
const SEEN_AT_LEAST: f64 = 0.9;
const SEEN_AT_MOST: f64 = 1.1;

/// Cost of one stream group or consumer in a reply, in microseconds of server time. Measured on
/// Redis 7.0.
const ITEM_MICROSECONDS: f64 = 0.4;

/// A database is swept again at once if its keys differ from those seen by more than this share.
const MOVED_AT_MOST: f64 = 0.2;

/// Number of implausible passes in a row after which the server's cursors are considered different
/// from Redis's. A single one can be chance: keys come and go.
const DOUBTS_MAX: u32 = 2;

/// Number of cursors refused in a row after which the server is considered to accept only its own
/// cursors. A single refusal can be a passing error.
const CURSOR_REFUSALS_MAX: u32 = 2;

/// Number of recent glimpses of random keys that count together.
const GLIMPSES: u32 = 4;

/// The findings about one namespace in one database.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The database number.
    pub database: u32,
    /// The name of the namespace, usable as a label value.
    pub name: String,
    /// Configured policy for the TTLs of its keys.
    pub ttl: TtlPolicy,
    /// Configured memory quota, in bytes.
    pub memory_quota: Option<u64>,
    /// The estimates for its keys.
    pub estimate: NamespaceEstimate,
}

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
    /// TTL policies and memory quotas of the configured namespaces.
    policies: BTreeMap<NamespaceId, (TtlPolicy, Option<u64>)>,
    max_groups: usize,
    visible: Visible,
    windows: Windows,
    /// Random keys of database 0 of a cluster node. Each glimpse counts as a partially visited
    /// segment, because it is an equally good sample.
    glimpses: Window,
    /// Number of glimpses so far.
    glimpsed: u32,
    /// The database being swept, and its number of segments.
    swept: u32,
    segments: u32,
    /// Last reported number of keys, by database.
    keys: BTreeMap<u32, u64>,
    /// Last reported number of keys with a TTL, by database.
    expires: BTreeMap<u32, u64>,
    /// Memory of the data with all overhead, and the part of it that is certainly not data.
    used_bytes: Option<f64>,
    buffer_bytes: f64,
    /// The identity of the server's data, and the time when it was read.
    identity: Option<(Identity, f64)>,
    /// How many times the data being swept were replaced.
    generation: u64,
    /// The last reading of the server's counters of changes.
    changes: Changes,
    costs: Costs,
    spent: Option<Spent>,
    /// Commands sent since the costs were last corrected.
    asked: QueriesSent,
    cursors: Cursors,
    doubts: u32,
    /// Number of cursors refused in a row.
    cursor_refusals: u32,
    progress: Progress,
    /// Whether the sweep runs on the target itself and not on another server, such as its replica.
    sweeps_the_target: bool,
    /// The single keys and streams that `keys` configures.
    ledger: Ledger,
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
        let declared = matcher
            .namespaces()
            .filter(|namespace| *namespace != NamespaceId::OTHER);
        let policies = declared
            .zip(namespaces)
            .map(|(id, namespace)| (id, (namespace.ttl, namespace.memory_quota)))
            .collect();
        Self {
            matcher,
            policies,
            max_groups,
            visible: Visible::new(max_groups),
            windows: Windows::default(),
            glimpses: Window::new(GLIMPSES),
            glimpsed: 0,
            swept: 0,
            segments: 1,
            keys: BTreeMap::new(),
            expires: BTreeMap::new(),
            used_bytes: None,
            buffer_bytes: 0.0,
            identity: None,
            generation: 0,
            changes: Changes::default(),
            costs: Costs::default(),
            spent: None,
            asked: QueriesSent::default(),
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
        }
    }

    /// Returns the costs of the sweep's queries.
    #[must_use]
    pub const fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Returns the number of key names seen since the census began.
    #[must_use]
    pub const fn keys_visited(&self) -> u64 {
        self.progress.keys_visited
    }

    /// Records that the sweep runs on another server instead of the target. Lookups there do not
    /// count for the target.
    pub fn note_other_server(&mut self) {
        self.sweeps_the_target = false;
    }

    /// Records a new connection. The sweep uses the order of the server until the cursors are
    /// proved again.
    pub fn note_connection(&mut self) {
        self.cursors.accepts_ours = false;
        self.cursors.is_proved = false;
        self.spent = None;
        self.asked = QueriesSent::default();
    }

    /// Records that the server has Redis's cursors and scans a single table with them, so that part
    /// of a sweep is a uniform sample. `takes_own_cursors` is whether it also accepts cursors that
    /// it did not return.
    pub const fn note_cursors(&mut self, takes_own_cursors: bool) {
        self.cursors.is_uniform = true;
        self.cursors.is_proved = true;
        self.cursors.accepts_ours = takes_own_cursors;
    }

    /// Records that the cursors are not those of Redis.
    pub const fn note_other_cursors(&mut self) {
        self.cursors.is_uniform = false;
    }

    /// Returns whether Redis's cursors were proved over this connection.
    #[must_use]
    pub const fn knows_cursors(&self) -> bool {
        self.cursors.is_proved
    }

    /// Records that the server refused a cursor that it did not return. Returns whether the sweep
    /// uses the server's order from now on, because it refused several in a row.
    pub fn note_refused_cursor(&mut self) -> bool {
        self.cursor_refusals = self.cursor_refusals.saturating_add(1);
        if self.cursor_refusals >= CURSOR_REFUSALS_MAX {
            self.cursors.accepts_ours = false;
        }
        !self.cursors.accepts_ours
    }

    /// Records that the server accepted a cursor that it did not return.
    pub const fn note_accepted_cursor(&mut self) {
        self.cursor_refusals = 0;
    }

    /// Returns whether a part of a sweep is a uniform sample. It is not after passes that missed
    /// keys.
    const fn is_sample(&self) -> bool {
        self.cursors.is_uniform && self.doubts < DOUBTS_MAX
    }

    /// Returns whether segments are swept in random order: the server accepts cursors that it did not
    /// return, and the recent passes were plausible.
    #[must_use]
    pub const fn sweeps_in_random_order(&self) -> bool {
        self.cursors.accepts_ours && self.doubts < DOUBTS_MAX
    }

    /// Returns the findings about the single keys, streams and key counts that are configured.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Begins a pass over all databases.
    pub fn start_pass(&mut self) {
        self.ledger.start_pass();
    }

    /// Returns the number of segments of a database whose tallies are in use.
    #[must_use]
    pub fn segments_in_use(&self, database: u32) -> Option<usize> {
        let mut windows = self.windows.iter();
        let (_, window) = windows.find(|(known, _)| *known == database)?;
        (!window.is_empty()).then(|| window.segments())
    }

    /// Begins a pass over a database with this many segments.
    pub fn start_database(&mut self, database: u32, segments: usize) {
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        self.swept = database;
        self.segments = segments;
        let window = self.windows.window(database, segments);
        if window.segments() != segments as usize {
            window.divide(segments);
        }
        self.ledger.start_database(database, segments);
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

    /// Returns the window of the database being swept. If it was forgotten during a pass, for
    /// example after FLUSHALL, it starts again with the segments of the pass.
    fn window(&mut self, database: u32) -> &mut Window {
        self.windows.window(database, self.segments)
    }

    /// Returns whether the findings about a database are still current: it was not empty and has
    /// not grown or shrunk much since. If not, the sweep need not rest.
    #[must_use]
    pub fn still_fits(&self, database: u32, keys: u64) -> bool {
        let mut windows = self.windows.iter();
        let window = windows.find(|(known, _)| *known == database);
        window.is_some_and(|(_, window)| {
            let moved = to_float(keys.abs_diff(window.seen()));
            window.age(0.0).is_some() && moved <= to_float(keys) * MOVED_AT_MOST
        })
    }

    /// Records a key with its details.
    pub fn see(&mut self, database: u32, key: &[u8], found: &Found) {
        let folded_before = self.matcher.folded_keys();
        let namespace = self.matcher.classify(database, key);
        let is_folded = self.matcher.folded_keys() > folded_before;
        let (policy, _) = self.policies.get(&namespace).copied().unwrap_or_default();
        self.note_lookups(u64::from(found.hits), u64::from(found.misses));
        self.progress.keys_vanished += u64::from(found.is_gone);
        self.ledger.see(database, key, found.details);
        let window = self.window(database);
        window.keep(namespace, found.details, policy);
        let Some(tally) = window.tally(namespace) else {
            return;
        };
        if found.is_gone {
            tally.see_vanished();
        } else {
            tally.see(found.details, policy);
        }
        if is_folded {
            tally.fold();
        }
    }

    /// Records the lookups of a key between two passes. Only passes count the key itself.
    pub fn learn(&mut self, database: u32, key: &[u8], found: &Found) {
        let namespace = self.matcher.classify(database, key);
        let (policy, _) = self.policies.get(&namespace).copied().unwrap_or_default();
        self.note_lookups(u64::from(found.hits), u64::from(found.misses));
        self.window(database).keep(namespace, found.details, policy);
    }

    /// Returns whether the namespace of a key has a TTL policy.
    pub fn has_ttl_policy(&mut self, database: u32, key: &[u8]) -> bool {
        if self.policies.is_empty() {
            return false;
        }
        let namespace = self.matcher.classify(database, key);
        let policy = self.policies.get(&namespace);
        policy.is_some_and(|(ttl, _)| ttl.required || ttl.max.is_some())
    }

    /// Begins a glimpse of random keys.
    pub fn open_glimpse(&mut self, now: f64) {
        self.glimpses.open(self.glimpsed % GLIMPSES, now);
        self.glimpsed = self.glimpsed.wrapping_add(1);
    }

    /// Records a random key. It counts for the glimpse only, because the sweep will visit it too.
    pub fn glimpse(&mut self, key: &[u8], found: &Found) {
        let namespace = self.matcher.classify(0, key);
        let (policy, _) = self.policies.get(&namespace).copied().unwrap_or_default();
        self.note_lookups(u64::from(found.hits), u64::from(found.misses));
        let Some(tally) = self.glimpses.tally(namespace) else {
            return;
        };
        if found.is_gone {
            tally.see_vanished();
        } else {
            tally.see(found.details, policy);
        }
    }

    /// Ends a glimpse.
    pub fn close_glimpse(&mut self, now: f64) {
        self.glimpses.close_part(now);
    }

    /// Returns whether there are glimpses.
    #[must_use]
    pub fn has_glimpses(&self) -> bool {
        !self.glimpses.is_empty()
    }

    /// Returns whether a pass over a database is complete.
    #[must_use]
    pub fn is_whole(&self, database: u32) -> bool {
        let mut windows = self.windows.iter();
        windows.any(|(known, window)| known == database && window.is_whole())
    }

    fn note_lookups(&mut self, hits: u64, misses: u64) {
        if self.sweeps_the_target {
            self.progress.induced_hits += hits;
            self.progress.induced_misses += misses;
        }
    }

    /// Records a SCAN that returned this many keys.
    pub fn note_scan(&mut self, keys: usize) {
        self.asked.add_scan(to_float(keys as u64));
    }

    /// Records that a query about a key was sent.
    pub fn note_asked(&mut self, query: SweepQuery) {
        self.asked.add(query, 1.0);
    }

    /// Records how fast the sweep runs, and what limits it.
    pub fn note_pace(&mut self, pace: &Pace) {
        self.progress.slowdown = pace.slowdown();
        self.progress.limit = pace.limit();
        self.progress.commands_per_second = pace.most_commands();
        self.progress.round_trip = pace.least_round_trip().map(|trip| trip.as_secs_f64());
    }

    /// Records a batch of keys with their details, and its cost.
    pub fn note_batch(&mut self, keys: usize, microseconds: f64) {
        self.progress.keys_visited += keys as u64;
        self.progress.server_seconds += microseconds / 1e6;
    }

    /// Records the vitals of the server: sizes of databases, counters of changes, and time spent.
    /// Forgets the namespaces of databases whose data may have been replaced since, and returns
    /// how.
    pub fn note_vitals(&mut self, vitals: &Vitals, now: f64) -> Option<Replaced> {
        let before = self.identity.replace((vitals.identity.clone(), now));
        let replaced = before
            .and_then(|(identity, then)| vitals.identity.replaced_since(&identity, now - then));
        if replaced == Some(Replaced::Restarted) {
            self.cursors.is_uniform = self.cursors.is_proved;
        }
        let replaced = replaced.filter(|_| self.has_seen_keys());
        if let Some(replaced) = replaced {
            let sizes = Sizes {
                before: &self.keys.clone(),
                after: &vitals.keys,
                changes: self.changes.exactly_since(&vitals.changes),
            };
            self.forget(&|database| replaced.may_concern(database, &sizes));
        }
        self.keys.clone_from(&vitals.keys);
        self.expires.clone_from(&vitals.expires);
        self.used_bytes = vitals.used_bytes;
        self.buffer_bytes = vitals.buffer_bytes;
        let changes = self.changes.since(&vitals.changes);
        // If the changes are unknown, every key may have been replaced by another.
        let all_replaced = || 2.0 * vitals.keys.values().copied().map(to_float).sum::<f64>();
        let changes = changes.unwrap_or_else(all_replaced);
        self.changes = vitals.changes;
        self.windows.observe(now, &self.keys, changes);
        let keys = self.keys.get(&0).copied().unwrap_or(0);
        self.glimpses.observe(now, keys, changes);
        self.ledger.observe(now, &self.keys, changes);
        // A slow sweep sends few commands between two readings, so they add up first.
        if self.spent.is_none() || self.asked.is_enough() {
            let asked = std::mem::take(&mut self.asked);
            if let Some(before) = self.spent.replace(vitals.spent) {
                self.costs.correct(&before, &vitals.spent, &asked);
            }
        }
        replaced
    }

    fn has_seen_keys(&self) -> bool {
        self.has_glimpses() || self.windows.iter().any(|(_, window)| !window.is_empty())
    }

    /// Forgets the findings about keys that no longer exist.
    fn forget(&mut self, is_forgotten: &dyn Fn(u32) -> bool) {
        self.windows.forget(is_forgotten);
        if is_forgotten(0) {
            self.glimpses.forget();
        }
        self.ledger.forget(is_forgotten);
        self.generation += u64::from(is_forgotten(self.swept));
    }

    /// Returns how many times the data being swept were replaced. A pass that began with another
    /// number concerns other keys.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Records the inspected single keys and streams.
    pub fn note_inspection(&mut self, inspection: Inspection) {
        let Inspection {
            keys,
            streams,
            others,
            denied,
            lookups,
            sizes,
            items,
        } = inspection;
        self.note_lookups(lookups.hits, lookups.misses);
        let lookup = self.costs.of(SweepQuery::Type);
        let microseconds = to_float(lookups.hits + lookups.misses) * lookup
            + to_float(sizes) * self.costs.of(SweepQuery::Memory)
            + to_float(items) * ITEM_MICROSECONDS;
        self.progress.server_seconds += microseconds / 1e6;
        self.ledger.note_inspected(keys, denied.len());
        self.ledger.note_streams(streams, &others);
    }

    /// Compares the keys seen by a pass over a database with the minimum and maximum that it can
    /// have had during the pass. Returns false if segments are no longer swept in random order
    /// after it.
    pub fn check_pass(&mut self, database: u32) -> bool {
        let trusted = self.sweeps_in_random_order();
        let window = self.window(database);
        let seen = to_float(window.seen());
        let begun = window.begun().map_or(0.0, |point| point.time);
        let is_plausible = window
            .course()
            .extremes(begun)
            .is_none_or(|(fewest, most)| {
                (fewest * SEEN_AT_LEAST..=most * SEEN_AT_MOST).contains(&seen)
            });
        if window.segments() == 1 || is_plausible {
            self.doubts = 0;
        } else {
            self.doubts += 1;
        }
        trusted == self.sweeps_in_random_order()
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

    /// Makes the largest namespaces found so far visible.
    pub fn update_visible(&mut self, now: f64) {
        let weights = self.weights();
        self.choose_visible(&weights, now, Visible::update);
    }

    fn choose_visible(
        &mut self,
        keys: &BTreeMap<NamespaceId, f64>,
        now: f64,
        choose: impl Fn(&mut Visible, &Known<'_>),
    ) {
        if !self.policies.is_empty() {
            return;
        }
        let matcher = &self.matcher;
        let name = |namespace| matcher.name(namespace).to_owned();
        let keys: BTreeMap<NamespaceId, f64> = keys
            .iter()
            .filter(|(namespace, _)| matcher.name(**namespace) != matcher.name(NamespaceId::OTHER))
            .chain(keys.get_key_value(&NamespaceId::OTHER))
            .map(|(namespace, keys)| (*namespace, *keys))
            .collect();
        let known = Known {
            keys: &keys,
            name: &name,
            now,
        };
        choose(&mut self.visible, &known);
    }

    /// Returns the keys seen of each namespace, over all databases.
    fn weights(&self) -> BTreeMap<NamespaceId, f64> {
        let mut weights = BTreeMap::new();
        for (database, window) in self.windows.iter() {
            let (sample, _) = self.sample(database, window);
            for (namespace, tally) in sample.totals() {
                *weights.entry(namespace).or_default() += to_float(tally.keys);
            }
        }
        weights
    }

    /// Returns the namespaces that have series: all configured ones, or the visible ones among
    /// those found.
    fn shown(&self) -> Vec<NamespaceId> {
        if self.policies.is_empty() {
            let visible = self.visible.namespaces();
            return std::iter::once(NamespaceId::OTHER).chain(visible).collect();
        }
        self.matcher.namespaces().collect()
    }

    /// Returns the namespaces for a one-time list: all configured ones, or the largest of those
    /// found.
    fn listed(&self) -> Vec<NamespaceId> {
        let known: Vec<NamespaceId> = self.matcher.namespaces().collect();
        if !self.policies.is_empty() || known.len() <= self.max_groups + 1 {
            return known;
        }
        let weights = self.weights();
        let known: Vec<_> = known
            .into_iter()
            .map(|namespace| (namespace, weights.get(&namespace).copied().unwrap_or(0.0)))
            .collect();
        let largest = largest(&known, self.max_groups);
        std::iter::once(NamespaceId::OTHER).chain(largest).collect()
    }

    /// Returns the findings about all namespaces, by database.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let shown = self.listed();
        let databases = self.estimates(&shown).into_iter();
        let databases = databases.flat_map(|(database, estimates)| {
            let estimates = estimates.into_iter();
            estimates.map(move |estimate| (database, estimate))
        });
        databases
            .map(|(database, estimate)| {
                let (ttl, memory_quota) = self
                    .policies
                    .get(&estimate.namespace)
                    .copied()
                    .unwrap_or_default();
                Finding {
                    database,
                    name: self.matcher.name(estimate.namespace).to_owned(),
                    ttl,
                    memory_quota,
                    estimate,
                }
            })
            .collect()
    }

    /// Returns the databases of the server, each with its keys and the share of them that was seen.
    #[must_use]
    pub fn databases(&self) -> Vec<(u32, u64, f64)> {
        let seen: BTreeMap<u32, &Window> = self.windows.iter().collect();
        let keys = self.keys.iter().map(|(database, keys)| (*database, *keys));
        keys.map(|(database, keys)| {
            let window = seen.get(&database);
            let coverage = window.map_or(0.0, |window| window.coverage(keys));
            (database, keys, coverage)
        })
        .collect()
    }

    /// Returns the memory of the data of all databases with all overhead, in bytes, if the server
    /// reports it.
    #[must_use]
    pub const fn used_bytes(&self) -> Option<f64> {
        self.used_bytes
    }

    /// Returns the queries that the server rejects.
    pub fn refused(&self) -> impl Iterator<Item = SweepQuery> {
        let queries = SweepQuery::ALL.into_iter().zip(self.progress.replies);
        queries
            .filter(|(_, replies)| *replies == Some(false))
            .map(|(query, _)| query)
    }

    /// Returns the estimates of each database, widened by the unexplained memory.
    fn estimates(&self, shown: &[NamespaceId]) -> Vec<(u32, Vec<NamespaceEstimate>)> {
        let mut databases = self.estimates_as_found(shown);
        let Some(used) = self.used_by(&databases) else {
            return databases;
        };
        let all = databases.iter().flat_map(|(_, estimates)| estimates);
        let unexplained = unexplained(all, used);
        for (_, estimates) in &mut databases {
            for estimate in estimates {
                widen(estimate, unexplained);
            }
        }
        let all = databases.iter_mut().flat_map(|(_, estimates)| estimates);
        widen_aggregates(all, used);
        databases
    }

    fn estimates_as_found(&self, shown: &[NamespaceId]) -> Vec<(u32, Vec<NamespaceEstimate>)> {
        let databases = self.windows.iter();
        databases
            .map(|(database, window)| (database, self.estimates_of(database, window, shown)))
            .collect()
    }

    /// Returns the bytes that the keys of these databases take with all overhead. Returns `None` if
    /// only some databases are swept, because the others take an unknown part.
    fn used_by(&self, databases: &[(u32, Vec<NamespaceEstimate>)]) -> Option<f64> {
        let is_swept = |database: &u32| databases.iter().any(|(swept, _)| swept == database);
        let used = self.used_bytes? - self.buffer_bytes;
        self.keys.keys().all(is_swept).then_some(used)
    }

    /// Returns the sample of a database, and whether a part of it is uniform. Uses the sweep, or
    /// the glimpses if the sweep is not a usable sample yet.
    fn sample<'w>(&'w self, database: u32, window: &'w Window) -> (&'w Window, bool) {
        let is_uniform = self.is_sample();
        if database == 0 && !is_uniform && !window.is_whole() && self.has_glimpses() {
            (&self.glimpses, true)
        } else {
            (window, is_uniform)
        }
    }

    fn estimates_of(
        &self,
        database: u32,
        window: &Window,
        shown: &[NamespaceId],
    ) -> Vec<NamespaceEstimate> {
        let (sample, is_uniform) = self.sample(database, window);
        let about = Database {
            keys: self.keys.get(&database).copied().unwrap_or(0),
            sweep_is_uniform: is_uniform,
        };
        let refuses = |query| self.refused().any(|refused| refused == query);
        let found = estimate(sample, about, shown).into_iter();
        let mut found: Vec<_> = found
            .map(|estimate| estimate.without_refused(refuses))
            .collect();
        let expires = self.expires.get(&database).copied();
        bound_by_expires(&mut found, about.keys, expires);
        found
    }

    /// Returns the samples of everything found.
    #[must_use]
    pub fn snapshot(&self, now: f64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let shown = self.shown();
        let mut databases = Vec::new();
        let estimates = self.estimates(&shown);
        for (database, estimates) in &estimates {
            self.push(*database, estimates, &mut snapshot);
        }
        for (database, window) in self.windows.iter() {
            let keys = self.keys.get(&database).copied().unwrap_or(0);
            databases.push(DatabaseProgress {
                database,
                coverage: window.coverage(keys),
                age: self.sample(database, window).0.age(now),
            });
        }
        let progress = Progress {
            random_order: self.sweeps_in_random_order(),
            memory_share: self.used_bytes.and_then(|used| {
                let all = estimates.iter().flat_map(|(_, estimates)| estimates);
                explained_share(all, used)
            }),
            hidden_namespaces: self.visible.hidden() as u64,
            ..self.progress
        };
        let memory_is_refused = self.refused().any(|query| query == SweepQuery::Memory);
        self.ledger
            .push(self.is_sample(), memory_is_refused, &mut snapshot);
        families::push_progress(&progress, &databases, &mut snapshot);
        snapshot.finish()
    }

    fn push(&self, database: u32, estimates: &[NamespaceEstimate], snapshot: &mut Snapshot) {
        let declared = |namespace| {
            let (ttl, memory_quota) = self.policies.get(&namespace).copied().unwrap_or_default();
            let name = self.matcher.name(namespace);
            Some(Declared {
                name,
                ttl,
                memory_quota,
            })
        };
        families::push(database, estimates, declared, snapshot);
        let requires_ttl = |estimate: &NamespaceEstimate| {
            let policy = self.policies.get(&estimate.namespace);
            policy.is_some_and(|(ttl, _)| ttl.required)
        };
        let sizes = self.keys.get(&database).zip(self.expires.get(&database));
        let fewest = sizes.and_then(|(keys, expires)| {
            fewest_violations(estimates, *keys, *expires, requires_ttl)
        });
        if let Some(fewest) = fewest {
            families::push_fewest_violations(database, fewest, snapshot);
        }
    }

    /// Records that the sweep is running, and whether the server replies to each query. A query
    /// that was not sent over this connection keeps its previous state.
    pub fn note_success(&mut self, replies: impl Fn(SweepQuery) -> Option<bool>) {
        self.progress.success = true;
        for (query, known) in SweepQuery::ALL.into_iter().zip(&mut self.progress.replies) {
            *known = replies(query).or(*known);
        }
    }

    /// Records that the sweep failed.
    pub fn note_break(&mut self, reason: Reason) {
        self.progress.success = false;
        self.ledger.note_break();
        let known = SweepQuery::ALL.into_iter().zip(&mut self.progress.replies);
        for (_, replies) in known.filter(|(query, _)| *query == SweepQuery::Scan) {
            if reason == Reason::Denied {
                *replies = Some(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Info;

    /// Returns the vitals of a server with `keys` keys after `writes` writes.
    fn vitals(run_id: &str, keys: u64, writes: u64) -> Vitals {
        let text = format!(
            "run_id:{run_id}\r\nrdb_changes_since_last_save:{writes}\r\nrdb_last_save_time:1\r\n\
             db0:keys={keys},expires=0,avg_ttl=0\r\n"
        );
        Vitals::read(&Info::parse(&text))
    }

    #[test]
    fn sample_outlives_a_connection_to_the_same_server() {
        let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
        census.note_vitals(&vitals("a", 10, 0), 0.0);
        census.note_cursors(true);
        census.start_database(0, 2);
        census.open(0, Segment::WHOLE, 0.0);
        census.see(0, b"session:1", &Found::default());
        census.close(0, 1.0);
        let shown = |census: &Census| !census.findings().is_empty();
        assert!(shown(&census));
        census.note_connection();
        census.note_vitals(&vitals("a", 10, 0), 2.0);
        assert!(shown(&census) && !census.knows_cursors());
        census.note_other_cursors();
        assert!(!shown(&census));
    }

    #[test]
    fn transient_batch_within_a_pass_raises_no_doubts() {
        let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
        census.note_vitals(&vitals("a", 100, 0), 0.0);
        census.note_cursors(true);
        let pass = |number: u32| {
            let (start, writes) = (f64::from(10 * number), u64::from(1_000 * number));
            census.start_database(0, 2);
            census.open(0, Segment::WHOLE, start + 1.0);
            census.note_vitals(&vitals("a", 200, writes + 200), start + 5.0);
            for _ in 0..200 {
                census.see(0, b"session:1", &Found::default());
            }
            census.close(0, start + 6.0);
            census.note_vitals(&vitals("a", 100, writes + 400), start + 9.0);
            census.check_pass(0) && census.sweeps_in_random_order()
        };
        assert!((1..6).all(pass));
    }

    #[test]
    fn passes_with_duplicate_keys_end_random_order() {
        let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
        census.note_vitals(&vitals("a", 100, 0), 0.0);
        census.note_cursors(true);
        let mut pass = || {
            census.start_database(0, 2);
            census.open(0, Segment::WHOLE, 1.0);
            for _ in 0..200 {
                census.see(0, b"session:1", &Found::default());
            }
            census.close(0, 2.0);
            census.check_pass(0)
        };
        assert!(pass());
        assert!(!pass());
    }

    #[test]
    fn two_cursors_refused_in_a_row_end_random_order() {
        let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
        census.note_cursors(true);
        assert!(!census.note_refused_cursor() && census.sweeps_in_random_order());
        census.note_accepted_cursor();
        assert!(!census.note_refused_cursor() && census.sweeps_in_random_order());
        assert!(census.note_refused_cursor() && !census.sweeps_in_random_order());
    }
}
