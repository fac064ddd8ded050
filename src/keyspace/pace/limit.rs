//! What limits the speed of a sweep. Pure.

/// What limits the speed of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// The share of a core of the server.
    #[default]
    CpuShare,
    /// The budget of commands.
    Commands,
    /// The configured number of keys per second.
    Keys,
    /// The server or the network is slower than usual.
    Latency,
    /// The round trips themselves: the budgets would permit a higher speed.
    RoundTrips,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 5] = [
        Self::CpuShare,
        Self::Commands,
        Self::Keys,
        Self::Latency,
        Self::RoundTrips,
    ];

    /// Returns the value of the `reason` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CpuShare => "cpu_share",
            Self::Commands => "commands_per_second",
            Self::Keys => "keys_per_second",
            Self::Latency => "max_latency",
            Self::RoundTrips => "round_trips",
        }
    }
}
