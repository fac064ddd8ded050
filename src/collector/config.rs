//! CONFIG GET of single parameters. CONFIG GET of all parameters would transfer passwords, and only
//! Redis 7 and later accept several parameters in one command.

use super::{Collector, Query, Read, Replies, Server};
use crate::info;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

/// Queries the number of I/O threads.
pub static IO_THREADS: Query = parameter(&[&["CONFIG", "GET", "io-threads"]]);
/// Queries the maximum number of clients.
pub static MAXCLIENTS: Query = parameter(&[&["CONFIG", "GET", "maxclients"]]);
/// Queries the memory limit.
pub static MAXMEMORY: Query = parameter(&[&["CONFIG", "GET", "maxmemory"]]);
/// Queries the size of the replication backlog.
pub static REPL_BACKLOG_SIZE: Query = parameter(&[&["CONFIG", "GET", "repl-backlog-size"]]);
/// Queries the save points: seconds and changes.
pub static SAVE: Query = parameter(&[&["CONFIG", "GET", "save"]]);
/// Queries the number of databases.
pub static DATABASES: Query = parameter(&[&["CONFIG", "GET", "databases"]]);
/// Queries the limits of output buffers for each client class.
pub static OUTPUT_BUFFER_LIMITS: Query =
    parameter(&[&["CONFIG", "GET", "client-output-buffer-limit"]]);

const fn parameter(commands: &'static [&'static [&'static str]]) -> Query {
    Query::new(commands, "+config|get")
}

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static IO_THREADS_SET: Family<0> = Family::gauge("redis_config_io_threads", &[], source("CONFIG GET", "io-threads"), Unit::One, "Threads that read from and write to clients, including the main thread.");
    pub(super) static MAXCLIENTS_SET: Family<0> = Family::gauge("redis_config_maxclients", &[], source("CONFIG GET", "maxclients"), Unit::One, "Maximum number of connected clients.");
    pub(super) static MAXMEMORY_SET: Family<0> = Family::gauge("redis_config_maxmemory", &[], source("CONFIG GET", "maxmemory"), Unit::Bytes, "Memory limit of the server in bytes; 0 means no limit.");
    pub(super) static REPL_BACKLOG_SIZE_SET: Family<0> = Family::gauge("redis_config_repl_backlog_size", &[], source("CONFIG GET", "repl-backlog-size"), Unit::Bytes, "Size of the replication backlog, in bytes.");
    pub(super) static SAVE_POINTS: Family<0> = Family::gauge("redis_config_save_points", &[], source("CONFIG GET", "save"), Unit::One, "Number of rules for automatic RDB saves; 0 means no automatic saves.");
    pub(super) static OUTPUT_BUFFER_LIMIT: Family<2> = Family::gauge("redis_config_client_output_buffer_limit_bytes", &["class", "limit"], source("CONFIG GET", "client-output-buffer-limit"), Unit::Bytes, "Output buffer limit for clients of the class, in bytes; 0 means no limit.");
    pub(super) static OUTPUT_BUFFER_LIMIT_OVERCOME: Family<2> = Family::gauge("redis_config_client_output_buffer_limit_overcome_seconds", &["class", "limit"], source("CONFIG GET", "client-output-buffer-limit"), Unit::Seconds, "Time for which clients of the class may exceed the soft limit, in seconds.");
}

/// Parameters whose value is a single number.
static NUMBERS: &[(&Query, &Family<0>)] = &[
    (&IO_THREADS, &rows::IO_THREADS_SET),
    (&MAXCLIENTS, &rows::MAXCLIENTS_SET),
    (&MAXMEMORY, &rows::MAXMEMORY_SET),
    (&REPL_BACKLOG_SIZE, &rows::REPL_BACKLOG_SIZE_SET),
];

/// Reads the parameters. The collector `keyspace` uses the value of `databases`.
pub static COLLECTOR: Collector = Collector {
    name: "config",
    about: "CONFIG parameters that other metrics are compared with.",
    queries: &[
        &IO_THREADS,
        &MAXCLIENTS,
        &MAXMEMORY,
        &REPL_BACKLOG_SIZE,
        &SAVE,
        &DATABASES,
        &OUTPUT_BUFFER_LIMITS,
    ],
    applies: Server::holds_keys,
    families,
    read: Read::Samples(read),
    ..Collector::ON
};

fn families() -> Vec<&'static Descriptor> {
    let numbers = NUMBERS.iter().map(|(_, family)| family.descriptor());
    numbers
        .chain([
            rows::SAVE_POINTS.descriptor(),
            rows::OUTPUT_BUFFER_LIMIT.descriptor(),
            rows::OUTPUT_BUFFER_LIMIT_OVERCOME.descriptor(),
        ])
        .collect()
}

