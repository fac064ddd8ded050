//! The sampled idle times of the census. Pure.

use std::collections::BTreeMap;

use crate::keyspace::estimate::NamespaceEstimate;
use crate::keyspace::ghosts::Ghosts;
use crate::keyspace::idle::families::{self, Followed};
use crate::keyspace::idle::{IdleSample, IdleTimes};
use crate::keyspace::panel::NamespacePlace;
use crate::keyspace::sweep::vitals::Vitals;
use crate::metric::Snapshot;
use crate::number::to_float as float;

use super::Census;

/// Share of the keys with a TTL up to which expiries of evicted keys are ignored.
const TTLS_IGNORED: f64 = 0.05;

impl Census {
    /// Returns the idle times if they can be queried: the configuration enables them, and the sweep
    /// scans the server whose clients use the keys.
    pub fn idle(&mut self) -> Option<&mut IdleTimes> {
        let idle = self.idle.as_mut().filter(|_| self.sweeps_the_target);
        idle.filter(|idle| idle.can_be_queried())
    }

    /// Returns the place under which a key is counted.
    pub fn place(&mut self, database: u32, key: &[u8]) -> NamespacePlace {
        let namespace = self.matcher.classify(database, key);
        (database, self.shown_as(namespace))
    }

    /// Records the idle times of keys, and the lookups that they took.
    pub fn record_idle(&mut self, now: f64, samples: &[IdleSample], hits: u64, misses: u64) {
        self.record_lookups(hits, misses);
        if let Some(idle) = &mut self.idle {
            for sample in samples {
                idle.record(now, *sample);
            }
        }
    }

    /// Records what the server has counted, after [`Census::record_vitals`].
    pub fn record_idle_reading(&mut self, now: f64, vitals: &Vitals) {
        if let Some(idle) = &mut self.idle {
            idle.observe(now, vitals.idle);
        }
    }

    /// Returns the ghosts, if evicted keys can be followed: a part of the table can be scanned again,
    /// and the sweep scans the server whose clients use the keys. `scans` is the number of SCANs per
    /// second that may be sent.
    pub fn ghosts(&mut self, now: f64, scans: f64) -> Option<&mut Ghosts> {
        let is_possible = self.panel.is_some()
            && self.sweeps_the_target
            && self.sweeps_in_random_order()
            && self.sweeps_everything();
        let idle = self.idle.as_ref().filter(|_| is_possible);
        let residence = idle.and_then(IdleTimes::residence);
        self.ghosts.plan(now, residence, scans);
        residence.map(|_| &mut self.ghosts)
    }

    /// Returns whether keys have TTLs, so that evicted ones may have expired since.
    #[must_use]
    pub fn needs_ttls_of_ghosts(&self) -> bool {
        let sum = |keys: &BTreeMap<u32, u64>| float(keys.values().sum::<u64>());
        sum(&self.expires) > TTLS_IGNORED * sum(&self.keys)
    }

    pub(super) fn forget_idle(&mut self) {
        self.ghosts.forget();
        if let Some(idle) = &mut self.idle {
            idle.forget();
        }
    }

    pub(super) fn has_idle_times(&self) -> bool {
        self.idle.as_ref().is_some_and(|idle| !idle.is_empty())
    }

    pub(super) fn push_idle(
        &self,
        estimates: &[(u32, Vec<NamespaceEstimate>)],
        snapshot: &mut Snapshot,
    ) {
        if let Some(idle) = &self.idle {
            let name = |namespace| self.matcher.name(namespace);
            let followed = Followed {
                ghosts: &self.ghosts,
                needs_ttls: self.needs_ttls_of_ghosts(),
            };
            let followed = self.sweeps_everything().then_some(followed);
            families::push(idle, estimates, name, followed, snapshot);
        }
    }

    /// Returns whether the configuration excludes no database with keys.
    pub(super) fn sweeps_everything(&self) -> bool {
        let wanted = self.wanted.as_ref();
        let is_wanted = |database: &u32| wanted.is_none_or(|wanted| wanted.contains(database));
        self.keys.keys().all(is_wanted)
    }
}
