//! The Replication section of INFO: replicas of a primary, and primaries of a replica.
//!
//! Redis has at most one primary. `KeyDB` may have several, each with its own group of fields.
//! Plain fields of the section are rows in another file.

use std::collections::BTreeMap;

use super::numbered;
use crate::collector::{Collector, INFO, Read, Replies};
use crate::info::{Field, Info, number};
use crate::metric::Unit::{Bytes, One, Percent, Seconds};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

const REPLICA_LABELS: &[&str; 3] = &["slave_ip", "slave_port", "slave_state"];

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Bytes, Family, Seconds, REPLICA_LABELS, source};

    pub(super) static REPLICA_OFFSET: Family<3> = Family::gauge("redis_connected_slave_offset_bytes", REPLICA_LABELS, source("INFO", "slave<n>:offset"), Bytes, "Acknowledged replication offset of the replica.");
    pub(super) static REPLICA_LAG: Family<3> = Family::gauge("redis_connected_slave_lag_seconds", REPLICA_LABELS, source("INFO", "slave<n>:lag"), Seconds, "Time since the last acknowledgment of the replica, in seconds.");
    pub(super) static REPLICA_LAG_BYTES: Family<3> = Family::gauge("redis_connected_slave_lag_bytes", REPLICA_LABELS, source("INFO", "slave<n>:offset"), Bytes, "Bytes of the replication stream that the replica has not acknowledged; absent before its first acknowledgment.");
}

/// The fields that a replica reports about a primary.
#[rustfmt::skip] // One metric, one line.
static OF_PRIMARY: &[Family<2>] = &[
    of_primary("master_link_status", One, "redis_master_link_up", "Whether the link to the primary is up."),
    of_primary("master_link_up_since_seconds", Seconds, "redis_master_link_up_since_seconds", "Time since the link to the primary came up, in seconds; absent while it is down."),
    of_primary("master_link_down_since_seconds", Seconds, "redis_master_link_down_since_seconds", "Time since the link to the primary went down, in seconds; absent while it is up, and if it was never up."),
    of_primary("master_last_io_seconds_ago", Seconds, "redis_master_last_io_seconds_ago", "Time since the last data from the primary, in seconds; absent while the link is down."),
    of_primary("master_sync_in_progress", One, "redis_master_sync_in_progress", "Whether the primary is sending a full copy of its data."),
    of_primary("master_sync_total_bytes", Bytes, "redis_master_sync_total_bytes", "Total bytes of the current synchronization; 0 if unknown."),
    of_primary("master_sync_read_bytes", Bytes, "redis_master_sync_read_bytes", "Transferred bytes of the current synchronization."),
    of_primary("master_sync_left_bytes", Bytes, "redis_master_sync_left_bytes", "Remaining bytes of the current synchronization; absent if unknown."),
    of_primary("master_sync_perc", Percent, "redis_master_sync_ratio", "Progress of the current synchronization, from 0 to 1."),
    of_primary("master_sync_last_io_seconds_ago", Seconds, "redis_master_sync_last_io_seconds_ago", "Time since the last data of the current synchronization, in seconds."),
    of_primary("slave_read_repl_offset", Bytes, "redis_slave_read_repl_offset", "Replication offset up to which the replica has read the stream, in bytes."),
    of_primary("slave_repl_offset", Bytes, "redis_slave_repl_offset", "Replication offset up to which the replica has applied the stream, in bytes."),
];

const fn of_primary(
    field: &'static str,
    unit: Unit,
    name: &'static str,
    help: &'static str,
) -> Family<2> {
    Family::gauge(
        name,
        &["master_host", "master_port"],
        source("INFO", field),
        unit,
        help,
    )
}

/// Reads both sides of replication.
pub static COLLECTOR: Collector = Collector {
    name: "replication",
    about: "Replicas of a primary, and the primary of a replica.",
    queries: &[&INFO],
    families,
    read: Read::Samples(read),
    ..Collector::ON
};