/// Returns the numeric value of a parameter.
pub(super) fn number(replies: &Replies, query: &'static Query) -> Option<f64> {
    info::number(&replies.parameter(query)?)
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for (query, family) in NUMBERS {
        snapshot.push(family, [], number(replies, query));
    }
    if let Some(points) = replies.parameter(&SAVE)
        && let Some(points) = save_points(&points)
    {
        snapshot.push(&rows::SAVE_POINTS, [], points);
    }
    if let Some(limits) = replies.parameter(&OUTPUT_BUFFER_LIMITS) {
        read_output_buffer_limits(&limits, snapshot);
    }
}

/// Counts the pairs of seconds and changes in `3600 1 300 100`.
fn save_points(points: &str) -> Option<f64> {
    let words = points.split_ascii_whitespace();
    let (mut numbers, mut count) = (0_u32, 0.0);
    for word in words {
        info::number(word)?;
        numbers = numbers.saturating_add(1);
        if numbers.is_multiple_of(2) {
            count += 1.0;
        }
    }
    numbers.is_multiple_of(2).then_some(count)
}

/// Parses `normal 0 0 0 slave 268435456 67108864 60`: class, hard limit, soft limit, and seconds
/// during which the soft limit may be exceeded.
fn read_output_buffer_limits(limits: &str, snapshot: &mut Snapshot) {
    let words: Vec<&str> = limits.split_ascii_whitespace().collect();
    for group in words.chunks(4) {
        let [class, hard, soft, seconds] = group else {
            return;
        };
        let values = [
            (&rows::OUTPUT_BUFFER_LIMIT, "hard", hard),
            (&rows::OUTPUT_BUFFER_LIMIT, "soft", soft),
            (&rows::OUTPUT_BUFFER_LIMIT_OVERCOME, "soft", seconds),
        ];
        for (family, limit, value) in values {
            snapshot.push(family, [class, limit], info::number(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::reply::Reply;
    use proptest::prelude::*;

    fn seen(replies: &[(&'static Query, Reply)]) -> Vec<String> {
        reading::of(&COLLECTOR, "", Circumstances::default(), replies)
    }

    #[test]
    fn numeric_parameters_are_parsed_from_text() {
        let replies = [
            (&IO_THREADS, reading::parameter("io-threads", "1")),
            (&MAXCLIENTS, reading::parameter("maxclients", "10000")),
            (&MAXMEMORY, reading::parameter("maxmemory", "0")),
            (
                &REPL_BACKLOG_SIZE,
                reading::parameter("repl-backlog-size", "1048576"),
            ),
        ];
        let expected = [
            "redis_config_io_threads{} 1",
            "redis_config_maxclients{} 10000",
            "redis_config_maxmemory{} 0",
            "redis_config_repl_backlog_size{} 1048576",
        ];
        assert_eq!(seen(&replies), expected);
    }

    #[test]
    fn parameter_is_found_by_name_among_others() {
        let pairs = [
            "maxmemory-policy",
            "noeviction",
            "MaxMemory",
            "10",
            "x",
            "1",
        ];
        let replies = [(&MAXMEMORY, Reply::List(pairs.map(reading::bytes).to_vec()))];
        assert_eq!(seen(&replies), ["redis_config_maxmemory{} 10"]);
    }

    #[test]
    fn missing_parameter_is_absent() {
        assert!(seen(&[(&IO_THREADS, Reply::List(Vec::new()))]).is_empty());
    }

    #[test]
    fn save_points_are_counted_and_none_is_0() {
        for (points, expected) in [
            ("3600 1 300 100 60 10000", Some("3")),
            ("900 1", Some("1")),
            ("", Some("0")),
            ("900", None),
            ("often enough", None),
        ] {
            let replies = [(&SAVE, reading::parameter("save", points))];
            let expected = expected.map(|count| format!("redis_config_save_points{{}} {count}"));
            assert_eq!(seen(&replies), Vec::from_iter(expected), "{points}");
        }
    }

    #[test]
    fn output_buffer_limits_have_class_and_kind() {
        let limits = "normal 0 0 0 slave 268435456 67108864 60";
        let name = "client-output-buffer-limit";
        let replies = [(&OUTPUT_BUFFER_LIMITS, reading::parameter(name, limits))];
        let expected = [
            "redis_config_client_output_buffer_limit_bytes{normal,hard} 0",
            "redis_config_client_output_buffer_limit_bytes{normal,soft} 0",
            "redis_config_client_output_buffer_limit_bytes{slave,hard} 268435456",
            "redis_config_client_output_buffer_limit_bytes{slave,soft} 67108864",
            "redis_config_client_output_buffer_limit_overcome_seconds{normal,soft} 0",
            "redis_config_client_output_buffer_limit_overcome_seconds{slave,soft} 60",
        ];
        assert_eq!(seen(&replies), expected);
    }

    proptest! {
        #[test]
        fn arbitrary_limits_do_not_panic(limits in "(\\PC| |normal|[0-9]{1,20})*") {
            let mut snapshot = Snapshot::default();
            read_output_buffer_limits(&limits, &mut snapshot);
            let words = limits.split_ascii_whitespace().count();
            prop_assert!(snapshot.len() <= words / 4 * 3);
        }
    }
}
