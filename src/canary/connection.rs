//! One connection of the canary, from its start to its end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::families::CanaryState;
use super::tally::{CanaryTally, LOST_AFTER};
use super::{CanaryEnd, CanaryFeed, channel};
use crate::clock::monotonic;
use crate::config::Target;
use crate::connection::{Message, MessageStream, Whereabouts, refused};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::info::Info;
use crate::reply::Reply;

/// Number of lost messages in a row after which another connection may work better.
const LOST_MAX: u32 = 3;

/// Minimum time between two checks of the server's role.
const ROLE_EVERY: Duration = Duration::from_secs(10);

/// An open connection.
pub(super) struct CanaryConnection {
    stream: MessageStream,
    channel: String,
    /// Maximum time until a reply.
    timeout: Duration,
    /// The queries without a reply, oldest first, with the times when they were sent.
    unreplied: VecDeque<(Instant, CanaryQuery)>,
    /// Time of the last check of the role.
    checked_role: Option<Instant>,
    is_role_denied: bool,
}

/// A query that has a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CanaryQuery {
    Subscribe,
    Publish,
    Role,
}

/// What has arrived.
#[derive(Default)]
struct Arrived {
    is_subscribed: bool,
    replies: Vec<Reply>,
}

impl CanaryConnection {
    /// Connects to a target, and publishes messages until something fails.
    pub(super) async fn follow(
        target: &Target,
        feed: &mut CanaryFeed,
        footprint: Arc<Footprint>,
    ) -> Result<Infallible, CanaryEnd> {
        let mut connection = Self::open(target, &feed.whereabouts, footprint).await?;
        info!(name = target.name, "the canary is connected");
        loop {
            let tally = feed.tally.get_or_insert_default();
            let started = Instant::now();
            connection.publish(tally).await?;
            connection
                .receive(tally, started + lost_after(), true)
                .await?;
            tally.expire(monotonic());
            if tally.lost_in_a_row() >= LOST_MAX {
                let detail = "published messages do not come back";
                return Err(Failure::new(Reason::Other, detail).into());
            }
            feed.show(CanaryState::Connected);
            let tally = feed.tally.get_or_insert_default();
            let next = started + target.canary.interval;
            connection.rest(tally, next).await?;
        }
    }

    /// Sends one message. Returns how long it took, or `None` if it is lost.
    pub(super) async fn examine(target: &Target) -> Result<Option<Duration>, CanaryEnd> {
        let mut connection = Self::open(target, &Whereabouts::default(), Arc::default()).await?;
        let mut tally = CanaryTally::default();
        let started = Instant::now();
        connection.publish(&mut tally).await?;
        connection
            .receive(&mut tally, started + lost_after(), true)
            .await?;
        let took = started.elapsed();
        let [_, received] = tally.sent_and_received();
        Ok((received > 0).then_some(took))
    }

    /// Connects to a target and subscribes.
    async fn open(
        target: &Target,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
    ) -> Result<Self, CanaryEnd> {
        let timeout = target.poll.timeout.max(lost_after());
        let deadline = Instant::now() + timeout;
        let endpoint = target.endpoint.clone().for_canary();
        let dialed = MessageStream::dial(&endpoint, whereabouts, footprint, deadline).await?;
        let stream = dialed.map_err(|_| CanaryEnd::Unsupported)?;
        let channel = channel(target);
        let mut connection = Self {
            stream,
            channel,
            timeout,
            unreplied: VecDeque::new(),
            checked_role: None,
            is_role_denied: false,
        };
        let subscribe = ["SUBSCRIBE".to_owned(), connection.channel.clone()];
        connection.send(&subscribe, CanaryQuery::Subscribe).await?;
        let mut tally = CanaryTally::default();
        loop {
            match connection.read(&mut tally, deadline).await? {
                Some(arrived) if arrived.is_subscribed => break,
                Some(arrived) => connection.settle(arrived.replies)?,
                None => return Err(no_reply().into()),
            }
        }
        // The confirmation is a message. Only a rejection is a reply.
        connection.unreplied.clear();
        connection.stream.count(1);
        Ok(connection)
    }

    async fn publish(&mut self, tally: &mut CanaryTally) -> Result<(), CanaryEnd> {
        let number = tally.publish(monotonic()).to_string();
        let publish = ["PUBLISH".to_owned(), self.channel.clone(), number];
        self.send(&publish, CanaryQuery::Publish).await
    }

