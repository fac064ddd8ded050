//! A session: queries over one link, and the memory of rejected queries. It does not interpret
//! replies.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::pack::Packed;
use super::{Link, OnReconnect, Setup, Spacing};
use crate::config::Endpoint;
use crate::failure::{Cause, Failure};
use crate::footprint::Footprint;
use crate::query::{Command, Query, Rejections, Ticket, Verdict};
use crate::reply::{ErrorKind, Refusal, Reply};

/// Replies, including error replies, with the tickets of their queries.
pub type PairedReplies = Vec<(Ticket, Reply)>;

/// A link to one server, and the queries that the server rejected.
#[derive(Debug)]
pub struct Session {
    /// The name of the target, for log lines.
    name: String,
    link: Link,
    rejections: Rejections,
    /// Whether rejections were forgotten since this was last taken.
    is_forgotten: bool,
}

impl Session {
    /// Connects to an endpoint of the target with this name. See [`Link::dial`].
    ///
    /// # Errors
    ///
    /// See [`Link::dial`].
    pub async fn open(
        name: &str,
        endpoint: &Endpoint,
        on_reconnect: OnReconnect,
        footprint: Arc<Footprint>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        Ok(Self {
            name: name.to_owned(),
            link: Link::dial(endpoint, on_reconnect, footprint, deadline).await?,
            rejections: Rejections::default(),
            is_forgotten: false,
        })
    }

    /// Returns the link.
    pub const fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Returns the permanently rejected queries.
    #[must_use]
    pub const fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// Removes the commands to send first, so that a denial costs one error. See
    /// [`Rejections::take_first`].
    pub fn take_first<'a>(&mut self, commands: &mut Vec<Command<'a>>) -> Vec<Command<'a>> {
        self.rejections.take_first(commands)
    }

    /// Records an error reply as permanent, for callers that know its cause.
    pub fn reject(&mut self, ticket: Ticket, refusal: &Refusal) {
        self.rejections.reject(ticket, refusal);
    }

    /// Forgets all rejections, because another server responds now.
    pub fn forget_rejections(&mut self) {
        self.rejections.forget();
        self.is_forgotten = true;
    }

    /// Returns whether rejections were forgotten since the last call.
    pub const fn take_is_forgotten(&mut self) -> bool {
        std::mem::replace(&mut self.is_forgotten, false)
    }

    /// Selects the next spelling of a query whose reply was empty. Returns whether there is one.
    pub fn try_next_spelling(&mut self, query: &'static Query) -> bool {
        self.rejections.try_next_spelling(query)
    }

    /// Sends commands in one pipeline, over the connection that has just replied.
    ///
    /// Rejected queries are left out. If a query with several commands was never sent before, one
    /// of its commands is sent first. A reply is missing if its query will be sent again with
    /// another spelling.
    ///
    /// # Errors
    ///
    /// See [`Link::request_once`].
    pub async fn query(
        &mut self,
        mut commands: Vec<Command<'_>>,
        deadline: Instant,
    ) -> Result<PairedReplies, Failure> {
        commands.retain(|command| !self.rejections.covers(command.ticket));
        let first = self.rejections.take_first(&mut commands);
        let mut replies = self.send(&first, deadline).await?;
        commands.retain(|command| !self.rejections.covers(command.ticket));
        replies.extend(self.send(&commands, deadline).await?);
        Ok(replies)
    }

    async fn send(
        &mut self,
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<PairedReplies, Failure> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let (commands, packed) = packed(&self.rejections, commands);
        let replies = self.link.send_once(&packed, deadline).await?;
        Ok(self.record(&commands, replies))
    }

    /// Sends the first commands after a pause, during which the connection may have broken.
    ///
    /// Returns true as the second value if they were sent over a new connection. See
    /// [`Link::request`].
    ///
    /// # Errors
    ///
    /// See [`Link::request`].
    pub async fn query_first(
        &mut self,
        commands: &[Command<'_>],
        spacing: Spacing,
        setup: &Setup,
        deadline: Instant,
    ) -> Result<(PairedReplies, bool), Failure> {
        let (commands, packed) = packed(&self.rejections, commands);
        let packed = packed.spaced(spacing);
        let received = self.link.send(&packed, setup, deadline).await?;
        if received.is_new {
            self.forget_if_due();
        }
        Ok((self.record(&commands, received.replies), received.is_new))
    }

    /// Reconnects. See [`Link::redial`].
    ///
    /// # Errors
    ///
    /// See [`Link::redial`].
    pub async fn redial(
        &mut self,
        setup: &Setup,
        cause: Cause,
        deadline: Instant,
    ) -> Result<(), Failure> {
        self.link.redial(setup, cause, deadline).await?;
        self.forget_if_due();
        Ok(())
    }

    /// Forgets rejections, once after a reconnect.
    pub fn forget_if_due(&mut self) {
        if self.link.take_retries_rejected() {
            self.forget_rejections();
        }
    }

    /// Pairs replies with the tickets of their commands, and records rejections.
    fn record(&mut self, commands: &[&Command<'_>], replies: Vec<Reply>) -> PairedReplies {
        let mut paired = Vec::with_capacity(replies.len());
        for (command, reply) in commands.iter().zip(replies) {
            if self.verdict(command, &reply) != Some(Verdict::Respelled) {
                paired.push((command.ticket, reply));
            }
        }
        let accepted = paired
            .iter()
            .filter(|(_, reply)| reply.refusal().is_none())
            .map(|(ticket, _)| *ticket);
        self.link.whereabouts().accept(accepted);
        paired
    }

    fn verdict(&mut self, command: &Command<'_>, reply: &Reply) -> Option<Verdict> {
        let refusal = reply.refusal()?;
        let (ticket, permission) = (command.ticket, command.ticket.query.permission);
        let mut known = self.rejections.all().iter();
        let is_known = !ticket.query.is_alone()
            && known.any(|rejected| rejected.query.permission == permission);
        let verdict = self
            .rejections
            .record(ticket, !command.words.is_empty(), refusal);
        let is_new = || self.link.whereabouts().reject(ticket, refusal.kind());
        if verdict == Verdict::Rejected && !is_known && is_new() {
            let (name, code) = (&self.name, &refusal.code);
            if refusal.kind() == ErrorKind::Permission {
                info!(name, code, permission, "the server rejected a query");
            } else {
                let query = ticket.query.commands.first().unwrap_or(&&[][..]).join(" ");
                info!(name, code, query, "the server rejected a query");
            }
        }
        Some(verdict)
    }
}

/// Returns the commands that have a spelling, and encodes them.
fn packed<'a, 'c>(
    rejections: &Rejections,
    commands: &'a [Command<'c>],
) -> (Vec<&'a Command<'c>>, Packed) {
    let mut packed = Packed::of_about(commands.len());
    let mut spelled = Vec::with_capacity(commands.len());
    for command in commands {
        if let Some(words) = rejections.words(command) {
            packed.push(words);
            spelled.push(command);
        }
    }
    (spelled, packed)
}
