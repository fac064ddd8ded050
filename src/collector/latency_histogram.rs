//! LATENCY HISTOGRAM: duration of calls by command and bucket.
//!
//! The server lists only buckets whose count grew. Every command is published with the same edges.
//! Otherwise a query for one edge would find nothing for a command that is always faster.

mod known;

use std::sync::Arc;

use super::{Collector, INFO, Memo, Query, Read, Replies, Server};
use crate::metric::{Edge, Family, Histogram, Kind, PackedCounts, Snapshot, Unit, source};
use crate::reply::Reply;
use known::KnownHistograms;

/// Queries the histograms of all commands, or of those named in additional words.
pub static HISTOGRAM: Query = Query::new(&[&["LATENCY", "HISTOGRAM"]], "+latency|histogram");

/// All edges that a server can list, in microseconds. The texts match Go's number format, so that
/// series stay the same after a switch from `redis_exporter`.
///
/// Eight of them are published by default. Each is four times the previous one, and eight times
/// above 17 ms.
static EDGES: &[Edge] = &[
    Edge::only_full(1, "1", "1e-06"),
    Edge::only_full(2, "2", "2e-06"),
    Edge::only_full(4, "4", "4e-06"),
    Edge::only_full(8, "8", "8e-06"),
    Edge::new(16, "16", "1.6e-05"),
    Edge::only_full(33, "33", "3.3e-05"),
    Edge::new(66, "66", "6.6e-05"),
    Edge::only_full(132, "132", "0.000132"),
    Edge::new(264, "264", "0.000264"),
    Edge::only_full(528, "528", "0.000528"),
    Edge::new(1_056, "1056", "0.001056"),
    Edge::only_full(2_113, "2113", "0.002113"),
    Edge::new(4_227, "4227", "0.004227"),
    Edge::only_full(8_454, "8454", "0.008454"),
    Edge::new(16_908, "16908", "0.016908"),
    Edge::only_full(33_816, "33816", "0.033816"),
    Edge::only_full(67_633, "67633", "0.067633"),
    Edge::new(135_266, "135266", "0.135266"),
    Edge::only_full(270_532, "270532", "0.270532"),
    Edge::only_full(541_065, "541065", "0.541065"),
    Edge::new(1_073_741, "1.073741e+06", "1.073741"),
];

/// Commands, including subcommands, that monitoring sends. They dominate on a quiet server, so
/// their histograms are published only if all series are enabled.
const OF_MONITORING: &[&str] = &[
    "acl",
    "client",
    "command",
    "commandlog",
    "config|get",
    "info",
    "latency",
    "memory",
    "module|list",
    "slowlog",
];

/// Returns whether monitoring sends a command, such as `get` or `config|get`.
fn is_of_monitoring(command: &str) -> bool {
    let container = command.split('|').next().unwrap_or_default();
    [command, container]
        .iter()
        .any(|name| OF_MONITORING.contains(name))
}

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Kind, Unit, source};

    pub(super) static LATENCIES: Family<1> = Family::histogram("redis_commands_latencies_seconds", &["cmd"], source("LATENCY HISTOGRAM", "histogram_usec"), Unit::Microseconds, "Duration of calls of the command, in seconds; commands that monitoring sends are read once a minute.").legacy_instead("redis_commands_latencies_usec", Kind::Histogram);
}

/// Reads the histograms. The sums come from the command statistics in INFO; a command without
/// statistics is skipped. Histograms that cannot have changed are not queried again.
pub static COLLECTOR: Collector = Collector {
    name: "latency_histogram",
    about: "Latency histograms for each command.",
    queries: &[&INFO],
    further_queries: &[&HISTOGRAM],
    further: known::query,
    applies: Server::has_latency_histogram,
    families: || vec![rows::LATENCIES.descriptor()],
    read: Read::Remembering(|replies, snapshot| Some(read(replies, snapshot))),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) -> Memo {
    let known = KnownHistograms::after(replies);
    let shown = &replies.circumstances.options.commands;
    for (command, histogram) in known.histograms().filter(|(name, _)| shown.has(name)) {
        snapshot.push_histogram(&rows::LATENCIES, [command], Arc::clone(histogram));
    }
    Memo::new(known)
}

