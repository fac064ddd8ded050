//! The results of the census: estimates, findings, and the snapshot. Pure.

use std::collections::BTreeMap;

use crate::config::NamespacePolicy;
use crate::keyspace::NamespaceId;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::estimate::{
    Database, NamespaceEstimate, bound_by_expires, estimate, explained_share, fewest_violations,
    unexplained, widen, widen_aggregates,
};
use crate::keyspace::families::{self, DatabaseProgress, Declared, Progress};
use crate::keyspace::visible::{NamespaceSizes, Visible};
use crate::keyspace::window::Window;
use crate::metric::Snapshot;
use crate::number::to_float;

use super::Census;

impl Census {
    /// Makes the largest namespaces found so far visible.
    pub fn update_visible(&mut self, now: f64) {
        let weights = self.weights();
        self.choose_visible(&weights, now, Visible::update);
    }

    pub(super) fn choose_visible(
        &mut self,
        keys: &BTreeMap<NamespaceId, f64>,
        now: f64,
        choose: impl Fn(&mut Visible, &NamespaceSizes<'_>),
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
        let known = NamespaceSizes {
            keys: &keys,
            name: &name,
            now,
        };
        choose(&mut self.visible, &known);
        let visible = &self.visible;
        let is_shown = |namespace| namespace == NamespaceId::OTHER || visible.has(namespace);
        if self.lists_all {
            return;
        }
        if let Some(panel) = &mut self.panel {
            panel.retain(is_shown);
        }
        if let Some(events) = &mut self.events {
            events.retain(is_shown);
        }
        if let Some(watches) = &mut self.watches {
            watches.retain(is_shown);
        }
        self.expiring.retain(is_shown);
        if let Some(idle) = &mut self.idle {
            idle.retain(is_shown);
        }
    }

    /// Returns the keys seen of each namespace, over all databases.
    pub(super) fn weights(&self) -> BTreeMap<NamespaceId, f64> {
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

    pub(super) fn policy(&self, namespace: NamespaceId) -> NamespacePolicy {
        self.policies.get(&namespace).copied().unwrap_or_default()
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
        self.memory.used_bytes
    }

    /// Returns the queries that the server rejects.
    pub fn refused(&self) -> impl Iterator<Item = SweepQuery> {
        let queries = SweepQuery::ALL.into_iter().zip(self.progress.replies);
        queries
            .filter(|(_, replies)| *replies == Some(false))
            .map(|(query, _)| query)
    }

    /// Returns the estimates of each database, widened by the unexplained memory.
    pub(super) fn estimates(&self, shown: &[NamespaceId]) -> Vec<(u32, Vec<NamespaceEstimate>)> {
        let mut databases = self.estimates_as_found(shown);
        let Some(used) = self.used_by_wanted() else {
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

    /// Returns the bytes that the keys of all databases take with all overhead. Returns `None` if
    /// the configuration excludes a database, because that one takes an unknown part.
    ///
    /// A database that the first pass has not reached may also take a part, but so may a giant key
    /// in the others: all of it is unexplained until then.
    fn used_by_wanted(&self) -> Option<f64> {
        let wanted = self.wanted.as_ref();
        let is_wanted = |database: &u32| wanted.is_none_or(|wanted| wanted.contains(database));
        let used = self.memory.used_bytes? - self.memory.buffer_bytes;
        self.keys.keys().all(is_wanted).then_some(used)
    }

    /// Returns the sample of a database, and whether a part of it is uniform. Uses the sweep, or
    /// the draws if the sweep is not a usable sample yet.
    fn sample<'w>(&'w self, database: u32, window: &'w Window) -> (&'w Window, bool) {
        let is_uniform = self.is_sample();
        if database == 0 && !is_uniform && !window.is_whole() && self.has_draws() {
            (&self.draws, true)
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
            self.push_expiring(now, *database, estimates, &mut snapshot);
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
            memory_share: self.memory.used_bytes.and_then(|used| {
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
        self.push_panel(&mut snapshot);
        self.push_removed(&shown, &mut snapshot);
        self.push_watched(&shown, &mut snapshot);
        self.push_idle(&estimates, &mut snapshot);
        snapshot.finish()
    }

    fn push(&self, database: u32, estimates: &[NamespaceEstimate], snapshot: &mut Snapshot) {
        let declared = |namespace| {
            let policy = self.policy(namespace);
            let name = self.matcher.name(namespace);
            Some(Declared {
                name,
                ttl: policy.ttl,
                memory_quota: policy.memory_quota,
                on_eviction: policy.on_eviction,
            })
        };
        families::push(database, estimates, declared, snapshot);
        let requires_ttl = |estimate: &NamespaceEstimate| {
            let policy = self.policies.get(&estimate.namespace);
            policy.is_some_and(|policy| policy.ttl.required)
        };
        let sizes = self.keys.get(&database).zip(self.expires.get(&database));
        let fewest = sizes.and_then(|(keys, expires)| {
            fewest_violations(estimates, *keys, *expires, requires_ttl)
        });
        if let Some(fewest) = fewest {
            families::push_fewest_violations(database, fewest, snapshot);
        }
    }
}
