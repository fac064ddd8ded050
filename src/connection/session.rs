//! A session: queries over one link, and the memory of what the server rejected. What a reply means
//! is not known here.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::{Link, OnReconnect, Setup, Spacing};
use crate::config::Endpoint;
use crate::failure::{Cause, Failure};
use crate::footprint::Footprint;
use crate::query::{Command, Query, Rejections, Ticket, Verdict};
use crate::reply::Reply;

/// Replies with the tickets of their queries, error replies among them.
pub type Answered = Vec<(Ticket, Reply)>;

/// A link to one server, and what the server rejected over it.
#[derive(Debug)]
pub struct Session {
    /// The name of the target, for the log.
    name: String,
    link: Link,
    rejections: Rejections,
    /// Whether what was rejected was forgotten since this was last taken.
    is_forgotten: bool,
}

impl Session {
    /// Dials an endpoint of the target with this name. See [`Link::dial`].
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

    /// Returns what the server rejected for good.
    #[must_use]
    pub const fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// Returns what the server rejected for good, to add to it.
    pub const fn rejections_mut(&mut self) -> &mut Rejections {
        &mut self.rejections
    }

    /// Has everything sent again that was rejected: another server answers.
    pub fn forget_rejections(&mut self) {
        self.rejections.forget();
        self.is_forgotten = true;
    }

    /// Returns whether what was rejected was forgotten since this was last called.
    pub const fn take_is_forgotten(&mut self) -> bool {
        std::mem::replace(&mut self.is_forgotten, false)
    }

    /// Chooses the next spelling of a query, whose reply was empty. Returns whether there is one.
    pub fn try_next_spelling(&mut self, query: &'static Query) -> bool {
        self.rejections.try_next_spelling(query)
    }

    /// Sends commands over the connection that has just replied, in one pipeline. Rejected ones are
    /// left out. A query that was never sent and has several commands goes ahead with one of them. A
    /// reply is missing if its query is to be sent again in another spelling.
    ///
    /// # Errors
    ///
    /// See [`Link::ask_once`].
    pub async fn query(
        &mut self,
        mut commands: Vec<Command<'_>>,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        commands.retain(|command| !self.rejections.covers(command.ticket));
        let first = self.rejections.take_first(&mut commands);
        let mut answered = self.send(&first, deadline).await?;
        commands.retain(|command| !self.rejections.covers(command.ticket));
        answered.extend(self.send(&commands, deadline).await?);
        Ok(answered)
    }

    async fn send(
        &mut self,
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let (commands, words) = spelled(&self.rejections, commands);
        let replies = self.link.ask_once(&words, deadline).await?;
        Ok(self.record(&commands, replies))
    }

    /// Sends what comes first after a pause, in which the connection may have broken. Then it is
    /// sent over another one, and the second part is true. See [`Link::ask_spaced`].
    ///
    /// # Errors
    ///
    /// See [`Link::ask_spaced`].
    pub async fn query_first(
        &mut self,
        commands: &[Command<'_>],
        spacing: Spacing,
        setup: &Setup,
        deadline: Instant,
    ) -> Result<(Answered, bool), Failure> {
        let (commands, words) = spelled(&self.rejections, commands);
        let received = self
            .link
            .ask_spaced(&words, spacing, setup, deadline)
            .await?;
        if received.is_new {
            self.forget_if_due();
        }
        Ok((self.record(&commands, received.replies), received.is_new))
    }

    /// Dials again. See [`Link::redial`].
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

    /// Forgets what was rejected, once after a reconnect.
    pub fn forget_if_due(&mut self) {
        if self.link.take_retries_refused() {
            self.forget_rejections();
        }
    }

    /// Pairs replies with the tickets of their commands, and records rejections.
    fn record(&mut self, commands: &[&Command<'_>], replies: Vec<Reply>) -> Answered {
        let mut answered = Vec::with_capacity(replies.len());
        for (command, reply) in commands.iter().zip(replies) {
            if self.verdict(command, &reply) != Some(Verdict::Respelled) {
                answered.push((command.ticket, reply));
            }
        }
        answered
    }

    fn verdict(&mut self, command: &Command<'_>, reply: &Reply) -> Option<Verdict> {
        let refusal = reply.refusal()?;
        let (ticket, permission) = (command.ticket, command.ticket.query.permission);
        let mut known = self.rejections.all().iter();
        let is_known = !ticket.query.stands_alone()
            && known.any(|rejected| rejected.query.permission == permission);
        let verdict = self
            .rejections
            .record(ticket, !command.words.is_empty(), refusal);
        if verdict == Verdict::Rejected && !is_known {
            let (name, code) = (&self.name, &refusal.code);
            info!(name, code, permission, "the server rejected a query");
        }
        Some(verdict)
    }
}

/// The commands that have a spelling, and their words.
fn spelled<'a, 'c>(
    rejections: &Rejections,
    commands: &'a [Command<'c>],
) -> (Vec<&'a Command<'c>>, Vec<Vec<&'a [u8]>>) {
    let spelled = commands.iter();
    spelled
        .filter_map(|command| Some((command, rejections.words(command)?)))
        .unzip()
}
