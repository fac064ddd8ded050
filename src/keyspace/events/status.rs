//! The state of a stream of key events, as it is exported. Pure.

/// The current source of the counts of lost keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountSource {
    /// Sampled keys, if the panel is on.
    #[default]
    Panel,
    /// All events.
    Events,
    /// Events of a part of the time, scaled to the counts of the server.
    SampledEvents,
}

impl CountSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Panel, Self::Events, Self::SampledEvents];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panel => "panel",
            Self::Events => "events",
            Self::SampledEvents => "sampled_events",
        }
    }
}

/// Why an event was not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// The server counted a key without sending an event.
    Lost,
    /// The stream was not connected.
    Disconnected,
    /// The stream was paused to limit its cost.
    Paused,
}

impl MissReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Disconnected, Self::Paused];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Disconnected => "disconnected",
            Self::Paused => "paused",
        }
    }
}

/// The state of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamState {
    /// There is no connection.
    #[default]
    Disconnected,
    /// Events are received.
    Listening,
    /// Events are not received for a while, to limit the cost.
    Paused,
    /// `notify-keyspace-events` includes neither event.
    Off,
    /// The user lacks a permission.
    Denied,
    /// The server is a sentinel or does not support RESP3.
    Unsupported,
    /// The server is a replica, which sends no such events.
    Replica,
}

impl StreamState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Disconnected,
        Self::Listening,
        Self::Paused,
        Self::Off,
        Self::Denied,
        Self::Unsupported,
        Self::Replica,
    ];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Listening => "listening",
            Self::Paused => "paused",
            Self::Off => "off",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Replica => "replica",
        }
    }
}

/// Why a stream broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// INFO took too long over its connection.
    Behind,
    /// The connection was closed, for example because of the limit of its output buffer.
    Closed,
    /// Anything else.
    Other,
}

impl Break {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Behind, Self::Closed, Self::Other];

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }
}

/// The state of one kind of event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrackStatus {
    /// The source of its counts.
    pub source: CountSource,
    /// Received events.
    pub received: f64,
    /// Missed events, in the order of [`MissReason::ALL`].
    pub missed: [f64; MissReason::ALL.len()],
}

/// The state of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventStatus {
    /// The state of the stream.
    pub state: StreamState,
    /// Each kind of event.
    pub tracks: [TrackStatus; 2],
    /// Time that INFO took over its connection, in seconds.
    pub lag: Option<f64>,
    /// How many times the stream broke off, in the order of [`Break::ALL`].
    pub breaks: [u64; Break::ALL.len()],
}

impl EventStatus {
    pub(super) fn record_break(&mut self, cause: Break) {
        if let Some(count) = self.breaks.get_mut(cause as usize) {
            *count += 1;
        }
    }
}
