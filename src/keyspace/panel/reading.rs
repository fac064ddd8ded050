//! Reads the server's counters of keys that vanished. Pure.

mod calls;

use crate::info::Info;
use crate::keyspace::history::{Writes, grown};
pub(super) use calls::Calls;

/// A reading of the counters. One is `None` if it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RemovalReading {
    evicted: Option<f64>,
    expired: Option<f64>,
    calls: Option<Calls>,
    changes: Writes,
}

/// What happened between two readings. A number is `None` if it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Removals {
    /// Evicted keys.
    pub(super) evicted: Option<f64>,
    /// Expired keys.
    pub(super) expired: Option<f64>,
    /// Calls of commands.
    pub(super) calls: Option<Calls>,
    /// Changes of the data by commands. Neither evictions nor expiries are among them.
    pub(super) changes: Option<f64>,
}

impl RemovalReading {
    /// Reads the sections `stats`, `persistence`, `replication` and `commandstats`. A replica does not
    /// count the keys that its primary evicts or expires.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let is_primary = info.get("role") == Some("master");
        let number = |name| info.number(name).filter(|_| is_primary);
        Self {
            evicted: number("evicted_keys"),
            expired: number("expired_keys"),
            calls: info.has_section("Commandstats").then(|| Calls::read(info)),
            changes: Writes::read(info),
        }
    }

    /// Returns whether the reading has the calls of commands.
    pub(super) const fn counts_calls(&self) -> bool {
        self.calls.is_some()
    }

    /// Returns the reading with the calls of an earlier one if it has none itself. After a reset, no
    /// calls are known yet: those of before would look like new ones.
    pub(super) fn with_calls_of(self, earlier: Option<Self>) -> Self {
        let calls = |earlier: Self| {
            let is_reset = earlier.is_reset_by(self);
            let calls = earlier.calls;
            calls.map(|calls| if is_reset { Calls::default() } else { calls })
        };
        Self {
            calls: self.calls.or_else(|| earlier.and_then(calls)),
            ..self
        }
    }

    /// Returns the evicted and expired keys since the counters were reset.
    pub(super) const fn counters(&self) -> [Option<f64>; 2] {
        [self.evicted, self.expired]
    }

    /// Returns whether the server counts the keys that it evicts.
    pub(super) const fn counts_evicted(&self) -> bool {
        self.evicted.is_some()
    }

    /// Returns whether the server counts the keys that expire.
    pub(super) const fn counts_expired(&self) -> bool {
        self.expired.is_some()
    }

    /// Returns whether the counters were reset before a later reading. CONFIG RESETSTAT resets all of
    /// them.
    pub(super) fn is_reset_by(self, later: Self) -> bool {
        let is_less = |before: Option<f64>, after: Option<f64>| {
            let both = before.zip(after);
            both.is_some_and(|(before, after)| after < before)
        };
        is_less(self.evicted, later.evicted) || is_less(self.expired, later.expired)
    }

    /// Returns what happened until a later reading. Counters that were reset start at 0.
    pub(super) fn until(self, later: Self) -> Removals {
        let is_reset = self.is_reset_by(later);
        let new = |before: Option<f64>, after| {
            let both = before.zip(after);
            both.map(|(before, after)| grown_or_reset(before, after, is_reset))
        };
        let calls = self.calls.zip(later.calls);
        Removals {
            evicted: new(self.evicted, later.evicted),
            expired: new(self.expired, later.expired),
            calls: calls.map(|(before, after)| before.until(after, is_reset)),
            changes: self.changes_until(later),
        }
    }

    /// Returns `None` if the data were saved or the calls were reset in between. A reset does not
    /// reset the changes, so the calls that made them are unknown.
    fn changes_until(self, later: Self) -> Option<f64> {
        let mut calls = self.calls.zip(later.calls).into_iter();
        let is_reset =
            self.is_reset_by(later) || calls.any(|(before, after)| before.are_reset_by(after));
        let changes = self.changes.until(later.changes);
        changes.filter(|_| !is_reset)
    }
}

