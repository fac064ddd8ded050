//! The Sentinel section of INFO, which only sentinels have: plain fields, and one record per
//! watched primary. Replies to SENTINEL commands are read elsewhere.

use crate::collector::{Collector, INFO, Read, Replies, Server};
use crate::info::Field;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static PRIMARIES: Family<0> = Family::gauge("redis_sentinel_masters", &[], source("INFO", "sentinel_masters"), Unit::One, "Primaries that the sentinel watches.");
    pub(super) static TILT: Family<0> = Family::gauge("redis_sentinel_tilt", &[], source("INFO", "sentinel_tilt"), Unit::One, "Whether the sentinel is in TILT mode, in which it only monitors.");
    pub(super) static TILT_SINCE: Family<0> = Family::gauge("redis_sentinel_tilt_since_seconds", &[], source("INFO", "sentinel_tilt_since_seconds"), Unit::Seconds, "Time since the sentinel entered TILT mode, in seconds; absent if it is not in TILT mode.");
    pub(super) static TILTS: Family<0> = Family::counter("redis_sentinel_tilts_total", &[], source("INFO", "sentinel_total_tilt"), Unit::One, "Number of times that the sentinel entered TILT mode.");
    pub(super) static RUNNING_SCRIPTS: Family<0> = Family::gauge("redis_sentinel_running_scripts", &[], source("INFO", "sentinel_running_scripts"), Unit::One, "Running scripts of the sentinel.");
    pub(super) static SCRIPTS_QUEUE: Family<0> = Family::gauge("redis_sentinel_scripts_queue_length", &[], source("INFO", "sentinel_scripts_queue_length"), Unit::One, "Running and waiting scripts of the sentinel.");
    pub(super) static SIMULATED_FAILURES: Family<0> = Family::gauge("redis_sentinel_simulate_failure_flags", &[], source("INFO", "sentinel_simulate_failure_flags"), Unit::One, "Failures that the sentinel is configured to simulate, encoded as flags.");
    pub(super) static STATUS: Family<3> = Family::gauge("redis_sentinel_master_status", &["master_name", "master_address", "master_status"], source("INFO", "master<n>:status"), Unit::One, "Whether the watched primary is healthy from the view of the sentinel, with its state in a label.");
    pub(super) static REPLICAS: Family<2> = Family::gauge("redis_sentinel_master_slaves", &["master_name", "master_address"], source("INFO", "master<n>:slaves"), Unit::One, "Replicas of the watched primary.");
    pub(super) static SENTINELS: Family<2> = Family::gauge("redis_sentinel_master_sentinels", &["master_name", "master_address"], source("INFO", "master<n>:sentinels"), Unit::One, "Sentinels that watch the primary, including this one.");
}

static FIELDS: &[&Family<0>] = &[
    &rows::PRIMARIES,
    &rows::TILT,
    &rows::TILT_SINCE,
    &rows::TILTS,
    &rows::RUNNING_SCRIPTS,
    &rows::SCRIPTS_QUEUE,
    &rows::SIMULATED_FAILURES,
];

/// Reads the state of a sentinel and of the primaries that it watches.
pub static COLLECTOR: Collector = Collector {
    name: "sentinel",
    about: "The sentinel itself and the primaries that it watches, from INFO.",
    queries: &[&INFO],
    applies: Server::is_sentinel,
    families,
    read: Read::Samples(read),
    ..Collector::ON
};

fn families() -> Vec<&'static Descriptor> {
    let plain = FIELDS.iter().map(|family| family.descriptor());
    plain
        .chain([
            rows::STATUS.descriptor(),
            rows::REPLICAS.descriptor(),
            rows::SENTINELS.descriptor(),
        ])
        .collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let info = &replies.info;
    for family in FIELDS {
        // -1 means never.
        let value = info.number(family.field()).filter(|value| *value >= 0.0);
        snapshot.push(family, [], value);
    }
    for (_, field) in info.numbered("master") {
        read_primary(field, snapshot);
    }
}

/// Parses `master0:name=cache,status=ok,address=127.0.0.1:6379,slaves=1,sentinels=3`.
fn read_primary(field: Field<'_>, snapshot: &mut Snapshot) {
    let (Some(name), Some(address)) = (field.in_record("name"), field.in_record("address")) else {
        return;
    };
    if let Some(status) = field.in_record("status") {
        let is_ok = f64::from(status == "ok");
        snapshot.push(&rows::STATUS, [name, address, status], is_ok);
    }
    for (family, of) in [(&rows::REPLICAS, "slaves"), (&rows::SENTINELS, "sentinels")] {
        snapshot.push(family, [name, address], field.number_in_record(of));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;
    use crate::info::Info;

    const REDIS_8: &str = "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\n\
        sentinel_tilt_since_seconds:-1\r\nsentinel_total_tilt:0\r\nsentinel_running_scripts:0\r\n\
        sentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n\
        master0:name=mymaster,status=ok,address=127.0.0.1:7910,slaves=1,sentinels=1\r\n";

    #[test]
    fn sentinel_publishes_itself_and_its_primaries() {
        let expected = [
            "redis_sentinel_master_sentinels{mymaster,127.0.0.1:7910} 1",
            "redis_sentinel_master_slaves{mymaster,127.0.0.1:7910} 1",
            "redis_sentinel_master_status{mymaster,127.0.0.1:7910,ok} 1",
            "redis_sentinel_masters{} 1",
            "redis_sentinel_running_scripts{} 0",
            "redis_sentinel_scripts_queue_length{} 0",
            "redis_sentinel_simulate_failure_flags{} 0",
            "redis_sentinel_tilt{} 0",
            "redis_sentinel_tilts_total{} 0",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, REDIS_8), expected);
    }

    #[test]
    fn down_primary_has_status_0() {
        let down = "master0:name=m,status=odown,address=h:1\r\n";
        let expected = ["redis_sentinel_master_status{m,h:1,odown} 0"];
        assert_eq!(reading::of_info(&COLLECTOR, down), expected);
    }

    #[test]
    fn tilt_duration_is_published_during_tilt() {
        let tilted = "sentinel_tilt:1\r\nsentinel_tilt_since_seconds:12\r\n";
        let expected = [
            "redis_sentinel_tilt{} 1",
            "redis_sentinel_tilt_since_seconds{} 12",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, tilted), expected);
    }

    #[test]
    fn only_sentinels_are_queried() {
        let of = |info| (COLLECTOR.applies)(&Server::from_info(&Info::parse(info)));
        assert!(of("redis_mode:sentinel\r\n") && !of("redis_mode:standalone\r\n"));
    }
}
