//! What a sweep adds to a server's load: its budget of commands, and its rest.

use std::time::Duration;

use super::vitals::Vitals;
use super::{CHECK_AGAIN_AFTER, Sweeper, to_float};
use crate::collector::Server;
use crate::config::Sweep;
use crate::keyspace::cost::Costs;
use crate::keyspace::pace::{Forecast, commands_per_second};
use crate::keyspace::segment::has_table_per_slot;
use crate::keyspace::traffic::Reading;

/// The databases to sweep, each with its number of keys.
pub(super) fn databases(sweep: &Sweep, vitals: &Vitals) -> Vec<(u32, u64)> {
    let is_wanted = |database: &u32| {
        let wanted = sweep.databases.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(database))
    };
    let keys = vitals
        .keys
        .iter()
        .map(|(database, keys)| (*database, *keys));
    keys.filter(|(database, keys)| is_wanted(database) && *keys > 0)
        .collect()
}

/// What a pass is expected to cost the server.
pub(super) fn forecast(sweep: &Sweep, costs: &Costs, vitals: &Vitals, server: &Server) -> Forecast {
    let databases = databases(sweep, vitals).into_iter();
    let keys: u64 = databases.map(|(_, keys)| keys).sum();
    let others = vitals.traffic.usual_commands_per_second();
    let commands = commands_per_second(sweep, others, to_float(keys));
    let forecast = Forecast::new(keys, costs, sweep, commands);
    if has_table_per_slot(server) {
        forecast.with_random_keys(keys, sweep)
    } else {
        forecast
    }
}

/// How long the sweep rests after a pass: until `interval` after the start of the pass, and as long
/// as the pass took at least, up to `interval`.
pub(super) fn rest(pass: Duration, interval: Duration) -> Duration {
    let interval = interval.max(CHECK_AGAIN_AFTER);
    interval.saturating_sub(pass).max(pass.min(interval))
}

impl Sweeper<'_> {
    /// Records what others ask of the server, and adapts the budget of commands to it.
    pub(super) fn observe_traffic(&mut self) {
        let reading = Reading {
            at: self.started.elapsed().as_secs_f64(),
            ours: self.reader.caused(),
            ..self.vitals.traffic
        };
        if let Some(others) = self.traffic.observe(reading) {
            self.allowance.observe(&others);
        }
        let others = self.traffic.commands_per_second();
        let keys = self.databases().into_iter().map(|(_, keys)| keys).sum();
        let commands = commands_per_second(self.sweep, others, to_float(keys));
        self.pace.set_commands_per_second(commands);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_rests_as_long_as_its_pass_took() {
        let minute = Duration::from_mins(1);
        let rest = |seconds| rest(Duration::from_secs(seconds), minute).as_secs();
        assert_eq!([0, 10, 30, 40, 60, 600].map(rest), [60, 50, 30, 40, 60, 60]);
    }
}
