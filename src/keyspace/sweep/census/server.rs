//! The facts about the server that the census records: cursors, costs, sizes, and whether the data
//! were replaced. Pure.

use crate::failure::Reason;
use crate::keyspace::cost::{Costs, QueriesSent, SweepQuery};
use crate::keyspace::history::{Replaced, Sizes};
use crate::keyspace::pace::Pace;
use crate::keyspace::sweep::inspect::Inspection;
use crate::keyspace::sweep::vitals::Vitals;
use crate::number::{length, to_float};

use super::Census;

/// Bounds for trusting a pass in random order. It must have seen at least this share of the minimum
/// number of keys during the pass, and at most this multiple of the maximum.
const SEEN_AT_LEAST: f64 = 0.9;
const SEEN_AT_MOST: f64 = 1.1;

/// Cost of one stream group or consumer in a reply, in microseconds of server time. Measured on
/// Redis 7.0.
const ITEM_MICROSECONDS: f64 = 0.4;

/// Number of implausible passes in a row after which the server's cursors are considered different
/// from Redis's. A single one can be chance: keys come and go.
const DOUBTS_MAX: u32 = 2;

/// Number of cursors refused in a row after which the server is considered to accept only its own
/// cursors. A single refusal can be a passing error.
const CURSOR_REFUSALS_MAX: u32 = 2;

impl Census {
    /// Returns the costs of the sweep's queries.
    #[must_use]
    pub const fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Sets the number of running sweeps. Each of thousands keeps fewer samples.
    pub fn set_sweeps(&mut self, sweeps: usize) {
        self.expiring.set_sweeps(sweeps);
        if let Some(idle) = &mut self.idle {
            idle.set_sweeps(sweeps);
        }
    }

    /// Records that the sweep runs on another server instead of the target. Lookups there do not
    /// count for the target.
    pub fn record_other_server(&mut self) {
        self.sweeps_the_target = false;
    }

    /// Records lookups that the server counted for queries of the sweep.
    pub fn record_lookups(&mut self, hits: u64, misses: u64) {
        if self.sweeps_the_target {
            self.progress.induced_hits += hits;
            self.progress.induced_misses += misses;
        }
    }

    /// Records a new connection. The sweep uses the order of the server until the cursors are
    /// proved again.
    pub fn record_connection(&mut self) {
        self.cursors.accepts_ours = false;
        self.cursors.is_proved = false;
        self.spent = None;
        self.sent = QueriesSent::default();
        self.cpu.record_connection();
    }

    /// Records that the server has Redis's cursors and scans a single table with them, so that part
    /// of a sweep is a uniform sample. `takes_own_cursors` is whether it also accepts cursors that
    /// it did not return.
    pub const fn record_cursors(&mut self, takes_own_cursors: bool) {
        self.cursors.is_uniform = true;
        self.cursors.is_proved = true;
        self.cursors.accepts_ours = takes_own_cursors;
    }

    /// Records that the cursors are not those of Redis.
    pub const fn record_other_cursors(&mut self) {
        self.cursors.is_uniform = false;
    }

    /// Returns whether Redis's cursors were proved over this connection.
    #[must_use]
    pub const fn knows_cursors(&self) -> bool {
        self.cursors.is_proved
    }

    /// Records that the server refused a cursor that it did not return. Returns whether the sweep
    /// uses the server's order from now on, because it refused several in a row.
    pub fn record_refused_cursor(&mut self) -> bool {
        self.cursor_refusals = self.cursor_refusals.saturating_add(1);
        if self.cursor_refusals >= CURSOR_REFUSALS_MAX {
            self.cursors.accepts_ours = false;
        }
        !self.cursors.accepts_ours
    }

    /// Records that the server accepted a cursor that it did not return.
    pub const fn record_accepted_cursor(&mut self) {
        self.cursor_refusals = 0;
    }

    /// Returns whether a part of a sweep is a uniform sample. It is not after passes that missed
    /// keys.
    #[must_use]
    pub const fn is_sample(&self) -> bool {
        self.cursors.is_uniform && self.doubts < DOUBTS_MAX
    }

    /// Returns whether segments are swept in random order: the server accepts cursors that it did not
    /// return, and the recent passes were plausible.
    #[must_use]
    pub const fn sweeps_in_random_order(&self) -> bool {
        self.cursors.accepts_ours && self.doubts < DOUBTS_MAX
    }

    /// Records a SCAN that returned this many keys.
    pub fn record_scan(&mut self, keys: usize) {
        self.sent.add_scan(length(keys));
    }

    /// Records that a query about a key was sent.
    pub fn record_sent(&mut self, query: SweepQuery) {
        self.sent.add(query, 1.0);
    }

    /// Records how fast the sweep runs, and what limits it.
    pub fn record_pace(&mut self, pace: &Pace) {
        self.progress.slowdown = pace.slowdown();
        self.progress.limit = pace.limit();
        self.progress.commands_per_second = pace.most_commands();
        self.progress.round_trip = pace.least_round_trip().map(|trip| trip.as_secs_f64());
    }

