//! COMMANDLOG of Valkey: number of slow and large commands in the logs, the thresholds, and counts
//! of large requests and replies by command. Never arguments. SLOWLOG reports the slow commands.

use super::command_log::{CommandLog, LogCounts};
use super::{Collector, Command, Memo, Query, Read, Replies, Server, float};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries the number of slow commands.
pub static SLOW: Query = length(&[&["COMMANDLOG", "LEN", "slow"]]);
/// Queries the number of commands with a large request.
pub static LARGE_REQUEST: Query = length(&[&["COMMANDLOG", "LEN", "large-request"]]);
/// Queries the number of commands with a large reply.
pub static LARGE_REPLY: Query = length(&[&["COMMANDLOG", "LEN", "large-reply"]]);

/// Queries the parameters of the log.
pub static PARAMETERS: Query = Query::new(&[&["CONFIG", "GET", "commandlog-*"]], "+config|get");

const fn length(commands: &'static [&'static [&'static str]]) -> Query {
    Query::new(commands, "+commandlog|len")
}

/// Queries the newest entry of a log.
static NEWEST: Query = Query::new(&[&["COMMANDLOG", "GET"]], "+commandlog|get");
/// Queries new entries of a log.
static ENTRIES: Query = Query::new(&[&["COMMANDLOG", "GET"]], "+commandlog|get");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, entries, parameter};

    pub(super) static SLOW_LENGTH: Family<0> = entries("redis_commandlog_slow_length", "slow", "Entries in the slowlog.");
    pub(super) static LARGE_REQUEST_LENGTH: Family<0> = entries("redis_commandlog_large_request_length", "large-request", "Entries in the log of commands with a large request.");
    pub(super) static LARGE_REPLY_LENGTH: Family<0> = entries("redis_commandlog_large_reply_length", "large-reply", "Entries in the log of commands with a large reply.");
    pub(super) static SLOWER_THAN: Family<0> = parameter("redis_commandlog_execution_slower_than", "commandlog-execution-slower-than", "Minimum duration of a slow command in microseconds; a negative value disables the log.");
    pub(super) static REQUEST_LARGER_THAN: Family<0> = parameter("redis_commandlog_request_larger_than", "commandlog-request-larger-than", "Minimum size of a large request in bytes; a negative value disables the log.");
    pub(super) static REPLY_LARGER_THAN: Family<0> = parameter("redis_commandlog_reply_larger_than", "commandlog-reply-larger-than", "Minimum size of a large reply in bytes; a negative value disables the log.");
    pub(super) static SLOW_MOST: Family<0> = parameter("redis_commandlog_slow_execution_max_len", "commandlog-slow-execution-max-len", "Maximum number of entries in the log of slow commands.");
    pub(super) static LARGE_REQUEST_MOST: Family<0> = parameter("redis_commandlog_large_request_max_len", "commandlog-large-request-max-len", "Maximum number of entries in the log of large requests.");
    pub(super) static LARGE_REPLY_MOST: Family<0> = parameter("redis_commandlog_large_reply_max_len", "commandlog-large-reply-max-len", "Maximum number of entries in the log of large replies.");
}

/// One log of large commands: the query for its length, the log, and its counters.
struct Large {
    length: &'static Query,
    log: CommandLog,
    count: Family<1>,
    bytes: Family<1>,
    unseen: Family<0>,
}

static REQUESTS: Large = Large {
    length: &LARGE_REQUEST,
    log: CommandLog {
        entries: &ENTRIES,
        at: 0,
        kind: Some("large-request"),
        newest: |replies| newest(replies, &REQUESTS),
        counted_before: |remembered| Some(&remembered.get::<LargeCommands>()?.requests),
    },
    count: by_command(
        "redis_commandlog_large_requests_total",
        "Commands added to the log of large requests since the exporter first read it.",
    ),
    bytes: by_command(
        "redis_commandlog_large_request_bytes_total",
        "Bytes of requests added to the log of large requests.",
    ),
    unseen: unseen(
        "redis_commandlog_large_requests_unseen_total",
        "Commands that were removed from the log of large requests before the exporter read them.",
    ),
};

