//! Formats the samples of a collector as lines of text. For tests only.

use super::{Circumstances, Collector, Replies};
use crate::metric::{SampleValue, Snapshot};
use crate::query::{Command, Query};
use crate::reply::Reply;

/// Reads INFO alone.
pub(super) fn of_info(collector: &Collector, info: &str) -> Vec<String> {
    of(collector, info, Circumstances::default(), &[])
}

/// Reads a whole poll. Each line is `name{label values} value`, in the unit of the reply.
pub(super) fn of(
    collector: &Collector,
    info: &str,
    circumstances: Circumstances,
    replies: &[(&'static Query, Reply)],
) -> Vec<String> {
    of_further(collector, info, circumstances, replies, &|_| None)
}

/// Reads a whole poll that replies to both rounds of dependent queries.
pub(super) fn of_further(
    collector: &Collector,
    info: &str,
    circumstances: Circumstances,
    replies: &[(&'static Query, Reply)],
    reply_to: &dyn Fn(&Command<'_>) -> Option<Reply>,
) -> Vec<String> {
    let replies = received(collector, info, circumstances, replies, reply_to);
    let mut snapshot = Snapshot::default();
    let _ = collector.read(&replies, &mut snapshot);
    lines(&snapshot.finish())
}

/// Returns the replies of a whole poll that replies to both rounds of dependent queries.
pub(super) fn received(
    collector: &Collector,
    info: &str,
    circumstances: Circumstances,
    replies: &[(&'static Query, Reply)],
    reply_to: &dyn Fn(&Command<'_>) -> Option<Reply>,
) -> Replies {
    let mut all = Replies::new(info, circumstances);
    for (query, reply) in replies {
        all.record(*query, reply.clone());
    }
    for _ in 0..2 {
        let further = (collector.further)(&all).into_iter();
        let new = further.filter(|command| all.received(command.ticket).is_none());
        let new: Vec<_> = new
            .filter_map(|command| Some((command.ticket, reply_to(&command)?)))
            .collect();
        for (ticket, reply) in new {
            all.record(ticket, reply);
        }
    }
    all
}

/// Returns the words of a command as text.
pub(super) fn words(command: &Command<'_>) -> Vec<String> {
    let spelled = command.ticket.query.commands.first().unwrap();
    let first = spelled.iter().map(ToString::to_string);
    let further = command.words.iter();
    let further = further.map(|word| String::from_utf8_lossy(word).into_owned());
    first.chain(further).collect()
}

fn lines(snapshot: &Snapshot) -> Vec<String> {
    let line = |sample: crate::metric::Sample<'_>| {
        let labels: Vec<_> = sample.label_values().collect();
        let value = match sample.value {
            SampleValue::Number(number) => number.to_string(),
            SampleValue::Histogram(histogram) => format!("{histogram:?}"),
            SampleValue::Summary(summary) => {
                format!(
                    "{:?} count {} sum {}",
                    summary.percentiles, summary.count, summary.sum
                )
            }
        };
        format!("{}{{{}}} {value}", sample.family.name, labels.join(","))
    };
    snapshot.samples().map(line).collect()
}

/// Returns a bulk string.
pub(super) fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().into())
}

/// Returns the reply to CONFIG GET of one parameter.
pub(super) fn parameter(name: &str, value: &str) -> Reply {
    Reply::List(vec![bytes(name), bytes(value)])
}
