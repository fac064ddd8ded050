//! The commands that take most of the server's time. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::Seen;
use crate::history::is_of_clients;

/// Maximum number of commands.
const COMMANDS_MAX: usize = 10;

/// The use of a command since the server started.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CommandRow {
    /// The command, such as `get` or `config|get`.
    pub command: String,
    /// How often it was called.
    pub calls: Option<f64>,
    /// Mean time that the server took, in seconds.
    pub mean_seconds: Option<f64>,
    /// Time as a share of that of all commands.
    pub time_share: Option<f64>,
    /// Calls in the slow log since the exporter started.
    pub slow: Option<f64>,
    /// The part of them that connections of an exporter sent.
    pub slow_of_exporter: Option<f64>,
}

/// Returns the commands with most time, and slow ones. Leaves out commands that the exporter sends
/// all the time, unless they are slow.
pub(super) fn commands(seen: &Seen<'_>) -> Vec<CommandRow> {
    let mut rows: BTreeMap<&str, (CommandRow, f64)> = BTreeMap::new();
    for sample in seen.samples("redis_commands_duration_seconds_total") {
        if let Some((command, seconds)) = sample.label("cmd").zip(sample.number()) {
            rows.entry(command).or_default().1 = seconds;
        }
    }
    for sample in seen.samples("redis_commands_total") {
        if let Some(command) = sample.label("cmd") {
            rows.entry(command).or_default().0.calls = sample.number();
        }
    }
    for sample in seen.samples("redis_slow_commands_total") {
        if let Some(command) = sample.label("cmd") {
            rows.entry(command).or_default().0.slow = sample.number();
        }
    }
    for sample in seen.samples("redis_exporter_slow_commands_total") {
        if let Some(command) = sample.label("cmd") {
            rows.entry(command).or_default().0.slow_of_exporter = sample.number();
        }
    }
    let all: f64 = rows.values().map(|(_, seconds)| seconds).sum();
    let is_slow = |row: &CommandRow| row.slow.is_some_and(|slow| slow > 0.0);
    let mut rows: Vec<(CommandRow, f64)> = rows
        .into_iter()
        .filter(|(command, (row, _))| is_of_clients(command) || is_slow(row))
        .map(|(command, (mut row, seconds))| {
            command.clone_into(&mut row.command);
            let calls = row.calls.filter(|calls| *calls > 0.0);
            row.mean_seconds = calls.map(|calls| seconds / calls);
            row.time_share = (all > 0.0).then(|| seconds / all);
            (row, seconds)
        })
        .collect();
    rows.sort_by(|one, other| {
        let slow = is_slow(&other.0).cmp(&is_slow(&one.0));
        slow.then_with(|| other.1.total_cmp(&one.1))
    });
    rows.truncate(COMMANDS_MAX);
    rows.into_iter().map(|(row, _)| row).collect()
}
