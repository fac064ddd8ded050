//! Input of the collectors: the replies of one poll, and its circumstances. Pure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::info::commandstats::{Usage, usage};
use super::{INFO, Remembered, Server};
use crate::config::CollectorOptions;
use crate::footprint::Caused;
use crate::info::Info;
use crate::query::{Query, Ticket};
use crate::reply::Reply;

/// Facts about a poll other than the replies.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The configured memory limit of the target, in bytes.
    pub declared_memory_limit: Option<u64>,
    /// Whether the configuration declares that the target's memory is meant to be full.
    pub expect_full: bool,
    /// Time of the poll by the exporter's clock, in seconds since the epoch.
    pub polled_at: f64,
    /// Exporter traffic on the server before INFO was sent; `None` if it is not tracked between
    /// polls. The counters are then published as in INFO.
    pub caused: Option<Caused>,
    /// The selected database.
    pub database: u32,
    /// The target's settings for collectors.
    pub options: Arc<CollectorOptions>,
    /// Size in bytes of the file that a collector named, seen by the exporter.
    pub file_size: Option<u64>,
    /// Scripts that must not run for now, because they broke the connection or took too long.
    pub resting: Vec<Ticket>,
    /// State of earlier polls.
    pub remembered: Remembered,
}

/// The replies of one poll, by ticket.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    /// The reply to [`INFO`](super::INFO).
    pub info: Info,
    /// Circumstances of the poll.
    pub circumstances: Circumstances,
    by_ticket: HashMap<Ticket, Reply>,
    /// The result of [`Replies::usage`].
    usage: HashMap<String, Usage>,
}

impl Replies {
    /// Creates the replies of a poll from the text of INFO.
    #[must_use]
    pub fn new(info: &str, circumstances: Circumstances) -> Self {
        let info = Info::parse(info);
        Self {
            usage: usage(&info),
            info,
            circumstances,
            by_ticket: HashMap::new(),
        }
    }

    /// Adds a reply.
    #[cfg(test)]
    #[must_use]
    pub fn with(mut self, ticket: impl Into<Ticket>, reply: &Reply) -> Self {
        self.record(ticket, reply.clone());
        self
    }

    /// Records the reply to [`INFO`]. Keeps only its fields.
    pub fn record_info(&mut self, info: Info) {
        self.usage = usage(&info);
        self.info = info;
        self.record(&INFO, Reply::Nil);
    }

    /// Records a reply, including errors.
    pub fn record(&mut self, ticket: impl Into<Ticket>, reply: Reply) {
        self.by_ticket.insert(ticket.into(), reply);
    }

    /// Returns a reply, including errors; `None` if the query was not sent.
    #[must_use]
    pub fn received(&self, ticket: impl Into<Ticket>) -> Option<&Reply> {
        self.by_ticket.get(&ticket.into())
    }

    /// Returns a reply; `None` if the query was not sent or the reply is an error.
    #[must_use]
    pub fn reply(&self, ticket: impl Into<Ticket>) -> Option<&Reply> {
        self.received(ticket)
            .filter(|reply| reply.refusal().is_none())
    }

    /// Returns the usage of every called command, by its name in the statistics of INFO, such as
    /// `config|get`.
    #[must_use]
    pub const fn usage(&self) -> &HashMap<String, Usage> {
        &self.usage
    }

    /// Returns the kind of server.
    #[must_use]
    pub fn server(&self) -> Server {
        Server::from_info(&self.info)
    }

    /// Returns the value of one parameter from the reply to its `CONFIG GET` query. Some servers
    /// return additional parameters.
    #[must_use]
    pub fn parameter(&self, query: &'static Query) -> Option<Cow<'_, str>> {
        let name = query.commands.first()?.last()?;
        let mut pairs = self.reply(query)?.items().chunks(2);
        pairs.find_map(|pair| match pair {
            [key, value] if key.text()?.eq_ignore_ascii_case(name) => value.text(),
            _ => None,
        })
    }
}
