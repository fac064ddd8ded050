//! The keys of the census that are followed until they vanish or are checked. Pure.

use crate::keyspace::NamespaceId;
use crate::keyspace::estimate::NamespaceEstimate;
use crate::keyspace::events::Coverage;
use crate::keyspace::expiring::{ExpiryForecast, KnownExpiry, families as expiring};
use crate::keyspace::panel::{Drawn, Lifetime, NamespacePlace, Panel, Region, Run, families};
use crate::keyspace::sweep::key_reader::KeyDetails;
use crate::keyspace::sweep::vitals::Vitals;
use crate::keyspace::wall_clock::TimeReading;
use crate::metric::Snapshot;
use crate::number::to_float as float;
use crate::reply::ReplyBytes;

use super::Census;

/// The keys of a region, each with the details that were queried.
#[derive(Debug)]
pub struct DrawnKeys {
    /// Time before the SCAN that found them, in seconds.
    pub at: f64,
    /// The part of the table with these keys.
    pub region: Region,
    /// The keys with their details.
    pub keys: Vec<(ReplyBytes, KeyDetails)>,
}

impl Census {
    /// Returns the panel if keys can be followed: a part of the table can be scanned again, and the
    /// server reports when all keys were replaced.
    pub fn panel(&mut self) -> Option<&mut Panel> {
        let is_possible = self.sweeps_in_random_order();
        let panel = self.panel.as_mut().filter(|_| is_possible);
        panel.filter(|panel| panel.counts_calls())
    }

    /// Adds keys to the panel. `keys` is the number of all living keys.
    pub fn follow(&mut self, now: f64, keys: f64, runs: &[DrawnKeys]) {
        let runs: Vec<Drawn<'_>> = runs.iter().map(|run| self.drawn(now, run)).collect();
        if let Some(panel) = &mut self.panel {
            panel.draw(now, keys, &runs);
        }
    }

