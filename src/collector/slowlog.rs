//! SLOWLOG: the number of logged slow commands, and the newest entry. Never its arguments.

use super::command_log::{CommandLog, LogCounts};
use super::{Collector, Command, Memo, Query, Read, Replies, Server, float, signed};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries the number of entries.
pub static LENGTH: Query = Query::new(&[&["SLOWLOG", "LEN"]], "+slowlog|len");

/// Queries the newest entry.
pub static NEWEST: Query = Query::new(&[&["SLOWLOG", "GET", "1"]], "+slowlog|get");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static ENTRIES: Family<0> = Family::gauge("redis_slowlog_length", &[], source("SLOWLOG LEN", ""), Unit::One, "Entries in the slowlog.");
    pub(super) static LAST_ID: Family<0> = Family::gauge("redis_slowlog_last_id", &[], source("SLOWLOG GET", "id"), Unit::One, "ID of the newest slowlog entry, starting at 0; absent if the slowlog is empty.");
    pub(super) static LAST_DURATION: Family<0> = Family::gauge("redis_last_slow_execution_duration_seconds", &[], source("SLOWLOG GET", "duration"), Unit::Microseconds, "Duration of the command in the newest slowlog entry, in seconds; absent if the slowlog is empty.");
    pub(super) static COUNT: Family<1> = Family::counter("redis_slow_commands_total", &["cmd"], source("SLOWLOG GET", "command"), Unit::One, "Slowlog entries added since the exporter first read the slowlog, by command.");
    pub(super) static TIME: Family<1> = Family::counter("redis_slow_commands_duration_seconds_total", &["cmd"], source("SLOWLOG GET", "duration"), Unit::Microseconds, "Total duration of commands in slowlog entries, in seconds.");
    pub(super) static OWN: Family<1> = Family::counter("redis_exporter_slow_commands_total", &["cmd"], source("SLOWLOG GET", "command"), Unit::One, "Slowlog entries of connections of an exporter, as their client names show, by command; a part of redis_slow_commands_total.");
    pub(super) static UNSEEN: Family<0> = Family::counter("redis_slow_commands_unseen_total", &[], source("SLOWLOG GET", "id"), Unit::One, "Slowlog entries that were removed before the exporter read them.");
}

/// Queries new entries.
static ENTRIES: Query = Query::new(&[&["SLOWLOG", "GET"]], "+slowlog|get");

/// The log of slow commands.
static LOG: CommandLog = CommandLog {
    entries: &ENTRIES,
    at: 0,
    kind: None,
    newest: |replies| replies.reply(&NEWEST).map(Reply::items),
    counted_before: |remembered| remembered.get::<SlowCommands>().map(|slow| &slow.0),
};

/// The counts of the log of slow commands.
#[derive(Debug)]
struct SlowCommands(LogCounts);

/// Reads the log of slow commands.
pub static COLLECTOR: Collector = Collector {
    name: "slowlog",
    about: "Length and newest entry of the slowlog, and the number of entries for each command. Arguments are never exported.",
    queries: &[&LENGTH, &NEWEST],
    further_queries: &[&ENTRIES],
    further,
    applies: Server::holds_keys,
    families: || {
        let plain = [
            &rows::ENTRIES,
            &rows::LAST_ID,
            &rows::LAST_DURATION,
            &rows::UNSEEN,
        ]
        .map(Family::descriptor);
        let by_command = [&rows::COUNT, &rows::TIME, &rows::OWN].map(Family::descriptor);
        plain.into_iter().chain(by_command).collect()
    },
    read: Read::Remembering(|replies, snapshot| Some(read(replies, snapshot))),
    ..Collector::ON
};

fn further(replies: &Replies) -> Vec<Command<'_>> {
    LOG.new_entries(replies).into_iter().collect()
}

