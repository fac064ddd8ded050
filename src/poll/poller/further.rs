//! Sends dependent queries, and scripts in pipelines of their own.

use tokio::time::Instant;
use tracing::warn;

use super::super::plan;
use super::Poller;
use crate::collector::{Collector, Replies};
use crate::config::Target;
use crate::failure::{Cause, Failure};
use crate::query::{Command, Ticket};
use crate::reply::Reply;

/// Maximum number of pipelines with dependent queries: those that depend on the first replies, and
/// those that depend on the replies to these.
const FURTHER_ROUNDS: usize = 2;

impl Poller {
    /// Sends the dependent queries of the collectors. Returns the names of collectors with a
    /// rejected query.
    pub(super) async fn query_further(
        &mut self,
        target: &Target,
        on: &[&'static Collector],
        replies: &mut Replies,
        deadline: Instant,
    ) -> Result<Vec<&'static str>, Failure> {
        let mut needed = Vec::new();
        for _ in 0..FURTHER_ROUNDS {
            let further = self.plan.further(on, replies);
            needed.extend(further.needed);
            // A script that broke the connection in the previous pipeline is not sent again.
            let commands = further.commands.into_iter();
            let commands = commands.filter(|command| !self.broken_by.contains(&command.ticket));
            let (alone, commands): (Vec<_>, Vec<_>) =
                commands.partition(|command| command.ticket.query.is_alone());
            if alone.is_empty() && commands.is_empty() {
                break;
            }
            let mut received = self.query(commands, deadline).await?;
            for command in alone {
                received.extend(self.query_alone(target, command, deadline).await?);
            }
            for (ticket, reply) in received {
                replies.record(ticket, reply);
            }
        }
        Ok(plan::refused(&needed, replies, self.session.rejections()))
    }

    /// Sends one command in a separate pipeline. If it breaks the connection, reconnects and
    /// returns no reply, so that other commands still get theirs.
    async fn query_alone(
        &mut self,
        target: &Target,
        command: Command<'_>,
        deadline: Instant,
    ) -> Result<Vec<(Ticket, Reply)>, Failure> {
        let ticket = command.ticket;
        let mut known = self.script_replies.iter();
        if let Some(known) = known.find(|(script, _)| *script == ticket) {
            return Ok(vec![known.clone()]);
        }
        match self.query(vec![command], deadline).await {
            Ok(received) => {
                self.script_replies.extend(received.iter().cloned());
                Ok(received)
            }
            Err(failure) => {
                let name = &target.name;
                warn!(name, %failure, "a script broke the connection or timed out; it is suspended");
                self.broken_by.push(ticket);
                self.redial(Cause::Script, deadline).await?;
                Ok(Vec::new())
            }
        }
    }
}
