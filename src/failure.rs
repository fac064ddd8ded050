//! Why a poll failed: a closed set of reasons, and the text for the log. Pure.

use std::fmt;

/// The reasons for which a poll can fail. They are label values, so there is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The host name could not be resolved.
    Dns,
    /// Nothing listens at the address.
    Refused,
    /// No answer in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The server does not accept the user or the password.
    Auth,
    /// The user may not run a command that a poll cannot do without.
    Denied,
    /// The server is loading its data and answers nothing yet.
    Loading,
    /// The server has as many clients as it allows.
    MaxClients,
    /// What came is not the Redis protocol, or not what was asked for.
    Protocol,
    /// The connection was closed.
    Closed,
    /// Anything else.
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Dns,
        Self::Refused,
        Self::Timeout,
        Self::Tls,
        Self::Auth,
        Self::Denied,
        Self::Loading,
        Self::MaxClients,
        Self::Protocol,
        Self::Closed,
        Self::Other,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Denied => "denied",
            Self::Loading => "loading",
            Self::MaxClients => "maxclients",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }
}

/// Why a connection was replaced by another. The causes are label values, so there is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The other side closed it, as a server or a load balancer does with idle connections.
    Closed,
    /// The other side reset it, or the network did.
    Reset,
    /// Nothing came back over it, but a new connection had a reply in time.
    Unanswered,
    /// The host name no longer resolves to the connected address.
    Moved,
    /// The server changed its role, as after a failover.
    RoleChanged,
    /// A script broke it or had no reply in time.
    Script,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 6] = [
        Self::Closed,
        Self::Reset,
        Self::Unanswered,
        Self::Moved,
        Self::RoleChanged,
        Self::Script,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Unanswered => "unanswered",
            Self::Moved => "moved",
            Self::RoleChanged => "role_changed",
            Self::Script => "script",
        }
    }
}

/// A failed dial, handshake or poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for metrics.
    pub reason: Reason,
    /// What happened, for the log: never a secret, never a whole reply.
    pub detail: String,
}

impl Failure {
    /// A failure with its detail, cut to a line of sane length.
    #[must_use]
    pub fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let line = detail.lines().next().unwrap_or_default();
        Self {
            reason,
            detail: line.chars().take(200).collect(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason.as_str(), self.detail)
    }
}
