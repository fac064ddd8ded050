//! Reads the replies to INFO: which sections to query, and what the reply shows about the server.

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::super::parameters::PARAMETERS;
use super::{LARGE_BYTES, Poller};
use crate::collector::{INFO, INFO_WITHOUT_PERCENTILES, Replies, Server};
use crate::connection::refused;
use crate::failure::{Failure, Reason};
use crate::info::Info;
use crate::query::{Command, Query, Ticket};
use crate::reply::{ErrorKind, Refusal, Reply};

impl Poller {
    /// Returns the commands to send. INFO requests only the sections that are due.
    pub(super) fn spelled(&mut self, queries: Vec<&'static Query>) -> Vec<Command<'static>> {
        let now = Instant::now().into_std();
        let queries = queries.into_iter().map(|query| {
            if query == &INFO {
                self.sections.query(self.plan.server(), now)
            } else {
                query
            }
        });
        let may_merge = self
            .plan
            .server()
            .is_some_and(Server::takes_several_parameters)
            && !self.session.rejections().covers((&PARAMETERS).into());
        if may_merge {
            self.parameters.merged(queries)
        } else {
            queries.map(Command::from).collect()
        }
    }

    pub(super) async fn record(
        &mut self,
        received: Vec<(Ticket, Reply)>,
        replies: &mut Replies,
    ) -> Result<(), Failure> {
        for (ticket, reply) in received {
            if ticket.query == &INFO {
                if reply.is_empty() && self.session.try_next_spelling(&INFO) {
                    continue;
                }
                let info = self.read_info(reply).await?;
                let now = Instant::now().into_std();
                self.sections.record(&INFO, &info, now);
                replies.record_info(info);
            } else if ticket.query == &INFO_WITHOUT_PERCENTILES {
                if let Some(info) = self.read_most_of_info(reply).await? {
                    replies.record_info(info);
                }
            } else if ticket.query == &PARAMETERS {
                self.record_parameters(reply, replies);
            } else {
                replies.record(ticket, reply);
            }
        }
        Ok(())
    }

    /// Records the reply to a command that merges several queries as the replies to these. If the
    /// server does not accept such a command, they are sent one by one.
    fn record_parameters(&mut self, reply: Reply, replies: &mut Replies) {
        match reply.refusal() {
            Some(refusal) if refusal.kind() == ErrorKind::Other => self.parameters.split(),
            Some(refusal) => {
                let is_denied = self.session.rejections().covers((&PARAMETERS).into());
                for query in self.parameters.sent() {
                    if is_denied {
                        self.session.reject(query.into(), refusal);
                    }
                    replies.record(query, reply.clone());
                }
            }
            None => {
                for (query, reply) in self.parameters.replies(reply) {
                    replies.record(query, reply);
                }
            }
        }
    }

    /// Reads a reply without percentiles. Returns `None` if other sections are missing or the
    /// server rejects the query. All sections are then queried.
    async fn read_most_of_info(&mut self, reply: Reply) -> Result<Option<Info>, Failure> {
        let refusal = reply.refusal().map(Refusal::kind);
        let is_not_taken = matches!(refusal, Some(ErrorKind::Other | ErrorKind::UnknownCommand));
        if is_not_taken || reply.is_empty() {
            self.sections.query_all();
            return Ok(None);
        }
        let info = self.read_info(reply).await?;
        let (query, now) = (&INFO_WITHOUT_PERCENTILES, Instant::now().into_std());
        let is_complete = self.sections.record(query, &info, now);
        Ok(is_complete.then_some(info))
    }

    async fn read_info(&mut self, reply: Reply) -> Result<Info, Failure> {
        if let Some(refusal) = reply.refusal() {
            self.is_busy = refusal.is_busy();
            return Err(refused(refusal));
        }
        let text = reply.into_text().unwrap_or_default();
        let info = if text.len() > LARGE_BYTES {
            // An endless text must not delay other targets.
            let parsed = spawn_blocking(|| Info::parse(text)).await;
            parsed.map_err(|_| Failure::new(Reason::Other, "the task that reads INFO panicked"))?
        } else {
            Info::parse(text)
        };
        if info.is_empty() {
            let detail = "the reply to INFO holds no field";
            return Err(Failure::new(Reason::Protocol, detail));
        }
        self.ping_rests &= replies_to_few_queries(&info);
        self.may_have_moved |= self.role.record(info.get("role"), Instant::now());
        if self
            .plan
            .learn(Server::from_info(&info), info.get("run_id"))
        {
            self.session.forget_rejections();
        }
        Ok(info)
    }
}

/// Returns whether the server is loading its data, or is a replica without its primary.
fn replies_to_few_queries(info: &Info) -> bool {
    info.get("loading") == Some("1") || info.get("master_link_status") == Some("down")
}
