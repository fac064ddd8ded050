//! The Latencystats section of INFO: percentiles per command since its statistics began,
//! `latency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=3.007`.

use super::commandstats::{Usage, usage};
use crate::collector::{Collector, INFO, Read, Replies};
use crate::info::{Field, number};
use crate::metric::{Family, Kind, Snapshot, Summary, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Kind, Unit, source};

    pub(super) static PERCENTILES: Family<1> = Family::summary("redis_latency_percentiles_seconds", &["cmd"], source("INFO", "latency_percentiles_usec_<cmd>"), Unit::Microseconds, "Percentiles of the duration of the command, over all calls since the last reset of the statistics.").legacy_instead("redis_latency_percentiles_usec", Kind::Summary);
}

/// Reads the percentiles. The count and the sum come from the statistics of commands; a command
/// that has none there is left out.
pub static COLLECTOR: Collector = Collector {
    name: "latencystats",
    about: "Latency percentiles of each command.",
    queries: &[&INFO],
    families: || vec![rows::PERCENTILES.descriptor()],
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let usage = usage(&replies.info);
    let shown = &replies.circumstances.options.commands;
    for field in replies.info.fields() {
        let command = field.name.strip_prefix("latency_percentiles_usec_");
        let command = command.filter(|command| shown.has(command));
        let used = command.and_then(|command| usage.get(command));
        if let (Some(command), Some(used)) = (command, used) {
            snapshot.push_summary(&rows::PERCENTILES, [command], summary(field, *used));
        }
    }
}

fn summary(field: Field<'_>, used: Usage) -> Summary {
    let mut percentiles: Vec<(f64, f64)> = field
        .record()
        .filter_map(|(name, value)| Some((number(name.strip_prefix('p')?)?, number(value)?)))
        .filter(|(percentile, _)| (0.0..=100.0).contains(percentile))
        .collect();
    percentiles.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    // The server's configuration may name a percentile twice; a page may not. Comparing what
    // was parsed from text: no arithmetic has blurred it.
    percentiles.dedup_by(|(later, _), (first, _)| later.total_cmp(first).is_eq());
    Summary {
        percentiles,
        count: used.calls,
        sum: used.microseconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    const COMMANDS: &str = "# Commandstats\r\n\
        cmdstat_get:calls=20501,usec=13247,usec_per_call=0.65,rejected_calls=1,failed_calls=1\r\n\
        cmdstat_config|get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=0,failed_calls=0\r\n";

    fn seen(latencies: &str) -> Vec<String> {
        reading::of_info(
            &COLLECTOR,
            &format!("{COMMANDS}# Latencystats\r\n{latencies}"),
        )
    }

    #[test]
    fn count_and_sum_are_those_of_the_same_command() {
        let latencies = "latency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=3.007\r\n\
                         latency_percentiles_usec_config|get:p50=3.007,p99=7.007,p99.9=7.007\r\n";
        let expected = [
            "redis_latency_percentiles_seconds{config|get} \
             [(50.0, 3.007), (99.0, 7.007), (99.9, 7.007)] count 2 sum 10",
            "redis_latency_percentiles_seconds{get} \
             [(50.0, 1.003), (99.0, 2.007), (99.9, 3.007)] count 20501 sum 13247",
        ];
        assert_eq!(seen(latencies), expected);
    }

    #[test]
    fn a_command_without_statistics_is_left_out() {
        assert!(seen("latency_percentiles_usec_set:p50=1.003\r\n").is_empty());
    }

    #[test]
    fn each_percentile_stands_once() {
        let expected =
            ["redis_latency_percentiles_seconds{get} [(50.0, 1.0)] count 20501 sum 13247"];
        assert_eq!(
            seen("latency_percentiles_usec_get:p50=1,p50.0=2,p500=3,px=4\r\n"),
            expected
        );
    }
}
