//! The Errorstats section of INFO: one record per error code, `errorstat_ERR:count=3`.

use crate::collector::{Collector, INFO, Read, Replies, Server};
use crate::metric::{Family, Snapshot, Unit, source};

/// Maximum number of codes read. Scripts and modules can invent codes, and one name per failure
/// would create one series per failure.
const CODES_MAX: usize = 128;

/// Codes that any server can return.
const WELL_KNOWN: &[&str] = &["ERR", "NOAUTH", "NOPERM", "WRONGPASS"];

/// Codes of servers with keys.
const WELL_KNOWN_WITH_KEYS: &[&str] = &[
    "BUSY",
    "BUSYGROUP",
    "BUSYKEY",
    "EXECABORT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOGROUP",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "UNKILLABLE",
    "WRONGTYPE",
];

/// Codes of cluster nodes.
const WELL_KNOWN_IN_CLUSTERS: &[&str] = &["ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED", "TRYAGAIN"];

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static ERRORS: Family<1> = Family::counter("redis_errors_total", &["err"], source("INFO", "errorstat_<err>:count"), Unit::One, "Error replies by code.");
}

/// Reads the statistics of error replies.
///
/// The rarest codes beyond 128 are dropped. A sum of them would fall when a code grows out of it,
/// which Prometheus treats as a counter reset. The total of all errors is a separate metric.
pub static COLLECTOR: Collector = Collector {
    name: "errorstats",
    about: "Error replies by code.",
    queries: &[&INFO],
    families: || vec![rows::ERRORS.descriptor()],
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let info = &replies.info;
    let counted = info
        .named("errorstat_")
        .filter_map(|(code, field)| Some((code, field.number_in_record("count")?)));
    let mut counted: Vec<_> = counted.collect();
    counted.sort_by(|(code, count), (other_code, other_count)| {
        other_count
            .total_cmp(count)
            .then_with(|| code.cmp(other_code))
    });
    for (code, count) in counted.into_iter().take(CODES_MAX) {
        snapshot.push(&rows::ERRORS, [code], count);
    }
    // Servers without this field have no error statistics.
    if info.get("total_error_replies").is_some() {
        start_at_zero(&replies.server(), snapshot);
    }
}

/// Publishes 0 for well-known codes that have no sample yet. A counter that first appears at 5 has
/// a rate of 0. The first of two samples wins, so counted codes are unaffected.
fn start_at_zero(server: &Server, snapshot: &mut Snapshot) {
    let with_keys = if server.holds_keys() {
        WELL_KNOWN_WITH_KEYS
    } else {
        &[]
    };
    let in_clusters = if server.is_cluster_node() {
        WELL_KNOWN_IN_CLUSTERS
    } else {
        &[]
    };
    for code in WELL_KNOWN.iter().chain(with_keys).chain(in_clusters) {
        snapshot.push(&rows::ERRORS, [code], 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;
    use std::fmt::Write;

    const REDIS_7: &str = "# Stats\r\ntotal_error_replies:8\r\n# Errorstats\r\n\
        errorstat_ERR:count=3\r\nerrorstat_NOPERM:count=1\r\nerrorstat_WRONGTYPE:count=2\r\n";

    fn seen(info: &str) -> Vec<String> {
        reading::of_info(&COLLECTOR, info)
    }

    #[test]
    fn counted_codes_keep_counts_and_well_known_start_at_0() {
        let seen = seen(REDIS_7);
        assert_eq!(seen.len(), WELL_KNOWN.len() + WELL_KNOWN_WITH_KEYS.len());
        for line in [
            "{ERR} 3",
            "{NOPERM} 1",
            "{WRONGTYPE} 2",
            "{OOM} 0",
            "{NOAUTH} 0",
        ] {
            assert!(
                seen.contains(&format!("redis_errors_total{line}")),
                "{line}"
            );
        }
    }

    #[test]
    fn cluster_codes_start_at_0_on_cluster_nodes_only() {
        let moved = "redis_errors_total{MOVED} 0".to_owned();
        assert!(!seen(REDIS_7).contains(&moved));
        assert!(seen(&format!("redis_mode:cluster\r\n{REDIS_7}")).contains(&moved));
    }

    #[test]
    fn sentinel_codes_start_at_0() {
        let sentinel = "redis_mode:sentinel\r\ntotal_error_replies:0\r\n";
        assert_eq!(seen(sentinel).len(), WELL_KNOWN.len());
    }

    #[test]
    fn server_without_error_statistics_has_no_sample() {
        assert!(seen("redis_version:5.0.14\r\n").is_empty());
    }

    #[test]
    fn invented_codes_are_bounded_by_frequency() {
        let mut info = String::new();
        for code in 0..1_000 {
            let _ = write!(info, "errorstat_E{code:03}:count={code}\r\n");
        }
        let seen = seen(&info);
        assert_eq!(seen.len(), CODES_MAX);
        assert_eq!(seen.first().unwrap(), "redis_errors_total{E872} 872");
        assert_eq!(seen.last().unwrap(), "redis_errors_total{E999} 999");
    }
}