fn families() -> Vec<&'static Descriptor> {
    [
        &rows::REPLICA_OFFSET,
        &rows::REPLICA_LAG,
        &rows::REPLICA_LAG_BYTES,
    ]
    .map(Family::descriptor)
    .into_iter()
    .chain(OF_PRIMARY.iter().map(Family::descriptor))
    .collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let info = &replies.info;
    let sent = info.number("master_repl_offset");
    let replicas = info.numbered("slave").map(|(_, field)| field);
    for (labels, replica) in by_address(replicas, sent) {
        replica.show(labels, snapshot);
    }
    for primary in primaries(info) {
        for (family, value) in primary.values {
            snapshot.push(family, [primary.host, primary.port], value);
        }
    }
}

/// Label values of a replica: address, port, state. Missing parts are empty.
type Labels<'a> = [&'a str; 3];

/// The values that a primary reports about a replica.
#[derive(Clone, Copy, Debug)]
struct Replica {
    offset: Option<f64>,
    lag: Option<f64>,
    lag_bytes: Option<f64>,
}

/// Reads all replicas. Replicas at one address, such as behind a proxy, share a series with the
/// worst values.
fn by_address<'a>(
    fields: impl Iterator<Item = Field<'a>>,
    sent: Option<f64>,
) -> BTreeMap<Labels<'a>, Replica> {
    let mut found: BTreeMap<Labels<'a>, Replica> = BTreeMap::new();
    for field in fields {
        let of = |name| field.in_record(name).unwrap_or_default();
        let labels = [of("ip"), of("port"), of("state")];
        let replica = Replica::read(field, labels, sent);
        found
            .entry(labels)
            .and_modify(|known| *known = known.worst(replica))
            .or_insert(replica);
    }
    found.retain(|labels, _| labels.iter().any(|label| !label.is_empty()));
    found
}

impl Replica {
    /// Parses `ip=127.0.0.1,port=6380,state=online,offset=1,lag=0`. `sent` is the current length of
    /// the replication stream.
    fn read(field: Field<'_>, [_, _, state]: Labels<'_>, sent: Option<f64>) -> Self {
        let offset = field.number_in_record("offset");
        // The offset is 0 while the initial copy runs, because nothing is acknowledged yet.
        let acknowledged = offset.filter(|offset| *offset > 0.0 || state == "online");
        let behind = sent.zip(acknowledged);
        Self {
            offset,
            lag: field.number_in_record("lag"),
            lag_bytes: behind.map(|(sent, at)| (sent - at).max(0.0)),
        }
    }

    fn worst(self, other: Self) -> Self {
        Self {
            offset: either(self.offset, other.offset, f64::min),
            lag: either(self.lag, other.lag, f64::max),
            lag_bytes: either(self.lag_bytes, other.lag_bytes, f64::max),
        }
    }

    fn show(self, labels: Labels<'_>, snapshot: &mut Snapshot) {
        snapshot.push(&rows::REPLICA_OFFSET, labels, self.offset);
        snapshot.push(&rows::REPLICA_LAG, labels, self.lag);
        snapshot.push(&rows::REPLICA_LAG_BYTES, labels, self.lag_bytes);
    }
}

/// Combines two values with `choose`, or returns the only known one.
fn either(one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}

/// The values that a replica reports about one of its primaries.
#[derive(Debug, Default)]
pub(super) struct Primary<'a> {
    pub(super) host: &'a str,
    pub(super) port: &'a str,
    values: Vec<(&'static Family<2>, f64)>,
}

/// Returns the primaries of a replica, in the order of INFO; empty on a primary.
///
/// A host starts a group, and the fields up to the next host belong to it. `KeyDB` numbers the
/// names of additional groups (`master_1_host`), but not of every field in them.
pub(super) fn primaries(info: &Info) -> Vec<Primary<'_>> {
    let mut found = Vec::new();
    for field in info.plain() {
        let name = without_number(field.name);
        if name == Some("host") {
            found.push(Primary {
                host: field.value,
                ..Primary::default()
            });
        } else if let Some(last) = found.last_mut() {
            fill(last, name, field);
        }
    }
    found
}

fn fill<'a>(primary: &mut Primary<'a>, name: Option<&str>, field: Field<'a>) {
    if name == Some("port") {
        primary.port = field.value;
        return;
    }
    let row = OF_PRIMARY.iter().find(|row| {
        let of_row = row.field();
        of_row == field.name || name.is_some() && of_row.strip_prefix("master_") == name
    });
    // Negative values mean unknown.
    let value = number(field.value).filter(|value| *value >= 0.0);
    if let (Some(row), Some(value)) = (row, value) {
        primary.values.push((row, value));
    }
}

