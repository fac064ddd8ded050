//! Configured Lua scripts: their results, and whether they succeeded.

use super::{Collector, Command, Query, Read, Replies, Server};
use crate::config::Script;
use crate::metric::{Family, Snapshot, Unit, source};
use crate::number::length;
use crate::query::Ticket;
use crate::reply::Reply;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static RESULT: Family<1> = Family::gauge("redis_script_result", &["filename"], source("EVAL", ""), Unit::One, "Result of the script: 0 if it failed or returned something other than names and numbers, 1 if it returned some, 2 if it returned nothing.");
    pub(super) static VALUES: Family<2> = Family::gauge("redis_script_values", &["key", "filename"], source("EVAL", ""), Unit::One, "Number that the script returned for a name.");
    pub(super) static DROPPED: Family<1> = Family::gauge("redis_exporter_dropped_script_values", &["filename"], source("EVAL", ""), Unit::One, "Numbers of the script beyond the limit of 200.");
}

/// Maximum number of values per script.
const MOST_VALUES: usize = 200;

/// Runs a read-only script. Queried alone, because the result of a script is independent of others.
static READ_ONLY: Query = Query::new(&[&["EVAL_RO"]], "+eval_ro").alone();

/// Runs a script that may write, or on a server without `EVAL_RO`.
static ANY: Query = Query::new(&[&["EVAL"]], "+eval").alone();

/// Runs the scripts.
pub static COLLECTOR: Collector = Collector {
    name: "scripts",
    about: "Results of the Lua scripts of the option `scripts`. Sends nothing if there are no scripts. Scripts need `+eval_ro` and the commands that they run. Scripts that may write, and servers without EVAL_RO, need `+eval` instead.",
    further_queries: &[&READ_ONLY, &ANY],
    may_send: |query, replies| scripts(replies).any(|(ticket, _)| ticket.query == query),
    further,
    applies: Server::holds_keys,
    families: || {
        let by_script = [&rows::RESULT, &rows::DROPPED].map(Family::descriptor);
        by_script
            .into_iter()
            .chain([rows::VALUES.descriptor()])
            .collect()
    },
    read: Read::Samples(read),
    ..Collector::ON
};

fn further(replies: &Replies) -> Vec<Command<'_>> {
    if is_loading(replies) {
        return Vec::new();
    }
    let resting = &replies.circumstances.resting;
    scripts(replies)
        .filter(|(ticket, _)| !resting.contains(ticket))
        .map(|(ticket, script)| {
            // Without keys and arguments.
            let words: [&[u8]; 2] = [&script.text, b"0"];
            ticket.with(words)
        })
        .collect()
}

/// Returns the scripts with their tickets.
fn scripts(replies: &Replies) -> impl Iterator<Item = (Ticket, &Script)> {
    let knows_eval_ro = replies.server().knows_eval_ro();
    let scripts = replies.circumstances.options.scripts.iter().enumerate();
    scripts.map(move |(at, script)| {
        let is_read_only = script.read_only && knows_eval_ro;
        let query = if is_read_only { &READ_ONLY } else { &ANY };
        (query.ticket(at), script)
    })
}

/// Returns whether the server is loading its data. It then refuses every script and counts each
/// refusal as an error.
fn is_loading(replies: &Replies) -> bool {
    replies.info.get("loading") == Some("1")
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    if is_loading(replies) {
        return;
    }
    for (ticket, script) in scripts(replies) {
        // A denied or resting script is not sent. Without a reply it has failed.
        let reply = replies.reply(ticket);
        let result = reply.map_or(0.0, |reply| read_values(&script.name, reply, snapshot));
        snapshot.push(&rows::RESULT, [&script.name], result);
    }
}

/// Reads alternating names and numbers. A valid number is kept even if another one is invalid.
fn read_values(script: &str, reply: &Reply, snapshot: &mut Snapshot) -> f64 {
    if reply.is_empty() {
        return 2.0;
    }
    let Reply::List(items) = reply else {
        return 0.0;
    };
    let pairs = items.chunks(2);
    let dropped = pairs.len().saturating_sub(MOST_VALUES);
    let mut result = 1.0;
    for pair in pairs.take(MOST_VALUES) {
        match name_and_number(pair) {
            Some((name, number)) => snapshot.push(&rows::VALUES, [&name, script], number),
            None => result = 0.0,
        }
    }
    snapshot.push(&rows::DROPPED, [script], length(dropped));
    result
}

