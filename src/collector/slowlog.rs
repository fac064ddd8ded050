//! SLOWLOG: how many slow commands are logged, and the newest of them. Never its arguments.

use super::{Answers, Collector, Question, Server};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Asks for the number of entries.
pub static LENGTH: Question = Question {
    commands: &[&["SLOWLOG", "LEN"]],
    permission: "+slowlog|len",
};

/// Asks for the newest entry.
pub static NEWEST: Question = Question {
    commands: &[&["SLOWLOG", "GET", "1"]],
    permission: "+slowlog|get",
};

static ENTRIES: Family<0> = Family::gauge(
    "redis_slowlog_length",
    &[],
    source("SLOWLOG LEN", ""),
    Unit::One,
    "Entries in the log of slow commands.",
);

static LAST_ID: Family<0> = Family::gauge(
    "redis_slowlog_last_id",
    &[],
    source("SLOWLOG GET", "id"),
    Unit::One,
    "Number of the newest entry in the log of slow commands, counted from 0; absent without entries.",
);

static LAST_DURATION: Family<0> = Family::gauge(
    "redis_last_slow_execution_duration_seconds",
    &[],
    source("SLOWLOG GET", "duration"),
    Unit::Microseconds,
    "Time that the newest command in the log of slow commands took; absent without entries.",
);

/// Reads the log of slow commands.
pub static COLLECTOR: Collector = Collector {
    name: "slowlog",
    about: "Length and newest entry of the log of slow commands, without its arguments.",
    on_by_default: true,
    questions: &[&LENGTH, &NEWEST],
    applies: Server::holds_keys,
    families: || {
        [&ENTRIES, &LAST_ID, &LAST_DURATION]
            .map(Family::descriptor)
            .to_vec()
    },
    read,
};

/// An empty log shows neither id nor duration. A 0 would be a lie: 0 is the id of the first entry,
/// the ids go on after SLOWLOG RESET, and no command takes no time.
fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    if let Some(length) = answers.reply(&LENGTH).and_then(Reply::integer) {
        snapshot.push(&ENTRIES, [], number(length));
    }
    let newest = answers
        .reply(&NEWEST)
        .and_then(|entries| entries.items().first());
    // Id, time, duration in microseconds, arguments; Redis 4 added more.
    if let Some([id, _, duration, ..]) = newest.map(Reply::items) {
        for (family, reply) in [(&LAST_ID, id), (&LAST_DURATION, duration)] {
            if let Some(value) = reply.integer() {
                snapshot.push(family, [], number(value));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
const fn number(integer: i64) -> f64 {
    integer as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};

    fn seen(length: i64, entries: Vec<Reply>) -> Vec<String> {
        let replies = [
            (&LENGTH, Reply::Integer(length)),
            (&NEWEST, Reply::List(entries)),
        ];
        reading::of(&COLLECTOR, "", Circumstances::default(), &replies)
    }

    #[test]
    fn the_newest_entry_shows_its_id_and_duration_and_nothing_else() {
        let entry = Reply::List(vec![
            Reply::Integer(1),
            Reply::Integer(1_795_442_027),
            Reply::Integer(27_661),
            Reply::List(vec![reading::bytes("AUTH"), reading::bytes("secret")]),
            reading::bytes("127.0.0.1:45744"),
            reading::bytes(""),
        ]);
        let expected = [
            "redis_last_slow_execution_duration_seconds{} 27661",
            "redis_slowlog_last_id{} 1",
            "redis_slowlog_length{} 2",
        ];
        assert_eq!(seen(2, vec![entry]), expected);
    }

    #[test]
    fn an_empty_log_has_a_length_only() {
        assert_eq!(seen(0, Vec::new()), ["redis_slowlog_length{} 0"]);
    }
}
