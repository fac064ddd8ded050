//! COMMANDLOG of Valkey: how many commands are logged as slow or large, and from where on they
//! are. Never the commands themselves.

use super::{Answers, Collector, Question, Server};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Asks for the number of slow commands.
pub static SLOW: Question = length(&[&["COMMANDLOG", "LEN", "slow"]]);
/// Asks for the number of commands with a large request.
pub static LARGE_REQUEST: Question = length(&[&["COMMANDLOG", "LEN", "large-request"]]);
/// Asks for the number of commands with a large reply.
pub static LARGE_REPLY: Question = length(&[&["COMMANDLOG", "LEN", "large-reply"]]);

/// Asks for the parameters of the log.
pub static PARAMETERS: Question = Question {
    commands: &[&["CONFIG", "GET", "commandlog-*"]],
    permission: "+config|get",
};

const fn length(commands: &'static [&'static [&'static str]]) -> Question {
    Question {
        commands,
        permission: "+commandlog|len",
    }
}

static SLOW_LENGTH: Family<0> = entries(
    "redis_commandlog_slow_length",
    "slow",
    "Entries in the log of commands that took long.",
);
static LARGE_REQUEST_LENGTH: Family<0> = entries(
    "redis_commandlog_large_request_length",
    "large-request",
    "Entries in the log of commands with a large request.",
);
static LARGE_REPLY_LENGTH: Family<0> = entries(
    "redis_commandlog_large_reply_length",
    "large-reply",
    "Entries in the log of commands with a large reply.",
);

static LENGTHS: &[(&Question, &Family<0>)] = &[
    (&SLOW, &SLOW_LENGTH),
    (&LARGE_REQUEST, &LARGE_REQUEST_LENGTH),
    (&LARGE_REPLY, &LARGE_REPLY_LENGTH),
];

static SLOWER_THAN: Family<0> = parameter(
    "redis_commandlog_execution_slower_than",
    "commandlog-execution-slower-than",
    "Microseconds from which on a command counts as slow; negative means that none is logged.",
);
static REQUEST_LARGER_THAN: Family<0> = parameter(
    "redis_commandlog_request_larger_than",
    "commandlog-request-larger-than",
    "Bytes from which on a request counts as large; negative means that none is logged.",
);
static REPLY_LARGER_THAN: Family<0> = parameter(
    "redis_commandlog_reply_larger_than",
    "commandlog-reply-larger-than",
    "Bytes from which on a reply counts as large; negative means that none is logged.",
);
static SLOW_MOST: Family<0> = parameter(
    "redis_commandlog_slow_execution_max_len",
    "commandlog-slow-execution-max-len",
    "The most entries that the log of slow commands keeps.",
);
static LARGE_REQUEST_MOST: Family<0> = parameter(
    "redis_commandlog_large_request_max_len",
    "commandlog-large-request-max-len",
    "The most entries that the log of large requests keeps.",
);
static LARGE_REPLY_MOST: Family<0> = parameter(
    "redis_commandlog_large_reply_max_len",
    "commandlog-large-reply-max-len",
    "The most entries that the log of large replies keeps.",
);

static NUMBERS: &[&Family<0>] = &[
    &SLOWER_THAN,
    &REQUEST_LARGER_THAN,
    &REPLY_LARGER_THAN,
    &SLOW_MOST,
    &LARGE_REQUEST_MOST,
    &LARGE_REPLY_MOST,
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
    about: "Lengths and limits of the logs of slow and large commands (Valkey since 8.1); never arguments.",
    on_by_default: true,
    questions: &[&SLOW, &LARGE_REQUEST, &LARGE_REPLY, &PARAMETERS],
    follow_ups: None,
    applies: Server::has_commandlog,
    families,
    read,
};

fn families() -> Vec<&'static Descriptor> {
    let lengths = LENGTHS.iter().map(|(_, family)| family.descriptor());
    let numbers = NUMBERS.iter().map(|family| family.descriptor());
    lengths.chain(numbers).collect()
}

fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    for (question, family) in LENGTHS {
        if let Some(length) = answers.reply(question).and_then(Reply::number) {
            snapshot.push(family, [], length);
        }
    }
    let Some(parameters) = answers.reply(&PARAMETERS) else {
        return;
    };
    for family in NUMBERS {
        let value = parameters.value_of(family.descriptor().source.field);
        if let Some(value) = value.and_then(Reply::number) {
            snapshot.push(family, [], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};

    #[test]
    fn lengths_and_parameters_are_shown_as_the_server_says_them() {
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
