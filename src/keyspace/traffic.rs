//! Measures the traffic of other clients from two readings of INFO. Pure.

use crate::footprint::Caused;
use crate::info::Info;
use crate::number::to_float as float;

/// Seconds in which a rate rises to the observed traffic, approximately.
const RISES_OVER: f64 = 5.0;

/// Seconds in which a rate falls to the observed traffic, approximately. After a load or a batch
/// job, a server is idle at once.
const FALLS_OVER: f64 = 0.25;

/// Seconds of readings after which a rate is known.
const KNOWN_AFTER: f64 = 0.4;

/// The counters in INFO for all clients, and the part that the exporter caused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrafficReading {
    /// Time of the reading, in seconds.
    pub at: f64,
    /// Commands processed.
    pub commands: f64,
    /// Lookups of keys, hits and misses.
    pub lookups: f64,
    /// Current commands per second, measured by the server.
    pub commands_per_second: f64,
    /// Uptime of the server, in seconds.
    pub uptime: Option<f64>,
    /// Traffic that the exporter caused before.
    pub ours: Caused,
}

impl TrafficReading {
    /// Reads INFO stats. The time and the traffic of the exporter are set by the caller.
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

    /// Returns an upper bound on the usual commands per second: the current rate or the average
    /// since the start, whichever is lower. A load that has just ended is part of both.
    #[must_use]
    pub fn most_commands_per_second(&self) -> f64 {
        let average = self.uptime.map(|uptime| self.commands / uptime.max(1.0));
        self.commands_per_second.min(average.unwrap_or(f64::MAX))
    }
}

/// The traffic of other clients between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Others {
    /// Time between the readings.
    pub seconds: f64,
    /// Number of commands.
    pub commands: f64,
    /// Lookups of keys.
    pub lookups: f64,
}

/// The traffic of other clients. A single reading gives no rate: it includes a load that has just
/// ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    last: Option<TrafficReading>,
    /// Total time between compared readings, in seconds.
    seconds: f64,
    /// Commands per second, smoothed over a long and over a short time.
    of_late: f64,
    just_now: f64,
}

impl Traffic {
    /// Records a reading. Returns the traffic of other clients since the last one; `None` for the
    /// first reading and after a reset of the counters.
    pub fn observe(&mut self, reading: TrafficReading) -> Option<Others> {
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
        // The mean of all readings while there are few.
        let share = (seconds / self.seconds).max(weight(seconds, RISES_OVER));
        self.of_late += share * (rate - self.of_late);
        self.just_now += weight(seconds, FALLS_OVER) * (rate - self.just_now);
        Some(others)
    }

    /// Returns whether readings were compared for long enough to know a rate.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.seconds >= KNOWN_AFTER
    }

    /// Returns the commands per second of other clients. The rate rises slowly and falls at once.
    #[must_use]
    pub const fn commands_per_second(&self) -> f64 {
        self.of_late.min(self.just_now)
    }
}

/// Returns the weight of the traffic in the last seconds.
fn weight(seconds: f64, smoothed_over: f64) -> f64 {
    1.0 - (-seconds / smoothed_over).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: f64, commands: f64, lookups: f64, ours: u64) -> TrafficReading {
        TrafficReading {
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
    fn own_traffic_is_not_counted_as_other_traffic() {
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
    fn traffic_after_a_load_is_at_most_the_usual() {
        let loaded = TrafficReading {
            commands_per_second: 48_100.0,
            uptime: Some(1_000.0),
            ..reading(0.0, 30_000.0, 0.0, 0)
        };
        assert!((loaded.most_commands_per_second() - 30.0).abs() < 1e-9);
        let quiet = TrafficReading {
            commands_per_second: 2.0,
            ..loaded
        };
        assert!((quiet.most_commands_per_second() - 2.0).abs() < 1e-9);
    }

    /// Returns the rate after each second in which other clients sent `sent` commands. Readings
    /// occur `offset` after the start of each second.
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
                // The budget of an idle server is that of 500 commands per second.
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
    fn steady_rate_is_known_after_a_second_despite_bursts() {
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
    fn interval_with_a_counter_reset_is_unknown() {
        let mut traffic = Traffic::default();
        traffic.observe(reading(0.0, 5_000.0, 900.0, 7));
        assert_eq!(traffic.observe(reading(10.0, 60.0, 3.0, 57)), None);
        assert!(traffic.observe(reading(11.0, 70.0, 3.0, 57)).is_some());
    }
}
