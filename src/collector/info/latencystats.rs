//! The Latencystats section of INFO: percentiles per command since its statistics started,
//! `latency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=3.007`.

use std::collections::BTreeMap;

use crate::collector::by_name::ByName;
use crate::collector::{Collector, INFO, Memo, Read, Replies};
use crate::info::{Field, number};
use crate::metric::{Family, Kind, PercentileTable, Snapshot, Summary, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Kind, Unit, source};

    pub(super) static PERCENTILES: Family<1> = Family::summary("redis_latency_percentiles_seconds", &["cmd"], source("INFO", "latency_percentiles_usec_<cmd>"), Unit::Microseconds, "Percentiles of the duration of the command in seconds, over all calls since the last reset of the statistics, read once a minute.").legacy_instead("redis_latency_percentiles_usec", Kind::Summary);
}

/// Reads the percentiles. Count and sum come from the command statistics; commands without them are
/// skipped.
pub static COLLECTOR: Collector = Collector {
    name: "latencystats",
    about: "Latency percentiles of each command.",
    queries: &[&INFO],
    families: || vec![rows::PERCENTILES.descriptor()],
    read: Read::Remembering(read),
    ..Collector::ON
};

/// The section with the percentiles. Most polls do not request it.
const SECTION: &str = "Latencystats";

/// The percentiles of the last poll that requested them.
#[derive(Debug)]
struct KnownPercentiles {
    /// The run id of the server.
    run_id: Option<String>,
    /// The percentiles of all commands, in the order of their names.
    percentiles: PercentileTable,
    /// Number of calls of each command when the percentiles were read.
    calls: ByName<u64>,
}

fn read(replies: &Replies, snapshot: &mut Snapshot) -> Option<Memo> {
    let info = &replies.info;
    if info.has_section(SECTION) || info.named(PREFIX).next().is_some() {
        let known = KnownPercentiles::read(replies);
        known.push(replies, snapshot);
        return Some(Memo::new(known));
    }
    let known = replies.circumstances.remembered.get::<KnownPercentiles>()?;
    if known.run_id.as_deref() == info.get("run_id") {
        known.push(replies, snapshot);
    }
    None
}

/// Prefix of the field names. The rest is the command.
const PREFIX: &str = "latency_percentiles_usec_";

/// Pairs of a percentile (0 to 100) and its value.
type RankedValues = Vec<(f64, f64)>;

impl KnownPercentiles {
    fn read(replies: &Replies) -> Self {
        let info = &replies.info;
        let (used, shown) = (replies.usage(), &replies.circumstances.options.commands);
        let entries = info.named(PREFIX).filter(|(command, _)| shown.has(command));
        let entries = entries.filter_map(|(command, field)| {
            let calls = used.get(command)?.calls;
            Some((command, (calls, percentiles(field))))
        });
        let commands: BTreeMap<&str, (u64, RankedValues)> = entries.collect();
        let rows: Vec<&[(f64, f64)]> = commands.values().map(|(_, row)| &**row).collect();
        let calls = commands
            .iter()
            .map(|(command, (calls, _))| (*command, *calls));
        Self {
            run_id: info.get("run_id").map(str::to_owned),
            percentiles: PercentileTable::new(&rows),
            calls: ByName::new(calls.collect::<BTreeMap<&str, u64>>()),
        }
    }

    /// Publishes the percentiles with current counts and sums.
    fn push(&self, replies: &Replies, snapshot: &mut Snapshot) {
        let used = replies.usage();
        for (row, (command, calls)) in (0..).zip(self.calls.iter()) {
            let used = used.get(command);
            // A lower number of calls means that the statistics were reset.
            let Some(used) = used.filter(|used| used.calls >= *calls) else {
                continue;
            };
            let summary = Summary {
                percentiles: self.percentiles.row(row),
                count: used.calls,
                sum: used.microseconds,
            };
            snapshot.push_summary(&rows::PERCENTILES, [command], summary);
        }
    }
}

fn percentiles(field: Field<'_>) -> RankedValues {
    let mut percentiles: RankedValues = field
        .record()
        .filter_map(|(name, value)| Some((number(name.strip_prefix('p')?)?, number(value)?)))
        .filter(|(percentile, _)| (0.0..=100.0).contains(percentile))
        .collect();
    percentiles.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    // The server's configuration may list a percentile twice, but a page must not. Exact comparison
    // is safe, because the values are parsed and not computed.
    percentiles.dedup_by(|(later, _), (first, _)| later.total_cmp(first).is_eq());
    percentiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::metric::SampleValue;

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
    fn count_and_sum_belong_to_the_same_command() {
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
    fn command_without_statistics_is_skipped() {
        assert!(seen("latency_percentiles_usec_set:p50=1.003\r\n").is_empty());
    }

    #[test]
    fn duplicate_percentiles_are_published_once() {
        let expected =
            ["redis_latency_percentiles_seconds{get} [(50.0, 1.0)] count 20501 sum 13247"];
        assert_eq!(
            seen("latency_percentiles_usec_get:p50=1,p50.0=2,p500=3,px=4\r\n"),
            expected
        );
    }

    fn remembering(info: &str, known: Option<Memo>) -> Replies {
        let circumstances = Circumstances {
            remembered: known.into_iter().collect(),
            ..Circumstances::default()
        };
        Replies::new(info, circumstances)
    }

    fn shown(replies: &Replies) -> (usize, Option<u64>) {
        let mut snapshot = Snapshot::default();
        let _ = read(replies, &mut snapshot);
        let mut counts = snapshot.samples().map(|sample| match sample.value {
            SampleValue::Summary(summary) => summary.count,
            SampleValue::Number(_) | SampleValue::Histogram(_) => 0,
        });
        (snapshot.len(), counts.next())
    }

    #[test]
    fn percentiles_are_kept_with_new_counts() {
        const LATENCIES: &str = "# Latencystats\r\nlatency_percentiles_usec_get:p50=1.003\r\n";
        let known = || {
            let whole = remembering(&format!("run_id:a\r\n{COMMANDS}{LATENCIES}"), None);
            read(&whole, &mut Snapshot::default())
        };
        let later = |info: &str| shown(&remembering(info, known()));
        let now = "run_id:a\r\ncmdstat_get:calls=20502,usec=13250\r\n";
        assert_eq!(later(now), (1, Some(20_502)));
        let reset = "run_id:a\r\ncmdstat_get:calls=3,usec=9\r\n";
        assert_eq!(later(reset), (0, None));
        let another = now.replace("run_id:a", "run_id:b");
        assert_eq!(later(&another), (0, None));
        // The section without commands: no command has percentiles any more.
        let emptied = format!("{now}# Latencystats\r\n");
        assert_eq!(later(&emptied), (0, None));
    }
}