    /// Receives what is late until the next message is due. Ends if a new connection may lead to
    /// another server. No message is under way that the queries could delay.
    async fn rest(&mut self, tally: &mut CanaryTally, until: Instant) -> Result<(), CanaryEnd> {
        loop {
            if self.stream.has_moved() {
                return Err(CanaryEnd::Replaced("moved"));
            }
            self.check_role_if_due().await?;
            let step = (Instant::now() + ROLE_EVERY).min(until);
            self.receive(tally, step, false).await?;
            if step == until {
                return Ok(());
            }
        }
    }

    /// Requests the role of the server from time to time. Behind a virtual address, only new
    /// connections reach a new primary.
    async fn check_role_if_due(&mut self) -> Result<(), CanaryEnd> {
        let is_due = |checked: Instant| checked.elapsed() >= ROLE_EVERY;
        if self.is_role_denied || !self.checked_role.is_none_or(is_due) {
            return Ok(());
        }
        self.checked_role = Some(Instant::now());
        let info = ["INFO", "replication"].map(str::to_owned);
        self.send(&info, CanaryQuery::Role).await
    }

    async fn send(&mut self, command: &[String], query: CanaryQuery) -> Result<(), CanaryEnd> {
        let now = Instant::now();
        self.stream.send(&[command], now + self.timeout).await?;
        self.unreplied.push_back((now, query));
        Ok(())
    }

    /// Receives messages until `end`, or until none is expected if `only_expected`.
    async fn receive(
        &mut self,
        tally: &mut CanaryTally,
        end: Instant,
        only_expected: bool,
    ) -> Result<(), CanaryEnd> {
        while Instant::now() < end && (tally.is_waiting() || !only_expected) {
            let limit = self.unreplied.front().map(|(sent, _)| *sent + self.timeout);
            let due = limit.map_or(end, |limit| limit.min(end));
            match self.read(tally, due).await? {
                Some(arrived) => self.settle(arrived.replies)?,
                None if limit.is_some_and(|limit| limit <= due) => return Err(no_reply().into()),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Assigns replies to their queries.
    fn settle(&mut self, replies: Vec<Reply>) -> Result<(), CanaryEnd> {
        for reply in replies {
            let Some((_, query)) = self.unreplied.pop_front() else {
                let detail = "the server sent a reply without a query";
                return Err(Failure::new(Reason::Protocol, detail).into());
            };
            match (query, reply.refusal()) {
                // The canary works without the role. A denied query is not sent again.
                (CanaryQuery::Role, Some(refusal)) => {
                    self.is_role_denied |= !refusal.is_passing();
                    continue;
                }
                (_, Some(refusal)) if refusal.is_passing() => return Err(refused(refusal).into()),
                (_, Some(refusal)) => return Err(CanaryEnd::Rejected(refusal.clone())),
                (CanaryQuery::Role, None) => {
                    let info = Info::parse(reply.into_text().unwrap_or_default());
                    if self.stream.has_changed_role(&info) {
                        return Err(CanaryEnd::Replaced("role_changed"));
                    }
                }
                (CanaryQuery::Subscribe | CanaryQuery::Publish, None) => {}
            }
            self.stream.count(1);
        }
        Ok(())
    }

    /// Waits for data, and records what has arrived. Returns `None` after `deadline`.
    async fn read(
        &mut self,
        tally: &mut CanaryTally,
        deadline: Instant,
    ) -> Result<Option<Arrived>, CanaryEnd> {
        let mut arrived = Arrived::default();
        let channel = self.channel.as_bytes();
        let mut handle = |message| match message {
            Message::Push(push) => arrived.push(&push, channel, tally),
            Message::Reply(reply) => arrived.replies.push(reply),
        };
        match timeout_at(deadline, self.stream.read(&mut handle)).await {
            Err(_) => Ok(None),
            Ok(result) => result.map(|_| Some(arrived)).map_err(CanaryEnd::from),
        }
    }
}

/// Returns the time after which a message is lost.
fn lost_after() -> Duration {
    Duration::from_secs_f64(LOST_AFTER)
}

fn no_reply() -> Failure {
    Failure::new(Reason::Timeout, "timed out waiting for the reply")
}

impl Arrived {
    fn push(&mut self, push: &Reply, channel: &[u8], tally: &mut CanaryTally) {
        let [kind, name, content] = push.items() else {
            return;
        };
        if name.bytes() != Some(channel) {
            return;
        }
        match (kind.bytes(), content.bytes()) {
            (Some(b"subscribe"), _) => self.is_subscribed = true,
            (Some(b"message"), Some(content)) => tally.receive(content, monotonic()),
            _ => {}
        }
    }
}
