//! What other clients ask of a server, from two readings of INFO. Pure.

use crate::footprint::Caused;
use crate::info::Info;
use crate::number::to_float as float;

/// A rate rises to what is seen within about this many seconds.
const RISES_OVER: f64 = 5.0;

/// A rate falls to what is seen within about this many seconds: after a load or a batch job a server
/// is idle at once.
const FALLS_OVER: f64 = 0.25;

/// Seconds of readings after which a rate is known.
const KNOWN_AFTER: f64 = 0.4;

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

    /// Returns an upper bound on the usual commands per second: the current rate, or the average since
    /// the start if that is lower. A load that has just ended is part of both.
    #[must_use]
    pub fn most_commands_per_second(&self) -> f64 {
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

/// The traffic of other clients. Nothing is taken from what one reading reports: its figures are also
/// those of a load that has just ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    last: Option<Reading>,
    /// For how many seconds readings were compared.
    seconds: f64,
    /// Commands in a second of late, and just now.
    of_late: f64,
    just_now: f64,
}

impl Traffic {
    /// Takes in a reading. Returns what others asked since the last one; none at the first and
    /// after the counters were reset.
    pub fn observe(&mut self, reading: Reading) -> Option<Others> {
        let last = self.last.replace(reading)?;
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
        let rate = others.commands / seconds;
        self.seconds += seconds;
        // The mean of all that was seen, as long as that is little.
        let share = (seconds / self.seconds).max(weight(seconds, RISES_OVER));
        self.of_late += share * (rate - self.of_late);
        self.just_now += weight(seconds, FALLS_OVER) * (rate - self.just_now);
        Some(others)
    }

    /// Whether readings were compared for long enough to know a rate.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.seconds >= KNOWN_AFTER
    }

    /// How many commands others send in a second. It rises slowly and falls at once.
    #[must_use]
    pub const fn commands_per_second(&self) -> f64 {
        self.of_late.min(self.just_now)
    }
}

/// The weight of what was seen in the last seconds.
fn weight(seconds: f64, smoothed_over: f64) -> f64 {
    1.0 - (-seconds / smoothed_over).exp()
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
        assert!(traffic.commands_per_second() < 1e-9);
        let others = traffic
            .observe(reading(10.0, 6_000.0, 1_000.0, 57))
            .unwrap();
        assert!((others.commands - 950.0).abs() < 1e-9);
        assert!((others.lookups - 50.0).abs() < 1e-9);
        let rate = traffic.commands_per_second();
        assert!((rate - 95.0).abs() < 1e-3, "{rate}");
    }

    #[test]
    fn the_moment_after_a_load_is_at_most_the_usual_traffic() {
        let loaded = Reading {
            commands_per_second: 48_100.0,
            uptime: Some(1_000.0),
            ..reading(0.0, 30_000.0, 0.0, 0)
        };
        assert!((loaded.most_commands_per_second() - 30.0).abs() < 1e-9);
        let quiet = Reading {
            commands_per_second: 2.0,
            ..loaded
        };
        assert!((quiet.most_commands_per_second() - 2.0).abs() < 1e-9);
    }

    /// Returns the rate after each second in which other clients sent `sent` commands. Readings come
    /// `offset` after the start of each second.
    fn rates(sent: &[f64], offset: f64) -> Vec<f64> {
        let mut traffic = Traffic::default();
        let processed = |at: f64| {
            let in_second = |(second, sent): (usize, &f64)| {
                let second = float(u64::try_from(second).unwrap());
                sent * (at - second).clamp(0.0, 1.0)
            };
            sent.iter().enumerate().map(in_second).sum::<f64>()
        };
        let mut observed = |second: usize| {
            let at = float(u64::try_from(second).unwrap()) + offset;
            traffic.observe(reading(at, processed(at), 0.0, 0));
            traffic.commands_per_second()
        };
        (0..sent.len()).map(&mut observed).collect()
    }

    #[test]
    fn a_load_is_forgotten_within_two_seconds() {
        for offset in [0.0, 0.01, 0.5, 0.99] {
            // The exporter has seen the whole load, or its last moment.
            for before in [60, 1] {
                let sent = [vec![48_100.0; before], vec![10.0; 10]].concat();
                let rates = rates(&sent, offset);
                let later = &rates[before + 1..];
                // The budget of an idle server is that of 500 commands a second.
                assert!(
                    later.iter().all(|rate| *rate < 1_000.0),
                    "{offset}: {rates:?}"
                );
                let last = rates.last().unwrap();
                assert!(*last < 11.0, "{offset}: {rates:?}");
            }
        }
    }

    #[test]
    fn steady_traffic_is_known_after_a_second_and_bursts_are_not_the_rule() {
        let steady = rates(&[3_000.0; 10], 0.0);
        assert!(
            steady[1..]
                .iter()
                .all(|rate| (2_900.0..=3_000.0).contains(rate)),
            "{steady:?}"
        );
        let burst = [vec![10.0; 30], vec![48_100.0]].concat();
        let rates = rates(&burst, 0.9);
        let most = rates.iter().copied().fold(0.0, f64::max);
        assert!(most < 48_100.0 * 0.2, "{most}");
    }

    #[test]
    fn nothing_is_known_of_the_time_in_which_the_counters_were_reset() {
        let mut traffic = Traffic::default();
        traffic.observe(reading(0.0, 5_000.0, 900.0, 7));
        assert_eq!(traffic.observe(reading(10.0, 60.0, 3.0, 57)), None);
        assert!(traffic.observe(reading(11.0, 70.0, 3.0, 57)).is_some());
    }
}
