//! The reasons why a poll fails, and the text for the log. Pure.

use std::borrow::Cow;
use std::fmt;

/// The reasons for which a poll can fail. They are label values, so the set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The host name could not be resolved.
    Dns,
    /// Nothing listens on the address.
    Refused,
    /// There was no reply before the timeout.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The user or the password is wrong.
    Auth,
    /// The user has no permission for a command that every poll needs.
    Denied,
    /// The server is loading its data and rejects commands.
    Loading,
    /// The server has reached `maxclients`.
    MaxClients,
    /// The server does not speak the Redis protocol, or sent more replies than there were queries.
    Protocol,
    /// Another server than the listed cluster node replied at its address.
    NotMember,
    /// The connection was closed.
    Closed,
    /// Anything else.
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::Dns,
        Self::Refused,
        Self::Timeout,
        Self::Tls,
        Self::Auth,
        Self::Denied,
        Self::Loading,
        Self::MaxClients,
        Self::Protocol,
        Self::NotMember,
        Self::Closed,
        Self::Other,
    ];

    /// Returns the label value, the meaning, and the remedy.
    #[rustfmt::skip] // One reason, one line.
    const fn texts(self) -> [&'static str; 3] {
        match self {
            Self::Dns => ["dns", "the host name could not be resolved", "check the host name in the URL"],
            Self::Refused => ["refused", "nothing listens on the address", "check host and port, and that the server is running"],
            Self::Timeout => ["timeout", "no reply before the timeout", "check that the server responds and that no firewall drops packets, or raise poll.timeout"],
            Self::Tls => ["tls", "the TLS handshake failed", "check that the port expects TLS and that the certificates are valid (tls.ca_file, tls.cert_file and tls.server_name), or use redis://"],
            Self::Auth => ["auth", "the user or password is missing or wrong", "check username and password"],
            Self::Denied => ["denied", "the user lacks a permission", "grant the user +info"],
            Self::Loading => ["loading", "the server is loading its data", "wait until the server has loaded its data"],
            Self::MaxClients => ["maxclients", "the server has reached maxclients", "raise maxclients on the server, or close connections"],
            Self::Protocol => ["protocol", "the server does not speak the Redis protocol", "check that the port belongs to a Redis server"],
            Self::NotMember => ["not_member", "another server than the listed cluster node replied", "check which server uses the address; if it left the cluster, let the other nodes forget it"],
            Self::Closed => ["closed", "the connection was closed", "check that the server accepts connections from this machine"],
            Self::Other => ["other", "an unusual error, which the log of the exporter has", "check the log of the server"],
        }
    }

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        let [label, ..] = self.texts();
        label
    }

    /// Returns the meaning, for the page of targets.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        let [_, meaning, _] = self.texts();
        meaning
    }

    /// Returns what to do if nothing more specific is known.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        let [.., remedy] = self.texts();
        remedy
    }
}

/// The reasons for which a connection is replaced. They are label values, so the set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The other side closed it. Servers and load balancers close idle connections.
    Closed,
    /// The other side reset it, or the network did.
    Reset,
    /// There was no reply over it, but one in time over a new connection.
    Unanswered,
    /// The host name no longer resolves to the connected address.
    Moved,
    /// The server changed its role, for example after a failover.
    RoleChanged,
    /// A script broke it, or timed out.
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

    /// Returns the label value.
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

/// A failed connect, handshake or poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for metrics.
    pub reason: Reason,
    /// The details for the log. They never contain a secret or a whole reply.
    pub detail: String,
    /// What to do, if that depends on more than the reason.
    pub remedy: Option<Cow<'static, str>>,
}

/// Maximum length of the details, in characters.
const DETAIL_MAX: usize = 400;

impl Failure {
    /// Creates a failure. The detail is cut to a reasonable length.
    #[must_use]
    pub fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let line = detail.lines().next().unwrap_or_default();
        Self {
            reason,
            detail: line.chars().take(DETAIL_MAX).collect(),
            remedy: None,
        }
    }

    /// Returns whether the user lacks a permission that every poll needs. The error of protected mode
    /// has the same reason, but no permission helps.
    #[must_use]
    pub fn lacks_permission(&self) -> bool {
        self.reason == Reason::Denied && self.detail.starts_with("NOPERM")
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason.as_str(), self.detail)?;
        match &self.remedy {
            Some(remedy) => write!(formatter, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
