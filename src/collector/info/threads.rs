//! INFO fields per thread: `thread_0_clients` of `KeyDB`, `io_thread_0` records of Redis 8, and
//! `used_active_time_io_thread_1` of Valkey 9.1.

use super::numbered;
use crate::collector::{Collector, INFO, Read, Replies};
use crate::info::{Field, number};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static CLIENTS: Family<1> = Family::gauge("redis_thread_clients", &["thread"], source("INFO", "thread_<n>_clients"), Unit::One, "Clients of the server thread, on KeyDB.");
    pub(super) static IO_CLIENTS: Family<1> = Family::gauge("redis_io_thread_clients", &["thread"], source("INFO", "io_thread_<n>:clients"), Unit::One, "Clients of the I/O thread; thread 0 is the main thread.");
    pub(super) static IO_READS: Family<1> = Family::counter("redis_io_thread_reads_total", &["thread"], source("INFO", "io_thread_<n>:reads"), Unit::One, "Reads from clients by the I/O thread; thread 0 is the main thread.");
    pub(super) static IO_WRITES: Family<1> = Family::counter("redis_io_thread_writes_total", &["thread"], source("INFO", "io_thread_<n>:writes"), Unit::One, "Writes to clients by the I/O thread; thread 0 is the main thread.");
    pub(super) static IO_ACTIVE_TIME: Family<1> = Family::counter("redis_active_time_io_thread_seconds_total", &["thread"], source("INFO", "used_active_time_io_thread_<n>"), Unit::Seconds, "Time during which the I/O thread was busy, in seconds.");
}

/// Reads the values of each thread.
pub static COLLECTOR: Collector = Collector {
    name: "threads",
    about: "Clients and work of each thread.",
    queries: &[&INFO],
    families: || {
        [
            &rows::CLIENTS,
            &rows::IO_CLIENTS,
            &rows::IO_READS,
            &rows::IO_WRITES,
            &rows::IO_ACTIVE_TIME,
        ]
        .map(Family::descriptor)
        .to_vec()
    },
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for field in replies.info.plain() {
        let of_keydb = field.name.strip_suffix("_clients");
        if let Some(thread) = of_keydb.and_then(|name| numbered(name, "thread_")) {
            snapshot.push(&rows::CLIENTS, [thread], number(field.value));
        } else if let Some(thread) = numbered(field.name, "io_thread_") {
            read_io_thread(thread, field, snapshot);
        } else if let Some(thread) = numbered(field.name, "used_active_time_io_thread_") {
            snapshot.push(&rows::IO_ACTIVE_TIME, [thread], number(field.value));
        }
    }
}

/// Parses `io_thread_0:clients=4,reads=3925,writes=35`.
fn read_io_thread(thread: &str, field: Field<'_>, snapshot: &mut Snapshot) {
    for (family, name) in [
        (&rows::IO_CLIENTS, "clients"),
        (&rows::IO_READS, "reads"),
        (&rows::IO_WRITES, "writes"),
    ] {
        snapshot.push(family, [thread], field.number_in_record(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    #[test]
    fn threads_of_each_flavor_are_distinct() {
        let redis_8 = "# Threads\r\nio_thread_0:clients=13,reads=345079,writes=350673\r\n";
        let expected = [
            "redis_io_thread_clients{0} 13",
            "redis_io_thread_reads_total{0} 345079",
            "redis_io_thread_writes_total{0} 350673",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, redis_8), expected);
        let keydb = "thread_0_clients:13\r\nthread_1_clients:2\r\n";
        let expected = ["redis_thread_clients{0} 13", "redis_thread_clients{1} 2"];
        assert_eq!(reading::of_info(&COLLECTOR, keydb), expected);
        let valkey =
            "# CPU\r\nused_active_time_main_thread:3.2\r\nused_active_time_io_thread_1:0.5\r\n";
        let expected = ["redis_active_time_io_thread_seconds_total{1} 0.5"];
        assert_eq!(reading::of_info(&COLLECTOR, valkey), expected);
    }
}
