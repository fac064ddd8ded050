//! What a collector reads, as lines of text. For tests only.

use super::{Answers, Circumstances, Collector, FollowUp, Question};
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
    let none = |_: &FollowUp| None;
    of_two_rounds(collector, info, circumstances, replies, &none)
}

/// Reads a whole poll in which what follows from replies is answered too, twice.
#[expect(
    clippy::needless_pass_by_value,
    reason = "tests make it where they call"
)]
pub(super) fn of_two_rounds(
    collector: &Collector,
    info: &str,
    circumstances: Circumstances,
    replies: &[(&'static Question, Reply)],
    answer: &dyn Fn(&FollowUp) -> Option<Reply>,
) -> Vec<String> {
    let replies = replies
        .iter()
        .map(|(question, reply)| (*question, reply))
        .collect();
    let answers = Answers::new(info, &circumstances, replies);
    let first = following(collector, &answers, answer);
    let answers = answers.with_follow_ups(first.iter().map(|(asked, reply)| (asked, reply)));
    let second = following(collector, &answers, answer);
    let both = first.iter().chain(&second);
    let answers = answers.with_follow_ups(both.map(|(asked, reply)| (asked, reply)));
    let mut snapshot = Snapshot::default();
    (collector.read)(&answers, &mut snapshot);
    lines(&snapshot.finish())
}

/// What follows from the replies and is not answered yet.
fn following(
    collector: &Collector,
    answers: &Answers<'_>,
    answer: &dyn Fn(&FollowUp) -> Option<Reply>,
) -> Vec<(FollowUp, Reply)> {
    let asked = collector.follow_ups.map(|follow_ups| follow_ups(answers));
    let new = asked.into_iter().flatten();
    new.filter(|question| answers.follow_up(question).is_none())
        .filter_map(|question| answer(&question).map(|reply| (question, reply)))
        .collect()
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
