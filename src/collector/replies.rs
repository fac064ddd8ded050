//! What a collector reads: the replies of one poll, and what is known beside them. Pure.

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

/// What the poller knows beside the replies.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The memory limit that the configuration declares for the target, in bytes.
    pub declared_memory_limit: Option<u64>,
    /// Whether the configuration declares that the target's memory is meant to be full.
    pub expect_full: bool,
    /// The time of the poll by the exporter's clock, in seconds since the epoch.
    pub polled_at: f64,
    /// What the exporter had caused on the server before INFO was sent; none if that is not followed
    /// from poll to poll, and the counters are shown as INFO reports them.
    pub caused: Option<Caused>,
    /// The selected database.
    pub database: u32,
    /// What the configuration says to the collectors of the target.
    pub options: Arc<CollectorOptions>,
    /// The size in bytes of the file that a collector named, as the exporter sees it.
    pub file_size: Option<u64>,
    /// Scripts that are not to be run for now, because they broke the connection or took too long.
    pub resting: Vec<Ticket>,
    /// What earlier polls left.
    pub remembered: Remembered,
}

/// The replies of one poll, by ticket.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    /// The reply to [`INFO`](super::INFO).
    pub info: Info,
    /// What is known beside the replies.
    pub circumstances: Circumstances,
    by_ticket: HashMap<Ticket, Reply>,
    /// See [`Replies::usage`].
    usage: HashMap<String, Usage>,
}

impl Replies {
    /// Begins with the text of INFO.
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

    /// Records the reply to [`INFO`]. Only its fields are kept.
    pub fn record_info(&mut self, info: Info) {
        self.usage = usage(&info);
        self.info = info;
        self.record(&INFO, Reply::Nil);
    }

    /// Records a reply, an error too.
    pub fn record(&mut self, ticket: impl Into<Ticket>, reply: Reply) {
        self.by_ticket.insert(ticket.into(), reply);
    }

    /// Returns a reply, an error too; none if the command was not sent.
    #[must_use]
    pub fn received(&self, ticket: impl Into<Ticket>) -> Option<&Reply> {
        self.by_ticket.get(&ticket.into())
    }

    /// Returns a reply; none if the command was not sent or is an error.
    #[must_use]
    pub fn reply(&self, ticket: impl Into<Ticket>) -> Option<&Reply> {
        self.received(ticket)
            .filter(|reply| reply.refusal().is_none())
    }

    /// Returns the usage of every command that has been called, by its name in the statistics of
    /// INFO, such as `config|get`.
    #[must_use]
    pub const fn usage(&self) -> &HashMap<String, Usage> {
        &self.usage
    }

    /// Returns the kind of server.
    #[must_use]
    pub fn server(&self) -> Server {
        Server::from_info(&self.info)
    }

    /// Returns the value of one parameter out of the reply to its `CONFIG GET` query. Some servers
    /// return more parameters than that one.
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
