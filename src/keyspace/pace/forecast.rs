//! Forecasts the cost of a sweep before it starts.

use std::fmt;
use std::time::Duration;

use super::super::cost::{Costs, ROUND_TRIP_MICROSECONDS, SweepQuery};
use super::{
    DetailShares, Pace, SMALL_PIPELINE, Sweep, detail_shares, keys_to_draw, length, to_float,
};
use crate::keyspace::lookups::are_limited;
use crate::quantity::{count, noun, whole_counted};

/// The expected cost of a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Keys that it visits.
    pub keys: u64,
    /// Duration of a pass.
    pub pass: Duration,
    /// Commands per second during the pass.
    pub commands_per_second: f64,
    /// Share of a core of the server.
    pub share: f64,
    /// Cost of the first keys, with the seconds in which they are visited; `None` if an earlier
    /// sweep visited them.
    pub start: Option<Cost>,
    /// Commands sent at once, for an estimate before the first pass ends.
    pub at_once: f64,
}

/// The cost of some keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Number of keys.
    pub keys: f64,
    /// Number of commands.
    pub commands: f64,
    /// Server time, in seconds.
    pub seconds: f64,
}

impl Cost {
    fn new(keys: f64, costs: &Costs, sweep: &Sweep, shares: DetailShares) -> Self {
        let expiry = if are_limited(sweep) {
            0.0
        } else {
            shares.expiry
        };
        let scans = 1.0 / f64::from(sweep.count);
        let details = shares.memory + 2.0 * expiry;
        let trips = scans + details / length(SMALL_PIPELINE);
        let microseconds = trips * ROUND_TRIP_MICROSECONDS
            + costs.of(SweepQuery::Scan)
            + shares.memory * costs.of(SweepQuery::Memory)
            + expiry * (costs.of(SweepQuery::Expiry) + costs.of(SweepQuery::Type));
        Self {
            keys,
            commands: keys * (scans + details),
            seconds: keys * microseconds / 1e6,
        }
    }
}

impl Forecast {
    /// Returns the forecast for `keys` keys, with at most `most_commands` commands per second.
    #[must_use]
    pub fn new(keys: u64, costs: &Costs, sweep: &Sweep, most_commands: Option<f64>) -> Self {
        let mut pace = Pace::new(sweep);
        pace.set_commands_per_second(most_commands);
        let all = to_float(keys);
        let shares = detail_shares(all, costs, sweep, most_commands);
        let whole = Cost::new(all, costs, sweep, shares);
        let limits = [
            whole.seconds / sweep.cpu_share.as_f64(),
            most_commands.map_or(0.0, |most| whole.commands / most),
            sweep
                .keys_per_second
                .map_or(0.0, |most| all / f64::from(most)),
        ];
        let pass = limits.into_iter().fold(f64::MIN_POSITIVE, f64::max);
        let first = all.min(f64::from(sweep.first_keys));
        let start = Cost::new(first, costs, sweep, pace.shares(shares, keys));
        let seconds = start.seconds / pace.start_share();
        Self {
            keys,
            pass: Duration::try_from_secs_f64(pass).unwrap_or(Duration::MAX),
            commands_per_second: whole.commands / pass,
            share: whole.seconds / pass,
            start: (first > 0.0).then_some(Cost { seconds, ..start }),
            at_once: 0.0,
        }
    }

    /// Returns the forecast of a sweep that resumes after a reconnect.
    #[must_use]
    pub const fn resumed(mut self) -> Self {
        self.start = None;
        self
    }

    /// Returns the forecast for a cluster node from which random keys are drawn first.
    #[must_use]
    pub fn with_random_keys(mut self, keys: u64, sweep: &Sweep) -> Self {
        let commands = if are_limited(sweep) { 2 } else { 4 };
        self.at_once = to_float(keys_to_draw(keys, false) as u64 * commands);
        self
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keys == 0 {
            return formatter.write_str("none, as there are no keys");
        }
        write!(
            formatter,
            "about {:.0} commands/s and {:.2}% of one core of the server; a pass over {} takes about {:.0} s",
            self.commands_per_second,
            self.share * 100.0,
            whole_counted(self.keys, "key", "keys"),
            self.pass.as_secs_f64().ceil(),
        )?;
        if let Some(start) = self.start {
            let [keys, commands] = [start.keys, start.commands].map(count);
            write!(
                formatter,
                "; the first {} about {commands} {} in {:.1} s",
                match keys.as_str() {
                    "1" => "key takes".to_owned(),
                    keys => format!("{keys} keys take"),
                },
                noun(&commands, "command", "commands"),
                start.seconds
            )?;
        }
        if self.at_once > 0.0 {
            let at_once = count(self.at_once);
            write!(
                formatter,
                "; up to {at_once} commands more at the start, for a first estimate"
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
        let by_commands = Forecast::new(100_000, &costs, &sweep, Some(50.0));
        assert!((by_commands.commands_per_second - 50.0).abs() < 0.01);
        assert!(by_commands.share < 0.01);
        let text = by_commands.to_string();
        assert!(text.starts_with("about 50 commands/s and 0.0"), "{text}");
        assert!(
            text.contains("a pass over 100,000 keys takes about 120 s"),
            "{text}"
        );
        let by_share = Forecast::new(100_000, &costs, &sweep, None);
        assert!((by_share.share - 0.01).abs() < 1e-9);
        assert!((by_share.commands_per_second - 3_764.0).abs() < 1.0);
    }

    #[test]
    fn forecast_includes_the_quick_start() {
        let forecast = Forecast::new(100_000, &Costs::default(), &Sweep::default(), Some(50.0));
        let text = forecast.to_string();
        let start = "; the first 10,000 keys take about 2,100 commands in 0.1 s";
        assert!(text.ends_with(start), "{text}");
        assert!(!forecast.resumed().to_string().contains("first"));
    }

    #[test]
    fn forecast_includes_random_keys_of_a_cluster_node() {
        let sweep = Sweep::default();
        let forecast = Forecast::new(1_000_000, &Costs::default(), &sweep, Some(50.0));
        assert!(!forecast.to_string().contains("more at the start"));
        let text = forecast.with_random_keys(1_000_000, &sweep).to_string();
        assert!(
            text.ends_with("; up to 2,048 commands more at the start, for a first estimate"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_server_costs_nothing() {
        let forecast = Forecast::new(0, &Costs::default(), &Sweep::default(), Some(50.0));
        assert!(forecast.commands_per_second < 1.0);
        assert_eq!(forecast.start, None);
        assert_eq!(forecast.to_string(), "none, as there are no keys");
    }
}
