//! The rows of the metrics of the canary. Turns its counts into samples. Pure.

use super::tally::CanaryTally;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::to_float as float;
use crate::outcome;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static LATENCY: Family<0> = Family::histogram("redis_pubsub_canary_latency_seconds", &[], source("PUBLISH", ""), Unit::Microseconds, "Time from publishing a message of the exporter's own to receiving it, in seconds; tests the server and the path to it, not other subscribers.");
    pub(super) static SENT: Family<0> = Family::counter("redis_pubsub_canary_sent_total", &[], source("PUBLISH", ""), Unit::One, "Messages of its own that the exporter published and that are back or lost.");
    pub(super) static RECEIVED: Family<0> = Family::counter("redis_pubsub_canary_received_total", &[], source("SUBSCRIBE", ""), Unit::One, "Messages of its own that the exporter received within a second; tests the server and the path to it, not other subscribers.");
    pub(super) static STATE: Family<1> = Family::gauge("redis_exporter_canary_state", &["state"], source("SUBSCRIBE", ""), Unit::One, "Whether this is the state of the pub/sub canary (1): connected, disconnected, denied (a permission is missing) or unsupported (no RESP3, or no PUBLISH).");
}

/// The name of the canary in the label `collector`.
const NAME: &str = "canary";

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CanaryState {
    /// There is no connection.
    #[default]
    Disconnected,
    /// Messages are sent.
    Connected,
    /// The user lacks a permission.
    Denied,
    /// The server does not support RESP3, or rejects PUBLISH.
    Unsupported,
}

impl CanaryState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Disconnected,
        Self::Connected,
        Self::Denied,
        Self::Unsupported,
    ];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connected => "connected",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Returns all families of this module.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::LATENCY.descriptor(),
        rows::SENT.descriptor(),
        rows::RECEIVED.descriptor(),
        rows::STATE.descriptor(),
    ]
}

/// Returns the samples. A canary that never worked has no counts.
#[must_use]
pub fn snapshot(state: CanaryState, tally: Option<&CanaryTally>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for one in CanaryState::ALL {
        let is_it = u64::from(one == state);
        snapshot.push(&rows::STATE, [one.as_str()], float(is_it));
    }
    let is_accepted = match state {
        CanaryState::Disconnected | CanaryState::Unsupported => None,
        CanaryState::Connected => Some(true),
        CanaryState::Denied => Some(false),
    };
    if let Some(is_accepted) = is_accepted {
        outcome::push_success(NAME, is_accepted, &mut snapshot);
    }
    if let Some(tally) = tally {
        let [sent, received] = tally.sent_and_received();
        snapshot.push(&rows::SENT, [], float(sent));
        snapshot.push(&rows::RECEIVED, [], float(received));
        snapshot.push_histogram(&rows::LATENCY, [], tally.latencies());
    }
    snapshot.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_denied_canary_has_failed() {
        for (state, success) in [
            (CanaryState::Disconnected, None),
            (CanaryState::Connected, Some(1.0)),
            (CanaryState::Denied, Some(0.0)),
            (CanaryState::Unsupported, None),
        ] {
            let found = snapshot(state, None).number("redis_exporter_collector_success");
            assert_eq!(found, success, "{state:?}");
        }
    }
}