fn name_and_number(pair: &[Reply]) -> Option<(String, f64)> {
    let [name, value] = pair else { return None };
    let name = match name {
        Reply::Integer(number) => number.to_string(),
        name => name.text()?.into_owned(),
    };
    Some((name, value.number()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::config::CollectorOptions;
    use crate::reply::Refusal;
    use std::sync::Arc;

    fn script(name: &str, text: &str, read_only: bool) -> Script {
        Script {
            name: name.to_owned(),
            text: text.as_bytes().to_vec(),
            read_only,
        }
    }

    fn circumstances(scripts: Vec<Script>) -> Circumstances {
        let options = CollectorOptions {
            scripts,
            ..CollectorOptions::default()
        };
        Circumstances {
            options: Arc::new(options),
            ..Circumstances::default()
        }
    }

    fn seen(scripts: Vec<Script>, reply_to: &dyn Fn(&Command<'_>) -> Option<Reply>) -> Vec<String> {
        let info = "redis_version:7.0.15\r\n";
        reading::of_further(&COLLECTOR, info, circumstances(scripts), &[], reply_to)
    }

    /// Returns the samples of a script with this result.
    fn seen_of(reply: &Reply) -> Vec<String> {
        let reply_to = |_: &Command<'_>| Some(reply.clone());
        seen(vec![script("a", "x", true)], &reply_to)
    }

    fn commands(version: &str, read_only: bool) -> Vec<String> {
        let circumstances = circumstances(vec![script("a", "x", read_only)]);
        let replies = Replies::new(version, circumstances);
        let commands = further(&replies);
        commands
            .iter()
            .map(|command| reading::words(command)[0].clone())
            .collect()
    }

    #[test]
    fn scripts_are_read_only_unless_allowed_or_server_is_old() {
        assert_eq!(commands("redis_version:7.0.15\n", true), ["EVAL_RO"]);
        assert_eq!(commands("redis_version:7.0.15\n", false), ["EVAL"]);
        assert_eq!(commands("redis_version:6.2.16\n", true), ["EVAL"]);
    }

    #[test]
    fn names_and_numbers_become_values() {
        let pairs = vec![
            reading::bytes("depth"),
            reading::bytes("1.5"),
            reading::bytes("jobs"),
            Reply::Integer(3),
        ];
        let expected = [
            "redis_exporter_dropped_script_values{a} 0",
            "redis_script_result{a} 1",
            "redis_script_values{depth,a} 1.5",
            "redis_script_values{jobs,a} 3",
        ];
        assert_eq!(seen_of(&Reply::List(pairs)), expected);
    }

    #[test]
    fn invalid_number_fails_and_valid_ones_are_kept() {
        let pairs = ["good", "1", "bad", "many", "odd"];
        let expected = [
            "redis_exporter_dropped_script_values{a} 0",
            "redis_script_result{a} 0",
            "redis_script_values{good,a} 1",
        ];
        let reply = Reply::List(pairs.map(reading::bytes).to_vec());
        assert_eq!(seen_of(&reply), expected);
        assert_eq!(seen_of(&Reply::Integer(5)), ["redis_script_result{a} 0"]);
    }

    #[test]
    fn resting_script_is_not_sent_and_fails() {
        let info = "redis_version:7.0.15\r\n";
        let scripts = vec![script("a", "x", true), script("b", "y", true)];
        let circumstances = Circumstances {
            resting: vec![READ_ONLY.ticket(0)],
            ..circumstances(scripts)
        };
        let replies = Replies::new(info, circumstances.clone());
        let b: [&[u8]; 2] = [b"y", b"0"];
        assert_eq!(further(&replies), [READ_ONLY.with(1, b)]);
        let reply_to = |_: &Command<'_>| Some(Reply::Nil);
        let seen = reading::of_further(&COLLECTOR, info, circumstances, &[], &reply_to);
        let expected = ["redis_script_result{a} 0", "redis_script_result{b} 2"];
        assert_eq!(seen, expected);
    }

    #[test]
    fn scripts_are_not_sent_while_the_server_loads() {
        let info = "redis_version:7.0.15\r\nloading:1\r\n";
        let circumstances = circumstances(vec![script("a", "x", true)]);
        assert_eq!(further(&Replies::new(info, circumstances.clone())), []);
        let seen = reading::of(&COLLECTOR, info, circumstances, &[]);
        assert!(seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn empty_result_succeeds() {
        for nothing in [Reply::Nil, Reply::List(Vec::new())] {
            assert_eq!(seen_of(&nothing), ["redis_script_result{a} 2"]);
        }
    }

    #[test]
    fn failing_script_does_not_affect_others() {
        let scripts = vec![
            script("bad", "error()", true),
            script("gone", "z", true),
            script("good", "y", true),
        ];
        let reply_to = |command: &Command<'_>| match &**command.words.first()? {
            b"error()" => Some(Reply::Error(Refusal {
                code: "ERR".to_owned(),
                message: "user_script:1".to_owned(),
            })),
            b"y" => Some(Reply::List(vec![reading::bytes("n"), Reply::Integer(1)])),
            _ => None,
        };
        let expected = [
            "redis_exporter_dropped_script_values{good} 0",
            "redis_script_result{bad} 0",
            "redis_script_result{gone} 0",
            "redis_script_result{good} 1",
            "redis_script_values{n,good} 1",
        ];
        assert_eq!(seen(scripts, &reply_to), expected);
    }

    #[test]
    fn script_values_are_bounded_and_the_rest_counted() {
        let pairs = (0..250).flat_map(|at| [Reply::Integer(at), Reply::Integer(at)]);
        let seen = seen_of(&Reply::List(pairs.collect()));
        assert!(seen.contains(&"redis_exporter_dropped_script_values{a} 50".to_owned()));
        let values = seen.iter().filter(|line| line.contains("_values{"));
        assert_eq!(values.count(), MOST_VALUES + 1);
    }
}
