//! The budgets of a sweep: commands per second, and the share of keys whose details are queried.
//! Pure.

use std::time::Duration;

use super::super::cost::{Costs, SweepQuery};
use super::FAST_SHARE;
use crate::config::Sweep;
use crate::number::length;

/// Maximum intended duration of a pass. If the CPU share is too small for that, details are queried
/// only for a share of the keys.
pub(super) const PASS_WANTED: Duration = Duration::from_secs(10 * 60);

/// Maximum intended duration of a pass within the budget of commands: names cost few commands,
/// details cost many.
const PASS_WANTED_BY_COMMANDS: Duration = Duration::from_secs(2 * 60);

/// Minimum share of the keys whose details are queried. A smaller share gives no usable estimate of
/// rare namespaces.
pub(super) const DETAIL_SHARE_MIN: f64 = 0.02;

/// Default budget of commands at the default share of a core: this share of the commands that other
/// clients send, and at least this many per second.
const COMMAND_SHARE: f64 = 0.1;
const COMMANDS_MIN: f64 = 50.0;

/// The share of a core to which [`COMMAND_SHARE`] applies. A larger share permits more commands.
const CPU_SHARE_USUAL: f64 = 0.01;

/// Maximum number of commands per second of all sweeps together, so that the exporter itself remains
/// cheap with thousands of targets. Sweeps with a configured number may send more.
const COMMANDS_OF_ALL: f64 = 6_000.0;

/// Number of random keys drawn at once. The error of a share is then three percentage points.
const DRAWN_KEYS: u64 = 1_024;

/// Shares of the keys whose details are queried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetailShares {
    /// Share of the keys for MEMORY USAGE.
    pub memory: f64,
    /// Share of the keys for PTTL and TYPE.
    pub expiry: f64,
}

/// Returns the maximum number of commands per second; `None` if it is unlimited. `others` is the
/// number of commands per second that other clients send. `keys` is the number of keys in a pass.
#[must_use]
pub fn commands_per_second(sweep: &Sweep, others: f64, keys: f64) -> Option<f64> {
    if let Some(most) = sweep.commands_per_second {
        return Some(f64::from(most));
    }
    let share = sweep.cpu_share.as_f64();
    if share >= FAST_SHARE {
        return None;
    }
    // Commands for the names alone, per second, if a pass takes the intended time.
    let names = keys / f64::from(sweep.count) / PASS_WANTED.as_secs_f64();
    let least = COMMANDS_MIN.max(names);
    Some((others * COMMAND_SHARE).max(least) * share / CPU_SHARE_USUAL)
}

/// Returns the maximum number of commands per second of one of this many sweeps, if `most` is the
/// maximum for its server. Configured numbers and unlimited ones stay as they are.
#[must_use]
pub fn share_of_all(sweep: &Sweep, most: Option<f64>, sweeps: usize) -> Option<f64> {
    if sweep.commands_per_second.is_some() {
        return most;
    }
    most.map(|most| most.min(COMMANDS_OF_ALL / length(sweeps.max(1))))
}

/// Returns shares for which a pass over `keys` keys takes the intended time within the budgets.
/// Memory has priority: it is heavy-tailed, and MEMORY USAGE does not count as a lookup.
#[must_use]
pub fn detail_shares(
    keys: f64,
    costs: &Costs,
    sweep: &Sweep,
    commands: Option<f64>,
) -> DetailShares {
    let keys = keys.max(1.0);
    let time = sweep.cpu_share.as_f64() * PASS_WANTED.as_secs_f64() * 1e6 / keys;
    let time = divide(
        time - costs.of(SweepQuery::Scan),
        costs.of(SweepQuery::Memory),
        costs.of(SweepQuery::Expiry) + costs.of(SweepQuery::Type),
    );
    let Some(commands) = commands else {
        return time;
    };
    let commands = commands * PASS_WANTED_BY_COMMANDS.as_secs_f64() / keys;
    let commands = divide(commands - 1.0 / f64::from(sweep.count), 1.0, 2.0);
    DetailShares {
        memory: time.memory.min(commands.memory),
        expiry: time.expiry.min(commands.expiry),
    }
}

/// Returns how many random keys to draw at once from a cluster node, for an estimate before the
/// first pass is complete. They must be a small part of all keys, because no key may count twice. A
/// small keyspace is scanned soon, so it is sampled only once.
#[must_use]
pub fn keys_to_draw(keys: u64, has_earlier: bool) -> usize {
    let is_small = keys < DRAWN_KEYS * 32;
    let most = if has_earlier && is_small {
        0
    } else {
        DRAWN_KEYS
    };
    usize::try_from(most.min(keys / 8)).unwrap_or(usize::MAX)
}

/// Divides the remaining budget among the details of one key.
fn divide(left: f64, memory_cost: f64, expiry_cost: f64) -> DetailShares {
    let memory = (left / memory_cost).clamp(DETAIL_SHARE_MIN, 1.0);
    let left = left - memory * memory_cost;
    let expiry = (left / expiry_cost).clamp(DETAIL_SHARE_MIN, 1.0);
    DetailShares { memory, expiry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_budgets_of_thousands_of_sweeps_are_bounded_together() {
        let default = Sweep::default();
        let share = |most, sweeps| share_of_all(&default, most, sweeps);
        assert_eq!(share(Some(50.0), 1), Some(50.0));
        assert_eq!(share(Some(50.0), 120), Some(50.0));
        assert_eq!(share(Some(1_000.0), 120), Some(50.0));
        assert_eq!(share(Some(50.0), 2_000), Some(3.0));
        assert_eq!(share(None, 2_000), None);
        let configured = Sweep {
            commands_per_second: Some(500),
            ..Sweep::default()
        };
        assert_eq!(share_of_all(&configured, Some(500.0), 2_000), Some(500.0));
    }
}