    /// Records a batch of keys with their details, and its expected cost.
    pub fn record_batch(&mut self, keys: usize, microseconds: f64) {
        self.progress.keys_visited += keys as u64;
        self.progress.server_seconds += self.cpu.charge(microseconds) / 1e6;
    }

    /// Returns the server's CPU time since the last call, in microseconds.
    pub const fn take_unpaid(&mut self) -> f64 {
        self.cpu.take_unpaid()
    }

    /// Records the CPU time that the server has used, in seconds, and how many commands other
    /// clients sent since the last check.
    pub fn record_cpu(&mut self, seconds: Option<f64>, others: Option<f64>) {
        self.cpu.check(seconds, others);
    }

    /// Records the vitals of the server: sizes of databases, counters of changes, and time spent.
    /// Forgets the namespaces of databases whose data may have been replaced since, and returns
    /// how.
    pub fn record_vitals(&mut self, vitals: &Vitals, now: f64) -> Option<Replaced> {
        let replaced = self.replaced(vitals, now);
        let mut identity = vitals.identity.clone();
        if let Some((before, _)) = &self.identity {
            identity.keep_flushes(before);
        }
        self.identity = Some((identity, now));
        if replaced == Some(Replaced::Restarted) {
            self.cursors.is_uniform = self.cursors.is_proved;
        }
        let replaced = replaced.filter(|_| self.has_seen_keys());
        if replaced.is_some() {
            self.forget_followed();
            self.forget_idle();
        }
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
        self.memory = vitals.memory.unwrap_or(self.memory);
        let changes = self.changes.since(&vitals.changes);
        // If the changes are unknown, every key may have been replaced by another.
        let all_replaced = || 2.0 * vitals.keys.values().copied().map(to_float).sum::<f64>();
        let changes = changes.unwrap_or_else(all_replaced);
        self.changes = vitals.changes;
        self.windows.observe(now, &self.keys, changes);
        let keys = self.keys.get(&0).copied().unwrap_or(0);
        self.draws.observe(now, keys, changes);
        self.ledger.observe(now, &self.keys, changes);
        if let Some(spent) = vitals.spent.filter(|_| self.can_correct_costs()) {
            let sent = std::mem::take(&mut self.sent);
            if let Some(before) = self.spent.replace(spent) {
                self.costs.correct(&before, &spent, &sent);
            }
        }
        replaced
    }

    /// Returns how the vitals differ from the previous ones if the data were replaced in between.
    #[must_use]
    pub fn replaced(&self, vitals: &Vitals, now: f64) -> Option<Replaced> {
        let (identity, then) = self.identity.as_ref()?;
        vitals.identity.replaced_since(identity, now - then)
    }

    /// Returns whether a reading of commandstats would correct the costs. A slow sweep sends few
    /// commands between two readings, so they add up first.
    #[must_use]
    pub fn can_correct_costs(&self) -> bool {
        self.spent.is_none() || self.sent.is_enough()
    }

    fn has_seen_keys(&self) -> bool {
        self.follows_some()
            || self.has_idle_times()
            || self.has_draws()
            || self.windows.iter().any(|(_, window)| !window.is_empty())
    }

    /// Forgets the findings about keys that no longer exist.
    pub(super) fn forget(&mut self, is_forgotten: &dyn Fn(u32) -> bool) {
        self.windows.forget(is_forgotten);
        if is_forgotten(0) {
            self.draws.forget();
        }
        self.ledger.forget(is_forgotten);
        self.expiring.forget(is_forgotten);
        self.generation += u64::from(is_forgotten(self.swept));
    }

    /// Returns how many times the data being swept were replaced. A pass that began with another
    /// number concerns other keys.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Records the inspected single keys and streams.
    pub fn record_inspection(&mut self, inspection: Inspection) {
        let Inspection {
            keys,
            streams,
            others,
            denied,
            lookups,
            sizes,
            items,
        } = inspection;
        self.record_lookups(lookups.hits, lookups.misses);
        let lookup = self.costs.of(SweepQuery::Type);
        let microseconds = to_float(lookups.hits + lookups.misses) * lookup
            + to_float(sizes) * self.costs.of(SweepQuery::Memory)
            + to_float(items) * ITEM_MICROSECONDS;
        self.record_batch(0, microseconds);
        self.ledger.record_inspected(keys, denied.len());
        self.ledger.record_streams(streams, &others);
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

    /// Records that the sweep is running, and whether the server replies to each query. A query
    /// that was not sent over this connection keeps its previous state.
    pub fn record_success(&mut self, replies: impl Fn(SweepQuery) -> Option<bool>) {
        self.progress.success = true;
        for (query, known) in SweepQuery::ALL.into_iter().zip(&mut self.progress.replies) {
            *known = replies(query).or(*known);
        }
    }

    /// Records that the sweep failed.
    pub fn record_break(&mut self, reason: Reason) {
        self.progress.success = false;
        self.ledger.record_break();
        let known = SweepQuery::ALL.into_iter().zip(&mut self.progress.replies);
        for (_, replies) in known.filter(|(query, _)| *query == SweepQuery::Scan) {
            if reason == Reason::Denied {
                *replies = Some(false);
            }
        }
    }
}
