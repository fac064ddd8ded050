//! What a sweep is expected to cost, before it starts.

use std::fmt;
use std::time::Duration;

use super::{Costs, Probe, Sweep, detail_shares};
use crate::namespace::lookups::are_limited;
use crate::namespace::slots::{DRAWS, KEYS_PER_DRAW, SLOTS};

/// What a pass is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Keys that it visits.
    pub keys: f64,
    /// How long it takes.
    pub pass: Duration,
    /// Commands in a second while it goes on.
    pub commands_per_second: f64,
    /// The share of a core of the server that it takes.
    pub share: f64,
    /// Commands that go out at once, for an estimate before the first pass ends.
    pub at_once: f64,
}

impl Forecast {
    /// The forecast for so many keys, with at most so many commands in a second.
    #[must_use]
    pub fn new(keys: f64, costs: &Costs, sweep: &Sweep, most_commands: Option<f64>) -> Self {
        let mut shares = detail_shares(keys, costs, sweep, most_commands);
        if are_limited(sweep) {
            shares.expiry = 0.0;
        }
        let commands = 1.0 / f64::from(sweep.count) + shares.memory + 2.0 * shares.expiry;
        let microseconds = costs.of(Probe::Scan)
            + shares.memory * costs.of(Probe::Memory)
            + shares.expiry * (costs.of(Probe::Expiry) + costs.of(Probe::Type));
        let (commands, seconds) = (keys * commands, keys * microseconds / 1e6);
        let limits = [
            seconds / sweep.cpu_share.as_f64(),
            most_commands.map_or(0.0, |most| commands / most),
            sweep
                .keys_per_second
                .map_or(0.0, |most| keys / f64::from(most)),
        ];
        let pass = limits.into_iter().fold(f64::MIN_POSITIVE, f64::max);
        Self {
            keys,
            pass: Duration::try_from_secs_f64(pass).unwrap_or(Duration::MAX),
            commands_per_second: commands / pass,
            share: seconds / pass,
            at_once: 0.0,
        }
    }

    /// The same for a node that is asked for the keys of each of its slots first.
    #[must_use]
    pub fn with_slots(mut self) -> Self {
        self.at_once = f64::from(SLOTS) + f64::from(DRAWS) * f64::from(1 + KEYS_PER_DRAW);
        self
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "about {:.0} commands/s and {:.2} % of one core of the server; a pass over {:.0} keys takes about {:.0} s",
            self.commands_per_second,
            self.share * 100.0,
            self.keys,
            self.pass.as_secs_f64().ceil(),
        )?;
        if self.at_once > 0.0 {
            let at_once = self.at_once;
            write!(
                formatter,
                "; up to {at_once:.0} commands more at the start, for a first estimate"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_decides() {
        let costs = Costs::default();
        let sweep = Sweep::default();
        let by_commands = Forecast::new(100_000.0, &costs, &sweep, Some(50.0));
        assert!((by_commands.commands_per_second - 50.0).abs() < 0.01);
        assert!(by_commands.share < 0.01);
        let text = by_commands.to_string();
        assert!(text.starts_with("about 50 commands/s and 0.0"), "{text}");
        assert!(
            text.contains("a pass over 100000 keys takes about 120 s"),
            "{text}"
        );
        let by_share = Forecast::new(100_000.0, &costs, &sweep, None);
        assert!((by_share.share - 0.01).abs() < 1e-9);
        assert!(by_share.commands_per_second > 4_000.0);
    }

    #[test]
    fn the_slots_of_a_cluster_node_are_announced() {
        let forecast = Forecast::new(1e6, &Costs::default(), &Sweep::default(), Some(50.0));
        assert!(!forecast.to_string().contains("more at the start"));
        let text = forecast.with_slots().to_string();
        assert!(
            text.ends_with("; up to 19072 commands more at the start, for a first estimate"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_server_costs_nothing() {
        let forecast = Forecast::new(0.0, &Costs::default(), &Sweep::default(), Some(50.0));
        assert!(forecast.commands_per_second < 1.0);
    }
}