static REPLIES: Large = Large {
    length: &LARGE_REPLY,
    log: CommandLog {
        entries: &ENTRIES,
        at: 1,
        kind: Some("large-reply"),
        newest: |replies| newest(replies, &REPLIES),
        counted_before: |remembered| Some(&remembered.get::<LargeCommands>()?.replies),
    },
    count: by_command(
        "redis_commandlog_large_replies_total",
        "Commands added to the log of large replies since the exporter first read it.",
    ),
    bytes: by_command(
        "redis_commandlog_large_reply_bytes_total",
        "Bytes of replies added to the log of large replies.",
    ),
    unseen: unseen(
        "redis_commandlog_large_replies_unseen_total",
        "Commands that were removed from the log of large replies before the exporter read them.",
    ),
};

static LARGE: [&Large; 2] = [&REQUESTS, &REPLIES];

/// Returns the newest entry. It is queried only if the log is not empty.
fn newest<'a>(replies: &'a Replies, large: &Large) -> Option<&'a [Reply]> {
    if replies.reply(large.length)?.integer()? == 0 {
        return Some(&[]);
    }
    replies.reply(NEWEST.ticket(large.log.at)).map(Reply::items)
}

const fn by_command(name: &'static str, help: &'static str) -> Family<1> {
    let source = source("COMMANDLOG GET", "command");
    Family::counter(name, &["cmd"], source, Unit::One, help)
}

const fn unseen(name: &'static str, help: &'static str) -> Family<0> {
    Family::counter(name, &[], source("COMMANDLOG GET", "id"), Unit::One, help)
}

/// The counts of the logs of large commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LargeCommands {
    requests: LogCounts,
    replies: LogCounts,
}

/// Queries the newest entry of each nonempty log, then the new ones.
fn further(replies: &Replies) -> Vec<Command<'_>> {
    let mut queries = Vec::new();
    for large in LARGE {
        let length = replies.reply(large.length).and_then(Reply::integer);
        if length.is_some_and(|length| length > 0) {
            queries.push(large.log.latest(&NEWEST, 1));
        }
        queries.extend(large.log.new_entries(replies));
    }
    queries
}

static LENGTHS: &[(&Query, &Family<0>)] = &[
    (&SLOW, &rows::SLOW_LENGTH),
    (&LARGE_REQUEST, &rows::LARGE_REQUEST_LENGTH),
    (&LARGE_REPLY, &rows::LARGE_REPLY_LENGTH),
];

static NUMBERS: &[&Family<0>] = &[
    &rows::SLOWER_THAN,
    &rows::REQUEST_LARGER_THAN,
    &rows::REPLY_LARGER_THAN,
    &rows::SLOW_MOST,
    &rows::LARGE_REQUEST_MOST,
    &rows::LARGE_REPLY_MOST,
];

const fn entries(name: &'static str, log: &'static str, help: &'static str) -> Family<0> {
    Family::gauge(name, &[], source("COMMANDLOG LEN", log), Unit::One, help)
}

const fn parameter(name: &'static str, field: &'static str, help: &'static str) -> Family<0> {
    Family::gauge(name, &[], source("CONFIG GET", field), Unit::One, help)
}

/// Reads the lengths of the three logs and their parameters.
pub static COLLECTOR: Collector = Collector {
    name: "commandlog",
    about: "Lengths and limits of the logs of slow and large commands, and the number of large requests and replies by command (Valkey 8.1 and later). Arguments are never exported. Reading 128 new entries takes 26 µs of server time.",
    queries: &[&SLOW, &LARGE_REQUEST, &LARGE_REPLY, &PARAMETERS],
    further_queries: &[&NEWEST, &ENTRIES],
    further,
    applies: Server::has_commandlog,
    families,
    read: Read::Remembering(|replies, snapshot| Some(read(replies, snapshot))),
    ..Collector::ON
};

fn families() -> Vec<&'static Descriptor> {
    let lengths = LENGTHS.iter().map(|(_, family)| family.descriptor());
    let numbers = NUMBERS.iter().map(|family| family.descriptor());
    let large = LARGE.iter().flat_map(|large| {
        let by_command = [&large.count, &large.bytes].map(Family::descriptor);
        by_command.into_iter().chain([large.unseen.descriptor()])
    });
    lengths.chain(numbers).chain(large).collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) -> Memo {
    for (query, family) in LENGTHS {
        snapshot.push(family, [], replies.reply(*query).and_then(Reply::number));
    }
    let counted = LARGE.map(|large| read_large(large, replies, snapshot));
    let parameters = replies.reply(&PARAMETERS);
    for family in NUMBERS {
        let field = family.field();
        let value = parameters.and_then(|parameters| parameters.value_of(field));
        snapshot.push(family, [], value.and_then(Reply::number));
    }
    let [requests, replies] = counted;
    Memo::new(LargeCommands { requests, replies })
}