    fn drawn<'k>(&mut self, now: f64, run: &'k DrawnKeys) -> Drawn<'k> {
        let database = run.region.database;
        self.record_ttls(database);
        let none_expires = self.has_no_ttls(database);
        let keys = run.keys.iter().map(|(name, found)| {
            let namespace = self.matcher.classify(database, name);
            let namespace = self.shown_as(namespace);
            let lifetime = if none_expires {
                if let Some(panel) = &mut self.panel {
                    panel.learn_unlimited((database, namespace));
                }
                Lifetime::Unlimited
            } else {
                let expiry = found.details.expiry;
                expiry.map_or(Lifetime::Unknown, |expiry| Lifetime::of(expiry, now))
            };
            (name.as_slice(), namespace, lifetime)
        });
        Drawn {
            at: run.at,
            region: run.region,
            keys: keys.collect(),
        }
    }

    /// Passes the share of the keys of a database that have a TTL on to the panel.
    fn record_ttls(&mut self, database: u32) {
        let sizes = self.expires.get(&database).zip(self.keys.get(&database));
        if let Some(((expires, keys), panel)) = sizes.zip(self.panel.as_mut()) {
            panel.record_ttls(database, float(*expires) / float((*keys).max(1)));
        }
    }

    /// Returns whether no key of a database has a TTL, which INFO reports for free.
    fn has_no_ttls(&self, database: u32) -> bool {
        self.expires.get(&database) == Some(&0)
    }

    /// Returns the namespace under which keys of this one are counted.
    pub(super) fn shown_as(&self, namespace: NamespaceId) -> NamespaceId {
        if self.lists_all || !self.policies.is_empty() || self.visible.has(namespace) {
            namespace
        } else {
            NamespaceId::OTHER
        }
    }

    /// Forgets what depends on a wall clock if it was set: that of the exporter, or that of the server if
    /// it reports it.
    pub fn check_clocks(&mut self, own: TimeReading, server: Option<TimeReading>) {
        let is_set = self.clock.was_set(own);
        let is_server_set = server.is_some_and(|reading| self.server_clock.was_set(reading));
        if is_set || is_server_set {
            self.expiring.forget_all();
        }
        // The panel measures times with the other clock, but keys have other TTLs now, and many may
        // have expired at once. The server computes idle times from its clock.
        if is_server_set {
            self.forget_followed();
            if let Some(idle) = &mut self.idle {
                idle.restart();
            }
        }
    }

    pub(super) fn learn_expiry(
        &mut self,
        database: u32,
        namespace: NamespaceId,
        found: &KeyDetails,
    ) {
        let Some(expiry) = found.details.expiry else {
            return;
        };
        let place = (database, self.shown_as(namespace));
        if let Some(panel) = &mut self.panel {
            panel.learn(place, expiry);
        }
        let known = KnownExpiry {
            at: found.at,
            expiry,
            bytes: found.details.memory,
        };
        self.expiring.learn(place, known);
    }

    /// Returns how many TTLs of the namespace of a key the panel knows. It needs those of which it
    /// knows fewest.
    pub fn known_ttls(&mut self, database: u32, key: &[u8]) -> u32 {
        let namespace = self.matcher.classify(database, key);
        let place = (database, self.shown_as(namespace));
        let panel = self.panel.as_ref();
        panel.map_or(0, |panel| panel.known_ttls(place))
    }

    /// Returns whether the panel lacks TTLs to distinguish evicted keys from expired ones.
    pub fn lacks_ttls(&mut self) -> bool {
        self.panel().is_some_and(|panel| panel.lacks_ttls())
    }

    /// Records the names that are in the region of a run now.
    pub fn record_followed(&mut self, now: f64, run: &Run, names: &[impl AsRef<[u8]>]) {
        if let Some(panel) = &mut self.panel {
            panel.record_checked(now, run, names);
        }
    }

    /// Records what the server had counted when it was requested, after [`Census::record_vitals`].
    pub fn record_vanished(&mut self, requested: f64, now: f64, vitals: &Vitals) {
        self.rates.observe(now, vitals.vanished);
        let theirs = self.events.as_ref();
        let theirs = theirs.and_then(|events| events.run_id.as_deref());
        let ours = vitals.identity.run_id();
        let is_other = ours
            .zip(theirs)
            .is_some_and(|(ours, theirs)| ours != theirs);
        let coverage = self.coverage();
        let coverage = coverage.map(|coverage| Coverage {
            is_other,
            ..coverage
        });
        if let Some(panel) = &mut self.panel {
            panel.cover(requested, coverage);
            panel.observe(now, vitals.vanished);
        }
    }

    pub(super) fn forget_followed(&mut self) {
        if let Some(panel) = &mut self.panel {
            panel.forget();
        }
    }

    /// Returns whether the panel has keys.
    pub(super) fn follows_some(&self) -> bool {
        self.panel.as_ref().is_some_and(|panel| !panel.is_empty())
    }

    /// Returns what expires soon in a namespace of a database.
    pub(super) fn forecast(&self, place: NamespacePlace, now: f64) -> ExpiryForecast {
        if self.has_no_ttls(place.0) {
            ExpiryForecast::NOTHING
        } else {
            self.expiring.forecast(place, now)
        }
    }

    pub(super) fn push_expiring(
        &self,
        now: f64,
        database: u32,
        estimates: &[NamespaceEstimate],
        snapshot: &mut Snapshot,
    ) {
        let label = format!("db{database}");
        for estimate in estimates {
            let forecast = self.forecast((database, estimate.namespace), now);
            let name = self.matcher.name(estimate.namespace);
            expiring::push(&forecast, estimate, [&label, name], snapshot);
        }
    }

    pub(super) fn push_panel(&self, snapshot: &mut Snapshot) {
        let panel = self.panel.as_ref();
        if let Some(panel) = panel.filter(|_| self.sweeps_in_random_order()) {
            families::push(panel, |namespace| self.matcher.name(namespace), snapshot);
        }
    }
}
