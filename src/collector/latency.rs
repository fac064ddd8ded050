//! LATENCY LATEST: the latest and the worst spike of each event. Empty unless the server sets
//! `latency-monitor-threshold`.

use super::{Collector, Query, Read, Replies, Server, signed};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries the latest spikes.
pub static LATEST: Query = Query::new(&[&["LATENCY", "LATEST"]], "+latency|latest");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static LAST: Family<1> = Family::gauge("redis_latency_spike_last", &["event_name"], source("LATENCY LATEST", "timestamp"), Unit::Seconds, "Time of the latest spike of the event, in seconds since the epoch.");
    pub(super) static DURATION: Family<1> = Family::gauge("redis_latency_spike_duration_seconds", &["event_name"], source("LATENCY LATEST", "latest"), Unit::Milliseconds, "Duration of the latest spike of the event, in seconds.");
    pub(super) static MAX: Family<1> = Family::gauge("redis_latency_spike_max_seconds", &["event_name"], source("LATENCY LATEST", "maximum"), Unit::Milliseconds, "Duration of the longest spike of the event since the last LATENCY RESET, in seconds.");
    pub(super) static COUNT: Family<1> = Family::counter("redis_latency_spikes_total", &["event_name"], source("LATENCY LATEST", "count"), Unit::One, "Spikes of the event since the last LATENCY RESET (Valkey 8.1 and later).");
    pub(super) static SUM: Family<1> = Family::counter("redis_latency_spikes_duration_seconds_total", &["event_name"], source("LATENCY LATEST", "sum"), Unit::Milliseconds, "Total duration of the spikes of the event, in seconds.");
}

/// The numbers of an event, in the order of the reply. Only Valkey has the last two.
static NUMBERS: [&Family<1>; 5] = [
    &rows::LAST,
    &rows::DURATION,
    &rows::MAX,
    &rows::SUM,
    &rows::COUNT,
];

/// Reads the spikes.
pub static COLLECTOR: Collector = Collector {
    name: "latency",
    about: "Latest and longest latency spike for each event.",
    queries: &[&LATEST],
    applies: Server::holds_keys,
    families: || NUMBERS.map(Family::descriptor).to_vec(),
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for event in replies.reply(&LATEST).map(Reply::items).unwrap_or_default() {
        let Some((name, numbers)) = event.items().split_first() else {
            continue;
        };
        let Some(name) = name.text() else { continue };
        // An event has at least its first three numbers.
        if numbers.len() < 3 {
            continue;
        }
        for (family, reply) in NUMBERS.into_iter().zip(numbers) {
            snapshot.push(family, [&name], reply.integer().map(signed));
        }
    }
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
    fn events_publish_latest_and_longest_spike() {
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
            "redis_latency_spikes_duration_seconds_total{fork} 35",
            "redis_latency_spikes_total{fork} 2",
        ];
        assert_eq!(
            reading::of(&COLLECTOR, "", Circumstances::default(), &replies),
            expected
        );
    }
}
