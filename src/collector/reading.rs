//! What a collector reads, as lines of text. For tests only.

use super::{Answers, Circumstances, Collector, Question};
use crate::metric::{Snapshot, Value};
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
    replies: &[(&'static Question, Reply)],
) -> Vec<String> {
    let replies = replies
        .iter()
        .map(|(question, reply)| (*question, reply))
        .collect();
    let mut snapshot = Snapshot::default();
    (collector.read)(&Answers::new(info, circumstances, replies), &mut snapshot);
    lines(&snapshot.finish())
}

fn lines(snapshot: &Snapshot) -> Vec<String> {
    let line = |sample: crate::metric::Sample<'_>| {
        let labels: Vec<_> = sample.label_values().collect();
        let value = match sample.value {
            Value::Number(number) => number.to_string(),
            Value::Histogram(histogram) => format!("{histogram:?}"),
            Value::Summary(summary) => {
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

/// A bulk string.
pub(super) fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

/// The reply to CONFIG GET of one parameter.
pub(super) fn parameter(name: &str, value: &str) -> Reply {
    Reply::List(vec![bytes(name), bytes(value)])
}
