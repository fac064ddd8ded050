//! The record of one poll: which commands were sent, how long each pipeline took, and which queries
//! the server rejects. Pure.
//!
//! It contains only the fixed words of queries, never the words that depend on data or settings, so
//! it shows no key and no secret. Names of users are not secret.

use std::time::Duration;

use crate::failure::Failure;
use crate::query::{Rejected, Ticket, describe};

/// The record of one poll.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The pipelines, in the order in which they were sent.
    pub pipelines: Vec<SentPipeline>,
    /// Queries that the server rejected over this connection, in this poll or an earlier one.
    pub rejected: Vec<RejectedQuery>,
    /// What would give the user the missing permissions; `None` if none is known to be missing.
    pub grant: Option<AccessGrant>,
    /// The time of the whole poll, including the connection.
    pub took: Duration,
    /// The failure, if the poll failed.
    pub failure: Option<Failure>,
}

/// A command that gives the user of a target the permissions that the target needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGrant {
    /// The command, with the name of the user and without a password.
    pub command: String,
    /// Whether it replaces the permissions of the user, and does not only add some.
    pub replaces: bool,
    /// Address of another server that needs it too.
    pub also_at: Option<String>,
}

/// Commands that were sent together.
#[derive(Clone, Debug)]
pub struct SentPipeline {
    /// The commands.
    pub commands: Vec<Ticket>,
    /// Whether they got replies in time.
    pub has_replies: bool,
    /// The commands among them that got an error reply, with its code.
    pub errors: Vec<(Ticket, String)>,
    /// Time from the first byte that was sent to the last reply.
    pub took: Duration,
    /// Size of the replies, in bytes.
    pub bytes: usize,
}

/// A query that the server rejects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedQuery {
    /// The collector that needs it.
    pub collector: &'static str,
    /// The command.
    pub command: String,
    /// The reason, and the permission to grant if that helps.
    pub remedy: String,
}

impl RejectedQuery {
    /// Describes a rejected query of a collector.
    #[must_use]
    pub fn new(collector: &'static str, rejected: &Rejected) -> Self {
        Self {
            collector,
            command: words(rejected.query.into()),
            remedy: describe(&rejected.refusal, rejected.query.permission),
        }
    }
}

/// Returns the fixed words of a command.
#[must_use]
pub fn words(ticket: Ticket) -> String {
    let spelling = ticket.query.commands.first();
    spelling.map_or_else(String::new, |words| words.join(" "))
}
