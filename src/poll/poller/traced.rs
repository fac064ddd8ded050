//! Records the pipelines of a poll and the rejected queries, for the record of the last poll.

use tokio::time::Instant;

use super::Poller;
use crate::collector::Collector;
use crate::query::{Command, Ticket};
use crate::reply::Reply;
use crate::trace::{RejectedQuery, SentPipeline};

impl Poller {
    /// Returns the pipelines since the start of the last poll.
    pub fn take_pipelines(&mut self) -> Vec<SentPipeline> {
        std::mem::take(&mut self.pipelines)
    }

    /// Returns the rejected queries of these collectors.
    #[must_use]
    pub fn rejected_by(&self, collectors: &[&'static Collector]) -> Vec<RejectedQuery> {
        let mut found = Vec::new();
        for rejected in self.rejected() {
            for collector in collectors {
                let mut queries = collector.queries.iter().chain(collector.further_queries);
                if queries.any(|query| *query == rejected.query) {
                    found.push(RejectedQuery::new(collector.name, rejected));
                }
            }
        }
        found
    }

    /// Records a pipeline and the size of its replies. Rejected queries were not sent.
    pub(super) fn trace(
        &mut self,
        sent: Vec<Ticket>,
        started: Instant,
        replies: Option<&[(Ticket, Reply)]>,
    ) {
        let bytes = self.session.link().wire_bytes();
        self.wire_bytes += bytes;
        let commands = match replies {
            Some(replies) => replies.iter().map(|(ticket, _)| *ticket).collect(),
            None => sent,
        };
        if commands.is_empty() {
            return;
        }
        let errors = replies.unwrap_or_default().iter();
        let errors =
            errors.filter_map(|(ticket, reply)| Some((*ticket, reply.refusal()?.code.clone())));
        self.pipelines.push(SentPipeline {
            commands,
            has_replies: replies.is_some(),
            errors: errors.collect(),
            took: started.elapsed(),
            bytes,
        });
    }
}

/// Returns the tickets of commands.
pub(super) fn tickets(commands: &[Command<'_>]) -> Vec<Ticket> {
    commands.iter().map(|command| command.ticket).collect()
}