/// Returns the part of a field name about a primary: `host` for `master_host` and `master_1_host`.
fn without_number(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("master_")?;
    match rest.split_once('_') {
        Some((number, rest)) if numbered(number, "").is_some() => Some(rest),
        _ => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    #[test]
    fn replica_values_are_read_by_name() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            master_repl_offset:14958000\r\n\
            slave0:ip=127.0.0.1,port=7911,state=online,offset=14957725,lag=0,io-thread=0\r\n\
            slave1:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0\r\n";
        let expected = [
            "redis_connected_slave_lag_bytes{127.0.0.1,7911,online} 275",
            "redis_connected_slave_lag_seconds{127.0.0.1,7911,online} 0",
            "redis_connected_slave_offset_bytes{10.0.0.2,6379,wait_bgsave} 0",
            "redis_connected_slave_offset_bytes{127.0.0.1,7911,online} 14957725",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, primary), expected);
    }

    #[test]
    fn online_replica_without_acknowledgment_has_full_lag() {
        let primary = "master_repl_offset:500\r\n\
            slave0:ip=a,port=1,state=online,offset=0,lag=3\r\n\
            slave1:ip=b,port=1,state=send_bulk,offset=0,lag=0\r\n";
        let seen = reading::of_info(&COLLECTOR, primary);
        assert!(seen.contains(&"redis_connected_slave_lag_bytes{a,1,online} 500".to_owned()));
        assert!(!seen.iter().any(|line| line.contains("lag_bytes{b")));
    }

    #[test]
    fn replica_publishes_its_primary() {
        let replica = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:7910\r\n\
            master_link_status:up\r\nmaster_last_io_seconds_ago:3\r\nmaster_sync_in_progress:0\r\n\
            slave_read_repl_offset:14961600\r\nslave_repl_offset:14961598\r\n";
        let expected = [
            "redis_master_last_io_seconds_ago{127.0.0.1,7910} 3",
            "redis_master_link_up{127.0.0.1,7910} 1",
            "redis_master_sync_in_progress{127.0.0.1,7910} 0",
            "redis_slave_read_repl_offset{127.0.0.1,7910} 14961600",
            "redis_slave_repl_offset{127.0.0.1,7910} 14961598",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, replica), expected);
    }

    #[test]
    fn negative_values_are_unknown() {
        let replica = "master_host:a\r\nmaster_port:1\r\nmaster_link_status:down\r\n\
            master_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:1\r\n\
            master_sync_left_bytes:-1\r\nmaster_sync_perc:0.00\r\n\
            master_link_down_since_seconds:-1\r\n";
        let expected = [
            "redis_master_link_up{a,1} 0",
            "redis_master_sync_in_progress{a,1} 1",
            "redis_master_sync_ratio{a,1} 0",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, replica), expected);
    }

    #[test]
    fn replica_ahead_of_the_primary_has_no_lag() {
        let primary = "slave0:ip=a,port=1,state=online,offset=12,lag=0\r\n\
            master_repl_offset:10\r\n";
        let seen = reading::of_info(&COLLECTOR, primary);
        assert!(seen.contains(&"redis_connected_slave_lag_bytes{a,1,online} 0".to_owned()));
    }

    #[test]
    fn each_primary_has_its_own_values() {
        let keydb = "# Replication\r\nrole:active-replica\r\nmaster_global_link_status:down\r\n\
            master_host:a\r\nmaster_port:1\r\nmaster_link_status:up\r\nslave_repl_offset:11\r\n\
            master_1_host:b\r\nmaster_1_port:2\r\nmaster_1_link_status:down\r\n\
            slave_repl_offset:22\r\n";
        let expected = [
            "redis_master_link_up{a,1} 1",
            "redis_master_link_up{b,2} 0",
            "redis_slave_repl_offset{a,1} 11",
            "redis_slave_repl_offset{b,2} 22",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, keydb), expected);
    }
}