/// Reads the log. An empty log publishes neither id nor duration, because 0 would be wrong. 0 is the
/// id of the first entry, and ids continue after SLOWLOG RESET. Every command takes time.
fn read(replies: &Replies, snapshot: &mut Snapshot) -> Memo {
    let length = replies.reply(&LENGTH).and_then(Reply::integer);
    snapshot.push(&rows::ENTRIES, [], length.map(signed));
    // Id, time, duration in microseconds, words.
    let newest = replies.reply(&NEWEST).and_then(|log| log.items().first());
    if let Some([id, _, duration, ..]) = newest.map(Reply::items) {
        for (family, reply) in [(&rows::LAST_ID, id), (&rows::LAST_DURATION, duration)] {
            snapshot.push(family, [], reply.integer().map(signed));
        }
    }
    let counted = LOG.counted(replies);
    if counted.is_known() {
        snapshot.push(&rows::UNSEEN, [], float(counted.unseen));
    }
    let shown = &replies.circumstances.options.commands;
    let by_command = counted.by_command.iter();
    for (command, (count, microseconds)) in by_command.filter(|(command, _)| shown.has(command)) {
        snapshot.push(&rows::COUNT, [command], float(*count));
        snapshot.push(&rows::TIME, [command], float(*microseconds));
    }
    for (command, count) in counted.own.iter().filter(|(command, _)| shown.has(command)) {
        snapshot.push(&rows::OWN, [command], float(*count));
    }
    Memo::new(SlowCommands(counted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, Remembered, reading};
    use crate::label::OTHER;

    fn entry(id: i64, command: &str, microseconds: i64) -> Reply {
        Reply::List(vec![
            Reply::Integer(id),
            Reply::Integer(1_795_442_027),
            Reply::Integer(microseconds),
            Reply::List(vec![reading::bytes(command), reading::bytes("secret")]),
            reading::bytes("127.0.0.1:45744"),
            reading::bytes(""),
        ])
    }

    fn seen(length: i64, entries: Vec<Reply>) -> Vec<String> {
        let replies = [
            (&LENGTH, Reply::Integer(length)),
            (&NEWEST, Reply::List(entries)),
        ];
        reading::of(&COLLECTOR, "", Circumstances::default(), &replies)
    }

    const COMMANDS: &str = "cmdstat_auth:calls=1\r\ncmdstat_keys:calls=1\r\ncmdstat_sort:calls=1\r\n\
        cmdstat_config|get:calls=1\r\n";

    /// Returns the counts after polls of a server whose log contains these entries, newest first.
    fn counted_over(polls: &[(&str, Vec<Reply>)]) -> LogCounts {
        let mut remembered = Remembered::default();
        for (run_id, log) in polls {
            let info = format!("run_id:{run_id}\r\n{COMMANDS}");
            let circumstances = Circumstances {
                remembered: remembered.clone(),
                ..Circumstances::default()
            };
            let first = |count| Reply::List(log.iter().take(count).cloned().collect());
            let reply_to = |command: &Command<'_>| {
                let count = reading::words(command)[2].parse().unwrap();
                Some(first(count))
            };
            let newest = [(&NEWEST, first(1))];
            let replies = reading::received(&COLLECTOR, &info, circumstances, &newest, &reply_to);
            remembered.record(read(&replies, &mut Snapshot::default()));
        }
        remembered.get::<SlowCommands>().unwrap().0.clone()
    }

    fn of(counted: &LogCounts, command: &str) -> Option<(u64, u64)> {
        counted.by_command.get(command).copied()
    }

    #[test]
    fn newest_entry_publishes_only_id_and_duration() {
        let expected = [
            "redis_last_slow_execution_duration_seconds{} 27661",
            "redis_slowlog_last_id{} 1",
            "redis_slowlog_length{} 2",
        ];
        assert_eq!(seen(2, vec![entry(1, "AUTH", 27_661)]), expected);
    }

    #[test]
    fn empty_log_has_length_and_no_missed_entries() {
        let expected = [
            "redis_slow_commands_unseen_total{} 0",
            "redis_slowlog_length{} 0",
        ];
        assert_eq!(seen(0, Vec::new()), expected);
    }

    #[test]
    fn entries_before_the_first_poll_start_at_0() {
        let log = vec![entry(8, "SORT", 9), entry(7, "keys", 5)];
        let counted = counted_over(&[("a", log)]);
        assert_eq!(of(&counted, "sort"), Some((0, 0)));
        assert_eq!(of(&counted, "keys"), Some((0, 0)));
        assert_eq!(counted.unseen, 0);
    }

    #[test]
    fn each_new_entry_counts_once() {
        let first = vec![entry(0, "keys", 5)];
        let second = vec![
            entry(2, "KEYS", 7),
            entry(1, "sort", 6),
            entry(0, "keys", 5),
        ];
        let polls = [("a", first), ("a", second.clone()), ("a", second.clone())];
        let counted = counted_over(&polls);
        assert_eq!(of(&counted, "keys"), Some((1, 7)));
        assert_eq!(of(&counted, "sort"), Some((1, 6)));
        assert_eq!(counted.unseen, 0);
    }

    #[test]
    fn known_subcommand_is_part_of_the_command() {
        let second = |id, command: &str, word: &str| {
            let Reply::List(mut elements) = entry(id, command, 6) else {
                panic!("an entry is an array");
            };
            elements[3] = Reply::List(vec![reading::bytes(command), reading::bytes(word)]);
            Reply::List(elements)
        };
        let log = vec![
            second(3, "keys", "get"),
            second(2, "config", "no-such"),
            second(1, "CONFIG", "Get"),
        ];
        let counted = counted_over(&[("a", vec![entry(0, "keys", 5)]), ("a", log)]);
        let names: Vec<&str> = counted.by_command.keys().map(String::as_str).collect();
        assert_eq!(names, ["config", "config|get", "keys"]);
        assert_eq!(of(&counted, "config|get"), Some((1, 6)));
    }

    #[test]
    fn entries_of_an_exporter_are_a_part_of_the_counts() {
        let by = |id, name: &str| {
            let Reply::List(mut elements) = entry(id, "sort", 6) else {
                panic!("an entry is an array");
            };
            elements[5] = reading::bytes(name);
            Reply::List(elements)
        };
        let log = vec![
            by(3, "redis-namespace-exporter-sweep"),
            by(2, "redis-namespace-exporter"),
            by(1, "shop"),
        ];
        let counted = counted_over(&[("a", vec![entry(0, "keys", 5)]), ("a", log)]);
        assert_eq!(of(&counted, "sort"), Some((3, 18)));
        assert_eq!(counted.own, [("sort".to_owned(), 2)].into());
    }

    #[test]
    fn element_before_the_words_is_not_the_command() {
        let with_complexity = |id| {
            let Reply::List(mut elements) = entry(id, "sort", 6) else {
                panic!("an entry is an array");
            };
            elements.insert(3, reading::bytes("N:1000,M:4"));
            Reply::List(elements)
        };
        let polls = [
            ("a", vec![entry(0, "keys", 5)]),
            ("a", vec![with_complexity(1)]),
        ];
        assert_eq!(of(&counted_over(&polls), "sort"), Some((1, 6)));
    }

    #[test]
    fn emptied_log_continues_its_numbering() {
        let polls = [
            ("a", vec![entry(4, "keys", 5)]),
            ("a", Vec::new()),
            ("a", vec![entry(5, "keys", 3)]),
        ];
        assert_eq!(of(&counted_over(&polls), "keys"), Some((1, 3)));
    }

    #[test]
    fn log_of_a_restarted_server_starts_over() {
        let after = vec![entry(5, "keys", 1), entry(4, "keys", 1)];
        let polls = [("a", vec![entry(4, "keys", 5)]), ("b", after)];
        let counted = counted_over(&polls);
        assert_eq!(of(&counted, "keys"), Some((2, 2)));
        assert_eq!(counted.unseen, 4);
    }

    #[test]
    fn evicted_unread_entries_are_counted() {
        let polls = [
            ("a", vec![entry(0, "sort", 1)]),
            ("a", vec![entry(1000, "keys", 1)]),
        ];
        let counted = counted_over(&polls);
        assert_eq!(of(&counted, "keys"), Some((1, 1)));
        assert_eq!(counted.unseen, 999);
    }

    #[test]
    fn command_unknown_to_the_server_is_other() {
        let first = vec![entry(0, "keys", 5)];
        let second = vec![entry(1, "hiddenName", 5)];
        let counted = counted_over(&[("a", first), ("a", second)]);
        assert_eq!(of(&counted, "hiddenname"), None);
        assert_eq!(of(&counted, OTHER), Some((1, 5)));
    }

    #[test]
    fn reset_before_the_first_poll_misses_no_entries() {
        let polls = [("a", Vec::new()), ("a", vec![entry(537, "keys", 1)])];
        let counted = counted_over(&polls);
        assert_eq!(of(&counted, "keys"), Some((1, 1)));
        assert_eq!(counted.unseen, 0);
    }

    #[test]
    fn log_of_another_server_is_history() {
        let other = vec![entry(90, "keys", 1), entry(89, "keys", 1)];
        let uptime = "b\r\nuptime_in_seconds:86400";
        let polls = [("a", vec![entry(4, "keys", 5)]), (uptime, other)];
        let counted = counted_over(&polls);
        assert_eq!(of(&counted, "keys"), Some((0, 0)));
        assert_eq!(counted.unseen, 0);
    }

    #[test]
    fn arguments_are_never_published() {
        let log = Reply::List(vec![entry(0, "AUTH", 1)]);
        let replies = Replies::new("", Circumstances::default()).with(&NEWEST, &log);
        let replies = replies.with(&ENTRIES, &log);
        assert!(!format!("{:?}", LOG.counted(&replies)).contains("secret"));
    }
}
