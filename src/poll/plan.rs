//! Decides what to send next over a connection, from the kind of server and its rejections. Pure.

use std::collections::HashSet;

use crate::collector::{Collector, INFO, Replies, Server};
use crate::query::{Command, Query, Rejections, Ticket};
use crate::reply::{Refusal, Reply};

/// Facts about the server, learned over one connection.
#[derive(Debug, Default)]
pub struct Plan {
    server: Option<Server>,
    run_id: Option<String>,
}

/// Dependent queries of the collectors.
#[derive(Debug, Default)]
pub struct Further<'a> {
    /// Commands to send now.
    pub commands: Vec<Command<'a>>,
    /// All needed queries, with the names of their collectors. Several collectors may need the
    /// same.
    pub needed: Vec<(&'static str, Ticket)>,
}

impl Plan {
    /// Returns the kind of server; `None` before INFO has reported it.
    pub const fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Records the kind of server. Returns true if the server is a different one or was restarted.
    pub fn learn(&mut self, server: Server, run_id: Option<&str>) -> bool {
        self.server = Some(server);
        let before = std::mem::replace(&mut self.run_id, run_id.map(str::to_owned));
        before.is_some() && before != self.run_id
    }

    /// Sends INFO first again, because the new connection may reach another server.
    pub const fn reconnect(&mut self) {
        self.server = None;
    }

    /// Returns the remaining queries of this poll: first INFO, which shows what the server
    /// supports, then everything else. If that is known already, returns all at once.
    pub fn next(
        &self,
        on: &[&'static Collector],
        replies: &Replies,
        rejections: &Rejections,
    ) -> Vec<&'static Query> {
        let has_reply = |query: &'static Query| replies.received(query).is_some();
        let mut queries = if has_reply(&INFO) {
            Vec::new()
        } else {
            vec![&INFO]
        };
        for collector in self.applicable(on) {
            for query in collector.queries {
                let is_done = has_reply(query) || rejections.covers((*query).into());
                if !is_done && !queries.contains(query) {
                    queries.push(query);
                }
            }
        }
        queries
    }

    /// Returns the collectors whose queries the server supports; empty before INFO.
    pub fn applicable(&self, on: &[&'static Collector]) -> Vec<&'static Collector> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        let on = on.iter().copied();
        on.filter(|collector| (collector.applies)(server)).collect()
    }

    /// Returns the dependent queries of the collectors. Called once for each pipeline.
    pub fn further<'a>(&self, on: &[&'static Collector], replies: &'a Replies) -> Further<'a> {
        let mut further = Further::default();
        let mut sent = HashSet::new();
        for collector in self.applicable(on) {
            for command in (collector.further)(replies) {
                let ticket = command.ticket;
                further.needed.push((collector.name, ticket));
                if replies.received(ticket).is_none() && sent.insert(ticket) {
                    further.commands.push(command);
                }
            }
        }
        further
    }
}

/// Returns the names of collectors that need a query that is rejected, permanently or for now.
pub fn refused(
    needed: &[(&'static str, Ticket)],
    replies: &Replies,
    rejections: &Rejections,
) -> Vec<&'static str> {
    let is_refused = |ticket: Ticket| {
        let refusal = replies.received(ticket).and_then(Reply::refusal);
        rejections.covers(ticket) || refusal.is_some_and(Refusal::is_passing)
    };
    let refused = needed.iter().filter(|(_, ticket)| is_refused(*ticket));
    refused.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{ALL, Circumstances};
    use crate::info::Info;

    fn known(info: &str) -> Plan {
        let mut plan = Plan::default();
        let info = Info::parse(info);
        plan.learn(Server::from_info(&info), info.get("run_id"));
        plan
    }

    fn next(plan: &Plan, on: &[&'static Collector], rejections: &Rejections) -> Vec<String> {
        let queries = plan.next(on, &Replies::default(), rejections).into_iter();
        let words = |query: &'static Query| {
            let command = query.into();
            let words = rejections.words(&command)?;
            let words = words.collect::<Vec<_>>().join(&b' ');
            String::from_utf8(words).ok()
        };
        queries.filter_map(words).collect()
    }

    #[test]
    fn info_is_sent_first_on_a_new_connection() {
        let sent = next(&Plan::default(), ALL, &Rejections::default());
        assert_eq!(sent, ["INFO everything"]);
    }

    #[test]
    fn known_server_is_sent_everything_once() {
        let plan = known("redis_version:7.0.15\nredis_mode:standalone\n");
        let sent = next(&plan, ALL, &Rejections::default());
        let mut distinct = sent.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(sent.len(), distinct.len());
        assert!(sent.contains(&"LATENCY LATEST".to_owned()), "{sent:?}");
        assert!(!sent.contains(&"CLUSTER INFO".to_owned()), "{sent:?}");
    }

    #[test]
    fn sentinel_is_sent_only_info_and_sentinel() {
        let plan = known("redis_version:6.0.16\nredis_mode:sentinel\n");
        let by_default = ALL.iter().copied();
        let by_default = by_default.filter(|collector| collector.is_on_by_default());
        let by_default: Vec<&Collector> = by_default.collect();
        let sent = next(&plan, &by_default, &Rejections::default());
        assert_eq!(sent, ["INFO everything", "SENTINEL MASTERS"]);
    }

    #[test]
    fn rejected_query_is_not_sent_again() {
        let plan = known("redis_version:7.0.15\nredis_mode:standalone\n");
        let mut rejections = Rejections::default();
        let before = plan.next(ALL, &Replies::default(), &rejections);
        let query = *before.iter().find(|query| **query != &INFO).unwrap();
        let refusal = |code: &str| Refusal {
            code: code.into(),
            message: "no".into(),
        };
        rejections.record(query.into(), false, &refusal("LOADING"));
        assert_eq!(plan.next(ALL, &Replies::default(), &rejections), before);
        rejections.record(query.into(), false, &refusal("NOPERM"));
        let after = plan.next(ALL, &Replies::default(), &rejections);
        assert!(!after.contains(&query));
    }

    #[test]
    fn new_run_id_is_another_server() {
        let mut plan = known("redis_version:7.0.15\r\nrun_id:a\r\n");
        let server = *plan.server().unwrap();
        plan.reconnect();
        assert_eq!(
            next(&plan, ALL, &Rejections::default()),
            ["INFO everything"]
        );
        assert!(!plan.learn(server, Some("a")));
        assert!(plan.learn(server, Some("b")));
    }

    #[test]
    fn collectors_with_a_rejected_query_are_named() {
        static NEEDED: Query = Query::new(&[&["X"]], "+x");
        let needed = [("a", NEEDED.ticket(0)), ("b", NEEDED.ticket(1))];
        let mut replies = Replies::new("", Circumstances::default());
        let busy = Refusal {
            code: "BUSY".into(),
            message: "no".into(),
        };
        replies.record(NEEDED.ticket(1), Reply::Error(busy));
        let refused = refused(&needed, &replies, &Rejections::default());
        assert_eq!(refused, ["b"]);
    }
}
