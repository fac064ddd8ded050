//! The Replication section of INFO: the replicas of a primary, and the primaries of a replica.
//!
//! Redis has at most one primary; `KeyDB` may have several, each with its own group of fields.
//! The section's plain fields are rows and do not stand here.

use super::numbered;
use crate::collector::{Answers, Collector, INFO, always};
use crate::info::{Field, Info};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

const REPLICA_LABELS: &[&str; 3] = &["slave_ip", "slave_port", "slave_state"];
const PRIMARY_LABELS: &[&str; 2] = &["master_host", "master_port"];

static REPLICA_OFFSET: Family<3> = Family::gauge(
    "redis_connected_slave_offset_bytes",
    REPLICA_LABELS,
    source("INFO", "slave<n>:offset"),
    Unit::Bytes,
    "Replication offset that the replica has acknowledged.",
);

static REPLICA_LAG: Family<3> = Family::gauge(
    "redis_connected_slave_lag_seconds",
    REPLICA_LABELS,
    source("INFO", "slave<n>:lag"),
    Unit::Seconds,
    "Time since the replica last acknowledged.",
);

static LINK_UP: Family<2> = Family::gauge(
    "redis_master_link_up",
    PRIMARY_LABELS,
    source("INFO", "master_link_status"),
    Unit::One,
    "Whether the link to the primary is up.",
);

static LAST_IO: Family<2> = Family::gauge(
    "redis_master_last_io_seconds_ago",
    PRIMARY_LABELS,
    source("INFO", "master_last_io_seconds_ago"),
    Unit::Seconds,
    "Time since something came from the primary; absent while the link is down.",
);

static SYNC_IN_PROGRESS: Family<2> = Family::gauge(
    "redis_master_sync_in_progress",
    PRIMARY_LABELS,
    source("INFO", "master_sync_in_progress"),
    Unit::One,
    "Whether the primary is sending a full copy of its data.",
);

static OFFSET: Family<2> = Family::gauge(
    "redis_slave_repl_offset",
    PRIMARY_LABELS,
    source("INFO", "slave_repl_offset"),
    Unit::Bytes,
    "Replication offset up to which the replica has applied what the primary sent, in bytes.",
);

/// Reads both ends of replication.
pub static COLLECTOR: Collector = Collector {
    name: "replication",
    about: "The replicas of a primary and the primary of a replica.",
    on_by_default: true,
    questions: &[&INFO],
    follow_ups: None,
    applies: always,
    families,
    read,
};

fn families() -> Vec<&'static Descriptor> {
    let replicas = [&REPLICA_OFFSET, &REPLICA_LAG].map(Family::descriptor);
    let primaries = [&LINK_UP, &LAST_IO, &SYNC_IN_PROGRESS, &OFFSET].map(Family::descriptor);
    replicas.into_iter().chain(primaries).collect()
}

fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    let info = &answers.info;
    for field in info
        .fields()
        .iter()
        .filter(|field| numbered(field.name, "slave").is_some())
    {
        read_replica(field, snapshot);
    }
    for primary in primaries(info) {
        let labels = [primary.host, primary.port];
        let values = [
            (&LINK_UP, primary.link_up),
            // -1 stands for unknown.
            (&LAST_IO, primary.last_io.filter(|seconds| *seconds >= 0.0)),
            (&SYNC_IN_PROGRESS, primary.sync_in_progress),
            (&OFFSET, primary.offset),
        ];
        for (family, value) in values {
            if let Some(value) = value {
                snapshot.push(family, labels, value);
            }
        }
    }
}

/// Reads `slave0:ip=127.0.0.1,port=6380,state=online,offset=1,lag=0`.
fn read_replica(field: &Field<'_>, snapshot: &mut Snapshot) {
    let of = |name| field.in_record(name);
    let (Some(ip), Some(port), Some(state)) = (of("ip"), of("port"), of("state")) else {
        return;
    };
    for (family, name) in [(&REPLICA_OFFSET, "offset"), (&REPLICA_LAG, "lag")] {
        if let Some(value) = field.number_in_record(name) {
            snapshot.push(family, [ip, port, state], value);
        }
    }
}

/// What a replica says about one of its primaries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Primary<'a> {
    pub(super) host: &'a str,
    pub(super) port: &'a str,
    link_up: Option<f64>,
    last_io: Option<f64>,
    sync_in_progress: Option<f64>,
    offset: Option<f64>,
}

/// The primaries of a replica, in the order in which they stand; none on a primary.
///
/// A host opens a group, and the fields up to the next host belong to it: `KeyDB` numbers the
/// names of further groups (`master_1_host`), but not of every field in them.
pub(super) fn primaries<'a>(info: &Info<'a>) -> Vec<Primary<'a>> {
    let mut found = Vec::new();
    for field in info.fields() {
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

fn fill<'a>(primary: &mut Primary<'a>, name: Option<&str>, field: &Field<'a>) {
    let value = crate::info::number(field.value);
    match name {
        Some("port") => primary.port = field.value,
        Some("link_status") => primary.link_up = value,
        Some("last_io_seconds_ago") => primary.last_io = value,
        Some("sync_in_progress") => primary.sync_in_progress = value,
        _ if field.name == "slave_repl_offset" => primary.offset = value,
        _ => {}
    }
}

/// What a field says of a primary: `host` for both `master_host` and `master_1_host`.
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
    fn replicas_are_read_by_name() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=127.0.0.1,port=7911,state=online,offset=14957725,lag=0,io-thread=0\r\n\
            slave1:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0\r\n";
        let expected = [
            "redis_connected_slave_lag_seconds{127.0.0.1,7911,online} 0",
            "redis_connected_slave_offset_bytes{10.0.0.2,6379,wait_bgsave} 0",
            "redis_connected_slave_offset_bytes{127.0.0.1,7911,online} 14957725",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, primary), expected);
    }

    #[test]
    fn a_replica_shows_its_primary() {
        let replica = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:7910\r\n\
            master_link_status:up\r\nmaster_last_io_seconds_ago:3\r\nmaster_sync_in_progress:0\r\n\
            slave_read_repl_offset:14961600\r\nslave_repl_offset:14961598\r\n";
        let expected = [
            "redis_master_last_io_seconds_ago{127.0.0.1,7910} 3",
            "redis_master_link_up{127.0.0.1,7910} 1",
            "redis_master_sync_in_progress{127.0.0.1,7910} 0",
            "redis_slave_repl_offset{127.0.0.1,7910} 14961598",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, replica), expected);
    }

    #[test]
    fn a_link_that_is_down_has_no_last_io() {
        let replica = "master_host:a\r\nmaster_port:1\r\nmaster_link_status:down\r\n\
                       master_last_io_seconds_ago:-1\r\n";
        assert_eq!(
            reading::of_info(&COLLECTOR, replica),
            ["redis_master_link_up{a,1} 0"]
        );
    }

    #[test]
    fn each_of_several_primaries_has_its_own_values() {
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