fn read_large(large: &'static Large, replies: &Replies, snapshot: &mut Snapshot) -> LogCounts {
    let counted = large.log.counted(replies);
    if counted.is_known() {
        snapshot.push(&large.unseen, [], float(counted.unseen));
    }
    let shown = &replies.circumstances.options.commands;
    let by_command = counted.by_command.iter();
    for (command, (count, bytes)) in by_command.filter(|(command, _)| shown.has(command)) {
        snapshot.push(&large.count, [command], float(*count));
        snapshot.push(&large.bytes, [command], float(*bytes));
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, Remembered, reading};

    fn entry(id: i64, command: &str, bytes: i64) -> Reply {
        let words = vec![reading::bytes(command), reading::bytes("secret")];
        Reply::List(vec![
            Reply::Integer(id),
            Reply::Integer(1_795_442_027),
            Reply::Integer(bytes),
            Reply::List(words),
        ])
    }

    /// Returns the samples of a poll that reads this log of large replies, newest first, and what
    /// it remembers.
    fn polled(log: &[Reply], remembered: Remembered) -> (Vec<String>, Remembered) {
        let circumstances = Circumstances {
            remembered,
            ..Circumstances::default()
        };
        let length = Reply::Integer(i64::try_from(log.len()).unwrap());
        let info = "cmdstat_mget:calls=1\r\n";
        let reply_to = |command: &Command<'_>| {
            let count = reading::words(command)[2].parse().unwrap();
            Some(Reply::List(log.iter().take(count).cloned().collect()))
        };
        let (lengths, before) = ([(&LARGE_REPLY, length)], circumstances.clone());
        let shown = reading::of_further(&COLLECTOR, info, circumstances, &lengths, &reply_to);
        let replies = reading::received(&COLLECTOR, info, before, &lengths, &reply_to);
        let memo = read(&replies, &mut Snapshot::default());
        (shown, [memo].into_iter().collect())
    }

    #[test]
    fn large_replies_are_counted_by_command() {
        let (first, remembered) = polled(&[], Remembered::default());
        assert!(first.contains(&"redis_commandlog_large_replies_unseen_total{} 0".to_owned()));
        let log = [entry(1, "mget", 70_000), entry(0, "MGET", 50_000)];
        let (second, remembered) = polled(&log, remembered);
        let expected = [
            "redis_commandlog_large_replies_total{mget} 2",
            "redis_commandlog_large_replies_unseen_total{} 0",
            "redis_commandlog_large_reply_bytes_total{mget} 120000",
            "redis_commandlog_large_reply_length{} 2",
        ];
        assert_eq!(second, expected);
        let log = [entry(2, "hidden", 9), entry(1, "mget", 70_000)];
        let (third, _) = polled(&log, remembered);
        assert!(third.contains(&"redis_commandlog_large_replies_total{other} 1".to_owned()));
        assert!(!third.concat().contains("secret"));
    }

    #[test]
    fn empty_log_is_not_read() {
        let empty = Reply::Integer(0);
        let replies = Replies::new("", Circumstances::default()).with(&LARGE_REPLY, &empty);
        assert!(further(&replies.with(&LARGE_REQUEST, &empty)).is_empty());
    }

    #[test]
    fn lengths_and_parameters_are_published_as_reported() {
        let parameters = ["commandlog-reply-larger-than", "-1", "commandlog-new", "7"];
        let replies = [
            (&SLOW, Reply::Integer(3)),
            (&LARGE_REPLY, Reply::Integer(0)),
            (
                &PARAMETERS,
                Reply::List(parameters.map(reading::bytes).to_vec()),
            ),
        ];
        let expected = [
            "redis_commandlog_large_replies_unseen_total{} 0",
            "redis_commandlog_large_reply_length{} 0",
            "redis_commandlog_reply_larger_than{} -1",
            "redis_commandlog_slow_length{} 3",
        ];
        assert_eq!(
            reading::of(&COLLECTOR, "", Circumstances::default(), &replies),
            expected
        );
    }
}
