//! LATENCY LATEST: the latest and the worst spike of each kind of event. Empty unless the server
//! has `latency-monitor-threshold` set.

use super::{Answers, Collector, Question, Server};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Asks for the latest spikes.
pub static LATEST: Question = Question {
    commands: &[&["LATENCY", "LATEST"]],
    permission: "+latency|latest",
};

static LAST: Family<1> = Family::gauge(
    "redis_latency_spike_last",
    &["event_name"],
    source("LATENCY LATEST", "timestamp"),
    Unit::Seconds,
    "When the latest spike of the event happened, in seconds since the epoch.",
);

static DURATION: Family<1> = Family::gauge(
    "redis_latency_spike_duration_seconds",
    &["event_name"],
    source("LATENCY LATEST", "latest"),
    Unit::Milliseconds,
    "How long the latest spike of the event took.",
);

static MAX: Family<1> = Family::gauge(
    "redis_latency_spike_max_seconds",
    &["event_name"],
    source("LATENCY LATEST", "maximum"),
    Unit::Milliseconds,
    "How long the longest spike of the event took, since the server forgot earlier ones.",
);

/// Reads the spikes.
pub static COLLECTOR: Collector = Collector {
    name: "latency",
    about: "The latest and the longest latency spike per event.",
    on_by_default: true,
    questions: &[&LATEST],
    follow_ups: None,
    applies: Server::holds_keys,
    families: || [&LAST, &DURATION, &MAX].map(Family::descriptor).to_vec(),
    read,
};

fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    for event in answers.reply(&LATEST).map(Reply::items).unwrap_or_default() {
        // Name, time, latest and longest in milliseconds; Valkey adds more.
        let [name, last, duration, max, ..] = event.items() else {
            continue;
        };
        let Some(name) = name.text() else { continue };
        for (family, reply) in [(&LAST, last), (&DURATION, duration), (&MAX, max)] {
            if let Some(value) = reply.integer() {
                snapshot.push(family, [&name], number(value));
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

    fn event(name: &str, numbers: &[i64]) -> Reply {
        let numbers = numbers.iter().map(|number| Reply::Integer(*number));
        Reply::List(
            std::iter::once(reading::bytes(name))
                .chain(numbers)
                .collect(),
        )
    }

    #[test]
    fn each_event_shows_its_latest_and_its_longest_spike() {
        let events = vec![
            event("command", &[1_795_442_027, 27, 29]),
            event("fork", &[1_795_442_112, 17, 18, 35, 2]),
            event("short", &[1]),
        ];
        let replies = [(&LATEST, Reply::List(events))];
        let expected = [
            "redis_latency_spike_duration_seconds{command} 27",
            "redis_latency_spike_duration_seconds{fork} 17",
            "redis_latency_spike_last{command} 1795442027",
            "redis_latency_spike_last{fork} 1795442112",
            "redis_latency_spike_max_seconds{command} 29",
            "redis_latency_spike_max_seconds{fork} 18",
        ];
        assert_eq!(
            reading::of(&COLLECTOR, "", Circumstances::default(), &replies),
            expected
        );
    }
}