/// Returns the increase of a counter. The whole value is new if all counters were reset.
fn grown_or_reset(before: f64, after: f64, is_reset: bool) -> f64 {
    let before = if is_reset { 0.0 } else { before };
    grown(before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(role: &str, evicted: u32, removing: u32) -> RemovalReading {
        RemovalReading::read(&Info::parse(format!(
            "# Replication\r\nrole:{role}\r\n# Stats\r\nexpired_keys:1\r\nevicted_keys:{evicted}\r\n\
             # Commandstats\r\ncmdstat_del:calls={removing},usec=1,failed_calls=1\r\n\
             cmdstat_get:calls=100,usec=1\r\n"
        )))
    }

    fn removing(removals: Removals) -> Option<f64> {
        removals.calls.map(|calls| calls.removing)
    }

    #[test]
    fn increases_are_counted() {
        let removals = reading("master", 10, 5).until(reading("master", 14, 8));
        assert_eq!(removals.evicted, Some(4.0));
        assert_eq!(removals.expired, Some(0.0));
        assert_eq!(removing(removals), Some(3.0));
    }

    #[test]
    fn reset_counter_is_new() {
        let removals = reading("master", 10, 5).until(reading("master", 3, 2));
        assert_eq!(
            (removals.evicted, removing(removals)),
            (Some(3.0), Some(1.0))
        );
    }

    #[test]
    fn calls_before_a_reset_are_not_new() {
        let before = reading("master", 10, 1_000_000);
        let without_calls = |evicted| RemovalReading {
            calls: None,
            ..reading("master", evicted, 0)
        };
        let between = without_calls(12).with_calls_of(Some(before));
        assert_eq!(removing(before.until(between)), Some(0.0));
        let after_reset = without_calls(2).with_calls_of(Some(between));
        let removals = between.until(after_reset);
        assert_eq!(
            (removals.evicted, removing(removals)),
            (Some(2.0), Some(0.0))
        );
        let removals = after_reset.until(reading("master", 3, 8));
        assert_eq!(
            (removals.evicted, removing(removals)),
            (Some(1.0), Some(7.0))
        );
    }

    #[test]
    fn evictions_of_a_replica_are_unknown() {
        let removals = reading("slave", 0, 5).until(reading("slave", 0, 5));
        assert_eq!((removals.evicted, removals.expired), (None, None));
        let promoted = reading("slave", 0, 5).until(reading("master", 7, 5));
        assert_eq!(promoted.evicted, None);
    }

    #[test]
    fn changes_are_unknown_if_the_data_were_saved() {
        let reading = |changes: u32, saved_at: u32| {
            RemovalReading::read(&Info::parse(format!(
                "rdb_changes_since_last_save:{changes}\r\nrdb_last_save_time:{saved_at}\r\n"
            )))
        };
        assert_eq!(reading(5, 1).until(reading(9, 1)).changes, Some(4.0));
        assert_eq!(reading(5, 1).until(reading(9, 2)).changes, None);
        assert_eq!(reading(5, 1).until(reading(2, 1)).changes, None);
    }

    #[test]
    fn changes_are_unknown_if_the_calls_were_reset() {
        let reading = |evicted: u32, calls: u32, changes: u32| {
            RemovalReading::read(&Info::parse(format!(
                "role:master\r\nevicted_keys:{evicted}\r\nexpired_keys:0\r\n\
                 rdb_changes_since_last_save:{changes}\r\n\
                 # Commandstats\r\ncmdstat_set:calls={calls},usec=1\r\n"
            )))
        };
        assert_eq!(reading(5, 5, 5).until(reading(6, 9, 9)).changes, Some(4.0));
        assert_eq!(reading(5, 5, 5).until(reading(1, 9, 9)).changes, None);
        assert_eq!(reading(0, 5, 5).until(reading(0, 1, 9)).changes, None);
    }

    #[test]
    fn hidden_sections_are_unknown() {
        let hidden = RemovalReading::read(&Info::parse("# Replication\r\nrole:master\r\n"));
        assert_eq!(hidden, RemovalReading::default());
        assert!(!hidden.counts_calls());
    }
}