/// Parses `calls 3 histogram_usec [1 2 4 3]`: pairs of an edge and the number of calls up to that
/// edge.
fn histogram(body: &Reply, sum: f64) -> Option<Histogram> {
    let calls = value_of(body, "calls").and_then(whole);
    let listed = value_of(body, "histogram_usec")?;
    let mut listed: Vec<(u64, u64)> = listed.items().chunks(2).filter_map(bucket).collect();
    listed.sort_unstable();
    let counts = dense(&listed);
    let most = listed.iter().map(|(_, count)| *count).max().unwrap_or(0);
    Some(Histogram {
        edges: EDGES,
        counts,
        count: calls.unwrap_or(0).max(most),
        sum,
        only_full: false,
    })
}

fn bucket(pair: &[Reply]) -> Option<(u64, u64)> {
    let [edge, count] = pair else { return None };
    Some((whole(edge)?, whole(count)?))
}

/// Returns a count for every edge: the count of the last listed edge at or below it. An unknown
/// edge therefore counts at the next known one, and counts never decrease.
fn dense(listed: &[(u64, u64)]) -> PackedCounts {
    let mut rest = listed.iter().peekable();
    let mut reached = 0;
    let up_to = |edge: &Edge| {
        while let Some((_, count)) = rest.next_if(|(at, _)| *at <= edge.at) {
            reached = reached.max(*count);
        }
        reached
    };
    EDGES.iter().map(up_to).collect()
}

fn value_of<'a>(body: &'a Reply, name: &str) -> Option<&'a Reply> {
    body.items().chunks(2).find_map(|pair| match pair {
        [key, value] if key.text().as_deref() == Some(name) => Some(value),
        _ => None,
    })
}

