//! Identity and start time of a server: `redis_instance_info`, `redis_slave_info`, and the start
//! time.

use super::replication::primaries;
use crate::collector::{Circumstances, Collector, INFO, Memo, Read, Replies};
use crate::info::Info;
use crate::metric::{Family, Snapshot, Unit, source};

/// Tolerance between two computed start times. Both clocks are read in whole seconds, and the
/// network delays the reply.
const START_TOLERANCE_SECONDS: f64 = 2.0;

/// Labels of `redis_instance_info`, each named after its field. A missing value is empty, which
/// Prometheus treats as no label.
const INSTANCE_LABELS: &[&str; 12] = &[
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
    "master_replid",
    "valkey_version",
    "valkey_release_stage",
];

static INSTANCE_INFO: Family<12> = Family::gauge(
    "redis_instance_info",
    INSTANCE_LABELS,
    source("INFO", ""),
    Unit::One,
    "Version, role and configuration of the server in labels; always 1.",
);

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static REPLICA_INFO: Family<3> = Family::gauge("redis_slave_info", &["master_host", "master_port", "read_only"], source("INFO", "master_host"), Unit::One, "Primary of a replica, and whether the replica is read-only, in labels; always 1.");
    pub(super) static START_TIME: Family<0> = Family::gauge("redis_start_time_seconds", &[], source("INFO", "uptime_in_seconds"), Unit::Seconds, "Start time of the server, in seconds since the epoch.");
}

/// The first computed start time of a server that does not report its own time.
#[derive(Debug)]
struct KnownStart {
    /// The run id of the server.
    run_id: String,
    /// Seconds since the epoch.
    seconds: f64,
}

/// Reads the identity of the server.
pub static COLLECTOR: Collector = Collector {
    name: "instance",
    about: "Version, role and mode of the server, its primary, and its start time.",
    queries: &[&INFO],
    families: || {
        vec![
            INSTANCE_INFO.descriptor(),
            rows::REPLICA_INFO.descriptor(),
            rows::START_TIME.descriptor(),
        ]
    },
    read: Read::Remembering(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) -> Option<Memo> {
    let info = &replies.info;
    if info.is_empty() {
        return None;
    }
    let labels = INSTANCE_LABELS.map(|label| label_value(info, label));
    snapshot.push(&INSTANCE_INFO, labels, 1.0);
    let read_only = info.get("slave_read_only").unwrap_or_default();
    for primary in primaries(info) {
        let labels = [primary.host, primary.port, read_only];
        snapshot.push(&rows::REPLICA_INFO, labels, 1.0);
    }
    let seconds = start_time(info, &replies.circumstances)?;
    snapshot.push(&rows::START_TIME, [], seconds);
    let run_id = info.get("run_id")?.to_owned();
    Some(Memo::new(KnownStart { run_id, seconds }))
}

fn label_value<'a>(info: &'a Info, label: &str) -> &'a str {
    let renamed = || {
        if label == "redis_mode" {
            info.get("server_mode")
        } else {
            None
        }
    };
    info.get(label).or_else(renamed).unwrap_or_default()
}

/// Returns the start time of the server, in seconds since the epoch.
///
/// A server that reports its own time reads it together with its uptime, so the difference is
/// constant. Otherwise the exporter's clock is used, and the start time of an earlier poll is kept
/// for the same run id. A start time that shifts by a second looks like a restart.
fn start_time(info: &Info, circumstances: &Circumstances) -> Option<f64> {
    let uptime = info.number("uptime_in_seconds")?;
    if let Some(microseconds) = info.number("server_time_usec") {
        return Some((microseconds / 1e6).floor() - uptime);
    }
    let computed = circumstances.polled_at.floor() - uptime;
    let known = circumstances.remembered.get::<KnownStart>();
    let known = known.filter(|known| {
        info.get("run_id") == Some(known.run_id.as_str())
            && (known.seconds - computed).abs() <= START_TOLERANCE_SECONDS
    });
    Some(known.map_or(computed, |known| known.seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    const VALKEY_REPLICA: &str = "\
        # Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n\
        valkey_release_stage:ga\r\nredis_build_id:d6ee345321ed50f9\r\nserver_mode:standalone\r\n\
        os:Linux 6.12.0 x86_64\r\nprocess_id:8609\r\nrun_id:d0fc6ab0\r\ntcp_port:7911\r\n\
        server_time_usec:1795442126183910\r\nuptime_in_seconds:9\r\n\
        # Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\
        # Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:7910\r\n\
        slave_read_only:1\r\nmaster_replid:2d8c\r\n";

    #[test]
    fn valkey_mode_and_version_are_labels() {
        let expected = [
            "redis_instance_info{slave,7.2.4,d6ee345321ed50f9,standalone,Linux 6.12.0 x86_64,\
             noeviction,7911,d0fc6ab0,8609,2d8c,9.1.2,ga} 1",
            "redis_slave_info{127.0.0.1,7910,1} 1",
            "redis_start_time_seconds{} 1795442117",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, VALKEY_REPLICA), expected);
    }

    #[test]
    fn missing_value_is_an_empty_label() {
        let sentinel = "redis_version:7.0.15\r\nredis_mode:sentinel\r\n";
        let expected = ["redis_instance_info{,7.0.15,,sentinel,,,,,,,,} 1"];
        assert_eq!(reading::of_info(&COLLECTOR, sentinel), expected);
    }

    #[test]
    fn reply_without_fields_publishes_nothing() {
        assert!(reading::of_info(&COLLECTOR, "").is_empty());
    }

    fn start_of_redis_5(polled_at: f64, known: Option<(&str, f64)>) -> Option<f64> {
        let info =
            Info::parse("redis_version:5.0.14\r\nrun_id:27334c9e\r\nuptime_in_seconds:100\r\n");
        let known = known.map(|(run_id, seconds)| {
            let run_id = run_id.to_owned();
            Memo::new(KnownStart { run_id, seconds })
        });
        start_time(
            &info,
            &Circumstances {
                polled_at,
                remembered: known.into_iter().collect(),
                ..Circumstances::default()
            },
        )
    }

    #[test]
    fn known_start_of_the_same_run_is_kept() {
        assert_eq!(start_of_redis_5(1_000.9, None), Some(900.0));
        assert_eq!(
            start_of_redis_5(1_001.1, Some(("27334c9e", 900.0))),
            Some(900.0)
        );
        assert_eq!(
            start_of_redis_5(1_001.1, Some(("another", 900.0))),
            Some(901.0)
        );
    }

    #[test]
    fn distant_known_start_is_discarded() {
        assert_eq!(
            start_of_redis_5(2_000.0, Some(("27334c9e", 900.0))),
            Some(1_900.0)
        );
    }
}
