//! Limits the load that a sweep adds to a server: its budget of commands, and its rest.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::key_reader::KeyReader;
use super::vitals::{Scope, Vitals};
use super::{CHECK_AGAIN_AFTER, CHECK_EVERY, Sweeper, to_float};
use crate::collector::Server;
use crate::config::Sweep;
use crate::failure::Failure;
use crate::keyspace::cost::Costs;
use crate::keyspace::pace::{Forecast, commands_per_second, detail_shares, share_of_all};
use crate::keyspace::segment::has_table_per_slot;
use crate::keyspace::traffic::{Traffic, TrafficReading};

/// Returns the databases to sweep, each with its number of keys.
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

/// Returns the expected cost of a pass if other clients send this many commands per second, and
/// this many sweeps run.
pub(super) fn forecast(
    sweep: &Sweep,
    costs: &Costs,
    vitals: &Vitals,
    server: &Server,
    others: f64,
    sweeps: usize,
) -> Forecast {
    let keys = keys(sweep, vitals);
    let commands = commands_per_second(sweep, others, to_float(keys));
    let commands = share_of_all(sweep, commands, sweeps);
    let forecast = Forecast::new(keys, costs, sweep, commands);
    if has_table_per_slot(server) {
        forecast.with_random_keys(keys, sweep)
    } else {
        forecast
    }
}

fn keys(sweep: &Sweep, vitals: &Vitals) -> u64 {
    databases(sweep, vitals)
        .into_iter()
        .map(|(_, keys)| keys)
        .sum()
}

/// Returns an upper bound on the commands per second of other clients, from one reading. Returns
/// `None` if the budget would differ from that on an idle server.
fn harmless_traffic(sweep: &Sweep, vitals: &Vitals) -> Option<f64> {
    let keys = to_float(keys(sweep, vitals));
    let most = vitals.traffic.most_commands_per_second();
    let budget = |others| commands_per_second(sweep, others, keys);
    (budget(most) == budget(0.0)).then_some(most)
}

impl KeyReader {
    /// Returns the commands per second of other clients since `before` was read. Waits until the
    /// rate is known, unless it does not affect the budget.
    pub(super) async fn others_since(
        &mut self,
        before: &Vitals,
        sweep: &Sweep,
    ) -> Result<f64, Failure> {
        if let Some(others) = harmless_traffic(sweep, before) {
            return Ok(others);
        }
        let mut traffic = Traffic::default();
        let started = Instant::now();
        traffic.observe(before.traffic);
        sleep(CHECK_EVERY).await;
        traffic.observe(TrafficReading {
            at: started.elapsed().as_secs_f64(),
            ours: self.caused(),
            ..self.vitals(Scope::SHORT).await?.traffic
        });
        Ok(traffic.commands_per_second())
    }
}

/// Returns how long the sweep rests after a pass: until `interval` after the start of the pass, but
/// at least as long as the pass took, up to `interval`.
pub(super) fn rest(pass: Duration, interval: Duration) -> Duration {
    let interval = interval.max(CHECK_AGAIN_AFTER);
    interval.saturating_sub(pass).max(pass.min(interval))
}

impl Sweeper<'_> {
    /// Records the traffic of other clients, and adapts the budget of commands.
    pub(super) fn observe_traffic(&mut self) {
        let reading = TrafficReading {
            at: self.started.elapsed().as_secs_f64(),
            ours: self.reader.caused(),
            ..self.vitals.traffic
        };
        let others = self.traffic.observe(reading);
        if let Some(others) = &others {
            self.allowance.observe(others);
        }
        let others = others.map(|others| others.commands);
        self.census.record_cpu(self.vitals.cpu_seconds, others);
        let others = self.traffic.commands_per_second();
        let keys = keys(self.sweep, &self.vitals);
        let commands = commands_per_second(self.sweep, others, to_float(keys));
        let commands = share_of_all(self.sweep, commands, self.running.of_all());
        self.pace.set_commands_per_second(commands);
        if differ_much(commands, self.shares_for) {
            self.set_shares();
        }
    }

    /// Sets the shares of this pass's keys whose details are queried, within the current budgets.
    pub(super) fn set_shares(&mut self) {
        let commands = self.pace.most_commands();
        self.shares_for = commands;
        self.shares = detail_shares(
            to_float(self.pass.keys),
            self.census.costs(),
            self.sweep,
            commands,
        );
    }

    /// Logs the expected cost of the sweep once the traffic of other clients is known, or at once
    /// if it does not affect the cost.
    pub(super) fn announce(&mut self) {
        if !self.is_unannounced {
            return;
        }
        let before = harmless_traffic(self.sweep, &self.vitals);
        let known = self.traffic.is_known();
        let known = known.then(|| self.traffic.commands_per_second());
        let Some(others) = known.or(before) else {
            return;
        };
        self.is_unannounced = false;
        let (costs, server) = (self.census.costs(), self.reader.server());
        let sweeps = self.running.of_all();
        let cost = forecast(self.sweep, costs, &self.vitals, server, others, sweeps);
        let cost = if self.is_resumed {
            cost.resumed()
        } else {
            cost
        };
        let (name, server) = (self.name, server.to_string());
        info!(name, server, %cost, "sweeping the keyspace");
    }
}

/// Returns whether one budget of commands is more than twice the other.
fn differ_much(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one > other * 2.0 || other > one * 2.0,
        (one, other) => one.is_some() != other.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_follow_a_doubled_or_halved_budget() {
        assert!(!differ_much(Some(50.0), Some(90.0)));
        assert!(differ_much(Some(50.0), Some(4_810.0)));
        assert!(differ_much(Some(4_810.0), Some(50.0)));
        assert!(differ_much(None, Some(50.0)));
        assert!(!differ_much(None, None));
    }

    #[test]
    fn sweep_rests_as_long_as_its_pass_took() {
        let minute = Duration::from_secs(60);
        let rest = |seconds| rest(Duration::from_secs(seconds), minute).as_secs();
        assert_eq!([0, 10, 30, 40, 60, 600].map(rest), [60, 50, 30, 40, 60, 60]);
    }
}