fn whole(reply: &Reply) -> Option<u64> {
    reply
        .integer()
        .and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Circumstances;
    use crate::collector::reading::bytes;
    use crate::metric::SampleValue;
    use proptest::prelude::*;

    const COMMANDS: &str = "# Commandstats\r\n\
        cmdstat_get:calls=20501,usec=13247\r\ncmdstat_config|get:calls=2,usec=10\r\n\
        cmdstat_config|set:calls=3,usec=9\r\n";

    fn body(calls: i64, buckets: &[i64]) -> Reply {
        let buckets = buckets
            .iter()
            .map(|number| Reply::Integer(*number))
            .collect();
        let histogram = Reply::List(buckets);
        Reply::List(vec![
            bytes("calls"),
            Reply::Integer(calls),
            bytes("histogram_usec"),
            histogram,
        ])
    }

    fn seen(reply: &Reply) -> Vec<(String, Histogram)> {
        let mut snapshot = Snapshot::default();
        let replies = Replies::new(COMMANDS, Circumstances::default());
        let _ = read(&replies.with(&HISTOGRAM, reply), &mut snapshot);
        let snapshot = snapshot.finish();
        let named = snapshot.samples().map(|sample| match sample.value {
            SampleValue::Histogram(histogram) => (
                sample.label_values().collect::<String>(),
                histogram.as_ref().clone(),
            ),
            other => panic!("no histogram: {other:?}"),
        });
        named.collect()
    }

    #[test]
    fn every_edge_has_a_count() {
        let get = [
            1, 19781, 2, 20401, 4, 20488, 8, 20494, 16, 20495, 33, 20496, 66, 20499,
        ];
        let reply = Reply::List(vec![
            bytes("get"),
            body(20_501, &[&get[..], &[264, 20501]].concat()),
        ]);
        let seen = seen(&reply);
        let (command, histogram) = &seen[0];
        assert_eq!(
            (command.as_str(), histogram.count, histogram.sum),
            ("get", 20_501, 13_247.0)
        );
        let start = [
            19781, 20401, 20488, 20494, 20495, 20496, 20499, 20499, 20501,
        ];
        let counts = histogram.counts.to_vec();
        assert_eq!(counts[..9], start);
        assert_eq!(counts[9..], [20_501; 12]);
    }

    #[test]
    fn subcommand_sums_are_separate_and_parents_sum_them() {
        let reply = Reply::List(vec![
            bytes("config|get"),
            body(2, &[2, 1, 8, 2]),
            bytes("config"),
            body(5, &[8, 5]),
            bytes("conf"),
            body(1, &[8, 1]),
        ]);
        let sums: Vec<_> = seen(&reply)
            .into_iter()
            .map(|(command, histogram)| (command, histogram.sum))
            .collect();
        assert_eq!(
            sums,
            [("config".to_owned(), 19.0), ("config|get".to_owned(), 10.0)]
        );
    }

    #[test]
    fn monitoring_histograms_are_off_by_default() {
        let names = [
            "info",
            "config|get",
            "config|set",
            "client|list",
            "clients",
            "get",
            "scan",
        ];
        assert_eq!(
            names.map(is_of_monitoring),
            [true, true, false, true, false, false, false]
        );
        let reply = Reply::List(vec![
            bytes("config|get"),
            body(2, &[8, 2]),
            bytes("get"),
            body(3, &[8, 3]),
        ]);
        let left_out: Vec<_> = seen(&reply)
            .iter()
            .map(|(_, histogram)| histogram.only_full)
            .collect();
        assert_eq!(left_out, [true, false]);
    }

    #[test]
    fn metric_page_lists_edges_and_monitoring_commands() {
        let page = include_str!("../../docs/reference/metrics/series.md");
        let edges = EDGES.iter().filter(|edge| !edge.only_full);
        let edges: Vec<_> = edges.map(|edge| edge.at.to_string()).collect();
        let (last, first) = edges.split_last().unwrap();
        assert!(page.contains(&format!("{} and {last} microseconds", first.join(", "))));
        let line = page
            .lines()
            .find(|line| line.contains("Commands that monitoring sends"));
        for command in OF_MONITORING {
            assert!(line.unwrap().contains(&format!("`{command}`")), "{command}");
        }
    }

    #[test]
    fn unknown_edge_counts_at_the_next_known_one() {
        let counts = dense(&[(3, 5), (17, 6), (2_000_000, 7)]);
        let counts = counts.to_vec();
        assert_eq!(counts[..6], [0, 0, 5, 5, 5, 6]);
        assert_eq!(counts[20], 6);
    }

    #[test]
    fn edge_texts_match_edges() {
        for edge in EDGES {
            let in_base_unit: f64 = edge.in_base_unit.parse().unwrap();
            assert_eq!(
                edge.as_replied.parse::<f64>().unwrap().to_string(),
                edge.at.to_string()
            );
            assert_eq!(
                (in_base_unit * 1e6).round().to_string(),
                edge.at.to_string()
            );
        }
        assert!(EDGES.is_sorted_by_key(|edge| edge.at));
    }

    proptest! {
        #[test]
        fn counts_never_decrease_or_exceed_the_total(
            calls in any::<i64>(),
            buckets in proptest::collection::vec(any::<i64>(), 0..40),
            small in proptest::collection::vec(0_i64..2_000_000, 0..40),
        ) {
            for buckets in [buckets, small] {
                let histogram = histogram(&body(calls, &buckets), 0.0).unwrap();
                let counts = histogram.counts.to_vec();
                prop_assert_eq!(counts.len(), EDGES.len());
                prop_assert!(counts.is_sorted());
                prop_assert!(counts.last() <= Some(&histogram.count));
            }
        }
    }
}
