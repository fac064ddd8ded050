//! The Commandstats section of INFO: one record per command,
//! `cmdstat_get:calls=3,usec=9,usec_per_call=3.00,rejected_calls=0,failed_calls=1`.

use std::collections::HashMap;

use crate::collector::{Collector, INFO, Read, Replies};
use crate::info::{Field, Info, number};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static CALLS: Family<1> = Family::counter("redis_commands_total", &["cmd"], source("INFO", "cmdstat_<cmd>:calls"), Unit::One, "Calls of the command.");
    pub(super) static DURATION: Family<1> = Family::counter("redis_commands_duration_seconds_total", &["cmd"], source("INFO", "cmdstat_<cmd>:usec"), Unit::Microseconds, "Time spent executing the command, in seconds.");
    pub(super) static REJECTED: Family<1> = Family::counter("redis_commands_rejected_calls_total", &["cmd"], source("INFO", "cmdstat_<cmd>:rejected_calls"), Unit::One, "Calls of the command that were rejected before execution.");
    pub(super) static FAILED: Family<1> = Family::counter("redis_commands_failed_calls_total", &["cmd"], source("INFO", "cmdstat_<cmd>:failed_calls"), Unit::One, "Calls of the command that failed during execution.");
}

/// Families, each with the name of its value in a record.
static VALUES: &[(&Family<1>, &str)] = &[
    (&rows::CALLS, "calls"),
    (&rows::DURATION, "usec"),
    (&rows::REJECTED, "rejected_calls"),
    (&rows::FAILED, "failed_calls"),
];

/// Index of the calls.
const CALLS: usize = 0;

/// Commands whose calls are always published, regardless of the option `commands`, because alerts
/// use them.
const RULES_READ: &[&str] = &[
    "cluster|migrateslots",
    "cluster|migration",
    "cluster|setslot",
    "flushall",
    "flushdb",
    "migrate",
    "swapdb",
];

/// Reads command statistics.
pub static COLLECTOR: Collector = Collector {
    name: "commandstats",
    about: "Calls, time and failures of each command.",
    queries: &[&INFO],
    families: || {
        VALUES
            .iter()
            .map(|(family, _)| family.descriptor())
            .collect()
    },
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let shown = &replies.circumstances.options.commands;
    let read = records(&replies.info).map(|(command, field)| (command, values(field)));
    let mut read: Vec<_> = read.collect();
    // Samples already in snapshot order need no sorting.
    read.sort_by_key(|(command, _)| *command);
    for (place, (family, _)) in VALUES.iter().enumerate() {
        for (command, values) in &read {
            let is_read_by_rules = || place == CALLS && RULES_READ.contains(command);
            let value = values.get(place).copied().flatten();
            let value = value.filter(|_| shown.has(command) || is_read_by_rules());
            snapshot.push(family, [command], value);
        }
    }
}

/// Returns the values of a record, in the order of [`VALUES`].
fn values(field: Field<'_>) -> [Option<f64>; VALUES.len()] {
    let mut values = [None; VALUES.len()];
    for (name, text) in field.record() {
        let place = VALUES.iter().position(|(_, wanted)| *wanted == name);
        if let Some(value) = place.and_then(|place| values.get_mut(place)) {
            *value = number(text);
        }
    }
    values
}

fn records(info: &Info) -> impl Iterator<Item = (&str, Field<'_>)> {
    info.named("cmdstat_")
}

/// Number of calls of a command and their total time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Number of calls.
    pub calls: u64,
    /// Total time, in microseconds.
    pub microseconds: f64,
}

/// Returns the usage of every called command, by its name in the statistics. A subcommand has a
/// name such as `config|get`.
pub(in crate::collector) fn usage(info: &Info) -> HashMap<String, Usage> {
    records(info)
        .filter_map(|(command, field)| {
            let calls = field.in_record("calls")?.parse().ok()?;
            let microseconds = field.number_in_record("usec")?;
            Some((
                command.to_owned(),
                Usage {
                    calls,
                    microseconds,
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::config::{CollectorOptions, Commands};
    use std::sync::Arc;

    #[test]
    fn values_are_read_by_name() {
        let redis_7 = "# Commandstats\r\n\
            cmdstat_config|get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=3,failed_calls=1\r\n";
        let expected = [
            "redis_commands_duration_seconds_total{config|get} 10",
            "redis_commands_failed_calls_total{config|get} 1",
            "redis_commands_rejected_calls_total{config|get} 3",
            "redis_commands_total{config|get} 2",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, redis_7), expected);
    }

    #[test]
    fn server_without_failure_counts_publishes_none() {
        let redis_5 = "# Commandstats\r\ncmdstat_set:calls=22351,usec=21588,usec_per_call=0.97\r\n";
        let expected = [
            "redis_commands_duration_seconds_total{set} 21588",
            "redis_commands_total{set} 22351",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, redis_5), expected);
    }

    #[test]
    fn commands_used_by_alerts_ignore_the_commands_option() {
        let circumstances = Circumstances {
            options: Arc::new(CollectorOptions {
                commands: Commands::new(Some(Vec::new()), Vec::new()),
                ..CollectorOptions::default()
            }),
            ..Circumstances::default()
        };
        let seen = reading::of(
            &COLLECTOR,
            "cmdstat_flushdb:calls=2,usec=10\r\ncmdstat_get:calls=3,usec=9\r\n",
            circumstances,
            &[],
        );
        assert_eq!(seen, ["redis_commands_total{flushdb} 2"]);
    }

    #[test]
    fn commands_selected_by_alerts_are_always_published() {
        let rules = include_str!("../../../alerts/redis.rules.yml");
        let matchers = rules.split("{cmd=~\"").skip(1);
        let matchers: Vec<_> = matchers.filter_map(|rest| rest.split('"').next()).collect();
        assert!(!matchers.is_empty());
        for matcher in &matchers {
            // A matcher that selects no command in the list would make the test pass without a
            // check.
            let pattern = regex::Regex::new(&format!("^(?:{matcher})$")).unwrap();
            let shown = RULES_READ.iter().filter(|name| pattern.is_match(name));
            assert_eq!(shown.count(), words(matcher), "{matcher}");
        }
    }

    /// Counts the commands that a matcher selects: its alternatives, apart from a common part.
    fn words(matcher: &str) -> usize {
        let alternatives = matcher.replace("[|]", "/");
        alternatives.split('|').count()
    }

    #[test]
    fn usage_is_keyed_by_command_name() {
        let info =
            Info::parse("cmdstat_get:calls=20501,usec=13247\r\ncmdstat_bad:calls=x,usec=1\r\n");
        let expected = HashMap::from([(
            "get".to_owned(),
            Usage {
                calls: 20_501,
                microseconds: 13_247.0,
            },
        )]);
        assert_eq!(usage(&info), expected);
    }
}
