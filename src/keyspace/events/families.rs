//! The rows of the metrics of the stream of key events. Turns its state into samples.

use super::{Break, CountSource, EventStatus, KeyEvent, MissReason, StreamState};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::to_float as float;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static STATE: Family<1> = Family::gauge("redis_exporter_events_state", &["state"], source("SUBSCRIBE", ""), Unit::One, "Whether this is the state of the stream of key events (1): listening, paused to limit its cost, off (notify-keyspace-events), denied, unsupported, replica or disconnected.");
    pub(super) static SOURCE: Family<2> = Family::gauge("redis_exporter_events_source", &["event", "source"], source("SUBSCRIBE", ""), Unit::One, "Whether evicted or expired keys of namespaces are now counted from this source (1): all events, events of a part of the time (sampled_events), or sampled keys (panel).");
    pub(super) static RECEIVED: Family<1> = Family::counter("redis_exporter_events_total", &["event"], source("SUBSCRIBE", ""), Unit::One, "Key events received.");
    pub(super) static MISSED: Family<2> = Family::counter("redis_exporter_events_missed_total", &["event", "reason"], source("INFO", "evicted_keys"), Unit::One, "Keys that INFO counted and no received event explains: not sent (lost), or while the stream was disconnected or paused.");
    pub(super) static LAG: Family<0> = Family::gauge("redis_exporter_events_lag_seconds", &[], source("INFO", ""), Unit::Seconds, "Time that the last INFO took over the connection of the key events, in seconds.");
    pub(super) static BREAKS: Family<1> = Family::counter("redis_exporter_events_breaks_total", &["reason"], source("SUBSCRIBE", ""), Unit::One, "How many times the stream of key events broke off: the exporter was behind, the connection was closed, or for another reason.");
}

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::STATE.descriptor(),
        rows::SOURCE.descriptor(),
        rows::RECEIVED.descriptor(),
        rows::MISSED.descriptor(),
        rows::LAG.descriptor(),
        rows::BREAKS.descriptor(),
    ]
}

/// Adds the samples of a stream.
pub fn push(status: &EventStatus, snapshot: &mut Snapshot) {
    for state in StreamState::ALL {
        let is_it = u64::from(state == status.state);
        snapshot.push(&rows::STATE, [state.as_str()], float(is_it));
    }
    for (event, track) in KeyEvent::ALL.into_iter().zip(&status.tracks) {
        for source in CountSource::ALL {
            let is_it = u64::from(source == track.source);
            let labels = [event.as_str(), source.as_str()];
            snapshot.push(&rows::SOURCE, labels, float(is_it));
        }
        snapshot.push(&rows::RECEIVED, [event.as_str()], track.received);
        for (reason, missed) in MissReason::ALL.into_iter().zip(track.missed) {
            let labels = [event.as_str(), reason.as_str()];
            snapshot.push(&rows::MISSED, labels, missed);
        }
    }
    if let Some(lag) = status.lag {
        snapshot.push(&rows::LAG, [], lag);
    }
    for (cause, breaks) in Break::ALL.into_iter().zip(status.breaks) {
        snapshot.push(&rows::BREAKS, [cause.as_str()], float(breaks));
    }
}
