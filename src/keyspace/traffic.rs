//! What other clients ask of a server, from two readings of INFO. Pure.

use crate::footprint::Caused;
use crate::info::Info;

/// A rate follows what is seen within about this many seconds.
const SMOOTHED_OVER: f64 = 5.0;

/// What INFO reports of all clients, and what the exporter has caused of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// When it was read, in seconds.
    pub at: f64,
    /// Commands processed.
    pub commands: f64,
    /// Lookups of keys, hits and misses.
    pub lookups: f64,
    /// Commands in a second just now, as the server measures it.
    pub commands_per_second: f64,
    /// For how long the server has run, in seconds.
    pub uptime: Option<f64>,
    /// What the exporter has caused before.
    pub ours: Caused,
}

impl Reading {
    /// Reads INFO stats. The time and what the exporter has caused are not known there.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let number = |name: &str| info.number(name).unwrap_or(0.0);
        Self {
            commands: number("total_commands_processed"),
            lookups: number("keyspace_hits") + number("keyspace_misses"),
            commands_per_second: number("instantaneous_ops_per_sec"),
            uptime: info.number("uptime_in_seconds"),
            ..Self::default()
        }
    }

    /// Commands in a second as far as one reading tells: those of just now, but no more than the
    /// average since the start. Just now the data may have been loaded.
    #[must_use]
    pub fn usual_commands_per_second(&self) -> f64 {
        let average = self.uptime.map(|uptime| self.commands / uptime.max(1.0));
        self.commands_per_second.min(average.unwrap_or(f64::MAX))
    }
}

/// What others have asked between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Others {
    /// The time between the readings.
    pub seconds: f64,
    /// Commands.
    pub commands: f64,
    /// Lookups of keys.
    pub lookups: f64,
}

/// The traffic of other clients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    last: Option<Reading>,
    commands_per_second: f64,
}

impl Traffic {
    /// Takes in a reading. Returns what others asked since the last one; none at the first and
    /// after the counters were reset.
    pub fn observe(&mut self, reading: Reading) -> Option<Others> {
        let Some(last) = self.last.replace(reading) else {
            self.commands_per_second = reading.usual_commands_per_second();
            return None;
        };
        let ours = reading.ours.since(last.ours);
        let seconds = reading.at - last.at;
        let is_reset = reading.commands < last.commands || reading.lookups < last.lookups;
        if is_reset || seconds <= 0.0 {
            return None;
        }
        let others = Others {
            seconds,
            commands: (reading.commands - last.commands - float(ours.commands)).max(0.0),
            lookups: (reading.lookups - last.lookups - float(ours.hits) - float(ours.misses))
                .max(0.0),
        };
        let weight = 1.0 - (-seconds / SMOOTHED_OVER).exp();
        let rate = others.commands / seconds;
        self.commands_per_second += weight * (rate - self.commands_per_second);
        Some(others)
    }

    /// How many commands others send in a second.
    #[must_use]
    pub const fn commands_per_second(&self) -> f64 {
        self.commands_per_second
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: f64, commands: f64, lookups: f64, ours: u64) -> Reading {
        Reading {
            at,
            commands,
            lookups,
            commands_per_second: 90.0,
            uptime: None,
            ours: Caused {
                commands: ours,
                hits: ours,
                misses: 0,
            },
        }
    }

    #[test]
    fn what_the_exporter_causes_is_not_the_traffic_of_others() {
        let mut traffic = Traffic::default();
        assert_eq!(traffic.observe(reading(0.0, 5_000.0, 900.0, 7)), None);
        assert!((traffic.commands_per_second() - 90.0).abs() < 1e-9);
        let others = traffic
            .observe(reading(10.0, 6_000.0, 1_000.0, 57))
            .unwrap();
        assert!((others.commands - 950.0).abs() < 1e-9);
        assert!((others.lookups - 50.0).abs() < 1e-9);
        let rate = traffic.commands_per_second();
        assert!((90.0..95.0).contains(&rate), "{rate}");
    }

    #[test]
    fn one_moment_of_many_commands_is_not_the_usual_traffic() {
        let loaded = Reading {
            commands_per_second: 48_100.0,
            uptime: Some(1_000.0),
            ..reading(0.0, 30_000.0, 0.0, 0)
        };
        assert!((loaded.usual_commands_per_second() - 30.0).abs() < 1e-9);
        let quiet = Reading {
            commands_per_second: 2.0,
            ..loaded
        };
        assert!((quiet.usual_commands_per_second() - 2.0).abs() < 1e-9);
        let mut traffic = Traffic::default();
        traffic.observe(loaded);
        assert!((traffic.commands_per_second() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_known_of_the_time_in_which_the_counters_were_reset() {
        let mut traffic = Traffic::default();
        traffic.observe(reading(0.0, 5_000.0, 900.0, 7));
        assert_eq!(traffic.observe(reading(10.0, 60.0, 3.0, 57)), None);
        assert!(traffic.observe(reading(11.0, 70.0, 3.0, 57)).is_some());
    }
}
