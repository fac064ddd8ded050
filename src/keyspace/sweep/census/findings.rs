//! The findings of a single pass, for a one-time list. Pure.

use std::collections::BTreeMap;

use super::Census;
use crate::config::{OnEviction, TtlPolicy};
use crate::keyspace::NamespaceId;
use crate::keyspace::estimate::NamespaceEstimate;
use crate::keyspace::expiring::ExpiryForecast;
use crate::keyspace::idle::{IdleMemory, IdleShare, IdleTimes, LruHorizon};
use crate::keyspace::matcher::largest;
use crate::keyspace::panel::{NamespacePlace, RemovalRates};

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
    /// Configured effect of the eviction of its keys.
    pub on_eviction: Option<OnEviction>,
    /// The estimates for its keys.
    pub estimate: NamespaceEstimate,
    /// Idle shares of its memory, by time; empty if they are unknown.
    pub idle: Vec<IdleShare>,
    /// Its keys that expire soon.
    pub expiring: ExpiryForecast,
}

impl Census {
    /// Counts all keys under their namespace, even if it is too small to be exported. Call it before
    /// a single pass.
    pub const fn list_all(&mut self) {
        self.lists_all = true;
    }

    /// Returns the namespaces for a one-time list: all configured ones, or the largest of those
    /// found. The second value is whether others are left out, whose keys count under `other`.
    fn listed(&self) -> (Vec<NamespaceId>, bool) {
        let known: Vec<NamespaceId> = self.matcher.namespaces().collect();
        if !self.policies.is_empty() || known.len() <= self.max_groups + 1 {
            return (known, false);
        }
        let weights = self.weights();
        let known: Vec<_> = known
            .into_iter()
            .map(|namespace| (namespace, weights.get(&namespace).copied().unwrap_or(0.0)))
            .collect();
        let largest = largest(&known, self.max_groups);
        let listed = std::iter::once(NamespaceId::OTHER).chain(largest).collect();
        (listed, true)
    }

    /// Returns the name of a namespace.
    #[must_use]
    pub fn name_of(&self, namespace: NamespaceId) -> &str {
        self.matcher.name(namespace)
    }

    /// Returns the findings about all namespaces, by database.
    #[must_use]
    pub fn findings(&self, now: f64) -> Vec<Finding> {
        let (listed, leaves_out) = self.listed();
        let idle = self.idle.as_ref();
        let idle = idle.map_or_else(BTreeMap::new, IdleTimes::places);
        let mut findings = Vec::new();
        for (database, estimates) in self.estimates(&listed) {
            for estimate in estimates {
                let place = (database, estimate.namespace);
                // The samples of `other` do not include the keys of those left out.
                let is_partial = leaves_out && estimate.namespace == NamespaceId::OTHER;
                let idle = idle.get(&place).filter(|_| !is_partial);
                let expiring = if is_partial {
                    ExpiryForecast::default()
                } else {
                    self.forecast(place, now)
                };
                findings.push(self.finding(database, estimate, idle, expiring));
            }
        }
        findings
    }

    fn finding(
        &self,
        database: u32,
        estimate: NamespaceEstimate,
        idle: Option<&IdleMemory>,
        expiring: ExpiryForecast,
    ) -> Finding {
        let policy = self.policy(estimate.namespace);
        let keys = estimate.keys.value;
        Finding {
            database,
            name: self.matcher.name(estimate.namespace).to_owned(),
            ttl: policy.ttl,
            memory_quota: policy.memory_quota,
            on_eviction: policy.on_eviction,
            estimate,
            idle: idle.map_or_else(Vec::new, |idle| idle.known_shares(keys)),
            expiring,
        }
    }

    /// Returns the LRU horizon, if it is known.
    #[must_use]
    pub fn lru_horizon(&self) -> Option<LruHorizon> {
        let estimates = self.estimates(&self.listed().0).into_iter();
        let keys: BTreeMap<NamespacePlace, f64> = estimates
            .flat_map(|(database, estimates)| {
                let keys = move |estimate: NamespaceEstimate| {
                    ((database, estimate.namespace), estimate.keys.value)
                };
                estimates.into_iter().map(keys)
            })
            .collect();
        let idle = self.idle.as_ref().filter(|_| self.sweeps_everything());
        idle.and_then(|idle| idle.horizon(&keys))
    }

    /// Returns the longest idle time that is known, in seconds; `None` without samples.
    #[must_use]
    pub fn longest_known_idle(&self) -> Option<f64> {
        let idle = self.idle.as_ref().filter(|idle| !idle.is_empty());
        idle.map(IdleTimes::longest)
    }

    /// Returns how many keys the server evicts and expires.
    #[must_use]
    pub const fn removal_rates(&self) -> &RemovalRates {
        &self.rates
    }
}
