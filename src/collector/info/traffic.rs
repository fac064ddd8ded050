//! Traffic of other clients: INFO's counters of commands and lookups, minus what the exporter
//! caused.
//!
//! The counters start at 0 with the exporter, because the traffic of its earlier runs is unknown. Any
//! other start would break `increase()`: a jump up looks like traffic, and after a jump down
//! Prometheus counts the whole new value. INFO's own numbers have separate families.

use crate::collector::Replies;
use crate::footprint::Caused;
use crate::info::Info;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::to_float;

/// Tolerance between the uptime of a server and the time between two polls.
const UPTIME_TOLERANCE_SECONDS: f64 = 2.0;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static COMMANDS: Family<0> = Family::counter("redis_info_commands_processed_total", &[], source("INFO", "total_commands_processed"), Unit::One, "Commands processed since the server started, including those of the exporter.");
    pub(super) static HITS: Family<0> = Family::counter("redis_info_keyspace_hits_total", &[], source("INFO", "keyspace_hits"), Unit::One, "Key lookups that found a key since the server started, including those of the exporter.");
    pub(super) static MISSES: Family<0> = Family::counter("redis_info_keyspace_misses_total", &[], source("INFO", "keyspace_misses"), Unit::One, "Key lookups that found no key since the server started, including those of the exporter.");
}

/// The corrected fields, each with the family of the uncorrected value.
static CORRECTED: [(&str, &Family<0>); 3] = [
    ("total_commands_processed", &rows::COMMANDS),
    ("keyspace_hits", &rows::HITS),
    ("keyspace_misses", &rows::MISSES),
];

/// A counter that is reset together with the statistics.
const RESET_WITH_THEM: &str = "total_connections_received";

/// Returns the families of the uncorrected values.
pub(super) fn families() -> impl Iterator<Item = &'static Descriptor> {
    CORRECTED.iter().map(|(_, family)| family.descriptor())
}

/// Traffic of other clients as of one poll.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OthersTraffic {
    run_id: Option<String>,
    polled_at: f64,
    connections: Option<f64>,
    caused: Caused,
    counters: [CorrectedCounter; 3],
}

/// A corrected counter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct CorrectedCounter {
    /// The value in INFO.
    reported: Option<f64>,
    /// The value without the exporter's share. It may decrease if the share was counted late.
    level: f64,
    /// The published value, which never decreases.
    shown: f64,
}

/// What happened to a server's counters since the previous poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    /// The counters continued.
    Continued,
    /// The counters restarted at 0: the server restarted, or its statistics were reset.
    Reset,
    /// The counters are of another server.
    Replaced,
}

impl OthersTraffic {
    /// Returns the traffic of other clients as of this poll. If the exporter's share is unknown,
    /// returns the last known traffic.
    #[must_use]
    pub fn after(replies: &Replies) -> Option<Self> {
        let circumstances = &replies.circumstances;
        let before = circumstances.remembered.get();
        let Some(caused) = circumstances.caused else {
            return before.cloned();
        };
        Some(Self::read(
            &replies.info,
            caused,
            circumstances.polled_at,
            before,
        ))
    }

    fn read(info: &Info, caused: Caused, polled_at: f64, before: Option<&Self>) -> Self {
        let mut now = Self {
            run_id: info.get("run_id").map(str::to_owned),
            polled_at,
            connections: info.number(RESET_WITH_THEM),
            caused,
            counters: CORRECTED.map(|(field, _)| CorrectedCounter {
                reported: info.number(field),
                ..CorrectedCounter::default()
            }),
        };
        let Some(before) = before else {
            return now;
        };
        let history = now.history(before, info.number("uptime_in_seconds"));
        let ours = each(caused).into_iter().zip(each(before.caused));
        let both = now.counters.iter_mut().zip(&before.counters).zip(ours);
        for ((counter, before), (ours, ours_before)) in both {
            counter.go_on(*before, ours - ours_before, history);
        }
        now
    }

    fn history(&self, before: &Self, uptime: Option<f64>) -> History {
        if self.run_id != before.run_id {
            let since = self.polled_at - before.polled_at + UPTIME_TOLERANCE_SECONDS;
            return match uptime {
                Some(uptime) if uptime <= since => History::Reset,
                _ => History::Replaced,
            };
        }
        let went_back = |now: Option<f64>, before: Option<f64>| now < before && now.is_some();
        let mut counters = self.counters.iter().zip(&before.counters);
        let is_reset = went_back(self.connections, before.connections)
            || counters.any(|(now, before)| went_back(now.reported, before.reported));
        if is_reset {
            History::Reset
        } else {
            History::Continued
        }
    }

    /// Returns the corrected value of a field.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<f64> {
        let mut counters = CORRECTED.iter().zip(&self.counters);
        let (_, counter) = counters.find(|((name, _), _)| *name == field)?;
        counter.reported.map(|_| counter.shown)
    }
}

impl CorrectedCounter {
    fn go_on(&mut self, before: Self, ours: f64, history: History) {
        let growth = match (self.reported, history) {
            (Some(reported), History::Continued) => {
                reported - before.reported.unwrap_or(reported) - ours
            }
            // The exporter's share may include traffic from before the reset.
            (Some(reported), History::Reset) => (reported - ours).max(0.0),
            (None, _) | (_, History::Replaced) => 0.0,
        };
        self.level = before.level + growth;
        self.shown = before.shown.max(self.level);
    }
}

/// Publishes the uncorrected values under separate names. The corrected values use the names of the
/// rows.
pub(super) fn read(info: &Info, snapshot: &mut Snapshot) {
    for (field, family) in CORRECTED {
        snapshot.push(family, [], info.number(field));
    }
}

const fn each(caused: Caused) -> [f64; 3] {
    [
        to_float(caused.commands),
        to_float(caused.hits),
        to_float(caused.misses),
    ]
}

#[cfg(test)]
mod tests;
