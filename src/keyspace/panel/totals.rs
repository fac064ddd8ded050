//! Keeps what was counted for a namespace since the exporter started. Pure.

use super::split::Shares;
use crate::keyspace::tally::TTL_EDGES;
use crate::metric::Histogram;
use crate::number::to_float as float;

/// The counts of one namespace in one database. They only increase.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    vanished: Shares,
    evicted: f64,
    expired: f64,
    /// Whether it is unknown how many of the vanished keys were evicted, or expired.
    lacks_evicted: bool,
    lacks_expired: bool,
    /// Lost TTLs at or below each edge, in milliseconds.
    lost: [u64; TTL_EDGES.len()],
    lost_count: u64,
    lost_sum: f64,
}

impl Totals {
    /// Adds an estimated number of vanished keys, with the share of each kind.
    pub(super) fn record_vanished(&mut self, keys: f64, shares: Shares) {
        self.vanished.before_ttl += keys * shares.before_ttl;
        self.vanished.after_ttl += keys * shares.after_ttl;
        self.vanished.no_ttl += keys * shares.no_ttl;
        self.vanished.unknown += keys * shares.unknown;
    }

    /// Adds a TTL that a sampled key still had when it vanished, in seconds.
    pub(super) fn record_lost_ttl(&mut self, seconds: f64) {
        let milliseconds = seconds.max(0.0) * 1e3;
        for (edge, count) in TTL_EDGES.iter().zip(&mut self.lost) {
            *count += u64::from(milliseconds <= float(edge.at));
        }
        self.lost_count += 1;
        self.lost_sum += milliseconds;
    }

    /// Adds keys that were attributed to the namespace; `None` if their number is unknown.
    pub(super) fn record_attributed(&mut self, evicted: Option<f64>, expired: Option<f64>) {
        self.lacks_evicted = evicted.is_none();
        self.lacks_expired = expired.is_none();
        self.evicted += evicted.unwrap_or(0.0);
        self.expired += expired.unwrap_or(0.0);
    }

    /// Returns the vanished keys by kind: before their TTL had ended, after it, without a TTL, and
    /// with an unknown one.
    pub(super) const fn vanished(&self) -> [f64; 4] {
        let Shares {
            before_ttl,
            after_ttl,
            no_ttl,
            unknown,
        } = self.vanished;
        [before_ttl, after_ttl, no_ttl, unknown]
    }

    /// Returns the evicted and expired keys.
    pub(super) const fn attributed(&self) -> [f64; 2] {
        [self.evicted, self.expired]
    }

    /// Returns whether each of them is known now.
    pub(super) const fn are_known(&self) -> [bool; 2] {
        [!self.lacks_evicted, !self.lacks_expired]
    }

    /// Returns the lost TTLs.
    pub(super) fn lost_ttl(&self) -> Histogram {
        Histogram {
            edges: &TTL_EDGES,
            counts: self.lost.iter().copied().collect(),
            count: self.lost_count,
            sum: self.lost_sum,
            only_full: false,
        }
    }
}
